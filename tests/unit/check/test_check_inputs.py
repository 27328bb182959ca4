"""Files of counts that are not what the sheet says: missing, no files at all, or one file for several samples."""

import gzip
import os
import shutil
import socket
from pathlib import Path

import pytest
from makers.studies import Study, write_h5ad

from nestde.check import inputs
from nestde.cli import main

TWICE = (
    "Each would be tested as a sample of its own. Correct the column counts; if the file holds several samples, write its path in the "
    "same way in each row, and name the column of obs that tells them apart in input.sample_key (now sample_id)."
)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def file_per_sample(keyed=False):
    """The sound study with a file for each sample; without `keyed` the files do not say of which sample they are."""
    study = Study()
    study.config["input"] = {"counts": None}
    study.sheet["counts"] = [f"{name}.h5ad" for name in study.sheet["sample_id"]]
    for name, cells in study.obs.groupby("sample_id"):
        write_h5ad(cells if keyed else cells.drop(columns="sample_id"), f"{name}.h5ad")
    study.obs = None
    return study


def other_name_of_s01(how):
    """Another path that leads to the counts of S01."""
    if how == "copy":
        shutil.copy("S01.h5ad", "S03.h5ad")
    elif how == "link":
        Path("S03.h5ad").unlink()
        Path("S03.h5ad").symlink_to("S01.h5ad")
    elif how == "hard link":
        Path("S03.h5ad").unlink()
        Path("S03.h5ad").hardlink_to("S01.h5ad")
    elif how == "folder":
        Path("data").symlink_to(".")
    return {"./": "./S01.h5ad", "//": f"{Path.cwd()}//S01.h5ad", "..": f"../{Path.cwd().name}/S01.h5ad",
            "absolute": str(Path("S01.h5ad").resolve()), "folder": "data/S01.h5ad"}.get(how, "S03.h5ad")  # fmt: skip


@pytest.mark.parametrize("how", ["copy", "link", "hard link", "folder", "./", "//", "..", "absolute"])
def test_one_file_is_not_two_samples(how):
    study = file_per_sample()
    assert study.check().faults == ()
    path = other_name_of_s01(how)
    study.put("counts", ["S03"], path)
    what = "are copies of each other, byte by byte" if how == "copy" else "are one file under several names"
    assert study.check().faults == (f"samples.tsv: counts of S01, S03: S01.h5ad and {path} {what}. {TWICE}",)


def test_samples_may_share_a_file_that_tells_them_apart():
    study = Study()
    study.config["input"] = {"counts": None}
    study.sheet["counts"] = "counts.h5ad"
    assert study.check().faults == ()
    study.put("counts", ["S03"], "./counts.h5ad")
    assert study.check().faults[-1] == (
        "samples.tsv: counts of S01, S02, S03, S04, S05 … (12 in all): counts.h5ad and ./counts.h5ad are one file under several "
        "names. Write its path in the same way in each row."
    )


def test_a_shared_file_that_does_not_is_refused():
    study = file_per_sample()
    study.put("counts", ["S03"], "S01.h5ad")
    (fault,) = study.check().faults
    assert fault.startswith("S01.h5ad: obs has no column sample_id (input.sample_key)")


@pytest.mark.parametrize("other", ["S02", "S02/matrix.mtx.gz", "S01/matrix.mtx.gz"])
def test_folders_of_10x(other):
    """The matrix counts, not what stands beside it."""
    barcodes = gzip.compress(b"AAA-1\nAAC-1\n")
    for name in ("S01", "S02"):
        Path(name).mkdir()
        Path(name, "matrix.mtx.gz").write_bytes(b"\x1f\x8bsome counts")
        Path(name, "barcodes.tsv.gz").write_bytes(barcodes + name.encode())
    assert inputs.same(["S01", other]) == [["S01", other]]
    Path("S02/matrix.mtx.gz").write_bytes(b"\x1f\x8bsame counts")
    assert inputs.same(["S01", "S02", "S01/matrix.mtx.gz"]) == [["S01", "S01/matrix.mtx.gz"]]


def test_only_files_of_one_size_and_beginning_are_read_as_a_whole(monkeypatch):
    read = []
    monkeypatch.setattr(inputs, "sha256", lambda path: read.append(str(path)) or Path(path).read_bytes())
    for name, size, first, last in [
        ("a", 3, "x", "y"),
        ("b", 4, "x", "y"),
        ("c", 4, "z", "y"),
        ("d", 4, "x", "z"),
    ]:
        Path(name).write_bytes(first.encode() + b"-" * (size * inputs.HEAD) + last.encode())
    assert inputs.same(["a", "b", "c"]) == []
    assert read == []
    assert inputs.same(["a", "b", "c", "d"]) == []
    assert read == ["b", "d"]
    read.clear()
    assert inputs.same(["b", "./b"]) == [["b", "./b"]]
    assert read == []


def make(kind, path):
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        Path(path).symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a socket"])
def test_what_is_no_file_is_not_waited_for(kind, capsys):
    study = Study()
    make(kind, "pipe")
    study.config["input"]["counts"] = "pipe"
    said = f"input.counts: pipe is no file but {kind}. Save it as a file, or take it away."
    assert study.check().faults == (said,)
    assert main(["init", "study", "--from", "pipe"]) == 2
    assert capsys.readouterr().err.endswith(f"pipe: is no file but {kind}. Save the counts as a file.\n")
    Path("S1").mkdir()
    make(kind, "S1/matrix.mtx")
    study.config["input"]["counts"] = "S1"
    assert study.check().faults == (said.replace("pipe is", "S1/matrix.mtx is"),)
    study.config["input"] = {"counts": "counts.h5ad", "cell_metadata": "pipe"}
    assert study.check().faults == (
        f"pipe: the table of cell metadata is no file but {kind}. Save it as a file.",
    )


def test_a_link_to_nothing_is_called_one():
    study = Study()
    Path("counts.h5").symlink_to("elsewhere/counts.h5ad")
    study.config["input"]["counts"] = "counts.h5"
    assert study.check().faults == (
        "input.counts: there is no file counts.h5. It is a link to elsewhere/counts.h5ad, which is not there. Correct the link, or "
        "name the file itself.",
    )


@pytest.mark.parametrize("path", ["x" * 5_000, "a/" * 3_000, "a\tb", "x\ud7ff"])
def test_a_path_that_no_system_takes(path):
    study = file_per_sample()
    study.put("counts", ["S03"], path.replace("\t", ""))
    (fault,) = study.check().faults
    assert fault.startswith("samples.tsv: counts of S03: ")
    assert len(fault) < 250


def test_braces_in_a_path_are_told_before_snakemake_sees_them():
    study = file_per_sample()
    Path("S03.h5ad").rename("{x}.h5ad")
    study.put("counts", ["S03"], "{x}.h5ad")
    said = "has a brace in it, which Snakemake takes for a wildcard. Rename the file or its folder."
    assert study.check().faults == (f"samples.tsv: counts: {{x}}.h5ad {said}",)
    study = Study()
    Path("{a}").mkdir()
    write_h5ad(study.obs, "{a}/counts.h5ad")
    study.config["input"] = {"counts": "{a}/counts.h5ad", "cell_metadata": "}.tsv"}
    assert study.check().faults == (
        f"input.cell_metadata: }}.tsv {said}", f"input.counts: {{a}}/counts.h5ad {said}",
    )  # fmt: skip
    Path("S1").mkdir()
    Path("S1/{x}_matrix.mtx").touch()
    study.config["input"] = {"counts": "S1"}
    assert "S1/{x}_matrix.mtx has a brace in its name" in study.check().faults[0]
