"""Studies with one fault in sheet, cells or files: what is said, to the letter."""

from pathlib import Path

import pandas as pd
from makers.studies import into, spoilt, write_h5ad

STUDIES = {}
# @fault(sentences): what is said of the study that the function below spoils
fault = into(STUDIES)


@fault(
    "samples.tsv: 2 samples have more than one diagnosis: S02 (AD, Control), S04 (AD, Control). A sample belongs to one diagnosis.",
)
def two_diagnoses_in_the_sheet(s):
    extra = s.sheet.iloc[[1, 3]].assign(diagnosis="Control")
    s.sheet = pd.concat([s.sheet, extra])


@fault(
    "samples.tsv: 1 sample has more than one row: S05 (2 times). Keep one row each.",
)
def two_rows_of_a_sample(s):
    s.sheet = pd.concat([s.sheet, s.sheet.iloc[[4]]])


@fault(
    "samples.tsv and counts.h5ad disagree on diagnosis in 1 sample: S07 (AD in the sheet, Control in 24 cells of the data). A sample has one diagnosis: correct the one that is wrong.",
)
def sheet_and_data_disagree(s):
    s.obs["diagnosis"] = s.per_cell("diagnosis")
    s.put("diagnosis", ["S07"], "AD")


@fault(
    "samples.tsv and counts.h5ad disagree on diagnosis in 1 sample: S01 (Control in the sheet, AD in 5 cells of the data). A sample has one diagnosis: correct the one that is wrong.",
)
def a_few_cells_disagree(s):
    s.obs["diagnosis"] = s.per_cell("diagnosis")
    s.obs.iloc[:5, s.obs.columns.get_loc("diagnosis")] = "AD"


@fault(
    "samples.tsv and counts.h5ad disagree on age in 1 sample: S02 (40 in the sheet, 79 in 24 cells of the data). A sample has one age: correct the one that is wrong.",
)
def sheet_and_data_disagree_on_a_number(s):
    s.obs["age"] = s.per_cell("age")
    s.put("age", ["S02"], 40)
    s.formula("~ age + diagnosis + (1 | sample_id)")


@fault(
    "counts.h5ad: 1 sample has more than one diagnosis: S01 (AD in 5 cells, Control in 19 cells). A sample belongs to one diagnosis: correct it, or write the right values into samples.tsv.",
)
def two_diagnoses_in_the_data(s):
    s.obs["diagnosis"] = s.per_cell("diagnosis")
    s.obs.iloc[:5, s.obs.columns.get_loc("diagnosis")] = "AD"
    s.sheet = s.sheet.drop(columns="diagnosis")


@fault(
    "samples.tsv: 2 samples are not in counts.h5ad: S11, S12. Correct the name, or drop the row.",
)
def sample_not_in_the_data(s):
    s.obs = s.obs[~s.obs["sample_id"].isin(["S11", "S12"])]


@fault(
    "counts.h5ad: 1 sample is not in samples.tsv: S12 (24 cells). Add a row for each, or leave their cells out by input.keep (sample_id).",
)
def sample_not_in_the_sheet(s):
    s.sheet = s.sheet.iloc[:-1]


@fault(
    "samples.tsv: 1 sample is not in counts.h5ad: S12a. Did you mean S12 for S12a? Correct the name, or drop the row.",
    "counts.h5ad: 1 sample is not in samples.tsv: S12 (24 cells). Add a row for each, or leave their cells out by input.keep (sample_id).",
)
def sample_misspelt(s):
    s.put("sample_id", ["S12"], "S12a")


@fault(
    "samples.tsv: none of its 12 samples is in counts.h5ad: S01, S02, S03, S04, S05 … (12 in all). Column sample_id there (input.sample_key) has lib_S01, lib_S02, lib_S03, lib_S04, lib_S05 … (12 in all). The names must be the same.",
)
def no_sample_in_the_data(s):
    s.obs["sample_id"] = "lib_" + s.obs["sample_id"].astype(str)


@fault(
    "counts.h5ad: 2 barcodes occur more than once in one sample: C00000 (S01), C00024 (S02). If they are the same cells twice, drop one copy; if they are of several runs, add the run to the barcode.",
)
def barcodes_repeat(s):
    names = s.obs.index.to_numpy().copy()
    names[1], names[25] = names[0], names[24]
    s.obs.index = names


@fault(
    "counts.h5ad: barcode, as input.sample_key, has another value in each of the 288 cells (C00000, C00001, C00002, …): it names cells, not samples. The samples of samples.tsv are in its column sample_id: set input.sample_key to it.",
)
def sample_is_barcode(s):
    s.obs["barcode"] = s.obs.index
    s.config["input"]["sample_key"] = "barcode"


@fault(
    "counts.h5ad: barcode, as input.sample_key, has another value in each of the 288 cells (C00000, C00001, C00002, …): it names cells, not samples. Name the column that holds the samples in input.sample_key.",
)
def sheet_lists_barcodes(s):
    s.obs["barcode"] = s.obs.index
    s.config["input"]["sample_key"] = "barcode"
    s.sheet = pd.DataFrame({"sample_id": s.obs.index, "diagnosis": s.per_cell("diagnosis")})


@fault(
    "counts.h5ad: diagnosis, as input.sample_key, holds values of diagnosis (AD, Control), not samples. The samples of samples.tsv are in its column sample_id: set input.sample_key to it.",
)
def sample_is_diagnosis(s):
    s.obs["diagnosis"] = s.per_cell("diagnosis")
    s.config["input"]["sample_key"] = "diagnosis"


@fault(
    "counts.h5ad: cell_type, as input.sample_key, holds cell types (Astrocyte, Neuron), not samples. The samples of samples.tsv are in its column sample_id: set input.sample_key to it.",
)
def sample_is_cell_type(s):
    s.config["input"]["sample_key"] = "cell_type"


@fault(
    "counts.h5ad: obs has no column sample (input.sample_key), so its cells cannot be told by sample. Did you mean sample_id?",
)
def sample_key_not_there(s):
    s.config["input"]["sample_key"] = "sample"


@fault(
    "samples.tsv: sample_id holds values of cell_type (Astrocyte, Neuron), not samples. Write a row for each sample; column sample_id of counts.h5ad has S01, S02, S03, S04, S05 … (12 in all).",
)
def sheet_lists_cell_types(s):
    s.sheet = pd.DataFrame({"sample_id": ["Neuron", "Astrocyte"], "diagnosis": ["Control", "AD"]})


@fault(
    "samples.tsv: sample_id holds values of diagnosis (AD, Control), not samples. Write a row for each sample; column sample_id of counts.h5ad has S01, S02, S03, S04, S05 … (12 in all).",
)
def sheet_lists_diagnoses(s):
    s.obs["diagnosis"] = s.per_cell("diagnosis")
    s.sheet = pd.DataFrame({"sample_id": ["Control", "AD"], "diagnosis": ["Control", "AD"]})


@fault(
    "counts.h5ad: obs has no column celltype (input.cell_type_key). Did you mean cell_type?",
)
def cell_type_key_not_there(s):
    s.config["input"]["cell_type_key"] = "celltype"


@fault(
    "cell_types: no cell of counts.h5ad is named Neurons in the column cell_type (input.cell_type_key). Did you mean Neuron? There are Astrocyte (144 cells), Neuron (144 cells).",
)
def empty_cell_type(s):
    s.config["cell_types"] = ["Neurons", "Astrocyte"]


@fault(
    "counts.h5ad: diagnosis, as input.cell_type_key, holds none of cell_types (Neuron, Astrocyte). They are in its column cell_type: set input.cell_type_key to it.",
)
def cell_type_swapped_with_diagnosis(s):
    s.obs["diagnosis"] = s.per_cell("diagnosis")
    s.config["input"]["cell_type_key"] = "diagnosis"


@fault(
    "counts.h5ad: no cell has multiplet Singlet (input.keep); there are singlet.",
)
def keep_leaves_none(s):
    s.obs["multiplet"] = "singlet"
    s.config["input"]["keep"] = {"multiplet": ["Singlet"]}


@fault(
    "counts.h5ad: input.keep names multiplets, which is no column of obs or input.cell_metadata.",
)
def keep_unknown_column(s):
    s.config["input"]["keep"] = {"multiplets": ["singlet"]}


@fault(
    "input.counts: there is no file count.h5ad. Did you mean counts.h5ad?",
)
def counts_missing(s):
    s.config["input"]["counts"] = "count.h5ad"


@fault(
    "input.counts: there is no file data/counts.h5ad. There is no folder data either; paths are relative to the working directory.",
)
def folder_missing(s):
    s.config["input"]["counts"] = "data/counts.h5ad"


@fault(
    "samples.tsv: counts of S01: there is no file S01.h5ad. Did you mean S12.h5ad or S11.h5ad?",
)
def counts_of_a_sample_missing(s):
    s.config["input"]["counts"] = None
    s.sheet["counts"] = [f"{x}.h5ad" for x in s.sheet["sample_id"]]
    for x in s.sheet["sample_id"][1:]:
        write_h5ad(s.obs[s.obs["sample_id"] == x], f"{x}.h5ad")


@fault(
    "samples.tsv: no path in the column counts for S12. Write it in, or drop the row.",
)
def no_path_for_a_sample(s):
    s.config["input"]["counts"] = None
    s.sheet["counts"] = ["counts.h5ad"] * 11 + [None]


@fault(
    "counts.txt: is no HDF5 file, whatever its name says. nestde reads h5ad, 10x h5, 10x mtx folders and zarr.",
)
def counts_are_no_hdf5(s):
    Path("counts.txt").write_text("no counts\n")
    s.config["input"]["counts"] = "counts.txt"


@fault(
    "sample.tsv: the sample sheet cannot be read (No such file or directory). Check `samples` in the configuration; paths are relative to the folder of the study, which -d names.",
)
def sheet_missing(s):
    s.config["samples"] = "sample.tsv"


@fault(
    "a.h5ad: holds cells of S07, which samples.tsv says is in another file. Leave them out of the one, or correct the column counts.",
)
def cells_in_another_file(s):
    s.config["input"]["counts"] = None
    s.sheet["counts"] = ["a.h5ad" if x < "S07" else "b.h5ad" for x in s.sheet["sample_id"]]
    a, b = s.obs[s.obs["sample_id"] < "S08"], s.obs[s.obs["sample_id"] >= "S07"]
    write_h5ad(a, "a.h5ad")
    write_h5ad(b, "b.h5ad")


@fault(
    "counts.h5ad: holds no cell.",
)
def no_cells_at_all(s):
    s.obs = s.obs.iloc[:0]


@fault(
    "cells.tsv: the table of cell metadata cannot be read (No such file or directory). See input.cell_metadata.",
)
def metadata_missing(s):
    s.config["input"]["cell_metadata"] = "cells.tsv"


@fault(
    "cells.tsv: has no column barcode; its columns are cell, x.",
)
def metadata_without_barcode(s):
    Path("cells.tsv").write_text("cell\tx\nC1\t1\n")
    s.config["input"]["cell_metadata"] = "cells.tsv"


@fault(
    "cells.tsv: no row fits a cell of S01, S02, S03, S04, S05 … (12 in all). The data have barcodes such as C00000, C00001, the table AAAC-1.",
)
def metadata_fits_no_cell(s):
    Path("cells.tsv").write_text("barcode\tx\nAAAC-1\t1\n")
    s.config["input"]["cell_metadata"] = "cells.tsv"


test_a_spoilt_study_is_refused_in_these_words = spoilt(STUDIES)
