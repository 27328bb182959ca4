"""What `nestde.de` and `nestde.lmm` take for reference, cell types and samples where nobody said so, and that they say it."""

import logging
import warnings

import numpy as np
import pandas as pd
import pytest

import nestde
from nestde.cells.roles import references, samples_of
from nestde.cli import main
from nestde.design.formula import parse
from nestde.expression.tables import TEXT
from nestde.io.files import read_tsv
from nestde.simulate import Cohort, simulate
from nestde.study import schema

FORMULA = "~ sequencing_saturation + diagnosis + (1 | sample_id)"
LEVELS = {"diagnosis": ["Control", "AD"]}


@pytest.fixture(scope="module")
def cohort():
    adata, _ = simulate(Cohort(donors=3, cells=30, genes=30, seed=5))
    return adata


def de(adata, formula=FORMULA, test="diagnosis", **options):
    return nestde.de(adata, formula, test=test, **{"cell_type_key": "cell_type", "min_cells": 1, **options})


def faults(adata, formula=FORMULA, **options):
    with pytest.raises(nestde.NestdeError) as error:
        nestde.de(adata, formula, **{"test": "diagnosis", **options})
    return error.value.faults


def test_a_control_is_the_reference_as_in_the_workflow(cohort):
    with pytest.warns(
        nestde.NestdeWarning,
        match="diagnosis: Control is the reference .it is named like one; AD comes first",
    ):
        guessed = de(cohort)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = de(cohort, levels=LEVELS)
    pd.testing.assert_frame_equal(guessed, given)
    assert set(guessed["against"].dropna()) == {"Control"}
    assert guessed.attrs["nestde"]["references"] == {"diagnosis": "Control"}


@pytest.mark.parametrize(
    "control", ["ctrl", "Healthy", "WT", "untreated", "vehicle", "unstimulated", "Normal", "non-demented"]
)
@pytest.mark.parametrize("case", ["AD", "case", "Zeta", "1q21"])
def test_whatever_the_control_is_called(control, case):
    frame = pd.DataFrame({"group": [case, control] * 3})
    (reference,) = references(frame, ["group"], {})
    assert reference.levels == (control, case) and reference.by == "name"
    assert reference.turned == (min(control, case) == case)


def test_the_user_s_word_stands_before_every_guess(cohort):
    cells = cohort.copy()
    cells.obs["diagnosis"] = pd.Categorical(cells.obs["diagnosis"], ["AD", "Control"], ordered=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ordered = de(cells)
        named = de(cohort, levels={"diagnosis": ["AD", "Control"]})
    assert set(ordered["against"].dropna()) == set(named["against"].dropna()) == {"AD"}
    assert "the first of an ordered categorical" in ordered.attrs["nestde"]["said"][0]
    assert "AD is the reference (as given)" in named.attrs["nestde"]["said"][0]


@pytest.mark.parametrize(
    ("values", "levels", "by"),
    [
        (["PD", "AD"], ("AD", "PD"), "alphabet"),
        ([True, False], ("False", "True"), "alphabet"),
        (["10", "2"], ("2", "10"), "alphabet"),
        (["MCI", "AD", "control"], ("control", "AD", "MCI"), "name"),
        ([1.5, 2.5], None, None),
    ],
)
def test_levels_of_every_kind(values, levels, by):
    found = references(pd.DataFrame({"g": values * 2}), ["g", "absent"], {})
    assert [(reference.levels, reference.by) for reference in found] == ([(levels, by)] if by else [])


@pytest.mark.parametrize(
    "name", ["cell_type", "celltype", "Cell Type", "CellType", "leiden", "cluster", "annotation"]
)
def test_a_column_of_cell_types_is_asked_for(cohort, name):
    cells = cohort.copy()
    cells.obs = cells.obs.rename(columns={"cell_type": name})
    (fault,) = faults(cells, levels=LEVELS)
    assert f"obs has a column {name} of 2 values (Astrocyte, Neuron), which looks like cell types" in fault
    assert f'cell_type_key="{name}"' in fault and "cell_type_key=False" in fault
    pooled = nestde.de(cells, FORMULA, test="diagnosis", levels=LEVELS, cell_type_key=False)
    assert set(pooled["cell_type"]) == {"all cells"}
    assert f"all cells: {cohort.n_obs:,} cells of 6 samples." in pooled.attrs["nestde"]["said"]


def test_one_type_or_types_in_the_formula_are_not_asked_for(cohort):
    one = cohort[cohort.obs["cell_type"] == "Neuron"].copy()
    assert set(nestde.de(one, FORMULA, test="diagnosis", levels=LEVELS)["cell_type"]) == {"all cells"}
    formula = "~ cell_type + diagnosis + (1 | sample_id)"
    assert len(nestde.de(cohort, formula, test="diagnosis", levels=LEVELS)) == cohort.n_vars


def test_all_faults_of_counts_and_design_are_told_at_once(cohort):
    cells = cohort.copy()
    cells.X = cells.X.astype(np.float64) * 0.5
    found = " ".join(faults(cells, "~ diagnosys + (1 | sample_id)", test="(1 | sample_id)", p_value="best"))
    for part in (
        "p_value: best is no p-value of nestde",
        "non-integer value",
        "looks like cell types",
        "is a random term",
        "no column diagnosys",
    ):
        assert part in found
    told = faults(cohort, "~ diagnosis", cell_type_key="kind")
    assert "obs has no column kind" in told[0] and "has no random term" in told[1] and len(told) == 2


def test_samples_with_few_cells_are_left_out_and_named(cohort):
    cells = cohort[
        ~(
            (cohort.obs["sample_id"] == cohort.obs["sample_id"].iloc[0])
            & (cohort.obs["cell_type"] == "Neuron")
        )
    ]
    few = cohort[
        (cohort.obs["sample_id"] == cohort.obs["sample_id"].iloc[0]) & (cohort.obs["cell_type"] == "Neuron")
    ][:3]
    import anndata

    told = de(anndata.concat([cells, few]), levels=LEVELS, min_cells=4).attrs["nestde"]
    sample = str(cohort.obs["sample_id"].iloc[0])
    assert told["left_out"] == {"Astrocyte": {}, "Neuron": {sample: "3 cells of this type; min_cells is 4"}}
    assert sample not in told["cells"]["Neuron"] and sample in told["cells"]["Astrocyte"]
    assert any(
        f"left out: {sample} (3 cells of this type; min_cells is 4)" in sentence for sentence in told["said"]
    )


def test_samples_are_the_finest_groups_where_there_is_no_sample_id():
    obs = pd.DataFrame({"donor": ["a", "a", "b", "b"], "image": [1, 2, 1, 2]})
    name, samples = samples_of(obs, parse("~ x + (1 | donor/image)"))
    assert name == "donor:image" and samples.nunique() == 4
    assert samples_of(obs, parse("~ x + (1 | mouse)")) is None


def test_python_and_the_command_line_do_the_same(tmp_path, cohort, capsys, caplog):
    cohort = cohort.copy()
    counts = cohort.X.toarray()
    counts[:, 0] = np.arange(len(counts)) == 7
    cohort.X = counts
    cohort.write_h5ad(tmp_path / "cells.h5ad")
    words = [
        "de",
        str(tmp_path / "cells.h5ad"),
        "--formula",
        FORMULA,
        "--test",
        "diagnosis",
        "--out",
        str(tmp_path / "out.tsv"),
    ]
    assert main(words) == 2
    assert "--cell-type-key" in capsys.readouterr().err
    assert main([*words, "--cell-type-key", "cell_type"]) == 0
    said = capsys.readouterr().err
    assert "Warning" not in said
    with caplog.at_level(logging.INFO, "nestde"), pytest.warns(nestde.NestdeWarning):
        table = nestde.de(cohort, FORMULA, test="diagnosis", cell_type_key="cell_type")
    for sentence in table.attrs["nestde"]["said"]:
        assert f"nestde de: {sentence}\n" in said and sentence in caplog.messages
    written = read_tsv(tmp_path / "out.tsv", TEXT)
    assert written["status"].tolist() == table["status"].tolist()
    np.testing.assert_allclose(written["pvalue"], table["pvalue"], rtol=1e-12)
    # by the schema's defaults a gene of one cell is not tested
    assert (
        table.loc[table["gene"] == cohort.var_names[0], "reason"]
        .isin(["no counts", "in 1 of 100 cells; 2 are needed", "in 1 of 80 cells; 2 are needed"])
        .all()
    )
    assert main([*words, "--all-cells"]) == 0
    assert set(read_tsv(tmp_path / "out.tsv", TEXT)["cell_type"]) == {"all cells"}


def test_defaults_are_the_schema_s():
    assert schema.rule("genes.min_samples")["default"] == 3
    assert schema.rule("genes.min_cells_share")["default"] == 0.02
    assert schema.rule("model.min_cells")["default"] == 10


def test_lmm_keeps_r_s_order_and_says_what_it_is(cohort):
    frame = cohort.obs.assign(y=np.arange(cohort.n_obs) % 7 + 0.1 * np.arange(cohort.n_obs) % 3)
    sorted_ = nestde.lmm("y " + FORMULA, frame)
    assert list(sorted_.coef.index)[-1] == "diagnosis[Control]"  # as R has it
    assert "Reference levels: diagnosis AD" in str(sorted_)
    assert (
        "Note: diagnosis: Control is named like a control, but AD is the reference, the first by the alphabet. "
        "levels={'diagnosis': ['Control', 'AD']} turns the signs round."
    ) in str(sorted_)
    named = nestde.lmm("y " + FORMULA, frame, levels=LEVELS)
    assert named.coef["diagnosis[AD]"] == pytest.approx(-sorted_.coef["diagnosis[Control]"])
    assert "Reference levels: diagnosis Control" in str(named) and "Note:" not in str(named)
    assert "Reference" not in str(nestde.lmm("y ~ sequencing_saturation + (1 | sample_id)", frame))
    chosen = nestde.lmm("y " + FORMULA, frame, levels={"diagnosis": ["AD", "Control"]})
    assert "Note:" not in str(chosen)
