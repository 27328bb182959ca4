"""Where the shipped workflow lies."""

from pathlib import Path


def template_dir() -> Path:
    """Folder with the Snakefile, config/, envs/ and workflow/ that a lab copies.

    In a checkout it is the checkout itself; in an installed wheel it is the copy that ships in the package.
    """
    shipped = Path(__file__).parents[1] / "_template"
    return shipped if shipped.is_dir() else Path(__file__).parents[4]


def workflow_dir() -> Path:
    """Folder of workflow/Snakefile, rules and schemas."""
    return template_dir() / "workflow"
