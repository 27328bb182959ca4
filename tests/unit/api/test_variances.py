"""`nestde.variances` and `nestde variance`: what studies of a design would estimate."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import nestde
from nestde.api.variances import with_groups
from nestde.cli import main
from nestde.simulate import nested_growth, shifted_gene

ORACLE = Path(__file__).parents[2] / "oracle"


def test_a_balanced_design_has_what_f_says():
    """One random intercept: the estimate is 0 where the mean squares are in the wrong order."""
    frame = shifted_gene(donors=3, cells=10, seed=1)
    found = nestde.variances(
        "~ diagnosis + (1 | sample_id)",
        frame,
        sd={"sample_id": [1.5]},
        sigma=5.0,
        groups={"sample_id": [24]},
        threads=1,
    )
    few, _, many, _ = found.table.itertuples()
    for row, df, cells in ((few, 4, 54), (many, 22, 216)):
        zero = stats.f.cdf(1 / (1 + 10 * 0.09), df, cells)
        assert row.zero == pytest.approx(zero, abs=4 * np.sqrt(zero * (1 - zero) / 1000))
        upper = 5.0 * np.sqrt((1.9 * stats.f.ppf(0.975, df, cells) - 1) / 10)
        assert row.upper == pytest.approx(upper, rel=0.1)
    assert (few.groups, many.groups) == ("6 sample_ids", "24 sample_ids")
    assert found.sentences[0].startswith(
        "With 6 sample_ids the SD between sample_ids, 1.5, will be estimated between 0 and "
    )


def test_the_founding_question_has_lme4s_answer():
    """8 animals, 10 images, 10 points: 1,000 studies here and 1,000 of lme4's (founding.R); four standard errors."""
    oracle = json.loads((ORACLE / "founding.json").read_text())
    frame = pd.read_csv(ORACLE / "data" / "images_eight.csv")
    sds = {"animal": [0.015, 0.02], "animal:image": [0.06, 0.08]}
    found = nestde.variances("~ diet*x + (x || animal/image)", frame, sd=sds, sigma=0.085, threads=1).table
    names = ["image.1 (Intercept)", "image x", "animal.1 (Intercept)", "animal x", "Residual NA"]
    for name, row in zip(names, found.itertuples(), strict=True):
        at = oracle["names"].index(name)
        sd, zero = oracle["sd"][at], oracle["zero"][at]
        both = np.sqrt(2 / oracle["draws"])
        assert row.mean == pytest.approx(oracle["mean"][at], abs=4 * sd * both)
        assert row.zero == pytest.approx(zero, abs=4 * np.sqrt(zero * (1 - zero)) * both)
        # a quantile of 2.5 % of a normal law strays by 2.67 times as much as a mean
        assert row.lower == pytest.approx(oracle["quantiles"][0][at], abs=4 * 2.67 * sd * both)
        assert row.upper == pytest.approx(oracle["quantiles"][4][at], abs=4 * 2.67 * sd * both)


def test_of_a_response_there_are_profiles_too_and_effects_of_factors_are_independent():
    frame = nested_growth(animals=6, images=4, points=4, seed=2)
    found = nestde.variances("y ~ diet*x + (x || animal/image)", frame, draws=200, threads=1)
    fit = nestde.lmm("y ~ diet*x + (x || animal/image)", frame)
    assert found.table["true"].tolist()[-1] == fit.sigma
    inside = found.table[found.table["group"] != ""]
    assert (inside["profile_lower"] <= inside["true"]).all() and (
        inside["true"] <= inside["profile_upper"]
    ).all()
    assert "no correlation between animals and images within animals" in found.sentences[-1]
    again = nestde.variances("y ~ diet*x + (x || animal/image)", frame, draws=200, threads=1)
    pd.testing.assert_frame_equal(found.table, again.table)


@pytest.mark.parametrize(("number", "counts"), [(2, [1, 1]), (4, [1, 1, 1, 1]), (10, [2, 2, 3, 3])])
def test_groups_are_repeated_in_turn_or_some_are_taken(number, counts):
    frame = pd.DataFrame({"g": list("bbdca"), "kind": [0, 0, 1, 2, 3]})
    other = with_groups(frame, "g", number)
    assert other["g"].nunique() == number
    times = other.drop_duplicates("g")["kind"].value_counts()
    assert sorted(times.tolist()) == counts


def test_all_that_is_wrong_is_said_at_once():
    frame = nested_growth(animals=4, images=2, points=3)
    with pytest.raises(nestde.NestdeError) as caught:
        nestde.variances(
            "~ x + (x || animal/image)",
            frame,
            sd={"animal": [1.0], "plate": [-1.0]},
            draws=10,
            groups={"image": [1]},
        )
    text = str(caught.value)
    for part in (
        "give both, or neither",
        "animal:image has none",
        "animal has 2 effects, (Intercept) and x, and 1 SDs",
        "plate is no grouping factor",
        "An SD is 0 or larger",
        "image is no column that groups the rows; there is animal",
        "1 of image are too few",
        "10 are too few",
    ):
        assert part in text


def test_the_command(tmp_path, capsys):
    data, out = tmp_path / "data.tsv", tmp_path / "out.tsv"
    nested_growth(animals=6, images=3, points=3).to_csv(data, sep="\t", index=False)
    words = [
        "variance",
        str(data),
        "--formula",
        "~ diet + (1 | animal/image)",
        "--sd",
        "animal=0.015",
        "animal:image=0.06",
    ]
    assert (
        main([*words, "--sigma", "0.085", "--groups", "animal=12", "--draws", "100", "--out", str(out)]) == 0
    )
    assert "with 12 animals it will be estimated between" in capsys.readouterr().out
    assert len(pd.read_csv(out, sep="\t")) == 6
    assert main([*words, "--sigma", "0.085", "--groups", "animal=x"]) == 2
    assert "--groups animal=x: write NAME=NUMBER" in capsys.readouterr().err
    assert main(["variance", str(tmp_path / "none.tsv"), "--formula", "~ x + (1 | g)"]) == 2
