import pytest

from nestde.errors import NestdeError
from nestde.io.gene_sets import read_gene_sets


def test_sets_as_they_stand(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("\ufeffONE\tna\tA\tB\tA\t\n\nTWO\t\tC\t D \r\n", encoding="utf-8")
    assert read_gene_sets(path) == {"ONE": ("A", "B"), "TWO": ("C", "D")}


def test_every_fault_at_once(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("ONE\tna\tA\nONE\tna\tB\nEMPTY\tna\n\tna\tC\n")
    with pytest.raises(NestdeError) as told:
        read_gene_sets(path)
    assert [fault for fault in told.value.faults if "3 (EMPTY)" in fault and "4 (no name)" in fault]
    assert [fault for fault in told.value.faults if "more than once: ONE" in fault]


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "no gene set"), (b"\xff\xfe\x00", "UTF-8"), (None, "no such file")]
)
def test_what_is_no_gmt_file(tmp_path, content, word):
    path = tmp_path / "sets.gmt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NestdeError, match=word):
        read_gene_sets(path)
