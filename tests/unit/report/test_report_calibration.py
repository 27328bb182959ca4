import shutil

import pytest
from makers.fabricated import BREAKOUT, CELL_TYPES, settings, tags, write_calibration, write_results

from nestde.io.files import slug, write_json
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
        ("calibrated", "", False),
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


def test_p_values_by_rank_lie_over_the_band_of_relabellings(tmp_path):
    quantiles = {
        "expected": [3.0, 1.0, 0.1],
        "lower": [2.0, 0.8, 0.05],
        "median": [3.0, 1.0, 0.1],
        "upper": [4.5, 1.3, 0.2],
    }
    told = {"relabellings": 9, "possible": 10, "unit": "s", "blocks": [], "reason": ""}
    folder = write_results(tmp_path)
    drawn = {}
    for name, about in (
        ("with", {"diagnosis": told | {"quantiles": quantiles}}),
        ("without", {"diagnosis": told}),
    ):
        for cell_type in CELL_TYPES:
            write_calibration(folder, cell_type, told, [row("lrt", 0.05, "calibrated")])
            write_json(about, folder / f"calibration/{slug(cell_type)}.json")
        (section,) = calibration.sections(Results(folder, settings()))
        drawn[name] = section.content["data"]
    assert drawn["with"].count("<svg") == len(CELL_TYPES) and "<svg" not in drawn["without"]
    assert "true labels, not found" in drawn["with"]
    lines = tags(drawn["with"]).text
    assert "3\t" in "".join(lines) and "\t4.5" in "".join(lines)
