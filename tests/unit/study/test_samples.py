import os

import pytest

from nestde.errors import NestdeError
from nestde.study.config import load
from nestde.study.samples import SMALL, files_of, is_small, read_samples, source_paths


def sheet(tmp_path, text):
    path = tmp_path / "samples.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def faults(path) -> list[str]:
    with pytest.raises(NestdeError) as error:
        read_samples(path)
    return [fault.replace(str(path.parent) + "/", "") for fault in error.value.faults]


def test_rows_are_sorted_and_names_stay_text(tmp_path):
    frame = read_samples(sheet(tmp_path, "age\tsample_id\tdiagnosis\n 70\t007\tAD\n\n80\t006 \tControl\n"))
    assert frame["sample_id"].tolist() == ["006", "007"]
    assert frame["age"].tolist() == [80, 70]
    assert frame.columns.tolist() == ["sample_id", "age", "diagnosis"]


def test_missing_values_stay_missing(tmp_path):
    frame = read_samples(sheet(tmp_path, "sample_id\tage\tsex\nA\t\tF\nB\t3\tNA\n"))
    assert frame["age"].isna().tolist() == [True, False]
    assert frame["sex"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["samples.tsv: is empty. It needs a header with sample_id and a row per sample."]),
        ("sample_id\tx\n", ["samples.tsv: has no sample. Add a row for each."]),
        ("sample,x\nA,1\n", ["samples.tsv: has no column sample_id; its columns are sample,x. Separate columns by tabs."]),
        ("sample_id\tx\nA\n", ["samples.tsv: row 2 has 1 fields, but the header has 2."]),
        ("sample_id\tx\tx\nA\t1\t2\n", ["samples.tsv: the column x is there more than once. Keep one of each."]),
        ("sample_id\tx\n\t1\n", ["samples.tsv: row 2: the key sample_id is missing. Name of the sample, once in the sheet, as the data name it."]),
        ("sample_id\tx\nA\t1\nA\t1\n", ["samples.tsv: 1 sample has more than one row: A (2 times). Keep one row each."]),
        (
            "sample_id\tdiagnosis\nS07\tAD\nS07\tControl\nS11\tAD\nS11\tControl\n",
            ["samples.tsv: 2 samples have more than one diagnosis: S07 (AD, Control), S11 (AD, Control). A sample belongs to one diagnosis."],
        ),
    ],
)  # fmt: skip
def test_faults(tmp_path, text, expected):
    assert faults(sheet(tmp_path, text)) == expected


def test_file_that_cannot_be_read(tmp_path):
    assert faults(tmp_path / "samples.tsv") == [
        "samples.tsv: the sample sheet cannot be read (No such file or directory). Check `samples` in the configuration; paths are relative to the folder of the study, which -d names."
    ]
    (tmp_path / "samples.tsv").write_bytes(b"sample_id\n\xff\xfe\n")
    assert faults(tmp_path / "samples.tsv") == [
        "samples.tsv: is not UTF-8 text (byte 10). Save it as a UTF-8 TSV."
    ]


def config(counts):
    model = {"formula": "~ a + (1 | s)", "test": ["a"]}
    return load({"cell_types": ["N"], "model": model, "input": {"counts": counts}})


def test_data_are_named_in_one_place(tmp_path):
    plain = read_samples(sheet(tmp_path, "sample_id\nA\nB\n"))
    each = read_samples(sheet(tmp_path, "sample_id\tcounts\nA\ta.h5\nB\t\n"))
    assert source_paths(config("all.h5ad"), plain) == {"A": "all.h5ad", "B": "all.h5ad"}
    assert source_paths(config(None), each.iloc[:1]) == {"A": "a.h5"}
    with pytest.raises(NestdeError, match="has a column counts, but"):
        source_paths(config("all.h5ad"), each)
    with pytest.raises(NestdeError, match="has no column counts"):
        source_paths(config(None), plain)
    with pytest.raises(NestdeError, match="no path in the column counts for B"):
        source_paths(config(None), each)


def test_small_is_all_inputs_together(tmp_path):
    folder = tmp_path / "10x"
    folder.mkdir()
    files = [folder / "matrix.mtx.gz", tmp_path / "counts.h5ad"]
    for file in files:
        file.touch()
        os.truncate(file, SMALL // 2)
    paths = [str(folder), str(tmp_path / "counts.h5ad")]
    assert is_small([*paths, paths[1], str(tmp_path / "absent")])
    os.truncate(files[0], SMALL // 2 + 1)
    assert not is_small(paths)


def test_files_of_a_path(tmp_path):
    for name in (
        "S1_matrix.mtx.gz",
        "S1_barcodes.tsv.gz",
        "S1_features.tsv.gz",
        "S2_barcodes.tsv.gz",
        "a.h5ad",
    ):
        (tmp_path / name).touch()

    def names(path):
        return [file.name for file in files_of(str(path))]

    assert names(tmp_path / "S1_matrix.mtx.gz") == [
        "S1_matrix.mtx.gz", "S1_barcodes.tsv.gz", "S1_features.tsv.gz",
    ]  # fmt: skip
    assert names(tmp_path / "a.h5ad") == ["a.h5ad"]
    assert len(names(tmp_path)) == 5
    assert names(tmp_path / "absent") == ["absent"]
