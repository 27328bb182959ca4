"""Studies with one fault in formula, tests, levels or covariates: what is said, to the letter."""

import numpy as np
from makers.studies import into, spoilt

STUDIES = {}
# @fault(sentences): what is said of the study that the function below spoils
fault = into(STUDIES)


@fault(
    "model.formula: neither samples.tsv nor counts.h5ad has a column diagnosys. Did you mean diagnosis?\n  ~ saturation + diagnosys + (1 | sample_id)\n                 ^",
)
def formula_unknown_column(s):
    s.formula("~ saturation + diagnosys + (1 | sample_id)")
    s.config["model"]["test"] = ["saturation"]
    s.config["model"]["levels"] = {}


@fault(
    "model.formula: neither samples.tsv nor counts.h5ad has a column donor. The columns are age, batch, cell_type, diagnosis, sample_id, saturation, sex.\n  ~ diagnosis + (1 | donor)\n                     ^",
)
def formula_unknown_group(s):
    s.formula("~ diagnosis + (1 | donor)")


@fault(
    'model.formula, column 15: the bracket "(" is never closed.\n  ~ diagnosis + (1 | sample_id\n                ^',
)
def formula_broken(s):
    s.formula("~ diagnosis + (1 | sample_id")


@fault(
    'model.test: diagnoses is not in model.formula, "~ saturation + diagnosis + (1 | sample_id)". Did you mean diagnosis?',
)
def misspelt_test(s):
    s.config["model"]["test"] = ["diagnoses"]


@fault(
    "model.test: AD-Contol: Contol is no level that is known, nor a term of the formula. Did you mean Control?",
    "model.test: AD - Control/2 - Control/2 + AD: its weights add up to 1, so it is no difference but holds a mean. They add up to 0 in a contrast, as in AD - Control.",
)
def contrasts_of_no_levels_or_of_no_difference(s):
    s.config["model"]["test"] = ["AD-Contol", "AD - Control/2 - Control/2 + AD"]


@fault(
    "model.test: AD-Control names levels whose factor model.levels does not have. Add diagnosis: [AD, Control] to model.levels, the "
    "reference first, or name the factor, as in diagnosis[AD].",
)
def a_contrast_of_levels_that_only_the_data_tell(s):
    s.formula("~ saturation + diagnosis + (1 | sample_id)", "AD-Control")


@fault(
    "model.test: AD-Control: with diagnosis:sex in the formula it differs by sex. Say where, as in AD-Control | sex=F, or average, as in "
    "(AD-Control | sex=F)/2 + (AD-Control | sex=M)/2.",
)
def a_contrast_that_an_interaction_makes_several_of(s):
    s.formula("~ saturation + diagnosis*sex + (1 | sample_id)")
    s.config["model"]["test"] = ["AD-Control"]


@fault("model.test: AD is a level of diagnosis and no term: levels are compared, as in AD - Control.")
def a_level_where_a_contrast_was_meant(s):
    s.config["model"]["test"] = ["AD"]


@fault("model.test: diagnosis[AD] - diagnosis[MCI]: diagnosis has no level MCI. It has Control, AD.")
def a_contrast_of_a_level_that_there_is_not(s):
    s.config["model"]["test"] = ["diagnosis[AD] - diagnosis[MCI]"]


@fault(
    "model.test: sample_id is a random term of model.formula; only fixed terms are tested, such as saturation, diagnosis.",
)
def a_random_term_tested(s):
    s.config["model"]["test"] = ["sample_id"]


@fault(
    "model.levels: no sample has the reference level Contrl of diagnosis; there are AD (6 samples), Control (6 samples). Did you mean Control? Levels must be written as in the data.",
)
def reference_not_there(s):
    s.config["model"]["levels"] = {"diagnosis": ["Contrl", "AD", "Control"]}


@fault(
    "model.levels: no sample has the level MCI of diagnosis; there are AD (6 samples), Control (6 samples). Levels must be written as in the data.",
)
def level_not_there(s):
    s.config["model"]["levels"] = {"diagnosis": ["Control", "AD", "MCI"]}


@fault(
    "model.levels: diagnosis has values that are not among its levels (Control, AD): MCI (2 samples). Add them, or leave them out by input.keep.",
)
def value_not_among_levels(s):
    s.put("diagnosis", ["S03", "S05"], "MCI")


@fault(
    "model.levels: there is no column sexx. Did you mean sex?",
)
def levels_of_unknown_column(s):
    s.config["model"]["levels"]["sexx"] = ["F", "M"]


@fault(
    "samples.tsv: sex has no value for 2 samples (48 cells): S03, S04. Fill it in, drop the samples, or leave sex out of the formula.",
)
def missing_in_sheet(s):
    s.put("sex", ["S03", "S04"], None)
    s.formula("~ sex + diagnosis + (1 | sample_id)")


@fault(
    "counts.h5ad: saturation has no value in 3 of 288 cells, in 2 samples: S01 (2), S02 (1). Fill it in, drop the cells, or leave saturation out of the formula.",
)
def missing_in_data(s):
    s.obs.iloc[[0, 1, 30], 2] = np.nan


@fault(
    "counts.h5ad: saturation is infinite in 3 cells, in S01, S02. Fill it in, drop the cells, or leave saturation out of the formula.",
)
def infinite_in_data(s):
    s.obs.iloc[[0, 1, 30], 2] = np.inf


@fault(
    "samples.tsv: diagnosis MCI has 1 sample (S03). What is particular to it cannot be told from what is particular to MCI: 2 samples are the least, 6 are advised. Add samples, or drop it.",
)
def single_sample_level(s):
    s.put("diagnosis", ["S03"], "MCI")
    s.config["model"]["levels"] = {}


@fault(
    "model.test: diagnosis is AD in every sample; there is nothing to compare it with.",
)
def one_level_only(s):
    s.put("diagnosis", None, "AD")
    s.config["model"]["levels"] = {}


@fault(
    "model.formula: sex is F in every sample, so it explains nothing. Drop it.\n  ~ sex + diagnosis + (1 | sample_id)\n    ^",
)
def constant_covariate(s):
    s.put("sex", None, "F")
    s.formula("~ sex + diagnosis + (1 | sample_id)")


@fault(
    "model.formula: age is 70 in every sample, so it explains nothing. Drop it.",
)
def constant_number(s):
    s.put("age", None, 70)
    s.formula("~ age + diagnosis + (1 | sample_id)")


@fault(
    "pseudobulk.formula: there is no column diagnosys. Did you mean diagnosis?\n  ~ diagnosys\n    ^",
)
def pseudobulk_unknown_column(s):
    s.config["pseudobulk"] = {"formula": "~ diagnosys"}


@fault(
    "pseudobulk.formula: saturation differs between cells of a sample, so a profile has no value of it. Leave it out.\n  ~ saturation + diagnosis\n    ^",
)
def pseudobulk_cell_level(s):
    s.config["pseudobulk"] = {"formula": "~ saturation + diagnosis"}


@fault(
    "pseudobulk.formula: a profile is a sum over a sample, so it has no random terms. Leave (1 | batch) out.",
)
def pseudobulk_random(s):
    s.config["pseudobulk"] = {"formula": "~ diagnosis + (1 | batch)"}


@fault(
    "model.formula: saturation: holds numbers as text (0.5, 0.51, 0.52, 0.53, 0.54 … (41 in all)). Turn it into numbers; if it is a factor, name its levels, reference first, or write C(saturation).",
)
def numbers_as_text(s):
    s.obs["saturation"] = s.obs["saturation"].round(2).astype(str)


@fault(
    'model.test: diagnosis is not in model.formula, "~ sex + (1 | sample_id)". Its fixed terms are sex.',
)
def factor_minus_test(s):
    s.formula("~ sex + (1 | sample_id)")
    s.config["model"]["test"] = ["diagnosis"]


@fault(
    'model.test: sex:diagnosis is not in model.formula, "~ sex + diagnosis + (1 | sample_id)". Did you mean diagnosis?',
)
def interaction_tested_but_absent(s):
    s.formula("~ sex + diagnosis + (1 | sample_id)", "sex:diagnosis")


@fault(
    "samples.tsv: rin is infinite in 1 sample, in S01. Fill it in, drop the samples, or leave rin out of the formula.",
)
def infinite_in_sheet(s):
    s.sheet["rin"] = [np.inf] + [7.5 + i for i in range(11)]
    s.formula("~ rin + diagnosis + (1 | sample_id)")


@fault(
    "model.formula: log(rin) is not a finite number in 24 of 288 rows.",
)
def log_of_zero(s):
    s.sheet["rin"] = [float(i) for i in range(12)]
    s.formula("~ log(rin) + diagnosis + (1 | sample_id)")


@fault(
    'model.formula, column 16: "1 +" cannot be read (an operator has nothing on its right).\n  ~ diagnosis + (1 + | sample_id) + (1 | )\n                 ^',
    "model.formula, column 40: no grouping factor stands right of the bar.\n  ~ diagnosis + (1 + | sample_id) + (1 | )\n                                         ^",
)
def formula_two_faults(s):
    s.formula("~ diagnosis + (1 + | sample_id) + (1 | )")


@fault(
    "counts.h5ad: tissue has no value in 96 of 288 cells, in 12 samples: S01 (8), S02 (8), S03 (8), S04 (8), S05 (8) … (12 in all). Fill it in, drop the cells, or leave tissue out of the formula.",
)
def empty_text(s):
    s.obs["tissue"] = ["", "a", "b"] * 96
    s.formula("~ tissue + diagnosis + (1 | sample_id)")


@fault(
    "model.test: 1 is the intercept; name a fixed term, such as diagnosis, saturation.",
)
def intercept_tested(s):
    s.config["model"]["test"] = ["1"]


@fault(
    "model.test: (1 | sample_id) is a random term; name a fixed term, such as diagnosis, saturation.",
)
def bar_tested(s):
    s.config["model"]["test"] = ["(1 | sample_id)"]


@fault(
    "samples.tsv: diagnosis has no value for 12 samples (288 cells): S01, S02, S03, S04, S05 … (12 in all). Fill it in, drop the samples, or leave diagnosis out of the formula.",
)
def no_diagnosis_at_all(s):
    s.sheet["diagnosis"] = np.nan


@fault(
    'model.formula: "~ 0 + diagnosis + (1 | sample_id)" has no intercept: leaving out diagnosis would test that its means are zero, not that they are equal. Write ~ diagnosis + (1 | sample_id).',
)
def no_intercept(s):
    s.formula("~ 0 + diagnosis + (1 | sample_id)")


@fault(
    'model.formula: "~ age + diagnosis - 1 + (1 | sample_id)" has no intercept: leaving out diagnosis would test that its means are zero, not that they are equal. Write ~ age + diagnosis + (1 | sample_id).',
)
def intercept_taken_out(s):
    s.formula("~ age + diagnosis - 1 + (1 | sample_id)")


@fault(
    'model.formula: "~ saturation + diagnosis" has no random term, so rows of one sample would count as independent. Say what groups them, as in (1 | sample_id).',
)
def no_random_term(s):
    s.formula("~ saturation + diagnosis")


test_a_spoilt_study_is_refused_in_these_words = spoilt(STUDIES)
