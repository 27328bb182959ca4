"""Studies that can be answered, but not as well as it seems: what is warned of, to the letter."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from makers.studies import Study, into

from nestde.check.advice import FEW_SAMPLES

STUDIES = {}
# @warned((title, text), …): the warnings that go with the study that the function below changes
warned = into(STUDIES)


class Told(NamedTuple):
    """A warning that is pinned to the letter elsewhere: its id, and what in it is particular to a study."""

    id: str
    facts: tuple[str, ...]


def told(warning, *facts):
    return Told(warning, facts)


@warned(
    (
        "Few samples per diagnosis",
        "Control has 3 and AD has 3 samples; 6 or more are advised. At a nominal 0.05 the χ² likelihood ratio test is wrong in up to 13.1\xa0% of genes without any difference (11.5\xa0% at an intraclass correlation of 0.1), not in 5\xa0%. The smallest effect that it finds with a power of 80\xa0% (t test at 0.05) is 3.6 standard deviations between samples (at an intraclass correlation of 0.1). "
        + FEW_SAMPLES,
    ),
    (
        "The pairing by batch is not used",
        "3 of 3 batches have samples of several diagnoses: diagnosis could be compared within each batch, where what is particular to the batch cancels. Write ~ saturation + diagnosis + batch + (1 | sample_id): batches take 2 of 4 degrees of freedom, 2 are left, and pseudobulk and the cross-check pair in the same way. ~ saturation + diagnosis + (1 | batch) + (1 | sample_id) has the same price and takes longer.",
    ),
)
def few(s):
    return Study(per_level=3)


@warned(
    (
        "diagnosis is tested as if cells were samples",
        "diagnosis differs between samples, but no random term of ~ diagnosis + (1 | plate) groups the cells of a sample. With 24 cells per sample and an intraclass correlation of 0.1, 28\xa0% of genes without any difference would have p < 0.05. Add (1 | sample_id).",
    ),
)
def no_groups(s):
    s.obs["plate"] = [f"P{i % 6}" for i in range(len(s.obs))]
    s.formula("~ diagnosis + (1 | plate)")


@warned(
    (
        "Cells per sample differ strongly",
        "Neuron: 12 in S01, 180 in S02; Astrocyte: 12 in S01, 180 in S02. The mixed model weighs samples by their cells, the less so the more samples differ from each other; the stated size of the likelihood ratio test is for equal weights.",
    ),
)
def unequal(s):
    big = s.obs[s.obs.sample_id == "S02"]
    extra = pd.concat([big.set_axis([f"X{j}_{i}" for i in range(len(big))]) for j in range(14)])
    s.obs = pd.concat([s.obs, extra])


@warned(
    (
        "Samples with too few cells are left out",
        "1 sample with fewer than 20 cells (qc.min_cells_per_sample): S03 (6).",
    ),
    (
        "Few samples in some cell types",
        "Fewer than 6 samples of a level have 10 cells or more of: Neuron (5 of diagnosis Control; true size 0.084), Astrocyte (5 of diagnosis Control; true size 0.084). The true size is that of the likelihood ratio test at a nominal 0.05.",
    ),
)
def left_out(s):
    s.config["qc"]["min_cells_per_sample"] = 20
    s.obs = s.obs[(s.obs["sample_id"] != "S03") | (np.arange(len(s.obs)) % 4 == 0)]


@warned(
    (
        "Levels are left out of some cell types",
        "With one sample, nothing tells a level from its sample; the other levels are compared. Neuron: MCI has only S03: of "
        "its 6 samples, 5 have no cell of this type.",
    ),
)
def a_level_with_one_sample_of_a_type(s):
    s.__init__(levels=("Control", "AD", "MCI"))
    mci = list(s.sheet.loc[s.sheet["diagnosis"] == "MCI", "sample_id"])
    s.obs = s.obs[~(s.obs["sample_id"].isin(mci[1:]) & (s.obs["cell_type"] == "Neuron"))]


@warned(
    (
        "Cells of no sample are left out",
        "2 cells of 288 in counts.h5ad have no value of sample_id (input.sample_key).",
    ),
)
def no_sample(s):
    s.obs.iloc[:2, 0] = np.nan


@warned(
    (
        "Few degrees of freedom for diagnosis",
        "Coefficients take up 4 of the 12 samples; 8 degrees of freedom are left. At a nominal 0.05 the χ² likelihood ratio test is wrong in up to 12.1\xa0% of genes without any difference (11.6\xa0% at an intraclass correlation of 0.1), not in 5\xa0%. The smallest effect that it finds with a power of 80\xa0% (t test at 0.05) is 2.2 standard deviations between samples (at an intraclass correlation of 0.1). "
        + FEW_SAMPLES,
    ),
    (
        "age and rin are nearly collinear",
        "The generalised variance inflation factor of age, per coefficient, is 135.2 (Fox & Monette 1992): its standard error is 11.6 times what it would be alone. It goes most with rin (correlation 1.00). The two are hard to tell apart; think about leaving one out.",
    ),
)
def collinear(s):
    s.sheet["rin"] = s.sheet["age"] / 10 + np.tile([0.0, 0.1, -0.1], 4)
    s.formula("~ age + rin + diagnosis + (1 | sample_id)")


@warned(
    told("few_degrees_of_freedom", "Coefficients take up 3 of the 12 samples; 9 degrees", "up to 9.8\xa0%"),
    (
        "Covariates on an unhandy scale",
        "age_days (standard deviation 3.46e+03): a coefficient is the change per unit, here very small or very large. Fits and p-values do not depend on it; for coefficients that can be read, divide by the standard deviation, or change the unit.",
    ),
)
def scale(s):
    s.sheet["age_days"] = s.sheet["age"] * 365
    s.formula("~ age_days + diagnosis + (1 | sample_id)")


@warned(
    told("few_degrees_of_freedom", "Coefficients take up 3 of the 12 samples; 9 degrees", "up to 9.8\xa0%"),
    (
        "sex does not vary within diagnosis",
        "sex is F in all 6 samples of diagnosis AD. What is due to sex is then known from the other diagnoses alone, and is taken to be the same in these.",
    ),
)
def one_sided(s):
    s.sheet["sex"] = [
        "F" if d == "AD" else ("F", "M")[(i // 2) % 2] for i, d in enumerate(s.sheet["diagnosis"])
    ]
    s.formula("~ sex + diagnosis + (1 | sample_id)")


@warned(
    told("few_degrees_of_freedom", "Coefficients take up 3 of the 12 samples; 9 degrees", "up to 9.8\xa0%"),
    (
        "batch is taken as a number",
        "batch has the values 1, 2, 3 and gets one slope. If they are labels, write C(batch) in model.formula, or name the levels in model.levels.",
    ),
)
def label_number(s):
    s.sheet["batch"] = [1, 1, 2, 2, 3, 3] * 2
    s.formula("~ batch + diagnosis + (1 | sample_id)")


@warned(
    told("few_degrees_of_freedom", "Coefficients take up 4 of the 12 samples; 8 degrees", "up to 12.1\xa0%"),
    (
        "A batch of one sample",
        "batch B9: has one sample, which says nothing of diagnosis, as a coefficient of its own explains it. Leave batch out, or take it together with another.",
    ),
)
def lonely(s):
    s.sheet["batch"] = ["B9"] + ["B1", "B1", "B2", "B2"] * 2 + ["B1", "B1", "B2"]
    s.formula("~ batch + diagnosis + (1 | sample_id)")


@warned(
    told(
        "few_degrees_of_freedom",
        "Coefficients take up 2 of the 6 groups of batch; 4 degrees",
        "up to 13.1\xa0%",
    ),
    (
        "batch as a random effect absorbs diagnosis",
        "Each batch has samples of one diagnosis, so diagnosis is tested between the 6 batches (degrees of freedom: 4) and not between the 12 samples. At a nominal 0.05 the χ² likelihood ratio test is wrong in up to 13.1\xa0% of genes without any difference (12.6\xa0% at an intraclass correlation of 0.1), not in 5\xa0%. The smallest effect that it finds with a power of 80\xa0% (t test at 0.05) is 3.3 standard deviations between groups of batch (at an intraclass correlation of 0.1). Sequence several diagnoses in each batch, if you can.",
    ),
)
def batch_absorbs(s):
    s.sheet["batch"] = [
        f"B{1 + (d == 'AD') + 2 * ((i // 2) % 3)}" for i, d in enumerate(s.sheet["diagnosis"])
    ]
    s.formula("~ diagnosis + (1 | batch) + (1 | sample_id)")


@warned(
    (
        "Some batches have one diagnosis",
        "batch B3 only Control (4) and B2 only AD (4): as a random effect, such a batch takes up most of what its samples say of diagnosis; the test rests on the 1 batch with several diagnoses.",
    ),
    (
        "batch has few groups",
        "A variance between 3 groups of batch is hardly known, and often estimated as zero. With fewer than 5, batch is better a fixed effect, unless it is what is tested between.",
    ),
)
def batch_partly(s):
    s.sheet["batch"] = [
        "B1" if i < 4 else "B2" if d == "AD" else "B3" for i, d in enumerate(s.sheet["diagnosis"])
    ]
    s.formula("~ diagnosis + (1 | batch) + (1 | sample_id)")


@warned(
    (
        "The pairing by donor is not used",
        "6 of 6 donors have samples of several diagnoses: diagnosis could be compared within each donor, where what is particular to the donor cancels. Write ~ saturation + diagnosis + donor + (1 | sample_id): donors take 5 of 10 degrees of freedom, 5 are left, and pseudobulk and the cross-check pair in the same way. ~ saturation + diagnosis + (1 | donor) + (1 | sample_id) has the same price and takes longer.",
    ),
)
def paired_unused(s):
    s.sheet["donor"] = [f"D{i // 2 + 1}" for i in range(12)]


@warned()
def paired_used(s):
    s.sheet["donor"] = [f"D{i // 2 + 1}" for i in range(12)]
    s.formula("~ diagnosis + (1 | donor) + (1 | sample_id)")


@warned(
    told("few_degrees_of_freedom", "Coefficients take up 7 of the 12 samples; 5 degrees", "up to 22.8\xa0%"),
)
def paired_fixed(s):
    s.sheet["donor"] = [f"D{i // 2 + 1}" for i in range(12)]
    s.formula("~ donor + diagnosis + (1 | sample_id)")


@warned(
    told("few_degrees_of_freedom", "Coefficients take up 9 of the 12 samples; 3 degrees", "up to 11.5\xa0%"),
    (
        "Donors are partly crossed with diagnosis",
        "4 of 8 donors have samples of several diagnoses; the others have one. Within-donor comparisons rest on the 4; as a random effect, (1 | donor), the others still count, as a fixed effect they do not.",
    ),
)
def partly_crossed(s):
    s.sheet["donor"] = ["D1", "D1", "D2", "D2", "D3", "D3", "D4", "D4", "D5", "D6", "D7", "D8"]
    s.formula("~ diagnosis + (1 | donor) + (1 | sample_id)")


@warned(
    (
        "Samples of one donor are taken as independent",
        "The 12 samples are of 6 donors, and model.formula does not know of it: samples of one donor resemble each other. Add (1 | donor).",
    ),
)
def repeated(s):
    s.sheet["donor"] = [f"{d}{(i // 4)}" for i, d in enumerate(s.sheet["diagnosis"])]


@warned(
    told(
        "few_degrees_of_freedom",
        "Coefficients take up 2 of the 6 groups of animal; 4 degrees",
        "up to 13.1\xa0%",
    ),
    (
        "image has few groups",
        "A variance between 2 groups of image is hardly known, and often estimated as zero. With fewer than 5, image is better a fixed effect, unless it is what is tested between.",
    ),
)
def animals_images(s):
    s.sheet["animal"] = [f"{d[0]}{(i // 4)}" for i, d in enumerate(s.sheet["diagnosis"])]
    s.sheet["image"] = [str((i // 2) % 2 + 1) for i in range(12)]
    s.formula("~ diagnosis + (1 | animal) + (1 | image)")


@warned(
    told(
        "few_degrees_of_freedom",
        "Coefficients take up 2 of the 6 groups of animal; 4 degrees",
        "up to 13.1\xa0%",
    ),
)
def animals_images_nested(s):
    animals_images(s)
    s.formula("~ diagnosis + (1 | animal/image)")


@warned(
    (
        "Few samples in some cell types",
        "Fewer than 6 samples of a level have 10 cells or more of: Neuron (4 of diagnosis AD; true size 0.089). The true size is that of the likelihood ratio test at a nominal 0.05.",
    ),
)
def one_type_few(s):
    s.obs = s.obs[~((s.obs.cell_type == "Neuron") & s.obs.sample_id.isin(["S02", "S04"]))]


@warned()
def within(s):
    s.obs["treated"] = ["yes", "no"] * (len(s.obs) // 2)
    s.formula("~ treated + (1 + treated | sample_id)", "treated")


@warned(
    (
        "The effect of treated is taken to be the same in each sample",
        "treated varies within samples, and treated is tested against the scatter of cells. Where the effect differs from sample to sample, p-values are too small, the more so the more cells there are. Add a random slope: (treated | sample_id).",
    ),
)
def within_no_slope(s):
    s.obs["treated"] = ["yes", "no"] * (len(s.obs) // 2)
    s.formula("~ treated + (1 | sample_id)", "treated")


@warned()
def numeric_test(s):
    s.formula("~ age + (1 | sample_id)", "age")


@warned(
    (
        "Few degrees of freedom for sex:diagnosis",
        "Coefficients take up 4 of the 12 samples; 8 degrees of freedom are left. At a nominal 0.05 the χ² likelihood ratio test is wrong in up to 12.1\xa0% of genes without any difference (11.6\xa0% at an intraclass correlation of 0.1), not in 5\xa0%. The smallest effect that it finds with a power of 80\xa0% (t test at 0.05) is 4.3 standard deviations between samples (at an intraclass correlation of 0.1). "
        + FEW_SAMPLES,
    ),
)
def interaction(s):
    s.formula("~ sex * diagnosis + (1 | sample_id)", "sex:diagnosis")


@warned()
def qc_columns(s):
    s.formula("~ total_counts + pct_counts_mt + diagnosis + (1 | sample_id)")


@pytest.mark.parametrize("name", STUDIES)
def test_what_a_study_is_warned_of(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change, warnings = STUDIES[name]
    study = Study()
    study = change(study) or study
    check = study.check()
    assert check.faults == ()
    for found, wanted in zip(check.accepted.warnings, warnings, strict=True):
        if isinstance(wanted, Told):
            assert found.id == wanted.id and all(fact in found.text for fact in wanted.facts), found
        else:
            assert (found.title, found.text) == wanted


@pytest.mark.parametrize(("cells", "told"), [(3, False), (5, True)])
def test_one_sample_with_many_times_the_cells_of_the_median_is_told(cells, told, tmp_path, monkeypatch):
    """105, 111 and 512 cells went without a word, as 512 is less than ten times 105."""
    monkeypatch.chdir(tmp_path)
    study = Study(cells=12)
    rich = study.obs[study.obs["sample_id"] == "S05"]
    more = pd.concat([rich] * (cells - 1)).reset_index(drop=True).rename(index="M{}".format)
    study.obs = pd.concat([study.obs, more]).sort_values("sample_id", kind="stable")
    assert any(one["id"] == "unequal_cells" for one in study.check().as_json()["warnings"]) == told


def test_what_belongs_to_a_donor_is_no_donor(tmp_path, monkeypatch):
    """The age of paired donors, a number, groups samples as donors do; their towns, too."""
    monkeypatch.chdir(tmp_path)
    study = Study()
    pair = np.arange(12) // 2
    study.sheet["donor"] = [f"D{i}" for i in pair]
    study.sheet["age"] = 60 + 3 * pair
    study.sheet["town"] = [f"T{i}" for i in pair]
    study.formula("~ diagnosis + age + (1 | sample_id)")
    titles = [found["title"] for found in study.check().as_json()["warnings"]]
    assert [title for title in titles if "pairing" in title] == ["The pairing by donor is not used"]
    study.sheet = study.sheet.drop(columns="donor")
    titles = [found["title"] for found in study.check().as_json()["warnings"]]
    assert not any("by age" in title for title in titles)


def test_cell_types_that_cannot_be_tested_are_told_of_once(tmp_path, monkeypatch):
    """With ten of them, ten warnings said the same."""
    monkeypatch.chdir(tmp_path)
    study = Study()
    lost = study.obs["sample_id"].isin([f"S{i:02}" for i in range(2, 12, 2)])
    for number, name in enumerate(("B", "NK", "T")):
        few = (study.obs["cell_type"] == "Astrocyte") & (np.arange(len(study.obs)) % 4 == number)
        study.obs["cell_type"] = np.where(few, name, study.obs["cell_type"])
    study.obs = study.obs[~(lost & study.obs["cell_type"].isin(["B", "NK", "T"]))]
    study.config["cell_types"] = ["Neuron", "B", "NK", "T"]
    study.config["model"]["min_cells"] = 1
    told = [found for found in study.check().accepted.warnings if found.id == "type_not_testable"]
    assert [found.title for found in told] == ["3 cell types cannot be tested"]
    assert "B, NK and T: " in told[0].text and told[0].text.count("of its") == 1
