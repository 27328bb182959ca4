"""`nestde.power` and `nestde power`."""

import pandas as pd
import pytest
from makers.learnt import learnt

import nestde
from nestde.api.power import Costs, Given
from nestde.cli import main


def test_a_study_is_planned_from_another():
    study = learnt()
    found = nestde.power(study, genes=1000, threads=1, costs=Costs(30_000, 1000, 5))
    table = found.table
    assert list(dict.fromkeys(zip(table["donors_reference"], table["cells"], strict=True))) == [
        (8, 60.0), (8, 240.0), (16, 60.0), (16, 240.0),
    ]  # fmt: skip
    of_all = table[table["genes"] == "all"].set_index(["donors_reference", "cells"])["power_fdr"]
    assert of_all[8, 60.0] < of_all[16, 60.0] < of_all[16, 240.0]
    assert found.sentences[0].startswith(
        "8 more donors a group raise the share of findable genes at a 1.5-fold change from "
    )
    assert "4 times the cells, to " in found.sentences[0]
    assert found.sentences[1].startswith("Best split of 30,000 at a 1.5-fold change: ")
    ranges = table[table["donors_reference"] == 8].groupby("genes", sort=False)["power_alpha"].mean()
    assert ranges.index.str.startswith(("all", "low, mean ", "middle, ", "high, ")).all()
    pd.testing.assert_frame_equal(table, nestde.power(study, genes=1000).table)


def test_fold_changes_are_effects_in_residual_sds_where_counts_are_many():
    """Of an abundant gene log(1 + count) moves by the logarithm of the fold change."""
    given = Given(icc=0.1, mean=800.0, dispersion=0.2)
    folds = nestde.power(given=given, fold_changes=[1.3], donors=[6], cells=[50], genes=1000, threads=1)
    import numpy as np

    from nestde.simulate.moments import moments

    sd = moments(np.full(5, 0.3)).at(np.array([800.0]), np.array([0.2]))[1][0]
    sds = nestde.power(given=given, sds=[np.log(1.3) / sd], donors=[6], cells=[50], genes=1000, threads=1)
    assert folds.table["power_alpha"][0] == pytest.approx(sds.table["power_alpha"][0], abs=0.06)
    assert folds.table["power_means"][0] == pytest.approx(sds.table["power_means"][0], abs=0.03)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(nestde.NestdeError) as caught:
        nestde.power(
            layout="nested", donors=[1], cells=[0], share=2, fdr=0, alpha=1, genes=3, dropout=1, spread=-1,
            fold_changes=[0], given=Given(icc=1), costs=Costs(0, 1, 1),
        )  # fmt: skip
    assert len(caught.value.faults) == 13
    with pytest.raises(nestde.NestdeError, match="pairs are as many"):
        nestde.power(layout="paired", within_donor=0.5, donors=[(3, 4)])
    with pytest.raises(nestde.NestdeError, match=r"effects in residual SDs.*\n.*--slope"):
        nestde.power(layout="slope")
    with pytest.raises(nestde.NestdeError, match="there are unpaired"):
        nestde.power(layout="crossed")
    nan, inf = float("nan"), float("inf")
    with pytest.raises(nestde.NestdeError) as caught:
        nestde.power(
            layout="slope", slope=nan, sds=[nan], fold_changes=[inf], cells=[1, nan, inf], spread=nan, given=Given(mean=1e9),
            costs=Costs(nan, 1, 1),
        )  # fmt: skip
    assert len(caught.value.faults) == 9


def test_studies_of_no_effect_find_what_chance_does_and_the_smallest_and_emptiest_are_answered():
    study = learnt()
    none, few, lost = (
        nestde.power(study, cells=[50], genes=1000, threads=1, **what)
        for what in (
            {"donors": [6], "fold_changes": [1.0]},
            {"donors": [2, (2, 3)]},
            {"donors": [6], "dropout": 0.99},
        )
    )
    assert none.table["power_alpha"][0] == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / 1000) ** 0.5)
    assert none.table["power_fdr"][0] < 0.01
    assert few.sentences == ("2 + 3 donors leave the share of findable genes at a 1.5-fold change at 0%.",)
    assert lost.table["power_alpha"][0] == 0.0
    alike = nestde.power(
        given=Given(icc=0.0), donors=[6], cells=[50], genes=1000, threads=1, costs=Costs(3e4, 1000, 5)
    )
    assert alike.sentences[1].endswith("%.")  # no rule where donors do not differ


def test_the_command(tmp_path, capsys):
    out = tmp_path / "power.tsv"
    words = [
        "power",
        "--icc",
        "0.1",
        "--sd",
        "0.5",
        "--donors",
        "4",
        "4:8",
        "--cells",
        "30",
        "--genes",
        "1000",
    ]
    assert main([*words, "--out", str(out)]) == 0
    assert (
        "4 + 8 donors raise the share of findable genes at a difference of 0.5 SD" in capsys.readouterr().out
    )
    assert pd.read_csv(out, sep="\t")["donors_other"].tolist() == [4, 8]
    assert main(["power", "--donors", "4:", "--budget", "5"]) == 2
    told = capsys.readouterr().err
    assert "--donors 4:: write 6" in told and "give all three" in told
    assert main(["power", "--like", str(tmp_path)]) == 2
    assert "which cell type?" in capsys.readouterr().err
