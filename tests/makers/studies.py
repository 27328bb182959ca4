"""Small studies on disk for the tests of the design check: 6 v 6 samples, two cell types, no counts."""

import copy
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata.io import write_elem

CELLS = 12  # of each type in each sample


def into(studies):
    """A decorator that files a function, which changes a study, by its name, with what is expected of the study then."""

    def expecting(*expected):
        def note(change):
            studies[change.__name__] = (change, expected)
            return change

        return note

    return expecting


class Study:
    """A sound study to be spoilt: change `sheet`, `obs` or `config`, then `check` it in the working directory."""

    def __init__(self, per_level=6, levels=("Control", "AD"), cells=CELLS):
        rng = np.random.default_rng(0)
        m = per_level * len(levels)
        self.sheet = pd.DataFrame(
            {
                "sample_id": [f"S{i + 1:02}" for i in range(m)],
                "diagnosis": [levels[i % len(levels)] for i in range(m)],
                "sex": [("F", "M")[(i // 2) % 2] for i in range(m)],
                "age": rng.integers(60, 90, m),
                "batch": [f"B{(i // len(levels)) % 3 + 1}" for i in range(m)],
            }
        )
        sample = np.repeat(self.sheet["sample_id"].to_numpy(), 2 * cells)
        self.obs = pd.DataFrame(
            {
                "sample_id": sample,
                "cell_type": np.tile(np.repeat(["Neuron", "Astrocyte"], cells), m),
                "saturation": rng.uniform(0.5, 0.9, len(sample)),
            },
            index=[f"C{i:05}" for i in range(len(sample))],
        )
        self.config = {
            "samples": "samples.tsv",
            "cell_types": ["Neuron", "Astrocyte"],
            "input": {"counts": "counts.h5ad"},
            "qc": {"min_cells_per_sample": 10},
            "model": {
                "formula": "~ saturation + diagnosis + (1 | sample_id)",
                "test": ["diagnosis"],
                "levels": {"diagnosis": list(levels)},
            },
        }

    def put(self, column, where, value):
        """Write a value into the sheet for some samples, or for all (None)."""
        rows = slice(None) if where is None else self.sheet["sample_id"].isin(where)
        if column in self.sheet and isinstance(value, str):
            self.sheet[column] = self.sheet[column].astype(object)
        self.sheet.loc[rows, column] = value

    def formula(self, text, test=None):
        self.config["model"]["formula"] = text
        if test is not None:
            self.config["model"]["test"] = [test]
            self.config["model"]["levels"] = {}

    def per_cell(self, column):
        """Values of a column of the sheet, for each cell."""
        return self.sheet.set_index("sample_id")[column].loc[self.obs["sample_id"]].to_numpy()

    def write(self):
        self.sheet.to_csv("samples.tsv", sep="\t", index=False)
        if self.obs is not None:
            write_h5ad(self.obs, "counts.h5ad")

    def check(self):
        from nestde.check import check_study
        from nestde.study.config import load

        self.write()
        return check_study(load(copy.deepcopy(self.config)))


def write_h5ad(obs, path):
    obs = obs.copy()
    for name in obs.select_dtypes("object"):
        obs[name] = pd.Categorical(obs[name])
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as root:
        write_elem(root, "obs", obs)
        write_elem(root, "var", pd.DataFrame(index=["G1"]))


def refusal(study, capsys):
    """What `nestde check` says of a study it must refuse, on stderr; exit code 2, nothing printed, nothing written."""
    from nestde.cli import main

    study.write()
    Path("config.yaml").write_text(json.dumps(study.config))
    assert (
        main(["check", "--configfile", "config.yaml", "--out", "check.json", "--samples-out", "out.tsv"]) == 2
    )
    assert not Path("check.json").exists()
    assert not Path("out.tsv").exists()
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def spoilt(studies):
    """A test that each study of `into` is refused in its words, all of them and no other."""

    @pytest.mark.parametrize("name", studies)
    def refused_in_these_words(name, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        spoil, sentences = studies[name]
        study = Study()
        spoil(study)
        assert refusal(study, capsys) == "".join(f"nestde check: {sentence}\n" for sentence in sentences)

    return refused_in_these_words
