import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats
from scipy.special import polygamma
from test_fit_genes import build, study, transformed

from nestde.design import design as designs
from nestde.design.contrasts import contrasts, joint
from nestde.fit import means
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.fit.grain import grain_of

ORACLE = json.loads((Path(__file__).parents[2] / "oracle" / "means.json").read_text())


@pytest.mark.parametrize("case", ["mixed", "alike", "wild"])
def test_variances_and_tests_are_limmas(case):
    r = ORACLE[case]
    y, x = np.array(r["y"]), np.array(r["design"])
    df = len(x) - x.shape[1]
    unit = np.eye(x.shape[1])
    level, every = means.moderated_tests(y, x, df, [unit[[r["level"]]], unit[r["joint"]]])
    assert level.df_residual == pytest.approx(r["df_total"], rel=1e-6)
    np.testing.assert_allclose(np.exp(level.log_p), r["p_level"], rtol=1e-6)
    np.testing.assert_allclose(np.exp(every.log_p), r["p_joint"], rtol=1e-6)
    residual = y - y @ np.linalg.pinv(x).T @ x.T
    variance = (residual**2).sum(axis=1) / df
    spread = means.learn(variance, df)
    np.testing.assert_allclose(spread.squeeze(variance, df), r["s2_post"], rtol=1e-6)
    assert (spread.df == np.inf) == (r["df_prior"] == "Inf")


def means_of(frame, counts, size_factor, bars, **options):
    design = build(frame, bars, **options)
    term = next(iter(design.tests))
    rows = [joint(design, term).rows, *(contrast.rows for contrast in contrasts(design, term))]
    kept = GAUSSIAN.sum_up(grain_of(design), counts, size_factor, [str(g) for g in range(counts.shape[1])])
    return means.means_tests(design, kept, rows)


def test_a_sample_counts_once_by_the_mean_of_its_cells():
    frame, counts, size_factor = study()
    found = means_of(frame, counts, size_factor, "(1 | sample_id)", fixed="diagnosis")
    y = pd.DataFrame(transformed(counts, size_factor)).groupby(frame["sample_id"]).mean().to_numpy()
    ad, control = y[1::2], y[::2]
    variance = (ad.var(axis=0, ddof=1) + control.var(axis=0, ddof=1)) / 2
    spread = means.learn(variance, 6)
    squeezed, lent = spread.squeeze(variance, 6), spread.df
    t = (ad.mean(axis=0) - control.mean(axis=0)) / np.sqrt(squeezed / 2)
    expected = 2 * stats.t.sf(np.abs(t), min(6 + lent, 6 * len(t)))
    for test in found:
        np.testing.assert_allclose(np.exp(test.log_p), expected, rtol=1e-9)


def test_pairs_are_compared_within_donors_and_nested_samples_are_pooled():
    frame, counts, size_factor = study()
    frame["donor"] = frame["sample_id"].map({f"S{i}": f"D{i // 2}" for i in range(8)})
    paired = means_of(frame, counts, size_factor, "(1 | donor) + (1 | sample_id)", fixed="diagnosis")
    y = pd.DataFrame(transformed(counts, size_factor)).groupby(frame["sample_id"]).mean().to_numpy()
    apart = y[1::2] - y[::2]
    spread = means.learn(apart.var(axis=0, ddof=1) / 2, 3)
    squeezed, lent = spread.squeeze(apart.var(axis=0, ddof=1) / 2, 3), spread.df
    t = apart.mean(axis=0) / np.sqrt(squeezed / 2)
    np.testing.assert_allclose(
        np.exp(paired[0].log_p), 2 * stats.t.sf(np.abs(t), min(3 + lent, 3 * len(t))), rtol=1e-9
    )
    frame["donor"] = frame["sample_id"].map({f"S{i}": f"D{i % 4}" for i in range(8)})
    nested = means_of(frame, counts, size_factor, "(1 | donor/sample_id)", fixed="diagnosis")
    assert nested[0].df_residual < 3 * counts.shape[1] + 1  # four donors, two coefficients
    pooled = means_of(frame, counts, size_factor, "(1 | donor)", fixed="diagnosis")
    np.testing.assert_allclose(nested[0].log_p, pooled[0].log_p, rtol=1e-9)


@pytest.mark.parametrize(
    ("bars", "fixed", "test", "why"),
    [
        ("(1 | sample_id)", "saturation", "saturation", "varies between the cells"),
        ("(1 | sample_id) + (1 | batch)", "diagnosis", "diagnosis", "batch crosses sample_id"),
        ("(1 | sample_id)", "diagnosis*C(stage) + age + C(age > 9)", "diagnosis", "take up all 8 groups"),
    ],
)
def test_where_means_do_not_answer_it_is_said(bars, fixed, test, why):
    frame, counts, size_factor = study()
    frame["batch"] = np.arange(len(frame)) % 3
    frame["age"] = frame["sample_id"].str[1].astype(float) ** 2
    assert why in means_of(frame, counts, size_factor, bars, fixed=fixed, test=[test])


def test_level_against_level_is_the_same_whatever_the_reference():
    frame, counts, size_factor = study()
    made = []
    for order in (["I", "II", "III"], ["III", "II", "I"]):
        design = designs.build_design(
            "~ stage + (1 | sample_id)", frame, test=["stage"], levels={"stage": order}
        )
        kept = GAUSSIAN.sum_up(
            grain_of(design), sparse.csc_array(counts), size_factor, ["g"] * counts.shape[1]
        )
        pairs = contrasts(design, "stage")
        found = means.means_tests(design, kept, [pair.rows for pair in pairs])
        made.append({frozenset((c.level, c.against)): t.log_p for c, t in zip(pairs, found, strict=True)})
    for pair, log_p in made[0].items():
        np.testing.assert_allclose(made[1][pair], log_p, rtol=1e-8)


@pytest.mark.parametrize("value", [1e-6, 0.01, 1.0, 50.0, 1e7])
def test_trigamma_is_inverted(value):
    assert float(polygamma(1, means._trigamma_inverse(value))) == pytest.approx(value, rel=1e-7)
