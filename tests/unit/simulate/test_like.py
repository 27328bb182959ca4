"""Cohorts like a study: what is planted comes back when they are fitted."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from makers.learnt import learnt

import nestde
from nestde.cli import main
from nestde.errors import NestdeError
from nestde.simulate import learnt as learnt_of_a_run
from nestde.simulate.like import REST, Asked, simulate_like, write_like


@pytest.fixture(scope="module")
def fitted():
    study = learnt()
    adata, tables = simulate_like({"T": study}, Asked(de_share=0.2, log2fc=(0.6, 1.2), seed=2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nestde.NestdeWarning)
        table = nestde.de(
            adata,
            "~ diagnosis + (1 | sample_id)",
            test="diagnosis",
            cell_type_key="cell_type",
            levels={"diagnosis": ["Control", "AD"]},
            threads=1,
        )
    return study, adata, table.merge(tables["truth"], on="gene", suffixes=("", "_true")).set_index("gene")


def test_cells_samples_and_totals_are_the_studys(fitted):
    study, adata, _ = fitted
    assert adata.obs["sample_id"].value_counts().to_dict() == {
        f"{level}_{i:03d}": 60 for level in ("Control", "AD") for i in range(1, 9)
    }
    total = np.asarray(adata.X.sum(axis=1)).ravel()
    assert total.mean() == pytest.approx(study.total.mean(), rel=0.03)
    assert adata.var_names[-1] == REST


def test_effects_means_and_spreads_come_back(fitted):
    study, _, table = fitted
    planted = table["log2fc_true"]
    slope, _ = np.polyfit(planted, table["log2fc"], 1)
    assert slope == pytest.approx(1.0, abs=0.08)
    mean = (table["mean_Control"] + table["mean_AD"]) / 2
    assert np.median(mean / table["mean"]) == pytest.approx(1.0, abs=0.05)
    of = dict(zip(study.genes, study.sigma, strict=True))
    assert np.median(table["sigma"] / table.index.map(of)) == pytest.approx(1.0, abs=0.03)
    expected = study.draw_variances(study.expression, np.random.default_rng(0))[:, 0]
    assert table["icc"].mean() == pytest.approx((expected / (1 + expected)).mean(), rel=0.2)
    found = table["padj"] <= 0.05
    assert (found & (planted == 0)).sum() <= 0.15 * found.sum()
    assert found[planted != 0].mean() > 0.6


def test_the_same_seed_gives_the_same_counts_and_options_what_they_say():
    study = learnt(genes=40)
    one, two = (simulate_like({"T": study}, Asked(donors=3, cells=20, seed=5))[0] for _ in range(2))
    assert (one.X != two.X).nnz == 0
    assert one.obs["sample_id"].nunique() == 6 and len(one) == 120
    other = simulate_like({"T": study}, Asked(donors=3, cells=20, seed=6))[0]
    assert (one.X != other.X).nnz > 0


def test_levels_may_vary_differently():
    study = learnt(genes=40)
    twice = np.hstack([study.nodes, 4 * study.nodes])
    apart = replace(study, nodes=twice, axes=("sample_id [Control]", "sample_id [AD]"))
    truth = simulate_like({"T": apart}, Asked(seed=1))[1]["truth"]
    alike = simulate_like({"T": study}, Asked(seed=1))[1]["truth"]
    np.testing.assert_allclose(truth["donor_sd"], 2 * alike["donor_sd"], atol=2e-6)


def test_what_cannot_be_is_said_at_once(tmp_path):
    with pytest.raises(nestde.NestdeError) as caught:
        write_like(
            {"T": learnt(genes=40)}, Asked(donors=0, cells=0, de_share=2, log2fc=(2, 1), seed=-1), tmp_path
        )
    assert len(caught.value.faults) == 5
    other = replace(learnt(genes=40), term="sex", cell_type="B")
    with pytest.raises(nestde.NestdeError, match="compared by"):
        simulate_like({"T": learnt(genes=40), "B": other}, Asked())


def test_options_of_the_other_kind_are_refused(tmp_path, capsys):
    assert (
        main(["simulate", str(tmp_path / "a"), "--like", str(tmp_path), "--genes", "9", "--batches", "2"])
        == 2
    )
    assert "--genes: is of made-up cohorts" in capsys.readouterr().err
    assert main(["simulate", str(tmp_path / "a"), "--log2fc", "1", "2"]) == 2
    assert main(["simulate", str(tmp_path / "a"), "--like", str(tmp_path)]) == 2
    assert "has results of no cell type" in capsys.readouterr().err


def test_genes_of_a_plan_are_as_evenly_spread_as_can_be():
    """Each gene as often as the others, within each range of expression the prior's own distribution of variances."""
    study = learnt()
    chosen, variances = study.evenly(1500)
    assert np.array_equal(np.bincount(chosen), np.full(300, 5))
    drawn = study.draw_variances(study.expression[chosen], np.random.default_rng(3))
    order = np.argsort(study.expression[chosen])
    nodes = study.nodes[:, 0]
    for part in np.array_split(order, 3):
        position = np.interp(study.expression[chosen[part]], study.knots, np.arange(3))
        low = np.minimum(position.astype(int), 1)
        weights = study.weights[low] + (position - low)[:, None] * (
            study.weights[low + 1] - study.weights[low]
        )
        expected = weights.mean(axis=0)
        even, chance = (
            np.abs(np.cumsum((each[part] == nodes).mean(axis=0) - expected)).max()
            for each in (variances, drawn)
        )
        assert even < 0.012
        assert even < chance


def test_a_cell_type_that_cannot_be_made_is_told_of(monkeypatch, caplog):
    def learn(folder, name):
        if name == "B":
            raise NestdeError(f"{folder}: B was fitted by model.family negative_binomial.")
        return learnt(genes=40)

    monkeypatch.setattr(learnt_of_a_run, "cell_types", lambda folder: {"T": "T", "B": "B"})
    monkeypatch.setattr(learnt_of_a_run, "learn", learn)
    assert list(learnt_of_a_run.learn_all("results")) == ["T"]
    assert "It is left out: results: B was fitted by model.family negative_binomial." in caplog.text
