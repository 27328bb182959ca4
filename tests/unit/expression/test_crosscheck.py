import numpy as np
import pandas as pd
import pytest

from nestde.design import design
from nestde.expression.crosscheck import columns, crosscheck, sample_genes
from nestde.fit import fit_responses
from nestde.fit.family.mixedlm import mixedlm, why_not
from nestde.simulate import shifted_gene

FORMULA = "~ sequencing_saturation + diagnosis + (1 | sample_id)"
REFERENCE = mixedlm(lambda counts, size_factor: counts)


def checked_by(built, rows, y):
    return crosscheck(REFERENCE, built, rows, lambda gene: y, np.ones(built.n), 1e-6)


@pytest.fixture(scope="module")
def study():
    frame = shifted_gene(donors=4, cells=10)
    built = design.build_design(FORMULA, frame, test=["diagnosis"])
    y = frame["expression"].to_numpy()
    return frame, built, y


def row(built, frame, y, reml=False):
    reduced = design.build_design("~ sequencing_saturation + (1 | sample_id)", frame)
    shown = fit_responses(built, y, reml=reml)
    coefs = {f"coef_{name}": shown.coef[0, i] for i, name in enumerate(built.coef_names)}
    return pd.DataFrame(
        {
            "gene": ["G"],
            "term": "diagnosis",
            "loglik_full": fit_responses(built, y).loglik,
            "loglik_reduced": fit_responses(reduced, y).loglik,
            "estimates": "REML" if reml else "ML",
            **coefs,
        }
    )


@pytest.mark.parametrize("reml", [False, True])
def test_statsmodels_agrees_with_the_fit(study, reml):
    frame, built, y = study
    checked = checked_by(built, row(built, frame, y, reml), y)
    assert checked.columns.tolist() == columns(REFERENCE)
    assert checked["verdict"].tolist() == ["agrees"]


@pytest.mark.parametrize(
    ("column", "shift", "verdict"),
    [
        ("loglik_full", -0.01, "differs"),
        ("loglik_full", 0.01, "statsmodels stopped short"),
        ("coef_diagnosis[Control]", 0.01, "differs"),
    ],
)
def test_a_difference_is_told(study, column, shift, verdict):
    frame, built, y = study
    wrong = row(built, frame, y)
    wrong[column] += shift
    assert checked_by(built, wrong, y)["verdict"].tolist() == [verdict]


def test_no_fit_is_told(study):
    frame, built, y = study
    broken = checked_by(built, row(built, frame, y), np.full_like(y, np.nan))
    assert broken["verdict"].tolist() == ["statsmodels failed"]


def test_structures_that_statsmodels_does_not_have(study):
    frame, built, _ = study
    assert why_not(built) == ""
    crossed = design.build_design("~ diagnosis + (1 | sample_id) + (1 | batch)", frame)
    assert "one grouping factor" in why_not(crossed)


def test_the_same_seed_draws_the_same_genes():
    genes = [f"G{i}" for i in range(50)]
    assert sample_genes(genes, 5, 1) == sample_genes(genes, 5, 1) != sample_genes(genes, 5, 2)
    assert sample_genes(genes, 99, 1) == genes
