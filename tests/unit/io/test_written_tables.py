"""Tables of results as their readers read them: pandas in parts, R, and the same typed as Parquet."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nestde.expression.tables import TEXT
from nestde.io.files import read_tsv, write_parquet, write_sheet, write_tsv

ROWS = 30_000  # pandas looks at a part of a file at a time: at some 2,000 of these rows


@pytest.fixture
def long() -> pd.DataFrame:
    """As `de/`: tested genes first, then those that were not."""
    tested = np.arange(ROWS) < ROWS // 2
    return pd.DataFrame(
        {
            "gene": [f"GENE{i}" for i in range(ROWS)],
            "level": np.where(tested, "AD", ""),
            "against": np.where(tested, "1", ""),
            "reason": np.where(
                tested, "", 'in 3 of 1,000 cells of "T"; 20 are needed, which is more than that'
            ),
            "hangs": "",
            "n_cells": np.arange(ROWS),
            "pvalue": np.where(tested, np.linspace(0, 1, ROWS), np.nan),
            "df_level": np.nan,
            "lrt_df": pd.array(np.where(tested, 1, None), dtype="Int64"),
        }
    )


def test_pandas_reads_a_column_in_parts_as_one_type(long: pd.DataFrame, tmp_path: Path) -> None:
    """The warnings that it gives where the parts are unlike are errors in these tests."""
    write_tsv(long, tmp_path / "t.tsv", TEXT)
    read = pd.read_csv(tmp_path / "t.tsv", sep="\t")
    kinds = {name: read[name].dtype.kind for name in read}
    assert kinds == {
        **dict.fromkeys(["gene", "level", "reason", "hangs"], "O"),
        **dict.fromkeys(["against", "pvalue", "df_level", "lrt_df"], "f"),
        "n_cells": "i",
    }
    assert set(read["hangs"]) == {"."} and set(read["level"]) == {"AD", "."}
    again = read_tsv(tmp_path / "t.tsv", TEXT)
    pd.testing.assert_frame_equal(again, long.astype({"lrt_df": float}))


def test_text_of_dots_and_quotes_comes_back(tmp_path: Path) -> None:
    names = ["", ".", "..", "...", 'a"b', '"', '""', "'", "a b", "NA", "#x", "-", "1"]
    frame = pd.DataFrame({"level": names, "x": range(len(names))})
    write_tsv(frame, tmp_path / "t.tsv", ["level"])
    pd.testing.assert_frame_equal(read_tsv(tmp_path / "t.tsv", ["level"]), frame)


def test_names_of_columns_break_no_line(tmp_path: Path) -> None:
    write_tsv(pd.DataFrame({"mean_a\tb\nc": [1]}), tmp_path / "t.tsv")
    assert (tmp_path / "t.tsv").read_text() == "mean_a b c\n1\n"


def test_a_sheet_has_names_without_quotes_around_them(tmp_path: Path) -> None:
    write_sheet(pd.DataFrame({"sample_id": ['5" needle'], "dx": [None]}), tmp_path / "t.tsv")
    assert (tmp_path / "t.tsv").read_text() == 'sample_id\tdx\n5" needle\t\n'


def test_parquet_is_the_table_typed(long: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_parquet(long, tmp_path / f"{name}.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    typed = pd.read_parquet(tmp_path / "a.parquet")
    text = ["gene", "level", "against", "reason", "hangs"]
    assert typed["against"].iloc[0] == "1" and typed["hangs"].isna().all()
    typed[text] = typed[text].fillna("")
    pd.testing.assert_frame_equal(typed, long.astype({"lrt_df": float}))


def test_r_reads_the_same(long: pd.DataFrame, tmp_path: Path) -> None:
    if (r := shutil.which("Rscript")) is None:
        pytest.skip("no R here")
    names = ['a"b', '"', "#x", "it's", "-1", "MARCH1", "1-Mar", "β"]
    long.loc[: len(names) - 1, "gene"] = names
    write_tsv(long.iloc[[*range(20), *range(ROWS - 20, ROWS)]], tmp_path / "t.tsv", TEXT)
    script = "options(warn=2); x <- read.delim('t.tsv'); cat(nrow(x), sapply(x, class), sep='\\n'); cat(head(x$gene, 8), sep='\\n')"
    told = subprocess.run(
        [r, "--vanilla", "-e", script], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert told[0] == "40"
    assert told[1:10] == [
        *["character"] * 2,
        "integer",
        *["character"] * 2,
        "integer",
        "numeric",
        "logical",
        "integer",
    ]
    assert told[10:17] == names[:7]
