"""Sample sheets and tables of cells as careless and hostile people write them: no row is lost, none is made up."""

import os
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestde.errors import NestdeError
from nestde.io.obs import read_metadata
from nestde.study.samples import read_samples


def sheet(tmp_path, text):
    path = tmp_path / "samples.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(path, read=read_samples):
    with pytest.raises(NestdeError) as error:
        read(path)
    return [sentence.replace(f"{path.parent}/", "") for sentence in error.value.faults]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        # csv would read three rows as one, and give A the file of C
        ('sample_id\tdx\tcounts\nA\t"Control\ta\nB\tAD\tb\nC\tAD"\tc\n', 'row 2, dx: "Control, row 4, dx: AD"'),
        ('sample_id\tdx\nA\t"Control\nB\tAD\n', 'row 2, dx: "Control'),
        ('sample_id\tdx\nA\tControl"\nB\tAD\n', 'row 2, dx: Control"'),
        ('sample_id\tdx\nA\t"\nB\tAD\n', 'row 2, dx: "'),
        ('sample_id\tdx\nA\t"say ""AD"""\nB\tAD\n', 'row 2, dx: "say ""AD"""'),
        ('sample_id\tdx\nA\t"a\tb"\n', 'row 2, dx: "a, row 2, field 3: b"'),
    ],
)  # fmt: skip
def test_a_quote_never_hides_a_tab_or_a_line_end(tmp_path, text, said):
    assert any(
        said in sentence and "Take the quote out." in sentence for sentence in refused(sheet(tmp_path, text))
    )


def test_quotes_around_whole_fields_are_left_out_and_those_inside_stay(tmp_path):
    path = sheet(
        tmp_path, '"sample_id"\t"age"\tdx\n"A"\t"70"\t"AD, late"\nB\t"71"\t5" needle\nC\t72\t" NA "\n'
    )
    frame = read_samples(path)
    assert frame["sample_id"].tolist() == ["A", "B", "C"]
    assert frame["age"].tolist() == [70, 71, 72]
    assert frame["dx"].tolist()[:2] == ["AD, late", '5" needle']
    assert pd.isna(frame["dx"][2])


SEPARATORS = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e"]


@pytest.mark.parametrize("character", SEPARATORS)
def test_only_line_ends_end_a_line(tmp_path, character):
    path = sheet(tmp_path, f"sample_id\tdx\nA{character}B\tAD\nC\tx{character}y\n")
    frame = read_samples(path)
    assert frame["sample_id"].tolist() == sorted([f"A{character}B", "C"])
    assert f"x{character}y" in frame["dx"].tolist()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(tmp_path, end):
    frame = read_samples(sheet(tmp_path, f"sample_id\tdx{end}{end}A\tAD{end}B\tControl"))
    assert frame.to_numpy().tolist() == [["A", "AD"], ["B", "Control"]]
    assert refused(sheet(tmp_path, f"sample_id\tdx{end}{end}A\tAD\tx{end}")) == [
        "samples.tsv: row 3 has 3 fields, but the header has 2."
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "sample_id\tdx\nA\nB\tAD\tx\nC\tAD\n",
            ["samples.tsv: 2 rows have another number of fields than the header, which has 2: rows 2 (1), 3 (3)."],
        ),
        (
            "sample_id\tdx\t\t\nA\tAD\t\t\n",
            ["samples.tsv: columns 3, 4 have no name in the header (row 1). Name every column, or take out those that are empty."],
        ),
        (
            'sample_id\t"dx\nA\tAD\n',
            ['samples.tsv: the header has a quote (") that does not surround a name as a whole: "dx. Take it out.'],
        ),
        (
            "sample_id\tdx\nA\tAD\nB\tA\0D\n",
            ["samples.tsv: row 3 holds characters of code 0: it is no text, or not in UTF-8. Save it as a UTF-8 TSV."],
        ),
        (
            "sample_id\tdx\nA\tAD\n".encode("utf-16-le"),
            ["samples.tsv: row 1 holds characters of code 0: it is no text, or not in UTF-8. Save it as a UTF-8 TSV."],
        ),
        (
            "sample_id\tdx\nA\tAD\n".encode("utf-16"),
            ["samples.tsv: is not UTF-8 text (byte 0). Save it as a UTF-8 TSV."],
        ),
    ],
)  # fmt: skip
def test_shapes_that_are_no_table(tmp_path, text, expected):
    assert refused(sheet(tmp_path, text)) == expected


def test_a_field_of_any_length(tmp_path):
    long = "x" * 200_000
    assert read_samples(sheet(tmp_path, f"sample_id\tdx\nA\t{long}\n"))["dx"].tolist() == [long]


def test_numbers_too_long_for_floats_stay_labels(tmp_path):
    """As floats the two donors would be one."""
    text = "sample_id\tdonor\tx\nA\t9007199254740993\t1\nB\t9007199254740992\t2\nC\t\t3\n"
    assert read_samples(sheet(tmp_path, text))["donor"].nunique() == 2


def test_a_pipe_is_no_sheet(tmp_path):
    os.mkfifo(tmp_path / "samples.tsv")
    said = "the sample sheet is no file but a pipe. Save it as a file."
    assert refused(tmp_path / "samples.tsv") == [f"samples.tsv: {said}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "barcode\tx\nA\t1\t2\nB\t1\t2\n",
            "2 rows have another number of fields than the header, which has 2",
        ),
        ("barcode\tx\ty\nA\t1\n", "row 2 has 2 fields, but the header has 3"),
        ('barcode\tx\nA\t"1\nB\t2"\n', '2 fields have a quote (")'),
        ("barcode\tx\tx\nA\t1\t2\n", "the column x is there more than once"),
        ("barcode\ta/b\ta_b\nA\t1\t2\n", 'more than one column is a_b once "/" is read as "_"'),
    ],
)
def test_a_table_of_cells_is_read_as_strictly(tmp_path, text, said):
    """pandas would fill up short rows, and take the first field of rows that are too long for their names."""
    assert said in " ".join(refused(sheet(tmp_path, text), read_metadata))


def test_a_table_of_cells_may_have_quotes_around_fields(tmp_path):
    table = read_metadata(sheet(tmp_path, '"barcode"\t"x"\t"y"\n"A"\t"1"\t"a\u2028b"\n"B"\t2\tc\n'))
    assert table.to_dict("list") == {"barcode": ["A", "B"], "x": [1, 2], "y": ["a\u2028b", "c"]}
    assert read_metadata(sheet(tmp_path, "barcode\tx\n")).empty


# A reference that shares nothing with the reader: the bytes, split by hand.


def reference(data):
    """Header and rows of a sheet as text, or None if it must be refused."""
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None
    rows = []
    for line in re.split(r"\r\n|\n|\r", text):
        fields = []
        for field in line.split("\t"):
            field = field.strip()
            enclosed = re.fullmatch(r'"([^"]*)"', field)
            fields.append(enclosed[1].strip() if enclosed else field)
        if any(fields):
            rows.append(fields)
    if "\0" in text or len(rows) < 2:
        return None
    header, *rows = rows
    if "sample_id" not in header or "" in header or len(set(header)) < len(header):
        return None
    if any(len(row) != len(header) for row in rows):
        return None
    if any(field[:1] == '"' or field[-1:] == '"' for row in [header, *rows] for field in row):
        return None
    names = [row[header.index("sample_id")] for row in rows]
    if len(set(names)) < len(names) or {"", "NA"} & set(names):
        return None
    return header, rows


PIECES = ["A", "B", "S1", "AD", "Control", "7", "0.5", "1e3", "NA", "", " ", '"', '""', '"A"', "\t", "\t", "\n", "\n", "\r", "\r\n",
          *SEPARATORS, "\0", "\ufeff", "\xa0", "nan", "N/A", "1,5", "inf", "é", "{", "/", "'", "#", "\\", "=1", "\ud7ff"]  # fmt: skip


@st.composite
def sheets(draw):
    """A sheet that is nearly one: a header, rows, and then something put where it does not belong."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=60))
    columns = [
        "sample_id",
        *draw(st.lists(st.sampled_from(["dx", "age", "counts", '"batch"', "x y"]), unique=True)),
    ]
    columns = draw(st.permutations(columns))
    field = st.one_of(st.sampled_from(PIECES[:13]), st.text(max_size=4), st.integers().map(str))
    rows = [
        [f"S{i}" if name == "sample_id" else draw(field) for name in columns]
        for i in range(draw(st.integers(1, 4)))
    ]
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join("\t".join(row) for row in [columns, *rows])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(PIECES)) + text[at:]
    return text.encode("utf-8", "replace")


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(sheets())
def test_a_sheet_is_refused_or_read_as_it_stands(tmp_path_factory, data):
    path = Path(tmp_path_factory.getbasetemp() / "fuzz.tsv")
    path.write_bytes(data)
    expected = reference(data)
    try:
        frame = read_samples(path)
    except NestdeError as error:
        assert all(error.faults)
        assert expected is None
        return
    assert expected is not None
    header, rows = expected
    assert sorted(frame.columns) == sorted(header)
    rows.sort(key=lambda row: row[header.index("sample_id")])
    assert len(frame) == len(rows)
    for i, row in enumerate(rows):
        for name, field in zip(header, row, strict=True):
            value = frame[name].iloc[i]
            if field in ("", "NA"):
                assert pd.isna(value)
            else:
                assert value == (field if isinstance(value, str) else float(field))
