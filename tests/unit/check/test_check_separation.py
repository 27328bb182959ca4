"""Studies whose formula no model can fit to them: what is said, to the letter."""

import numpy as np
from makers.studies import into, spoilt

STUDIES = {}
# @fault(sentences): what is said of the study that the function below spoils
fault = into(STUDIES)


@fault(
    "model.formula: diagnosis does not vary within sample_id: each sample_id has one diagnosis, so there is no slope of it that could differ between samples. Write (1 | sample_id).\n  ~ diagnosis + (1 + diagnosis | sample_id)\n                ^",
)
def slope_of_diagnosis(s):
    s.formula("~ diagnosis + (1 + diagnosis | sample_id)")


@fault(
    "model.formula: batch is the same in every cell, so (1 | batch) has no variance between groups to estimate. Group by a column with several values, such as sample_id.\n  ~ diagnosis + (1 | sample_id) + (1 | batch)\n                                  ^",
)
def group_of_one(s):
    s.put("batch", None, "B1")
    s.formula("~ diagnosis + (1 | sample_id) + (1 | batch)")


@fault(
    "model.formula: cell has as many groups as there are cells (288), so they cannot be told from the scatter of cells. Group by sample_id, not by barcode.\n  ~ diagnosis + (1 | cell)\n                ^",
)
def group_per_cell(s):
    s.obs["cell"] = s.obs.index
    s.formula("~ diagnosis + (1 | cell)")


@fault(
    "model.formula: diagnosis cannot be separated from batch: batch B1 has only Control samples (6 of 6) and B2 only AD (6 of 6). No model can tell the two apart. Drop batch, or have samples of both diagnoses in each batch.",
)
def batch_per_diagnosis(s):
    s.sheet["batch"] = np.where(s.sheet["diagnosis"] == "AD", "B2", "B1")
    s.formula("~ batch + diagnosis + (1 | sample_id)")


@fault(
    "model.formula: diagnosis cannot be separated from batch: batches B1 and B3 have only Control samples (6 of 6) and B2 and B4 have only AD (6 of 6). No model can tell the two apart. Drop batch, or have samples of both diagnoses in each batch.",
)
def batches_per_diagnosis(s):
    s.sheet["batch"] = [f"B{1 + (d == 'AD') + 2 * (i % 3 == 0)}" for i, d in enumerate(s.sheet["diagnosis"])]
    s.formula("~ diagnosis + batch + (1 | sample_id)")


@fault(
    "model.formula: diagnosis cannot be separated from age: age is 70 in every Control sample and 80 in every AD sample. No model can tell the two apart. Drop age, or have it vary within each diagnosis.",
)
def age_by_diagnosis(s):
    s.sheet["age"] = np.where(s.sheet["diagnosis"] == "AD", 80, 70)
    s.formula("~ age + diagnosis + (1 | sample_id)")


@fault(
    'model.formula: "~ diagnosis + sample_id" has no random term, so rows of one sample would count as independent. Say what groups them, as in (1 | sample_id).',
    "model.formula: diagnosis cannot be separated from sample_id as a fixed effect: each sample has one diagnosis, so the effects of 12 samples leave nothing that could be due to diagnosis. As a random effect it is no problem: write (1 | sample_id); samples then vary around the mean of their diagnosis, and diagnosis is tested between samples.",
)
def sample_as_fixed(s):
    s.formula("~ diagnosis + sample_id")


@fault(
    "model.formula: diagnosis cannot be separated from sample_id as a fixed effect: each sample has one diagnosis, so the effects of 12 samples leave nothing that could be due to diagnosis. As a random effect it is no problem: write (1 | sample_id); samples then vary around the mean of their diagnosis, and diagnosis is tested between samples.",
)
def sample_as_fixed_and_random(s):
    s.formula("~ diagnosis + sample_id + (1 | sample_id)")


@fault(
    "model.formula: age cannot be separated from age_days: age_days = 365.25 × age in every sample. No model can tell the two apart. Drop one of them.",
)
def age_twice(s):
    s.sheet["age_days"] = s.sheet["age"] * 365.25
    s.formula("~ age + age_days + diagnosis + (1 | sample_id)")


@fault(
    "model.formula: diagnosis cannot be separated from sex and rin together: diagnosis[AD] = -3.5 - 0.25 × sex[M] + 0.5 × rin in every sample. No model can tell them apart. Drop one of them.",
)
def three_way(s):
    s.sheet["rin"] = 7 + 2.0 * (s.sheet["diagnosis"] == "AD") + 0.5 * (s.sheet["sex"] == "M")
    s.formula("~ sex + rin + diagnosis + (1 | sample_id)")


@fault(
    "model.formula: sex:diagnosis cannot be estimated: no sample has sex M with diagnosis Control. Write + instead of * or :, or add samples of that kind.",
)
def interaction_without_samples(s):
    s.sheet["sex"] = ["F" if d == "Control" or i > 5 else "M" for i, d in enumerate(s.sheet["diagnosis"])]
    s.sheet.loc[0, "sex"] = "F"
    s.formula("~ sex * diagnosis + (1 | sample_id)")


@fault(
    "model.formula: diagnosis is tested between samples: the 12 that there are, are all taken up by the formula's coefficients, so nothing is left to tell how much samples differ anyway. Drop covariates, or add samples.",
)
def too_many_coefficients(s):
    for j in range(10):
        s.sheet[f"x{j}"] = np.random.default_rng(j).normal(size=12).round(3)
    s.formula("~ " + " + ".join(f"x{j}" for j in range(10)) + " + diagnosis + (1 | sample_id)")


@fault(
    "model.test: nothing can be tested in any cell type. Neuron: No sample is left to be tested: 12 have too few cells of this type (model.min_cells): S01 (12), S02 (12), S03 (12), S04 (12), S05 (12) … (12 in all). "
    "Astrocyte: No sample is left to be tested: 12 have too few cells of this type (model.min_cells): S01 (12), S02 (12), S03 (12), S04 (12), S05 (12) … (12 in all).",
)
def nothing_in_any_cell_type(s):
    s.config["model"]["min_cells"] = 20


@fault(
    "model.formula: plate cannot be separated from chemistry: chemistry v2 has only P0 cells (144 of 144) and v3 only P1 (144 of 144). No model can tell the two apart. Drop chemistry, or have cells of both plates in each chemistry.",
)
def plate_is_chemistry(s):
    s.obs["plate"] = [f"P{i % 2}" for i in range(len(s.obs))]
    s.obs["chemistry"] = [f"v{i % 2 + 2}" for i in range(len(s.obs))]
    s.formula("~ plate + chemistry + diagnosis + (1 | sample_id)")


@fault(
    "model.formula: diagnosis cannot be separated from donor as a fixed effect: each donor has one diagnosis, so the effects of 12 donors leave nothing that could be due to diagnosis. As a random effect it is no problem: write (1 | donor); donors then vary around the mean of their diagnosis, and diagnosis is tested between donors.",
)
def donor_as_fixed(s):
    s.sheet["donor"] = [f"D{i + 1}" for i in range(12)]
    s.formula("~ diagnosis + donor + (1 | sample_id)")


@fault(
    "model.formula: diagnosis cannot be separated from batch: batch B1 has only Control samples (4 of 4) and B2 only AD and MCI (8 of 8). No model can tell the two apart. Drop batch, or have samples of several diagnoses in each batch.",
)
def batch_shared_by_two_of_three(s):
    s.sheet["diagnosis"] = ["Control", "MCI", "AD"] * 4
    s.sheet["batch"] = np.where(s.sheet["diagnosis"] == "Control", "B1", "B2")
    s.formula("~ diagnosis + batch + (1 | sample_id)", "diagnosis")


@fault(
    "model.formula: diagnosis cannot be separated from site: site x has only Control samples (6 of 6) and y only AD (6 of 6). No model can tell the two apart. Drop site, or have samples of both diagnoses in each site.",
)
def sites_in_parts(s):
    s.sheet["site"] = ["x", "y"] * 6
    s.formula("~ site + diagnosis + (1 | sample_id)")


@fault(
    "model.formula: sex cannot be separated from batch: batch B1 has only F samples (4 of 4) and B2 and B3 have only M (8 of 8). No model can tell the two apart. Drop batch, or have samples of both sexes in each batch.",
)
def sex_by_batch(s):
    s.sheet["sex"] = np.where(s.sheet["batch"] == "B1", "F", "M")
    s.formula("~ sex + batch + diagnosis + (1 | sample_id)")


@fault(
    "model.formula: donor and sample_id group the rows in the same way; the variances of (Intercept) cannot be told apart. Drop one of them.",
)
def same_groups_twice(s):
    s.sheet["donor"] = [f"D{i + 1}" for i in range(12)]
    s.formula("~ diagnosis + (1 | donor) + (1 | sample_id)")


@fault(
    "samples.tsv: batch has no value for 1 sample (24 cells): S01. Fill it in, drop the samples, or leave batch out of the formula.",
)
def group_missing(s):
    s.put("batch", ["S01"], None)
    s.formula("~ diagnosis + (1 | sample_id) + (1 | batch)")


@fault(
    "model.formula: age does not vary within sample_id: each sample_id has one age, so there is no slope of it that could differ between samples. Write (1 | sample_id).\n  ~ age + diagnosis + (age | sample_id)\n                      ^",
)
def slope_of_age(s):
    s.formula("~ age + diagnosis + (age | sample_id)")


@fault(
    "model.formula: sample_id:cell has as many groups as there are cells (288), so they cannot be told from the scatter of cells. Group by sample_id, not by barcode.\n  ~ diagnosis + (1 | sample_id/cell)\n                ^",
)
def nested_group_of_cells(s):
    s.obs["cell"] = s.obs.index
    s.formula("~ diagnosis + (1 | sample_id/cell)")


@fault(
    "model.formula: diagnosis is tested between samples: the 12 that there are, are all taken up by the formula's coefficients, so nothing is left to tell how much samples differ anyway. Drop covariates, or add samples.",
)
def donors_fixed_paired_saturated(s):
    s.sheet["donor"] = [f"D{i // 2 + 1}" for i in range(12)]
    s.formula("~ donor * diagnosis + (1 | sample_id)")


test_a_spoilt_study_is_refused_in_these_words = spoilt(STUDIES)
