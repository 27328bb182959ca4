"""What a job wrote or read is known afterwards, whatever date it is given."""

import os
import shutil
from pathlib import Path

import pytest

from nestde.errors import NestdeError
from nestde.io.files import write_text
from nestde.provenance import digests
from nestde.provenance.manifest import manifest

LARGE = digests.SMALL + 1


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which Snakemake is at work, with a result and an input."""
    monkeypatch.chdir(tmp_path)
    digests.SNAKEMAKE.mkdir()
    with digests.recording():
        write_text("gene\tcoef\na\t1\n", "results/de/T.tsv")
    Path("counts.h5ad").write_bytes(bytes(LARGE))
    return tmp_path


RESULT, INPUT = Path("results/de/T.tsv"), Path("counts.h5ad")


def rewrite(path: Path, content: bytes) -> None:
    """Change a file in place, and give it its old time."""
    stat = path.stat()
    with path.open("r+b") as handle:
        handle.write(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_mtime_ns == stat.st_mtime_ns and path.stat().st_size == stat.st_size


def test_an_edit_is_seen_whatever_its_date() -> None:
    assert not digests.is_changed(RESULT)
    rewrite(RESULT, b"gene\tcoef\na\t2\n")
    assert digests.is_changed(RESULT)
    os.utime(RESULT, (1e9, 1e9))
    assert digests.is_changed(RESULT)


def test_a_file_that_was_put_back_from_elsewhere_is_seen(folder: Path) -> None:
    older = folder / "older.tsv"
    older.write_text("gene\tcoef\na\t7\n")
    os.utime(older, (1e9, 1e9))
    shutil.copy2(older, RESULT)
    assert digests.is_changed(RESULT)


def test_what_was_touched_or_copied_is_the_same(folder: Path) -> None:
    os.utime(RESULT, (4e9, 4e9))
    assert not digests.is_changed(RESULT)
    assert digests.made_by(RESULT).seen == digests._seen(RESULT)  # not to be read again
    shutil.copytree(folder, folder / "copy")
    os.chdir("copy")
    assert not digests.is_changed(RESULT)


def test_without_a_record_nothing_is_said() -> None:
    write_text("1\n", "mine.tsv")
    assert digests.made_by("mine.tsv") is None and not digests.is_changed("mine.tsv")


def test_a_kill_leaves_no_digest_of_the_file_before(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), digests.recording():
        write_text("gene\tcoef\na\t3\n", RESULT)
        raise KeyboardInterrupt
    assert digests.made_by(RESULT) is None
    with digests.recording():
        write_text("gene\tcoef\na\t3\n", RESULT)
    place = digests._place(digests.RESULTS, RESULT)
    place.write_bytes(place.read_bytes()[:20])  # as no write of ours leaves it
    assert digests.made_by(RESULT) is None and not digests.is_changed(RESULT)


def test_the_manifest_tells_of_no_result_that_its_job_did_not_write() -> None:
    settings = {"seed": 1}
    whole = manifest(settings, [str(INPUT)], [RESULT], "results/manifest.json")
    assert whole["arithmetic"] == [digests.made_by(RESULT).arithmetic]
    rewrite(RESULT, b"gene\tcoef\na\t2\n")
    with digests.reading([INPUT]):
        pass
    rewrite(INPUT, b"other")
    with pytest.raises(NestdeError) as told:
        manifest(settings, [str(INPUT)], [RESULT], "results/manifest.json")
    assert [sentence.split(". ")[0] for sentence in told.value.faults] == [
        "counts.h5ad: was changed after it was read",
        "results/de/T.tsv: was changed after the run that made it",
    ]


def test_the_stamp_of_a_large_input_stays_with_its_content() -> None:
    first = digests.stamp(INPUT)
    with digests.reading([INPUT]):
        pass
    assert digests.stamp(INPUT) == first
    os.utime(INPUT, (4e9, 4e9))  # dated tomorrow
    assert digests.stamp(INPUT) == first
    shutil.copyfile(INPUT, "same.h5ad")
    Path("same.h5ad").replace(INPUT)
    assert digests.stamp(INPUT) == first
    rewrite(INPUT, b"other")
    second = digests.stamp(INPUT)
    assert second != first
    with digests.reading([INPUT]):
        pass
    assert digests.stamp(INPUT) == second
    os.utime(INPUT)
    assert digests.stamp(INPUT) == second
    assert digests.stamp("absent") == ""


def test_an_input_that_changes_while_it_is_read_is_refused() -> None:
    with (
        pytest.raises(NestdeError, match=r"counts\.h5ad: was changed while it was read"),
        digests.reading([INPUT]),
    ):
        rewrite(INPUT, b"other")
