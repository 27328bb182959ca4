"""Whatever columns and levels are called, tables are equal but for the names."""

import numpy as np
import pandas as pd
import pytest
from makers import public

from nestde.api.de import de
from nestde.design.expressions import quoted

LEVELS = ["Control", "MCI", "AD"]


def table(covariate, factor, levels):
    """The tables of three levels and a covariate, as they are called."""
    data = public.made(
        public.sheet_of({"Control": 3, "MCI": 3, "AD": 3}), {"n": [20] * 9}, tested="diagnosis", genes=40
    )
    data.obs["sample_id"] = data.obs.pop("sample")
    of = dict(zip(LEVELS, levels, strict=True))
    data.obs[factor] = data.obs.pop("diagnosis").map(of).astype(str)
    data.obs[covariate] = data.obs.pop("sex")
    formula = f"~ {quoted(covariate)} + {quoted(factor)} + (1 | sample_id)"
    found = de(data, formula, test=quoted(factor), cell_type_key="type", levels={factor: levels}, threads=1)
    back = {name: level for level, name in of.items()}
    found[["level", "against"]] = found[["level", "against"]].replace(back)
    return found.sort_values(["gene", "level", "against"], ignore_index=True)


@pytest.fixture(scope="module")
def plain():
    return table("sex", "diagnosis", LEVELS)


@pytest.mark.parametrize(
    ("covariate", "factor", "levels"),
    [
        ("the sex", "Disease Status", ["no disease", "a:b", "x[y]"]),
        ("C(x)", "a:b", ["1", "2", "3"]),
        ("status", "gene", ["mean", "var", "~"]),
        ("_z", "Krankheit (\u00e4)", ["-", "+", "*"]),
    ],
)
def test_tables_are_equal_but_for_the_names(plain, covariate, factor, levels):
    """With a blank in the name of what is tested, `against` and `log2fc` were empty."""
    found = table(covariate, factor, levels)
    assert len(found) == len(plain)
    pd.testing.assert_frame_equal(found[["gene", "level", "against"]], plain[["gene", "level", "against"]])
    for name in ("log2fc", "coef", "se", "pvalue", "padj", "padj_level", "sigma", "icc"):
        np.testing.assert_allclose(found[name], plain[name], rtol=1e-9, err_msg=name)
    assert plain["log2fc"].notna().any()
