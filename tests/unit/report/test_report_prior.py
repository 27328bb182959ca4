import json

import pandas as pd
import pytest
from makers.fabricated import BREAKOUT, CELL_TYPES, settings, write_results

from nestde.io.files import slug, write_tsv
from nestde.report import prior
from nestde.report.results import Results


def with_prior(folder, table):
    for cell_type in CELL_TYPES:
        write_tsv(table, folder / "prior" / f"{slug(cell_type)}.tsv")
    return prior.sections(Results(folder, settings()))


def test_the_line_of_each_arm_rises_from_the_genes_without_a_variance_to_all(tmp_path):
    table = pd.DataFrame(
        {
            "term": "diagnosis",
            "expression": [0.1] * 4 + [2.0] * 4,
            f"sample_id [{BREAKOUT}]": [0.0, 0.0, 1.0, 1.0] * 2,
            "sample_id [AD]": [0.0, 3.0] * 4,
            "sample_id corr": 0.0,
            "weight": [0.1, 0.1, 0.4, 0.4, 0.3, 0.1, 0.2, 0.4],
        }
    )
    (section,) = with_prior(write_results(tmp_path), table)
    lines = section.content["data"]
    assert len(lines) == 2 * len(CELL_TYPES)
    one, other = list(lines.values())[:2]
    assert list(one) == [0.0, 0.5] and list(other) == [0.0, 0.75]
    assert list(one.values()) == pytest.approx([30, 100]) and list(other.values()) == pytest.approx([50, 100])
    assert not any("<" in name for name in lines) and json.dumps(section.content)


def test_without_a_moderated_test_there_is_no_section(tmp_path):
    assert not with_prior(write_results(tmp_path), pd.DataFrame(columns=["term", "expression", "weight"]))


def test_tests_of_other_arms_have_lines_of_their_own_axes(tmp_path):
    of_all = pd.DataFrame(
        {"term": "AD - Control | sex=F", "expression": 1.0, "sample_id": [0.0, 1.0], "weight": 0.5}
    )
    by_arm = pd.DataFrame(
        {"term": "sex", "expression": 1.0, "sample_id [F]": [0.0, 1.0], "sample_id [M]": 0.0, "weight": 0.5}
    )
    (section,) = with_prior(write_results(tmp_path), pd.concat([of_all, by_arm]))
    assert len(section.content["data"]) == 3 * len(CELL_TYPES)
