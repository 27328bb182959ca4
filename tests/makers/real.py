"""The real data, where they are."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("NESTDE_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def real_data(name: str) -> Path:
    """Path of a file or folder of the real data; the test is skipped where they are absent."""
    if not (FOLDER / name).exists():
        pytest.skip(f"{name} is not in {FOLDER}; set NESTDE_REAL_DATA to the folder of the real data")
    return (FOLDER / name).resolve()
