"""Size factors: the registry, DESeq2's own numbers, and what they must not depend on."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from makers.tiny_study import SAMPLES, cells, write_study
from scipy.sparse import csr_matrix

from nestde import NestdeError, size_factors
from nestde.api.de import de
from nestde.cells.depth import LOG_SIZE_FACTOR, OFFERED
from nestde.cells.pseudobulk import read
from nestde.expression.tables import TEXT
from nestde.io.counts import OURS
from nestde.io.files import read_tsv, slug, write_tsv
from nestde.io.layout import BESIDE, INTERMEDIATES, RESULTS
from nestde.size_factors import Counted, Scaled, SizeFactor, size_factor
from nestde.size_factors.median_of_ratios import FEWEST, LEAST, abundant, median_ratios
from nestde.study.samples import read_checked

ORACLE = Path(__file__).parents[2] / "oracle"
TYPE = "T cell"
ALL = RESULTS | BESIDE | INTERMEDIATES


def counted(profiles, per_sample=3):
    """Cells of equal totals whose samples have these profiles."""
    profiles = np.asarray(profiles)
    total = np.repeat(profiles.sum(axis=1) / per_sample, per_sample)
    return Counted(total, np.repeat(np.arange(len(profiles)), per_sample), len(profiles), lambda: profiles)


def made_up(samples=6, genes=400, seed=0, share=0.0):
    """Profiles of unequal depths; in the second half of the samples 5 genes take a share of the counts."""
    rng = np.random.default_rng(seed)
    means = rng.lognormal(0, 1.5, genes)
    means = np.tile(means / means.sum(), (samples, 1)) * rng.lognormal(0, 0.1, (samples, genes))
    means[samples // 2 :, :5] += share / (1 - share) / 5
    means /= means.sum(axis=1, keepdims=True)
    return rng.poisson(means * rng.uniform(20_000, 90_000, (samples, 1)))


def test_factors_are_those_of_deseq2():
    oracle = json.loads((ORACLE / "size_factors.json").read_text())
    profiles = np.array(oracle["counts"])
    usable = abundant(profiles)
    assert FEWEST < usable.sum() < profiles.shape[1]
    ours = median_ratios(profiles[:, usable])
    np.testing.assert_allclose(ours / np.exp(np.log(ours).mean()), oracle["control_genes"], rtol=1e-12)
    everywhere = (profiles > 0).all(axis=0)
    of_all = median_ratios(profiles[:, everywhere])
    np.testing.assert_allclose(of_all, oracle["size_factors"], rtol=1e-12)
    assert abundant(profiles).tolist() == oracle["usable"]


def test_pydeseq2_says_the_same():
    from pydeseq2.preprocessing import deseq2_norm

    profiles = made_up()
    profiles = profiles[:, (profiles > 0).all(axis=0)]
    np.testing.assert_allclose(median_ratios(profiles), deseq2_norm(profiles)[1], rtol=1e-12)


def test_the_share_that_few_genes_take_is_made_up_for():
    found = counted(made_up(share=0.3))
    library, ratios = (size_factor(name).scale(found).of_cells for name in ("library", "median_of_ratios"))
    correction = np.log(ratios / library)[:: len(library) // 6]
    assert correction[3:].mean() - correction[:3].mean() == pytest.approx(np.log(0.7), abs=0.02)
    assert abs(correction.sum()) < 1e-12


def test_it_does_not_matter_in_what_order_cells_and_genes_come():
    profiles = made_up()
    found = counted(profiles)
    scale = size_factor("median_of_ratios").scale
    order = np.random.default_rng(1).permutation(len(found.total))
    shuffled = Counted(found.total[order], found.sample[order], found.samples, lambda: profiles[:, ::-1])
    assert np.array_equal(scale(shuffled).of_cells, scale(found).of_cells[order])


@pytest.mark.parametrize("profiles", [made_up(genes=30), made_up() // 2000, np.zeros((3, 90), np.int64)])
def test_too_few_counts_for_ratios_is_said_and_takes_totals(profiles):
    found = counted(profiles)
    scaled = size_factor("median_of_ratios").scale(found)
    assert np.array_equal(scaled.of_cells, found.total / 1e4)
    assert (
        f"{LEAST:g} counts in the shallowest sample, of which a median of ratios asks for {FEWEST}"
        in scaled.words
    )


def test_samples_of_few_cells_are_not_told_deeper_than_they_are():
    rng = np.random.default_rng(0)
    means = rng.lognormal(0, 2, 20_000)
    cells_of = np.repeat([20, 200], 3)[:, None] * 500
    profiles = rng.poisson(means / means.sum() * cells_of * rng.lognormal(0, 0.3, (6, 20_000)))
    naive = profiles[:, (profiles > 0).all(axis=0)]
    ratio = {}
    for name, used in (("naive", naive), ("ours", profiles[:, abundant(profiles)])):
        found = np.log(median_ratios(used) / profiles.sum(axis=1))
        ratio[name] = found[3:].mean() - found[:3].mean()
    assert abs(ratio["ours"]) < 0.05 < 0.1 < abs(ratio["naive"])


TOY = SizeFactor(
    "toy", "toy", "toy divides by 3.", lambda counted: Scaled(np.full(len(counted.total), 3.0), "as a toy")
)


def test_a_new_way_runs_from_configuration_to_tables(tmp_path, monkeypatch):
    from nestde.study import schema

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(size_factors, "SIZE_FACTORS", [*size_factors.SIZE_FACTORS, TOY])
    monkeypatch.setattr(schema, "SIZE_FACTORS", [*size_factors.SIZE_FACTORS])
    schema.schema.cache_clear()
    try:
        adata = cells()
        study = write_study(tmp_path, adata, cell_types=[TYPE], genes={"size_factors": "toy"})
        table = whole(study)
    finally:
        schema.schema.cache_clear()
    x = adata[adata.obs["cell_type"] == TYPE]
    of = {"Control": ["S1", "S3"], "AD": ["S2", "S4"]}
    for level, samples in of.items():
        mine = x[x.obs["sample_id"].isin(samples)].to_df() / 3
        np.testing.assert_allclose(table[f"mean_{level}"], mine.mean()[table["gene"]], rtol=1e-12)
    bulk = read(f"pseudobulk/{slug(TYPE)}.h5ad", read_checked("samples.tsv"))
    n_cells = bulk.obsm[OURS]["n_cells"].to_numpy()
    np.testing.assert_allclose(bulk.obsm[OURS]["size_factor"], 3 * n_cells, rtol=1e-12)
    assert bulk.uns["size_factors"]["words"] == "as a toy"
    about = json.loads(Path(f"design/{slug(TYPE)}.json").read_text())
    assert about["size_factors"] == {"name": "toy", "words": "as a toy"}
    assert about["depths"]["S1"]["factor"] == pytest.approx(
        3e4 / np.mean(x[x.obs["sample_id"] == "S1"].X.sum(axis=1))
    )
    assert table["pvalue_lrt"].notna().all()
    section = json.loads(Path("content/nestde_depth_mqc.json").read_text())
    assert "Size factors: toy." in section["description"] and "as a toy" in section["data"]


def whole(study):
    """Run the steps from counts to the table and the report of one cell type, as the rules do."""
    name = slug(TYPE)
    of = {
        kind: study.folder
        / path.format(cell_type=name, sample="{}", source="{}", scatteritem="1-of-1", family="{}")
        for kind, path in ALL.items()
    }
    assert study.ingest() == study.qc() == 0
    cells, sheet = {"cells": of["covariates"]}, {"samples": study.folder / "samples.tsv"}
    assert study.of_type("matrix", TYPE, out=of["matrix"], **cells, genes=of["genes"]) == 0
    assert study.of_type("pseudobulk", TYPE, out=of["profiles"], table=of["profiles_table"]) == 0
    model, kept = {"design": of["design"]}, {"statistics": of["statistics"]}
    outputs = {"out": of["design"], "explain": of["terms"]}
    assert study.run("design", **cells, **sheet, cell_type=TYPE, **outputs) == 0
    summed = {"matrix": of["matrix"], "out": of["statistics"], "drawn": of["drawn"]}
    assert study.run("statistics", **cells, **sheet, cellwise=study.cellwise, **summed) == 0
    assert study.run("fit", **model, **kept, chunk="1-of-1", out=of["fit"]) == 0
    every = {"out": of["moderated"], "prior": of["prior"], "reasons": of["reasons"]}
    assert study.run("moderate", **model, **kept, **every) == 0
    files = {"genes": of["genes"], "fits": of["fit"], "moderated": of["moderated"]}
    assert study.run("gather", **files, out=of["de"], summary=of["totals"]) == 0
    write_tsv(study.samples, of["samples"])
    assert study.run("summary", results=study.folder, out=study.folder / "content") == 0
    return read_tsv(of["de"], TEXT)


def apart(adata, genes, times=1, deeper=1):
    """The same cells, but with `times` the counts of some genes in the samples of AD, and all of their counts `deeper`."""
    counts = adata.X.toarray()
    of_ad = adata.obs["sample_id"].isin(["S2", "S4"]).to_numpy()
    counts[np.ix_(of_ad, range(genes))] *= times
    counts[of_ad] *= deeper
    adata.X = csr_matrix(counts)
    return adata


def test_arms_that_part_in_composition_or_depth_are_told_in_the_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    formula = {"formula": "~ diagnosis + (1 | sample_id)"}
    study = write_study(
        tmp_path, apart(cells(genes=120), 4, times=40, deeper=2), cell_types=[TYPE], model=formula
    )
    whole(study)
    told = json.loads(Path("content/nestde_depth_mqc.json").read_text())["data"]
    assert "T cell: size factors and totals part by diagnosis" in told
    assert (
        "T cell: depth differs by diagnosis" in told
        and re.search("× (1.9|2.0).* in AD", told.partition("depth differs")[2])
        and "+ nestde.log_size_factor" in told
    )


@pytest.mark.parametrize("name", ["library", "median_of_ratios"])
def test_de_in_memory_gives_the_numbers_of_the_workflow(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    adata = apart(cells(genes=120), 4, times=40)
    # what is measured cannot be reached by columns of that name
    adata.obs[list(OFFERED)] = 1.0
    formula = f"~ {' + '.join(OFFERED[1:])} + sequencing_saturation + diagnosis + (1 | sample_id)"
    adata.obs["diagnosis"] = (
        adata.obs["sample_id"].map(dict(zip(SAMPLES, ["Control", "AD"] * 2, strict=True))).astype(str)
    )
    study = write_study(
        tmp_path, adata, cell_types=[TYPE], genes={"size_factors": name}, model={"formula": formula}
    )
    table = whole(study)
    mine = de(
        adata[np.random.default_rng(0).permutation(len(adata))].copy(), study.config.model.formula, test="diagnosis",
        cell_type_key="cell_type", levels=study.config.model.levels, min_cells=1, min_cells_share=0.0, min_samples=1,
        size_factors=name,
    )  # fmt: skip
    mine = mine[mine["cell_type"] == TYPE].set_index("gene").loc[table["gene"]]
    for column in ("mean_AD", "coef", "se", "pvalue_lrt", f"coef_{LOG_SIZE_FACTOR}"):
        np.testing.assert_allclose(mine[column], table[column], rtol=1e-6, err_msg=column)
    if name == "median_of_ratios":
        assert not json.loads(Path(f"design/{slug(TYPE)}.json").read_text())["size_factors"]["words"]


def test_an_unknown_way_is_refused():
    with pytest.raises(NestdeError, match="libary is no way to size factors"):
        size_factor("libary")
    with pytest.raises(NestdeError, match="libary is no way to size factors"):
        de(cells(), "~ x + (1 | sample_id)", test="x", size_factors="libary")


def test_profiles_that_are_not_tested_have_their_totals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adata = cells(genes=120)
    few = (adata.obs["sample_id"] == "S2") & (np.arange(len(adata)) > 30)
    study = write_study(
        tmp_path, adata[~few].copy(), genes={"size_factors": "median_of_ratios"}, pseudobulk={"min_cells": 10, "min_counts": 0}
    )  # fmt: skip
    assert study.ingest() == study.qc() == study.pseudobulk(TYPE) == 0
    found = read("bulk.h5ad", read_checked("samples.tsv"))
    ours = found.obsm[OURS]
    assert list(ours["left_out"] != "") == [False, True, False, False]
    correction = ours["size_factor"] / ours["total_counts"] * 1e4
    assert correction["S2"] == 1 and abs(np.log(correction.drop("S2")).sum()) < 1e-12
    cpm = pd.DataFrame(found.layers["cpm"], found.obs_names)
    np.testing.assert_allclose(cpm.sum(axis=1), 1e6 / correction, rtol=1e-12)
