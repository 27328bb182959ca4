"""The real data, where they are."""

import os
from pathlib import Path

import pytest

REAL = Path(os.environ.get("NESTDE_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_real_data = pytest.mark.skipif(
    not REAL.is_dir(), reason="no real data; set NESTDE_REAL_DATA to their folder"
)
