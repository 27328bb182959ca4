"""The command as a person runs it."""

import subprocess
import sys
from pathlib import Path


def nestde(*arguments: str | Path, cwd: Path, timeout: int = 900) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, without anything that the shell around pytest has set for Snakemake."""
    command = [str(Path(sys.executable).with_name("nestde")), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)
