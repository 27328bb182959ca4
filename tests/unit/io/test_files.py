import numpy as np
import pandas as pd
import pytest

from nestde.errors import a_few
from nestde.io.files import atomic, read_tsv, sha256, slug, slugs, write_json, write_tsv


def test_atomic_replaces_only_on_success(tmp_path):
    path = tmp_path / "new folder" / "table.tsv"
    with atomic(path) as temporary:
        temporary.write_text("first")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["Neuron", "CD4_T", "S-01", "v1.2"])
def test_slug_keeps_harmless_names(name):
    assert slug(name) == name


@pytest.mark.parametrize(
    "name", ["CD4 T/B", "../etc", ".hidden", "", "<script>", "a'b\"c", "é", "x" * 99, "a..b", "-"]
)
def test_slugs_of_any_names_are_safe_and_told_apart(name):
    safe = slug(name)
    assert "/" not in safe and not safe.startswith(".") and ".." not in safe and safe
    assert all(c.isascii() and (c.isalnum() or c in "_-.") for c in safe)
    beside = slugs([name, name + "?", name.upper() + "!"])
    assert len({slugged.casefold() for slugged in beside.values()}) == len(beside)


def test_table_reads_back_the_same(tmp_path):
    frame = pd.DataFrame(
        {
            "gene": ["NA", "1", 'q"uote', "<b>", ""],
            "x": [0.1, 1 / 3, np.nan, 1e-300, -np.inf],
            "n": [1, 2, 3, 4, 5],
        }
    )
    write_tsv(frame, tmp_path / "t.tsv")
    pd.testing.assert_frame_equal(read_tsv(tmp_path / "t.tsv", text=["gene"]), frame)


def test_tabs_and_line_ends_in_names_do_not_break_a_table(tmp_path):
    write_tsv(pd.DataFrame({"gene": ["a\tb\nc"], "x": [1]}), tmp_path / "t.tsv")
    assert (tmp_path / "t.tsv").read_bytes() == b"gene\tx\na b c\t1\n"


def test_equal_content_gives_equal_bytes(tmp_path):
    write_json({"b": 1, "a": [1.5]}, tmp_path / "1.json")
    write_json({"a": [1.5], "b": 1}, tmp_path / "2.json")
    assert sha256(tmp_path / "1.json") == sha256(tmp_path / "2.json")


def test_a_few():
    assert a_few("abc") == "a, b, c"
    assert a_few(range(7), 2) == "0, 1 … (7 in all)"


def test_what_a_killed_writer_left_is_removed_when_the_file_is_written_again(tmp_path):
    for name in (".a.abcdefgh.tsv", ".a.b.abcdefgh.tsv", ".a.abcdefgh.json"):
        (tmp_path / name).touch()
    write_tsv(pd.DataFrame({"gene": ["a"]}), tmp_path / "a.tsv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".a.abcdefgh.json",
        ".a.b.abcdefgh.tsv",
        "a.tsv",
    ]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("B cells", "B_cells"),
        ("CD4+ T", "CD4_T"),
        ("L2/3 IT", "L2_3_IT"),
        ("Müller glia", "Muller_glia"),
        ("γδ T cells", "gammadelta_T_cells"),
    ],
)
def test_ordinary_names_of_cell_types_are_file_names_without_digits(name, safe):
    assert slug(name) == slugs([name, "Neuron"])[name] == safe


def test_names_have_digits_where_others_beside_them_are_alike():
    names = ["T", "t", "B cells", "B_cells", "B_cells-f3645a13", "NK", "小胶质细胞", "星形胶质细胞"]
    found = slugs(names)
    assert found["NK"] == "NK"
    assert len({slugged.casefold() for slugged in found.values()}) == len(names)
    assert slugs(reversed(names)) == found


def test_slugs_are_not_the_names_of_other_files():
    assert slug("T.cell") == "T.cell"
    assert not slug("T.de").endswith(".de") and not slug("T.genes").endswith(".genes")
