"""Figures show the numbers of their tables, on the Axes that they are given."""

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pandas as pd
import pytest
from makers.oracle import FOLDER
from matplotlib import pyplot as plt

import nestde


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    figure.canvas.draw()  # what cannot be drawn fails here
    plt.close(figure)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    n = 40
    coef, se = rng.normal(0, 0.5, 2 * n), np.full(2 * n, 0.2)
    p = np.clip(rng.uniform(0, 1, 2 * n) ** 3, 1e-12, 1)
    return pd.DataFrame(
        {
            "gene": [f"G${i}_$" for i in range(n)] * 2,
            "cell_type": np.repeat(["Neuron", "T cell"], n),
            "term": "diagnosis",
            "level": "AD",
            "against": "Control",
            "coef": np.where(np.arange(2 * n) == 3, np.nan, coef),
            "se": se,
            "df_level": np.repeat([4.0, np.nan], n),
            "pvalue_by": np.repeat(["satterthwaite", "moderated"], n),
            "lower_moderated": coef - 0.3,
            "upper_moderated": coef + 0.5,
            "pvalue": p,
            "neg_log10_pvalue": -np.log10(p),
            "padj": np.minimum(p * 5, 1),
            "padj_level": np.minimum(p * 5, 1),
            "icc": rng.beta(1, 9, 2 * n),
        }
    )


def test_volcano(table, ax):
    assert nestde.pl.volcano(table, cell_type="T cell", label=4, ax=ax) is ax
    rows = table[table["cell_type"] == "T cell"]
    drawn = np.vstack([points.get_offsets() for points in ax.collections])
    assert sorted(map(tuple, drawn)) == sorted(zip(rows["coef"], rows["neg_log10_pvalue"], strict=True))
    found = (rows["padj"] <= 0.05).sum()
    assert sum(len(points.get_offsets()) for points in ax.collections[1:]) == found
    assert len(ax.texts) == min(4, found)


def test_a_comparison_has_to_be_chosen(table):
    with pytest.raises(nestde.NestdeError, match="Neuron: diagnosis AD - Control, T cell: diagnosis"):
        nestde.pl.volcano(table)
    with pytest.raises(nestde.NestdeError, match="no row"):
        nestde.pl.qq(table, cell_type="B cell")


def test_qq(table, ax):
    nestde.pl.qq(table, cell_type="T cell", ax=ax)
    x, y = ax.collections[-1].get_offsets().T
    rows = table[table["cell_type"] == "T cell"]
    np.testing.assert_allclose(sorted(y), sorted(rows["neg_log10_pvalue"]))
    assert (np.diff(x) < 0).all() and x[0] == pytest.approx(-np.log10(0.5 / 40))


def test_forest(table, ax):
    genes = ["G$5_$", "G$3_$"]
    nestde.pl.forest(table, genes, ax=ax)
    low, high = np.array([line[:, 0] for line in ax.collections[0].get_segments()]).T
    first = table.iloc[5]
    # Neuron by t of 4 df, the T cell by the moderated test's own limits; G3 has no effect in Neuron
    assert (low[0], high[0]) == pytest.approx(
        (first["coef"] - 2.776445 * 0.2, first["coef"] + 2.776445 * 0.2)
    )
    assert (low[1], high[1]) == pytest.approx((table["coef"][45] - 0.3, table["coef"][45] + 0.5))
    assert len(low) == 3
    with pytest.raises(nestde.NestdeError, match="G99 has no result"):
        nestde.pl.forest(table, "G99")


def test_strip(ax):
    adata, _ = nestde.simulate(donors=3, cells=20, genes=30, seed=2)
    gene = "RPS6"
    nestde.pl.strip(adata, gene, "diagnosis", cell_type="Neuron", ax=ax)
    mine = adata[adata.obs["cell_type"] == "Neuron"]
    share = mine[:, gene].X.toarray()[:, 0] / mine.X.sum(axis=1).A1 * 1e4
    means = pd.Series(np.log1p(share), mine.obs_names).groupby(mine.obs["sample_id"], observed=True).mean()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["Control", "AD"]
    drawn = np.concatenate([ax.collections[i].get_offsets()[:, 1] for i in (0, 2)])
    np.testing.assert_allclose(sorted(drawn), sorted(means))
    for arguments, says in (
        ({"gene": "none", "by": "diagnosis"}, "none is not in the data"),
        ({"gene": gene, "by": "cell_type"}, "have several values of cell_type"),
        ({"gene": gene, "by": "diagnosis", "cell_type": "B"}, "no cell is of B"),
    ):
        with pytest.raises(nestde.NestdeError, match=says):
            nestde.pl.strip(adata, **arguments)


def test_variance(table, ax):
    nestde.pl.variance(table, ax=ax)
    assert ax.get_yticklabels()[0].get_text().startswith("Neuron")
    quartiles = table.loc[table["coef"].notna() & (table["cell_type"] == "T cell"), "icc"].quantile(
        [0.25, 0.75]
    )
    box = ax.patches[1]
    assert [box.get_x(), box.get_x() + box.get_width()] == pytest.approx(quartiles.tolist())
    with pytest.raises(nestde.NestdeError, match="no icc"):
        nestde.pl.variance(table.drop(columns="icc"))


def test_variance_of_a_fit(ax):
    sleep = pd.read_csv(FOLDER / "data" / "sleepstudy.csv").astype({"Subject": str})
    nestde.pl.variance(nestde.lmm("Reaction ~ Days + (Days | Subject)", sleep), ax=ax)
    # lme4's documentation: 612.10, 35.07, 654.94
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([612.10, 35.07, 654.94], abs=0.02)
