"""Each example by design is checked, and tested as `nestde de` tests it, on the data that `nestde init --example` makes."""

import re

import pytest
import yaml

import nestde
from nestde.check import check_study
from nestde.cli import main
from nestde.study.config import load
from nestde.study.examples import EXAMPLES, config_of, simulate
from nestde.study.template import template_dir

# name -> comparisons, and at least so many of the 240 genes of the first cell type are found (48 differ)
EXPECTED = {
    "two_groups": (["AD - Control"], 10),
    "paired": (["stim - ctrl"], 25),
    "three_levels": (["MCI - Control", "AD - Control", "AD - MCI", "AD - MCI", "(AD + MCI)/2 - Control"], 10),
    "nested_samples": (
        ["AD - Control", "temporal - frontal", "occipital - frontal", "occipital - temporal"],
        10,
    ),
    "slope": (["diagnosis[AD]:plaque_distance"], 10),
    "poisson": (["AD - Control"], 10),
}


def test_every_example_has_its_configuration_and_is_told():
    folder = template_dir() / "config/examples"
    assert {path.stem for path in folder.glob("*.yaml")} == set(EXAMPLES) == set(EXPECTED)
    table = (folder / "README.md").read_text(encoding="utf-8")
    for name in EXAMPLES:
        formula = load(config_of(name)).model.formula.replace("|", r"\|")
        assert re.search(rf"^\| `{name}` \| .*`{re.escape(formula)}`", table, re.MULTILINE), name


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "study", "--example", name]) == 0
    monkeypatch.chdir("study")
    assert not (tmp_path / "study/config/examples").exists()
    config = load("config/config.yaml")
    found = check_study(config).raise_if_refused()
    assert len(found.cell_types) == len(config.cell_types) and all(
        each.estimable for each in found.cell_types
    )
    adata, sheet = simulate(name)
    first = adata[adata.obs["cell_type"] == config.cell_types[0]].copy()
    first.obs = first.obs.join(sheet.set_index("sample_id"), on="sample_id")
    model = config.model
    table = nestde.de(
        *(first, model.formula),
        test=model.test,
        cell_type_key="cell_type",
        levels=model.levels,
        family=model.family,
        threads=1,
    )
    tested = table[table["coef"].notna()]
    pairs = [
        f"{row.level} - {row.against}".removesuffix(" - ")
        for row in tested[tested["gene"] == "G001"].itertuples()
    ]
    comparisons, least = EXPECTED[name]
    assert sorted(pairs) == sorted(comparisons)
    of_first = tested[tested["term"] == model.test[0]]
    assert of_first.groupby("gene")["padj"].first().le(0.05).sum() >= least


def test_a_name_that_is_none_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["init", "study", "--example", "three"]) == 2
    assert "there are two_groups, paired, three_levels" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
    assert main(["init", "study", "--example", "slope", "--from", "x.h5ad"]) == 2


def test_the_same_bytes_each_time():
    for again in (simulate("slope"), simulate("slope")):
        adata, sheet = again
        assert (adata.X.sum(), adata.n_obs, len(sheet)) == (simulate("slope")[0].X.sum(), 840, 14)
    assert yaml.safe_load(config_of("slope").read_text())["model"]["test"] == ["diagnosis:plaque_distance"]
