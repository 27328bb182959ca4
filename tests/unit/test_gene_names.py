"""A gene is called what the data call it, also nan, None or NA, from the counts to the report."""

import numpy as np
import pytest
from makers.tiny_study import cells, write_study

from nestde.errors import NestdeError
from nestde.io.files import read_tsv, slug
from nestde.io.source import unique_genes
from nestde.report.results import Results

NAMES = [
    "nan",
    "NaN",
    "None",
    "NA",
    "N/A",
    "null",
    "<NA>",
    "-",
    "inf",
    "1",
    "1.0",
    "007",
    "TRUE",
    "#REF!",
    '"',
    "=A1",
    ".",
    "..",
]


def test_odd_names_come_through_every_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adata = cells()
    adata.var_names = [*NAMES, *adata.var_names[len(NAMES) :]]
    steps = write_study(tmp_path, adata, cell_types=["T cell"], inference={"crosscheck_genes": 30})
    genes, out = "matrix/T.genes.tsv".replace("T", slug("T cell")), f"de/{slug('T cell')}.tsv"
    fit, moderated = f"fit/{slug('T cell')}/1-of-1.tsv", f"moderated/{slug('T cell')}.tsv"
    assert steps.ingest() == steps.qc() == 0
    matrix = {"out": "matrix.h5ad", "cells": "cells.h5ad", "genes": genes}
    assert steps.of_type("matrix", "T cell", **matrix) == steps.pseudobulk("T cell") == 0
    assert steps.design("T cell", explain="design/d.json") == steps.statistics() == 0
    fitted = {"design": "design.npz", "statistics": "statistics.npz"}
    assert steps.run("fit", **fitted, chunk="1-of-1", out=fit) == 0
    assert steps.run("moderate", **fitted, out=moderated, prior="prior.tsv", reasons="why.json") == 0
    tables = {"genes": genes, "fits": fit, "moderated": moderated, "out": out, "summary": "summary.tsv"}
    assert steps.run("gather", **tables) == 0
    assert steps.crosscheck(fit, "c.tsv") == steps.pseudobulk_de("b.tsv") == 0
    wanted = set(adata.var_names)
    for table in (genes, fit, out, "b.tsv", "bulk.tsv"):
        assert set(read_tsv(table, text=["gene"])["gene"]) == wanted, table
    assert set(read_tsv("c.tsv", text=["gene"])["gene"]) <= wanted
    shown = Results(tmp_path, steps.config).of_cell_types("de")["T cell"]
    assert set(shown["gene"]) == wanted
    assert int(read_tsv("summary.tsv")["tested"].sum()) == len(wanted)


@pytest.mark.parametrize("missing", [None, float("nan"), "", np.nan])
def test_a_name_that_is_missing_is_none(missing):
    with pytest.raises(NestdeError, match="1 gene has no name"):
        unique_genes("x.h5ad", ["A", missing, "nan", "None"], "Name them.")
