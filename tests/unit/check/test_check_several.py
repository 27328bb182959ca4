"""Studies with several faults: all are said at once, to the letter."""

import numpy as np
import pandas as pd
from makers.studies import into, spoilt, write_h5ad

STUDIES = {}
# @fault(sentences): what is said of the study that the function below spoils
fault = into(STUDIES)


def batch_per_diagnosis(s):
    s.sheet["batch"] = np.where(s.sheet["diagnosis"] == "AD", "B2", "B1")
    s.formula("~ batch + diagnosis + (1 | sample_id)")


def sheet_and_data_disagree(s):
    s.obs["diagnosis"] = s.per_cell("diagnosis")
    s.put("diagnosis", ["S07"], "AD")


def barcodes_repeat(s):
    names = s.obs.index.to_numpy().copy()
    names[1], names[25] = names[0], names[24]
    s.obs.index = names


@fault(
    'model.formula, column 15: the bracket "(" is never closed.\n  ~ diagnosis + (1 | sample_id\n                ^',
    "samples.tsv: 1 sample has more than one row: S05 (2 times). Keep one row each.",
)
def typo_missing_file_and_sheet_row(s):
    s.sheet = pd.concat([s.sheet, s.sheet.iloc[[4]]])
    s.formula("~ diagnosis + (1 | sample_id")


@fault(
    "samples.tsv: 1 sample is not in counts.h5ad: S11. Correct the name, or drop the row.",
    "cell_types: no cell of counts.h5ad is named Astrocytes in the column cell_type (input.cell_type_key). Did you mean Astrocyte? There are Astrocyte (132 cells), Neuron (132 cells).",
    'model.test: disease is not in model.formula, "~ saturation + diagnosis + (1 | sample_id)". Its fixed terms are diagnosis, saturation.',
)
def sample_and_cell_type_and_test(s):
    s.obs = s.obs[~s.obs["sample_id"].isin(["S11"])]
    s.config["cell_types"] = ["Neuron", "Astrocytes"]
    s.config["model"]["test"] = ["disease"]


@fault(
    "samples.tsv: sex has no value for 2 samples (48 cells): S01, S02. Fill it in, drop the samples, or leave sex out of the formula.",
    "model.formula: diagnosis cannot be separated from batch: batch B1 has only Control samples (5 of 5) and B2 only AD (5 of 5). No model can tell the two apart. Drop batch, or have samples of both diagnoses in each batch.",
)
def aliased_and_missing(s):
    batch_per_diagnosis(s)
    s.formula("~ batch + sex + diagnosis + (1 | sample_id)")
    s.put("sex", ["S01", "S02"], None)


@fault(
    "model.formula: diagnosis cannot be separated from batch: batch B1 has only Control samples (6 of 6) and B2 only AD (6 of 6). No model can tell the two apart. Drop batch, or have samples of both diagnoses in each batch.",
    "model.formula: diagnosis cannot be separated from age: age is 70 in every Control sample and 80 in every AD sample. No model can tell the two apart. Drop age, or have it vary within each diagnosis.",
)
def aliased_twice(s):
    s.sheet["batch"] = np.where(s.sheet["diagnosis"] == "AD", "B2", "B1")
    s.sheet["age"] = np.where(s.sheet["diagnosis"] == "AD", 80, 70)
    s.formula("~ diagnosis + batch + age + (1 | sample_id)")


@fault(
    "model.formula: neither samples.tsv nor counts.h5ad has a column rin. The columns are age, batch, cell_type, diagnosis, sample_id, saturation, sex.\n  ~ batch + diagnosis + rin + (1 | sample_id)\n                        ^",
    "model.formula: diagnosis cannot be separated from batch: batch B1 has only Control samples (6 of 6) and B2 only AD (6 of 6). No model can tell the two apart. Drop batch, or have samples of both diagnoses in each batch.",
)
def unknown_column_and_aliased(s):
    batch_per_diagnosis(s)
    s.formula("~ batch + diagnosis + rin + (1 | sample_id)")


@fault(
    "model.levels: no sample has the reference level control of diagnosis; there are AD (6 samples), Control (6 samples). Did you mean Control? Levels must be written as in the data.",
    "model.levels: diagnosis has values that are not among its levels (control, AD): Control (6 samples). Add them, or leave them out by input.keep.",
    "model.formula: diagnosis does not vary within sample_id: each sample_id has one diagnosis, so there is no slope of it that could differ between samples. Write (1 | sample_id).\n  ~ diagnosis + (diagnosis | sample_id)\n                ^",
)
def slope_and_level(s):
    s.formula("~ diagnosis + (diagnosis | sample_id)")
    s.config["model"]["levels"] = {"diagnosis": ["control", "AD"]}


@fault(
    "counts.h5ad: 2 barcodes occur more than once in one sample: C00000 (S01), C00024 (S02). If they are the same cells twice, drop one copy; if they are of several runs, add the run to the barcode.",
    "samples.tsv and counts.h5ad disagree on diagnosis in 1 sample: S07 (AD in the sheet, Control in 24 cells of the data). A sample has one diagnosis: correct the one that is wrong.",
)
def disagreement_and_barcodes(s):
    sheet_and_data_disagree(s)
    barcodes_repeat(s)


@fault(
    "samples.tsv: 2 samples are not in counts.h5ad: S11, S12. Correct the name, or drop the row.",
    "counts.h5ad: 1 sample is not in samples.tsv: S01 (24 cells). Add a row for each, or leave their cells out by input.keep (sample_id).",
    "model.levels: there is no column sexx. Did you mean sex?",
)
def samples_both_ways(s):
    s.obs = s.obs[~s.obs["sample_id"].isin(["S11", "S12"])]
    s.sheet = s.sheet[s.sheet["sample_id"] != "S01"]
    s.config["model"]["levels"]["sexx"] = ["F", "M"]


@fault(
    "model.formula, column 20: no grouping factor stands right of the bar.\n  ~ diagnosis + (1 | )\n                     ^",
    "samples.tsv: counts of S01: there is no file data/S01.h5ad. Did you mean S12.h5ad or S11.h5ad?",
    "samples.tsv: counts of S02: there is no file data/S02.h5ad. Did you mean S12.h5ad or S10.h5ad?",
)
def two_files_missing(s):
    s.config["input"]["counts"] = None
    s.sheet["counts"] = [f"data/{x}.h5ad" for x in s.sheet["sample_id"]]
    for x in s.sheet["sample_id"][2:]:
        write_h5ad(s.obs[s.obs["sample_id"] == x], f"data/{x}.h5ad")
    s.config["model"]["formula"] = "~ diagnosis + (1 | )"


@fault(
    "cell_types: no cell of counts.h5ad is named Neurons in the column cell_type (input.cell_type_key). Did you mean Neuron? There are Astrocyte (144 cells), Neuron (144 cells).",
    "pseudobulk.formula: saturation differs between cells of a sample, so a profile has no value of it. Leave it out.\n  ~ saturation + diagnosis\n    ^",
    "counts.h5ad: saturation has no value in 3 of 288 cells, in 2 samples: S01 (2), S02 (1). Fill it in, drop the cells, or leave saturation out of the formula.",
    "model.formula: age does not vary within sample_id: each sample_id has one age, so there is no slope of it that could differ between samples. Write (1 | sample_id).\n  ~ saturation + diagnosis + (1 | sample_id) + (age | sample_id)\n                                               ^",
    "samples.tsv: diagnosis MCI has 1 sample (S03). What is particular to it cannot be told from what is particular to MCI: 2 samples are the least, 6 are advised. Add samples, or drop it.",
)
def five(s):
    s.obs.iloc[[0, 1, 30], 2] = np.nan
    s.put("diagnosis", ["S03"], "MCI")
    s.config["model"]["levels"] = {}
    s.config["cell_types"] = ["Neuron", "Neurons"]
    s.config["pseudobulk"] = {"formula": "~ saturation + diagnosis"}
    s.config["model"]["formula"] = "~ saturation + diagnosis + (1 | sample_id) + (age | sample_id)"


@fault(
    "model.formula: neither samples.tsv nor counts.h5ad has a column dignosis. Did you mean diagnosis?\n  ~ dignosis + satration + (1 | smaple_id)\n    ^",
    "model.formula: neither samples.tsv nor counts.h5ad has a column satration. Did you mean saturation?\n  ~ dignosis + satration + (1 | smaple_id)\n               ^",
    "model.formula: neither samples.tsv nor counts.h5ad has a column smaple_id. Did you mean sample_id?\n  ~ dignosis + satration + (1 | smaple_id)\n                                ^",
    'model.test: diagnosis is not in model.formula, "~ dignosis + satration + (1 | smaple_id)". Did you mean dignosis?',
)
def everything_in_the_formula(s):
    s.formula("~ dignosis + satration + (1 | smaple_id)")
    s.config["model"]["test"] = ["diagnosis"]


@fault(
    'model.formula: "~ diagnosis + batch + sample_id" has no random term, so rows of one sample would count as independent. Say what groups them, as in (1 | sample_id).',
    "model.formula: diagnosis cannot be separated from batch: batch B1 has only Control samples (6 of 6) and B2 only AD (6 of 6). No model can tell the two apart. Drop batch, or have samples of both diagnoses in each batch.",
    "model.formula: diagnosis cannot be separated from sample_id as a fixed effect: each sample has one diagnosis, so the effects of 12 samples leave nothing that could be due to diagnosis. As a random effect it is no problem: write (1 | sample_id); samples then vary around the mean of their diagnosis, and diagnosis is tested between samples.",
)
def sample_fixed_and_batch(s):
    batch_per_diagnosis(s)
    s.formula("~ diagnosis + batch + sample_id")


test_a_spoilt_study_is_refused_in_these_words = spoilt(STUDIES)
