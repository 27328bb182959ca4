"""`nestde.de` with named contrasts: their rows beside those of the term."""

import numpy as np
import pytest

import nestde
from nestde.errors import NestdeError
from nestde.simulate import Cohort, simulate

LEVELS = {"diagnosis": ["Control", "CD4-T", "MCI"]}
FORMULA = "~ sequencing_saturation + diagnosis + (1 | sample_id)"


@pytest.fixture(scope="module")
def cohort():
    adata, _ = simulate(Cohort(donors=9, cells=12, genes=210, seed=5))
    adata = adata[adata.obs["cell_type"] == adata.obs["cell_type"].iloc[0]].copy()
    place = adata.obs["sample_id"].astype(str).str[1:].astype(int)
    adata.obs["diagnosis"] = np.array(["CD4-T", "MCI", "Control"])[place % 3]
    return adata


@pytest.fixture(scope="module")
def table(cohort):
    tests = ["diagnosis", "`CD4-T` - Control", "MCI - `CD4-T`", "(`CD4-T` + MCI)/2 - Control"]
    return nestde.de(
        cohort, FORMULA, test=tests, cell_type_key=False, levels=LEVELS, min_samples=2, min_cells=3
    )


def of(table, term, level=None):
    rows = table[(table["term"] == term) & (table["level"] == (level or table["level"]))]
    return rows.set_index("gene").sort_index()


@pytest.mark.parametrize(
    ("term", "level", "sign"), [("`CD4-T` - Control", "CD4-T", 1), ("MCI - `CD4-T`", "MCI", 1)]
)
def test_a_pair_by_name_is_the_pair_of_the_term(table, term, level, sign):
    named = of(table, term)
    named = named[named["status"].isin(["ok", "singular"])]
    assert len(named) > 100 and (named["level"] == level).all()
    pair = of(table, "diagnosis", level)
    pair = pair[pair["against"] == named["against"].iloc[0]].loc[named.index]
    for column in (
        "coef",
        "se",
        "log2fc",
        "lower_moderated",
        "upper_moderated",
        "pvalue_level",
        "padj_level",
    ):
        np.testing.assert_array_equal(named[column], pair[column], err_msg=column)
    np.testing.assert_array_equal(named["pvalue"], named["pvalue_level"])
    methods = [c for c in table if c.startswith("pvalue_") and c not in ("pvalue_by", "pvalue_level")]
    assert named[methods].notna().all(axis=None) and len(methods) == 6
    # a family of its own: the rate of the term's omnibus test is another
    assert not np.allclose(named["padj"], pair["padj"], equal_nan=True)
    np.testing.assert_array_equal(named["padj"], named["padj_level"])


def test_the_mean_of_two_pairs_is_the_contrast_of_the_mean(table):
    mean = of(table, "(`CD4-T` + MCI)/2 - Control")
    one, two = (of(table, "diagnosis", level) for level in ("CD4-T", "MCI"))
    two = two[two["against"] == "Control"]
    expected = (one["coef_diagnosis[CD4-T]"] + two["coef_diagnosis[MCI]"]) / 2
    np.testing.assert_allclose(mean["coef_diagnosis[CD4-T]"] / 2 + mean["coef_diagnosis[MCI]"] / 2, expected)
    known = mean["log2fc"].notna()
    np.testing.assert_allclose(mean["log2fc"][known], ((one["log2fc"] + two["log2fc"]) / 2)[known])


def test_what_is_no_contrast_is_told_with_all_else(cohort):
    with pytest.raises(NestdeError) as refused:
        nestde.de(
            cohort, FORMULA, test=["CD4-T", "MCI - Contro", "diagnosos"], cell_type_key=False, min_cells=3
        )
    told = "\n".join(refused.value.faults)
    assert "Did you mean `CD4-T`?" in told and "Did you mean Control?" in told and "diagnosos" in told
