"""Numbers of files that are no tables are compared as numbers, all else as it is."""

import math
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from nestde.io.files import write_json, write_parquet
from nestde.provenance.contents import contents, furthest


def write(folder: Path, by: float) -> dict[str, Path]:
    """A file of each kind, one of whose numbers is moved."""
    folder.mkdir()
    paths = {kind: folder / f"x.{kind}" for kind in ("json", "npz", "h5ad", "parquet")}
    write_json({"a": [1, 0.5 + by], "b": {"name": "x", "none": None}}, paths["json"])
    np.savez(paths["npz"], x=[np.nan, 0.5 + by], name=np.array(["a"]))
    obs = pd.DataFrame({"x": [0.5 + by, 1.0]}, index=["a", "b"])
    ad.AnnData(np.ones((2, 3), np.float32), obs=obs).write_h5ad(paths["h5ad"])
    write_parquet(pd.DataFrame({"gene": ["A", None], "p": [0.5 + by, np.nan]}), paths["parquet"])
    return paths


def test_numbers_are_compared_as_numbers(tmp_path: Path) -> None:
    here, same, moved = (write(tmp_path / str(number), by) for number, by in enumerate((0.0, 0.0, 1e-7)))
    for kind, path in here.items():
        assert furthest(contents(path), contents(same[kind])) == (0.0, "")
        size, where = furthest(contents(path), contents(moved[kind]))
        assert size == pytest.approx(1e-7, rel=1e-3) and where, kind
    assert contents(tmp_path / "x.html") is None


@pytest.mark.parametrize(
    "other",
    [{"x": np.array([1.0, 2.0])}, {"x": np.array([1.0, np.nan, 3.0])}, {"x": "text"}, {}, {"x": np.array([1.0, -np.inf, 3.0])}],
)  # fmt: skip
def test_all_else_is_beyond_any_tolerance(other: dict[str, object]) -> None:
    assert furthest({"x": np.array([1.0, np.inf, 3.0])}, other) == (math.inf, "x")
