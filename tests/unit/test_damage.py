"""Whole files are left alone; what is cut off or overwritten is found, and said why."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from nestde.damage import damaged
from nestde.files import write_json, write_tsv


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """One file of each kind, in folders of the workflow, and a file of a person's own."""
    for folder in ("design", "matrix", "de", "mine"):
        (tmp_path / folder).mkdir()
    np.savez(tmp_path / "design/T.npz", x=np.arange(1000.0), y=np.arange(3))
    ad.AnnData(np.ones((30, 20), np.float32)).write_h5ad(tmp_path / "matrix/T.h5ad")
    write_tsv(pd.DataFrame({"gene": ["a", "b"], "coef": [1.5, np.nan]}), tmp_path / "de/T.tsv")
    write_tsv(pd.DataFrame(columns=["gene", "verdict"]), tmp_path / "de/empty.tsv")
    write_json({"a": [1, 2]}, tmp_path / "manifest.json")
    (tmp_path / "mine/notes.json").write_text("{")
    return tmp_path


KINDS = ["de/T.tsv", "design/T.npz", "manifest.json", "matrix/T.h5ad"]


def found(results: Path) -> list[str]:
    return [str(path.relative_to(results)) for path, _ in damaged(results)]


def test_whole_files_are_left_alone(results: Path) -> None:
    assert found(results) == []
    assert found(results / "absent") == []


@pytest.mark.parametrize("share", [0.0, 0.5, 0.97])
def test_cut_off(results: Path, share: float) -> None:
    for name in KINDS:
        data = (results / name).read_bytes()
        (results / name).write_bytes(data[: int(share * len(data))])
    assert found(results) == KINDS


def test_overwritten(results: Path) -> None:
    for name in KINDS:
        data = (results / name).read_bytes()
        half = len(data) // 2
        start = 0 if name.endswith("h5ad") else half  # HDF5 has no checksums of the values
        (results / name).write_bytes(data[:start] + bytes(half) + data[start + half :])
    assert found(results) == KINDS


def test_said_why(results: Path) -> None:
    (results / "de/T.tsv").write_text("gene\tcoef\na\t1\nb")
    assert [why for _, why in damaged(results)] == ["its last line is cut off"]
