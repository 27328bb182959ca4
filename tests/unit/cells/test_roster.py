"""The one ledger of samples: each tested, or left with where and why; levels with too few samples do without the others' harm."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from makers.tiny_study import Steps, cells, config, read_tested, sheet

from nestde.api.de import de
from nestde.cells.covariates import read_roster
from nestde.cells.roster import Comparison, Entry, Fewest, call, levels_of_samples, roster_of
from nestde.io.files import read_json

OF_TYPE, IN_ALL = Fewest("model.min_cells", 10), Fewest("qc.min_cells_per_sample", 50)


def roster(numbers, order=("Control", "MCI", "AD"), in_all=IN_ALL):
    """Of samples given by level: (cells of the type, cells in all) of each, all of them as they came."""
    entries = [
        Entry(f"{level}{i}", n, n, every, {"diagnosis": level})
        for level, mine in numbers.items()
        for i, (n, every) in enumerate(mine)
    ]
    return call(
        entries, {"diagnosis": order}, of_type=OF_TYPE, in_all=in_all, counted="after quality control"
    )


FINE = [(20, 90)] * 4


def test_a_level_whose_samples_fell_to_quality_control_is_told_with_the_rule_and_its_cells():
    """It was said that "fetal has none", where 104 of its cells fell to another rule."""
    found = roster({"adult": FINE, "fetal": [(26, 26), (25, 30), (29, 31), (24, 24)]}, ("adult", "fetal"))
    assert found.untestable() == (
        "no test of diagnosis can be made, for which 2 samples of each level are the least: fetal has none: of its 4 samples, 4 have too few "
        "cells in all (qc.min_cells_per_sample): fetal0 (26), fetal1 (30), fetal2 (31), fetal3 (24), with 104 cells of this type"
    )
    assert found.left_out["fetal0"] == "26 cells after quality control; qc.min_cells_per_sample is 50"


def test_each_level_has_its_own_reason():
    found = roster({"Control": FINE, "MCI": [(3, 90), (20, 90)], "AD": [(0, 90), (0, 90), (20, 20)]})
    said = found.untestable()
    assert (
        "MCI has only MCI1: of its 2 samples, 1 has too few cells of this type (model.min_cells): MCI0 (3)"
        in said
    )
    assert "AD has none: of its 3 samples, 2 have no cell of this type; 1 has too few cells in all" in said
    assert "Drop" not in said


def test_a_level_with_one_sample_is_left_out_and_the_others_are_compared():
    found = roster({"Control": FINE, "MCI": [(20, 90), (3, 90)], "AD": FINE})
    assert found.untestable() == ""
    assert found.left_out == {
        "MCI0": "the only sample of diagnosis MCI with enough cells; 2 are needed",
        "MCI1": "3 cells of this type; model.min_cells is 10",
    }
    assert found.lone_levels() == {"diagnosis": ["MCI"]}
    assert found.numbers("diagnosis") == {"Control": 4, "MCI": 0, "AD": 4}


@pytest.mark.parametrize("lone", ["Control", "two levels"])
def test_a_lone_reference_and_the_last_pair_are_not_left_out(lone):
    if lone == "Control":
        found = roster({"Control": [(20, 90)], "MCI": FINE, "AD": FINE})
    else:
        found = roster({"Control": FINE, "AD": [(20, 90)]}, ("Control", "AD"))
    assert not found.lone_levels()
    assert "which is all that the study has of it" in found.untestable()


def test_a_roster_survives_its_file():
    found = roster({"Control": FINE, "MCI": [(20, 90), (3, 90)], "AD": FINE})
    assert roster_of(json.loads(json.dumps(found.content()))) == found


def test_levels_are_the_sheets_then_the_cells_and_none_that_varies_within_a_sample():
    model = config(
        model={
            "formula": "~ stim + side + dose + (1 | sample_id)",
            "test": ["stim", "side", "dose"],
            "levels": {},
        }
    ).model
    samples = pd.DataFrame({"sample_id": ["a", "b", "c"], "stim": ["x", "y", "x"], "dose": [1.0, 2.0, 3.0]})
    tables = {
        "a": pd.DataFrame({"side": ["l", "l"], "stim": ["q", "q"]}),
        "b": pd.DataFrame({"side": ["r"]}),
        "c": pd.DataFrame({"side": []}, dtype=object),
    }
    factors, levels = levels_of_samples(tables, samples, Comparison.of(model))
    assert factors == {"stim": ("x", "y"), "side": ("l", "r")}  # dose is a number
    assert levels == {"a": {"stim": "x", "side": "l"}, "b": {"stim": "y", "side": "r"}, "c": {"stim": "x"}}
    tables["b"] = pd.DataFrame({"side": ["r", "l"]})
    assert list(levels_of_samples(tables, samples, Comparison.of(model))[0]) == ["stim"]


THREE = ["Control", "MCI", "AD"]


def three(mci=1):
    """Nine samples of three levels, as many of MCI as said with cells of one type; names that are hostile."""
    names = [f"S/{i} {{x}}" for i in range(9)]
    data = cells(n=40, samples=names)
    level = dict(zip(names, THREE * 3, strict=True))
    few = [name for name in names if level[name] == "MCI"][mci:]
    gone = data.obs["sample_id"].isin(few) & (data.obs["cell_type"] == "B/cell")
    return data[~gone.to_numpy()].copy(), names


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_workflow_tests_the_other_levels_and_its_design_tells_of_all_samples(study):
    data, names = three()
    data.write_h5ad("counts.h5ad")
    settings = config(model={"levels": {"diagnosis": THREE}})
    steps = Steps(study, settings, sheet(names, diagnosis=THREE))
    assert steps.ingest() == steps.qc() == steps.matrix("B/cell") == 0
    assert steps.design("B/cell", explain="d.json") == 0
    told = read_json(study / "d.json")
    assert told["testable"] and told["levels"] == {"diagnosis": ["Control", "AD"]}
    assert roster_of(told["roster"]) == read_roster(study / "cells.h5ad")
    left = roster_of(told["roster"]).left_out
    assert list(left) == [names[1], names[4], names[7]]
    assert left[names[1]] == "the only sample of diagnosis MCI with enough cells; 2 are needed"
    assert set(read_tested(study).obs["diagnosis"]) == {"Control", "AD"}


def test_de_tests_the_other_levels_too():
    data, names = three()
    data.obs["diagnosis"] = data.obs["sample_id"].map(dict(zip(names, THREE * 3, strict=True))).astype(str)
    table = de(
        data,
        "~ diagnosis + (1 | sample_id)",
        test="diagnosis",
        cell_type_key="cell_type",
        levels={"diagnosis": THREE},
        min_cells=1,
        threads=1,
    )
    pairs = (
        table.dropna(subset=["pvalue"])
        .groupby("cell_type")[["level", "against"]]
        .agg(lambda x: sorted(set(x)))
    )
    assert pairs.loc["B/cell", "level"] == ["AD"] and pairs.loc["T cell", "level"] == ["AD", "MCI"]
    assert re.search("the only sample of diagnosis MCI", " ".join(table.attrs["nestde"]["said"]))
    assert np.isfinite(table["padj_level"].dropna()).all() and table["padj_level"].notna().any()
