"""YAML as people write it: every slip is a sentence, none changes a value without a word."""

import os
from pathlib import Path

import pytest

from nestde.errors import NestdeError
from nestde.study.config import load, read

SOUND = """cell_types: [Neuron]
model:
  formula: ~ diagnosis + (1 | sample_id)
  test: [diagnosis]
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def written(text, encoding="utf-8"):
    Path("c.yaml").write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return "c.yaml"


def faults(text):
    try:
        return read(written(text))[1]
    except NestdeError as error:
        return list(error.faults)


def test_a_key_that_stands_twice_is_refused_with_its_lines():
    assert faults(SOUND + "seed: 1\nseed: 2\nqc: {min_genes: 1, min_genes: 2}\n") == [
        "c.yaml: the key seed stands in lines 5 and 6, and only the last would count. Keep one.",
        "c.yaml: the key qc.min_genes stands in lines 7 and 7, and only the last would count. Keep one.",
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("cell_types: [Neuron, No]", "entry 2 (line 1) is No, which YAML reads as false and not as text. Put it in quotes: \"No\""),
        ("cell_types: [on]", "is on, which YAML reads as true"),
        ("cell_types: [007]", "is 007, which YAML reads as the number 7"),
        ("cell_types: [1.10]", "is 1.10, which YAML reads as the number 1.1"),
        ("cell_types: [1_000]", "is 1_000, which YAML reads as the number 1000"),
        ("cell_types: [12:30]", "is 12:30, which YAML reads as the number 750"),
        ("cell_types: [2.0]", "is 2.0, which YAML reads as the number 2.0"),
        ("cell_types: [~]", "is ~, which YAML reads as null"),
        ("cell_types: [.nan]", "is .nan, which YAML reads as the number nan"),
        ("cell_types: [2024-02-31]", "line 1: '2024-02-31' cannot be read as a date"),
    ],
)  # fmt: skip
def test_a_name_that_yaml_reads_as_something_else_is_to_be_quoted(line, says):
    told = faults(SOUND.replace("cell_types: [Neuron]", line))
    assert len(told) == 1 and says in told[0]


def test_names_that_are_plainly_numbers_or_dates_are_text():
    config = load(
        written(
            SOUND.replace("[Neuron]", "[1, 2.5, -3, 2024-01-05]")
            + "  levels: {diagnosis: [0, 1], 7: [2, 1.5]}\ninput: {keep: {lane: [1, true]}}\n"
        )
    )
    assert config.cell_types == ["1", "2.5", "-3", "2024-01-05"]
    assert config.model.levels == {"diagnosis": ["0", "1"], "7": ["2", "1.5"]}
    assert config.input.keep == {"lane": ["1", True]}


def test_truth_values_as_keys_or_values_of_levels_are_to_be_quoted():
    told = faults(SOUND + "  levels: {yes: [a, b], treated: [false, true]}\n")
    assert told[0] == 'c.yaml: line 5: the key yes is true in YAML, not text. Put it in quotes: "yes".'
    assert "model.levels.treated, entry 1 (line 5) is false, which YAML reads as false" in told[1]
    assert len(told) == 3
    assert faults(SOUND + "? [a, b]\n: c\n")[0] == "c.yaml: line 5: a key must be text. Put it in quotes."


def test_what_snakemake_hands_over_is_judged_as_the_file_is():
    given = {"cell_types": [1], "model": {"formula": "~ a", "test": ["a"], "levels": {1: ["a", 2]}}}
    assert load(given).model.levels == {"1": ["a", "2"]}
    given["model"]["levels"] = {True: ["a", "b"]}
    with pytest.raises(NestdeError, match="the key true is no text"):
        load(given)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("inference: {fdr: .nan}", "inference.fdr is nan, which is no number to compute with. Write a number."),
        ("inference: {fdr: .inf}", "inference.fdr is inf, which is no number"),
        ("qc: {max_counts: .inf}", "qc.max_counts is inf, which is no number to compute with. Write null for none."),
        ("qc: {max_counts: 1.5e9}", "YAML reads 1.5e9 as text: write 1500000000 or 1.5e+9."),
        ("qc: {max_counts: 1e400}", '"1e400", but must be a number or null.'),
        ("qc: {max_counts: '500'}", 'is "500", but must be a number or null. Write 500, without quotes.'),
        ("inference: {fdr: '0,05'}", 'is "0,05", but must be a number. Write 0.05, without quotes.'),
        ("seed: 99999999999999999999999", "seed is larger than anything that is counted here"),
        ("seed: 4294967296", "must be at most 4294967295. NumPy's generators take seeds of 32 bits."),
        (f"seed: {'9' * 5000}", "cannot be read as a number"),
        ("chunks: 100000000", "chunks is 100000000, but must be at most 10000. Each chunk of each cell type is a job"),
        ("seed: 2024-01-05", 'seed is "2024-01-05", but must be a whole number.'),
        ("seed: !!python/object/apply:os.getcwd []", "seed is [], but must be a whole number"),
        ("seed: !!binary AAAA", "'AAAA' cannot be read as binary"),
        ("input: {counts: ''}", "input.counts is empty. Write null for none."),
        ('input: {counts: "a\\0b"}', "A path has no line end, tab or other control character in it."),
        ("qc: {hb_pattern: '('}", 'qc.hb_pattern is "(", but that is no regular expression'),
        ("? [a, b]\n: c", "line 5: a key must be text"),
        ("title: &a [*a]", "holds itself by an alias"),
        ("qc: &q {<<: *q}", "<< takes other mappings"),
        ("qc: {<<: 5}", "<< takes other mappings"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_a_sentence(line, says):
    told = faults(SOUND + line + "\n")
    assert any(says in sentence for sentence in told), told


def test_whole_numbers_may_be_written_as_powers_of_ten_where_yaml_takes_them():
    config = load(written(SOUND + "seed: 1.0e+3\nqc: {max_counts: 1.5e+9}\n"))
    assert config.seed == 1000 and isinstance(config.seed, int)
    assert config.qc.max_counts == 1.5e9


def test_aliases_and_merges_are_read_as_yaml_means_them():
    config = read(written(SOUND + "genes: &g {min_samples: 4}\npseudobulk: {<<: *g}\n"))
    assert config[0].genes.min_samples == 4
    assert config[1] == ["c.yaml: unknown key pseudobulk.min_samples. Did you mean min_cells?"]


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 10)}]\n" for i in range(12)
)
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{i + 1}: &a{i + 1} {{<<: [{', '.join([f'*a{i}'] * 10)}]}}\n" for i in range(12)
)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (BOMB, "holds more than 20,000 values, aliases"),
        (MERGES, "holds more than 20,000 values, aliases"),
        ("[" * 100_000, "is no configuration: brackets stand in brackets too often"),
        ("{a: " * 5_000 + "}" * 5_000, "is no configuration: brackets stand in brackets too often"),
        ("a: 1\n\tb: 2\n", "is not valid YAML"),
        ("", "holds no `key: value` pairs"),
        ("- a\n- b\n", "holds no `key: value` pairs"),
        ("a: 1\n---\nb: 2\n", "is not valid YAML"),
        ("a: \x1b[31m\n", "is not valid YAML"),
        ("title: ä\n".encode("latin-1"), "is not UTF-8 text (byte 7). Save it as UTF-8."),
        ("title: a\n".encode("utf-16"), "is not UTF-8 text"),
        (b"\x89HDF\r\n" + b"\0" * 2_000_000, "has 2,000,006 bytes and is no configuration"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_file_that_is_no_configuration_is_a_sentence(content, says):
    told = faults(content)
    assert len(told) == 1 and says in told[0], told


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault():
    assert load(written(b"\xef\xbb\xbf" + SOUND.replace("\n", "\r\n").encode())) == load(written(SOUND))


def test_a_pipe_is_not_waited_for():
    os.mkfifo("pipe")
    with pytest.raises(NestdeError, match="is no file but a pipe"):
        read("pipe")
