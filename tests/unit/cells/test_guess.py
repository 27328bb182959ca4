import numpy as np
import pandas as pd
import pytest
from makers.real import REAL, needs_real_data
from makers.tiny_study import SAMPLES, cells

from nestde.cells.guess import guess_study, reference_first
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


def test_what_cannot_be_guessed_is_told_with_the_columns_there_are(tmp_path):
    adata = cells()
    adata.obs = adata.obs.rename(columns={"cell_type": "kind"})
    adata.write_h5ad(tmp_path / "data.h5ad")
    with pytest.raises(NestdeError) as error:
        guess_study(tmp_path / "data.h5ad")
    assert len(error.value.faults) == 2
    assert "looks like the diagnosis" in error.value.faults[0]
    assert "looks like the cell type" in error.value.faults[1] and "kind" in error.value.faults[1]
    assert main(["init", str(tmp_path / "study"), "--from", str(tmp_path / "data.h5ad")]) == 2
    assert not (tmp_path / "study").exists()


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


@needs_real_data
@pytest.mark.parametrize(
    "name, diagnosis, levels, types",
    [
        ("kang_bcells", "condition", ("ctrl", "stim"), ("B cells",)),
        ("zeisel_pseudodonors", "condition", ("Control", "Case"), ("MGL1", "MOL1", "TEINH")),
    ],
)
def test_real_studies_are_guessed_right(name, diagnosis, levels, types):
    guess = guess_study(REAL / f"{name}.h5ad")
    assert (guess.sample, guess.diagnosis, guess.levels) == ("sample_id", diagnosis, levels)
    assert guess.cell_types == types
    assert ("consider + (1 | donor)" in guess.story()) == (name == "kang_bcells")
