import shutil

import pytest
from makers.fabricated import BREAKOUT, CELL_TYPES, settings, tags, write_calibration, write_results

from nestde.report import brief, calibration
from nestde.report.results import Results


def shown(folder, about, rows):
    for cell_type in CELL_TYPES:
        write_calibration(folder, cell_type, about, rows)
    (section,) = calibration.sections(Results(folder, settings()))
    return section.content["data"]


def row(method, size, verdict):
    sizes = [value for _ in range(3) for value in (size, size - 0.01, size + 0.01)]
    return ["diagnosis", method, 9, 1234, *sizes, 57, 1.5, 12, verdict]


def test_sizes_findings_and_verdicts_stand_beside_each_other(tmp_path):
    about = {"relabellings": 9, "possible": 10, "unit": BREAKOUT, "blocks": ["sex"], "reason": ""}
    page = shown(
        write_results(tmp_path),
        about,
        [row("lrt", 0.12, "anti-conservative by 3.0×"), row("means", 0.05, "calibrated")],
    )
    text = " ".join(tags(page).text)
    for words in (
        "9 relabellings of", "within sex, of 10 that there are", "So few ways", "likelihood ratio test (the headline)",
        "12 % (11–13)", "anti-conservative by 3.0×", "5 % (4–6)", "calibrated", "1.5 (at most 12)",
    ):  # fmt: skip
        assert words in text, words
    assert not tags(page).handlers


def test_where_nothing_was_relabelled_it_is_said_why(tmp_path):
    page = shown(write_results(tmp_path), {"relabellings": 0, "reason": f"no {BREAKOUT}"}, [])
    assert "not relabelled: no" in " ".join(tags(page).text)
    assert not tags(page).handlers


def test_without_calibration_there_is_no_section(tmp_path):
    shutil.rmtree(write_results(tmp_path) / "calibration")
    assert not calibration.sections(Results(tmp_path, settings()))


@pytest.mark.parametrize(
    ("verdict", "words", "box"),
    [
        ("calibrated", "as an honest p-value has: Neuron, diagnosis (12 %)", False),
        ("anti-conservative by 3.0×", "The p-value is anti-conservative by 3.0×", True),
        ("conservative by 2.0×", "", False),
    ],
)
def test_the_brief_says_what_the_headline_does(tmp_path, verdict, words, box):
    folder = write_results(tmp_path)
    write_calibration(
        folder,
        CELL_TYPES[0],
        {"relabellings": 9, "reason": ""},
        [row("lrt", 0.12, verdict), row("means", 0.3, "anti")],
    )
    page = brief._calibration(Results(folder, settings()))
    assert words in " ".join(tags(page).text) and ("danger" in page) == box
    assert bool(page) == bool(words)
