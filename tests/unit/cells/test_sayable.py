"""What init writes, check takes: missing diagnoses, NA as R writes it, names that a sheet would not give back."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from makers import public

from nestde.cells.guess import guess_study
from nestde.cells.sayable import odd_values
from nestde.cli import main
from nestde.errors import NestdeError


def study(levels: tuple[str, ...] = ("Control", "AD"), samples: int = 3) -> ad.AnnData:
    sheet = public.sheet_of(dict.fromkeys(levels, samples))
    data = public.made(sheet, {"Neuron": [15] * samples * len(levels)}, tested="diagnosis", genes=60)
    data.obs = data.obs.rename(columns={"sample": "sample_id", "type": "cell_type"})
    return data


def written(data: ad.AnnData, folder: Path) -> Path:
    path = folder / "x.h5ad"
    data.write_h5ad(path)
    return path


@pytest.mark.parametrize("missing", ["NaN", "NA", "coded"])
def test_samples_without_a_diagnosis_are_left_out_and_the_check_takes_it(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check refused a sheet with empty fields that init had written itself."""
    monkeypatch.chdir(tmp_path)
    data = study(("0", "1", "9") if missing == "coded" else ("Control", "AD", "gone"))
    of = data.obs["diagnosis"]
    if missing == "coded":
        data.obs["diagnosis"] = of.replace({"9": np.nan}).astype(float)
    else:
        data.obs["diagnosis"] = of.replace({"gone": "NA" if missing == "NA" else np.nan})
    assert main(["init", "study", "--from", str(written(data, tmp_path))]) == 0
    assert "3 samples without a diagnosis left out (input.keep): P07, P08, P09" in capsys.readouterr().out
    monkeypatch.chdir("study")
    assert main(["check"]) == 0
    assert "6 samples, 90 cells" in capsys.readouterr().out


def test_cells_of_a_sample_called_na_are_of_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = study()
    data.obs["sample_id"] = data.obs["sample_id"].replace({"P03": "NA"})
    assert main(["init", "study", "--from", str(written(data, tmp_path))]) == 0
    monkeypatch.chdir("study")
    assert main(["check"]) == 0


@pytest.mark.parametrize(
    ("column", "value"), [("sample_id", "P01 "), ("diagnosis", '"AD"'), ("sample_id", "a\tb")]
)
def test_names_that_a_sheet_would_not_give_back_are_refused_before_it_is_written(
    column: str, value: str, tmp_path: Path
) -> None:
    data = study()
    data.obs[column] = data.obs[column].replace({data.obs[column].iloc[0]: value})
    with pytest.raises(NestdeError, match=f"{column} has values that no sample sheet gives back") as error:
        guess_study(written(data, tmp_path))
    assert repr(value) in str(error.value)


def test_other_columns_of_such_values_are_left_out(tmp_path: Path) -> None:
    data = study()
    data.obs["site"] = data.obs["sex"].map({"F": '"A"', "M": " b"})
    guess = guess_study(written(data, tmp_path))
    assert "site" not in guess.sheet and any("left out, for a quote" in remark for remark in guess.remarks)


def test_what_is_odd() -> None:
    fine = ['5" needle', "it's", "a b", "NA", "-", ".", "β"]
    odd = [" a", "a ", '"', '"a"', "a\tb", "a\nb", ""]
    assert odd_values([*fine, *odd, 1, None, pd.NA]) == odd
