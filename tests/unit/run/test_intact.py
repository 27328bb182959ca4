"""Whole files are left alone; what is cut off or overwritten is found, and said why."""

import base64
import errno
import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from nestde.errors import NestdeError
from nestde.io.files import write_json, write_tsv
from nestde.run.intact import damaged, made


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """One file of each kind."""
    for folder in ("design", "matrix", "de", "report"):
        (tmp_path / folder).mkdir()
    np.savez(tmp_path / "design/T.npz", x=np.arange(1000.0), y=np.arange(3))
    ad.AnnData(np.ones((30, 20), np.float32)).write_h5ad(tmp_path / "matrix/T.h5ad")
    write_tsv(pd.DataFrame({"gene": ["a", "b"], "coef": [1.5, np.nan]}), tmp_path / "de/T.tsv")
    write_tsv(pd.DataFrame(columns=["gene", "verdict"]), tmp_path / "de/empty.tsv")
    write_json({"a": [1, 2]}, tmp_path / "manifest.json")
    (tmp_path / "report/multiqc.html").write_text("<html>report</html>\n\n")
    return tmp_path


KINDS = ["de/T.tsv", "design/T.npz", "manifest.json", "matrix/T.h5ad", "report/multiqc.html"]


def found(results: Path) -> list[str]:
    files = {path: 0.0 for path in results.rglob("*") if path.is_file()}
    return [str(path.relative_to(results)) for path, _ in damaged(files)]


def test_whole_files_are_left_alone(results: Path) -> None:
    assert found(results) == []


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_cut_off(results: Path, share: float) -> None:
    for name in KINDS:
        data = (results / name).read_bytes()
        (results / name).write_bytes(data[: int(share * len(data))])
    assert found(results) == KINDS


def test_overwritten(results: Path) -> None:
    for name in KINDS[:-1]:
        data = (results / name).read_bytes()
        half = len(data) // 2
        start = 0 if name.endswith("h5ad") else half  # HDF5 has no checksums of the values
        (results / name).write_bytes(data[:start] + bytes(half) + data[start + half :])
    assert found(results) == KINDS[:-1]


def test_said_why(results: Path) -> None:
    (results / "de/T.tsv").write_text("gene\tcoef\na\t1\nb")
    assert [why for _, why in damaged({results / "de/T.tsv": 0.0})] == ["its last line is cut off"]


def test_a_file_that_may_not_be_read_is_not_called_damaged(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(NestdeError, match=r"T\.tsv: cannot be read \(Permission denied\)"):
        list(damaged({results / "de/T.tsv": 0.0}))


def record(metadata: Path, name: str, **told: object) -> None:
    """What Snakemake writes of a file that it made."""
    encoded = base64.urlsafe_b64encode(name.encode()).decode()
    path = metadata.joinpath(
        *(f"@{part}" for part in (encoded[:100],) if len(encoded) > 100), encoded[100:] or encoded
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))


def test_only_files_of_the_rules_of_nestde_are_looked_at(results: Path) -> None:
    metadata = results / "metadata"
    long = results / ("long" * 30) / "T.tsv"
    long.parent.mkdir()
    long.touch()
    record(metadata, str(results / "de/T.tsv"), shellcmd="nestde gather --out x", endtime=5.5)
    record(metadata, str(long), shellcmd="nestde gather", endtime=7)
    record(metadata, str(results / "de/empty.tsv"), shellcmd="cp x y", endtime=6)
    record(metadata, str(results / "manifest.json"), shellcmd=None)
    record(metadata, str(results / "absent.json"), shellcmd="nestde x", endtime=5)
    (metadata / ".nfs000000000123abc").touch()
    assert made(metadata) == {results / "de/T.tsv": 5.5, long: 7}
    assert made(results / "absent") == {}
