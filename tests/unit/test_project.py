"""What jobs ask of a cluster."""

from pathlib import Path

from nestde.project import by_input


def test_jobs_ask_by_the_size_of_their_input_and_the_attempt(tmp_path: Path) -> None:
    (tmp_path / "folder/deep").mkdir(parents=True)
    (tmp_path / "file").write_bytes(bytes(3_000_000))
    (tmp_path / "folder/deep/file").write_bytes(bytes(1_000_000))
    paths = [str(tmp_path / name) for name in ("file", "folder", "made by an earlier job of its group")]
    asked = by_input(500, 2.5)
    assert [asked(None, input=paths, attempt=attempt) for attempt in (1, 2, 3)] == [510, 1020, 1530]
    assert asked(None, input=paths[2:], attempt=2) == 1000
