import numpy as np
import pandas as pd
import pytest

from nestde.design import design
from nestde.expression.crosscheck import COLUMNS, crosscheck, sample_genes, why_not
from nestde.fit import fit_responses
from nestde.simulate import shifted_gene

FORMULA = "~ sequencing_saturation + diagnosis + (1 | sample_id)"


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
            "loglik_full": fit_responses(built, y).loglik,
            "loglik_reduced": fit_responses(reduced, y).loglik,
            "estimates": "REML" if reml else "ML",
            **coefs,
        }
    )


@pytest.mark.parametrize("reml", [False, True])
def test_statsmodels_agrees_with_the_fit(study, reml):
    frame, built, y = study
    checked = crosscheck(built, row(built, frame, y, reml), "diagnosis", lambda gene: y, 1e-6)
    assert checked.columns.tolist() == COLUMNS
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
    assert crosscheck(built, wrong, "diagnosis", lambda gene: y, 1e-6)["verdict"].tolist() == [verdict]


def test_no_fit_is_told(study):
    frame, built, y = study
    broken = crosscheck(built, row(built, frame, y), "diagnosis", lambda gene: np.full_like(y, np.nan), 1e-6)
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
