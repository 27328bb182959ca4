from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import yaml
from makers import public
from makers.real import real_data
from makers.tiny_study import SAMPLES, cells

from nestde.cells.guess import guess_study, reference_first
from nestde.cells.proposal import Told
from nestde.cells.starting import configuration
from nestde.cli import main
from nestde.errors import NestdeError
from nestde.study.config import load
from nestde.study.samples import read_samples, source_paths


def cohort(tmp_path, **columns):
    adata = cells(n=60)
    adata.obs["Disease.State"] = (
        adata.obs["sample_id"].map(dict(zip(SAMPLES, "NANA", strict=True))).astype(str)
    )
    adata.obs["Disease.State"] = adata.obs["Disease.State"].replace({"N": "healthy", "A": "AD"})
    adata.obs["age"] = (
        adata.obs["sample_id"].map(dict(zip(SAMPLES, [70, 81, 64, 90], strict=True))).astype(int)
    )
    for name, values in columns.items():
        adata.obs[name] = values
    adata.write_h5ad(tmp_path / "data.h5ad")
    return tmp_path / "data.h5ad"


def test_columns_are_guessed_by_name_and_by_what_they_hold(tmp_path):
    guess = guess_study(cohort(tmp_path, group=np.arange(240) % 2))
    assert (guess.sample, guess.diagnosis, guess.cell_type) == ("sample_id", "Disease.State", "cell_type")
    assert guess.levels == ("healthy", "AD")
    assert guess.cell_types == ("B/cell", "T cell")
    assert guess.formula == "~ sequencing_saturation + Disease.State + (1 | sample_id)"
    assert list(guess.sheet.columns) == ["sample_id", "Disease.State", "age"]
    assert list(guess.sheet["age"]) == [70, 81, 64, 90]


def test_the_depth_of_cells_is_in_the_formula_where_no_column_tells_it(tmp_path):
    path = cohort(tmp_path)
    adata = ad.read_h5ad(path)
    del adata.obs["sequencing_saturation"]
    adata.write_h5ad(path)
    assert guess_study(path).formula == "~ nestde.log_size_factor + Disease.State + (1 | sample_id)"


def test_what_is_written_is_a_configuration_that_loads(tmp_path, capsys):
    data = cohort(tmp_path)
    assert main(["init", str(tmp_path / "study"), "--from", str(data)]) == 0
    told = capsys.readouterr().out
    for part in (
        "sample_id: 4",
        "Disease.State: healthy, AD (reference: healthy)",
        "cell_type: B/cell, T cell",
    ):
        assert part in told
    config = load(tmp_path / "study/config/config.yaml")
    samples = read_samples(tmp_path / "study/config/samples.tsv")
    assert set(source_paths(config, samples)) == set(SAMPLES)
    assert config.input.counts == str(data)
    assert config.model.levels == {"Disease.State": ["healthy", "AD"]}


def test_raw_counts_are_found_where_they_are(tmp_path):
    adata = cells()
    adata.obs["condition"] = adata.obs["sample_id"].isin(["S1", "S2"]).map({True: "ctrl", False: "stim"})
    adata.layers["counts"] = adata.X.copy()
    adata.X = np.log1p(adata.X)
    adata.write_h5ad(tmp_path / "data.h5ad")
    guess = guess_study(tmp_path / "data.h5ad")
    assert guess.layer == "counts"
    assert guess.levels == ("ctrl", "stim")


@pytest.fixture
def nameless(tmp_path):
    """Data of which neither the diagnosis nor the cell type is named as one."""
    adata = cells(n=60)
    adata.obs = adata.obs.rename(columns={"cell_type": "kind"})
    adata.obs["arm"] = adata.obs["sample_id"].map(dict(zip(SAMPLES, "xyxy", strict=True)))
    adata.obs["site"] = adata.obs["sample_id"].map(dict(zip(SAMPLES, "aabb", strict=True)))
    adata.obs["wing"] = adata.obs["sample_id"].map(dict(zip(SAMPLES, "abba", strict=True)))
    adata.write_h5ad(tmp_path / "data.h5ad")
    return tmp_path / "data.h5ad"


def test_what_cannot_be_guessed_is_a_marked_line_and_the_rest_is_written(nameless, monkeypatch, capsys):
    """It stopped with nothing, and sent people to a configuration of their own."""
    folder = nameless.parent / "study"
    assert main(["init", str(folder), "--from", str(nameless)]) == 0
    told = capsys.readouterr().out
    assert (
        "input.cell_type_key: no column of obs looks like the cell type; there are sample_id, kind, " in told
    )
    assert "model: no column of obs looks like the diagnosis" in told and "--test" in told
    text = (folder / "config/config.yaml").read_text()
    marked = [line.split(":")[0].strip() for line in text.splitlines() if line.endswith("# <- fill in")]
    assert marked == ["cell_types", "cell_type_key", "formula", "test"]
    assert "fill in 2 in config/config.yaml" in told
    assert list(read_samples(folder / "config/samples.tsv")["sample_id"]) == SAMPLES
    monkeypatch.chdir(folder)
    assert main(["check"]) == 2
    assert "FILL_IN" in capsys.readouterr().err


def test_what_is_told_is_not_guessed(nameless):
    told = Told(test="arm", reference="y", cell_type="kind", sample="sample_id")
    guess = guess_study(nameless, told)
    assert (guess.diagnosis, guess.levels, guess.cell_type) == ("arm", ("y", "x"), "kind")
    assert not guess.unknown and "arm: y, x (reference: y)" in guess.story()
    with pytest.raises(NestdeError) as error:
        guess_study(nameless, Told(test="no", donor="none"))
    assert [fault.partition("(--")[2][:4] for fault in error.value.faults] == ["test", "dono"]
    with pytest.raises(NestdeError, match="arm has no level z; it has x, y"):
        guess_study(nameless, Told(test="arm", reference="z"))


def test_no_layer_of_raw_counts_is_refused_with_what_each_holds(tmp_path):
    """X was written as raw counts where nothing was."""
    adata = cells()
    adata.layers["scaled"] = adata.X * 0.5
    adata.X = np.log1p(adata.X)
    adata.write_h5ad(tmp_path / "data.h5ad")
    with pytest.raises(NestdeError, match=r"holds no raw counts: X \([0-9.]+ is among its values\), scaled"):
        guess_study(tmp_path / "data.h5ad")
    assert main(["init", str(tmp_path / "study"), "--from", str(tmp_path / "data.h5ad")]) == 2
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("name", ["RNA_raw", "spliced", "öäü 1"])
def test_raw_counts_are_found_in_a_layer_of_any_name(tmp_path, name):
    adata = cells()
    adata.layers[name] = adata.X.copy()
    adata.layers["a"] = adata.X * 1.5
    adata.X = np.log1p(adata.X)
    adata.write_h5ad(tmp_path / "data.h5ad")
    assert guess_study(tmp_path / "data.h5ad").layer == name


def test_a_study_from_data_has_nothing_of_the_example_and_ends_with_what_to_type(
    tmp_path, monkeypatch, capsys
):
    data = cohort(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["init", "my study", "--from", str(data)]) == 0
    told = capsys.readouterr().out
    assert told.endswith("  cd 'my study'\n  nestde check\n  nestde plan\n  nestde run --cores 4\n")
    assert not Path("my study/config/example").exists() and Path("my study/Snakefile").exists()
    assert main(["init", ".", "--from", str(data)]) == 0
    assert "  cd " not in capsys.readouterr().out and Path("config/config.yaml").exists()
    assert main(["init", ".", "--from", str(data)]) == 2
    assert ".: is not empty of what a study starts with: Snakefile, " in capsys.readouterr().err


def test_columns_that_fit_too_and_covariates_are_comments(tmp_path):
    rows = {"batch": dict(zip(SAMPLES, "1212", strict=True)), "sex": dict(zip(SAMPLES, "FFMM", strict=True))}
    data = cohort(tmp_path)
    adata = ad.read_h5ad(data)
    for name, of in rows.items():
        adata.obs[name] = adata.obs["sample_id"].astype(str).map(of).astype("category")
    adata.obs["treatment"] = adata.obs["sample_id"].astype(str).map(dict(zip(SAMPLES, "uuvv", strict=True)))
    adata.obs["leiden"] = np.arange(adata.n_obs) % 3
    adata.write_h5ad(data)
    guess = guess_study(data)
    assert guess.others == {"diagnosis": ["treatment"], "cell type": ["leiden"]}
    assert guess.covariates == {
        "sex": "",
        "age": "",
        "batch": "each has one Disease.State: the two cannot be told apart",
    }
    text = configuration(guess, tmp_path)
    assert "# also fits: treatment" in text and "# also fits: leiden" in text
    assert "# left out: batch (each has one Disease.State" in text
    assert "with the covariates of the sheet: ~ sex + age + sequencing_saturation + Disease.State" in text


def test_ids_with_a_column_of_symbols_are_read_by_it(tmp_path):
    adata = cells()
    adata.var["feature_name"] = adata.var_names
    adata.var_names = [f"ENSG{i:011}" for i in range(adata.n_vars)]
    adata.write_h5ad(tmp_path / "data.h5ad")
    assert guess_study(tmp_path / "data.h5ad").gene == "feature_name"
    adata.var["feature_name"] = adata.var_names
    adata.write_h5ad(tmp_path / "data.h5ad")
    assert guess_study(tmp_path / "data.h5ad").gene is None


@pytest.mark.parametrize("name", list(public.LAYOUTS))
def test_public_layouts_need_no_mending(tmp_path, name):
    """What is guessed of data as they are met, each with the bounds of quality control that fit it."""
    guess = guess_study(public.write(name, tmp_path))
    wanted = {
        "cellxgene": ("donor_id", "disease", "cell_type", "raw", "feature_name", set()),
        "seurat": ("orig.ident", "Disease Status", "Cell Type", "RNA_raw", None, set()),
        "panel": ("sample_id", "diagnosis", "cell_type", "X", "gene_symbols",
                  {"min_counts", "min_genes", "max_pct_mt", "mad_pct_mt"}),
        "full_length": ("donor", "age_group", "celltype", "X", None, {"doublets", "min_cells_per_sample"}),
        "three_levels": ("sample_id", "diagnosis", "cell_type", "X", None, set()),
        "paired": ("sample_id", "stim", "cell_type", "X", None, set()),
        "coded": ("projid", "diagnosis", "cell_type", "X", None, set()),
    }[name]  # fmt: skip
    found = (guess.sample, guess.diagnosis, guess.cell_type, guess.layer, guess.gene)
    assert (*found, {change.key for change in guess.qc}) == wanted
    assert not guess.unknown
    assert ("+ donor +" in guess.formula) == (name == "paired")
    assert load(yaml.safe_load(configuration(guess, tmp_path))).cell_types == list(guess.cell_types)
    removed = int(guess.forecast[0].split()[4].replace(",", ""))
    assert removed < 0.1 * int(guess.forecast[0].split()[6].replace(",", ""))


def test_rare_types_are_left_out_and_said(tmp_path):
    rare = pd.Series("T cell", index=range(240))
    rare[:5] = "rare"
    guess = guess_study(cohort(tmp_path, cell_type=pd.Categorical(rare.to_numpy())))
    assert guess.cell_types == ("T cell",)
    assert "left out, with too few cells: rare" in guess.story()


@pytest.mark.parametrize(
    "levels", [["AD", "Control"], ["wild-type", "APP"], ["untreated", "drug"], ["b", "a"]]
)
def test_a_control_is_the_reference(levels):
    wanted = "a" if "a" in levels else {"AD": "Control"}.get(levels[0], levels[0])
    assert reference_first(levels)[0] == wanted


def test_a_coded_covariate_that_is_the_diagnosis_is_told():
    """100 donors compared by sex, which a column has as 1 and 2 too."""
    guess = guess_study(real_data("onek1k_bcell.h5ad"))
    assert guess.covariates == {"sex": "each has one condition: the two cannot be told apart", "age": ""}
    assert {change.key: change.value for change in guess.qc} == {
        "min_counts": 40, "min_genes": 8, "max_pct_mt": None, "mad_pct_mt": None, "min_cells_per_sample": 10,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name, diagnosis, levels, types",
    [
        ("kang_bcells", "condition", ("ctrl", "stim"), ("B cells",)),
        ("zeisel_pseudodonors", "condition", ("Control", "Case"), ("MGL1", "MOL1", "TEINH")),
    ],
)
def test_real_studies_are_guessed_right(name, diagnosis, levels, types):
    guess = guess_study(real_data(f"{name}.h5ad"))
    assert (guess.sample, guess.diagnosis, guess.levels) == ("sample_id", diagnosis, levels)
    assert guess.cell_types == types
    assert ("+ donor +" in guess.formula) == (name == "kang_bcells")
    assert guess.keep == ({"multiplet": ["singlet"]} if name == "kang_bcells" else {})
