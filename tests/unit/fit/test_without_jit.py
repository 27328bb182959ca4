"""The kernels as plain Python say what the compiled ones say: no result hangs on how numba reads them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse

from nestde.design import design as designs
from nestde.design.contrasts import joint
from nestde.fit import genes
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.fit.inference import f_tests
from nestde.fit.moderated import LEAST_GENES, arms_of, moderate

# Formula, genes: one component and the general kernels, whose every evaluation is slow without compilation.
KINDS = {"single": ("~ x + d + (1 | a)", 4), "nested": ("~ d + (1 | a / b)", 1)}


def numbers() -> dict[str, np.ndarray]:
    """Of a few genes in 24 cells, what each kernel gives."""
    cells = np.arange(24)
    obs = pd.DataFrame({"x": np.sin(cells), "a": cells % 6, "b": cells % 12, "d": cells % 2 == 0})
    obs = obs.astype({"a": str, "b": str}).replace({"d": {True: "Control", False: "AD"}})
    counts = scipy.sparse.csc_matrix(
        np.random.default_rng(1).poisson(1.0 + cells[:, None] % 6 / 4, (24, LEAST_GENES)).astype(np.int32)
    )
    found = {}
    for kind, (formula, few) in KINDS.items():
        design = designs.build_design(formula, obs, test=["d"])
        names = [str(gene) for gene in range(counts.shape[1])]
        statistics = family("gaussian").sum_up(grain_of(design), counts, np.ones(24), names, 1)
        model, sums = statistics.of(slice(few)).model_of(design)
        fits = genes.fit(model, sums, np.eye(design.x.shape[1]), True, threads=1)
        tests = f_tests(fits, [joint(design, "d").rows], threads=1)[0]
        found |= {f"{kind} loglik": fits.loglik, f"{kind} theta": fits.theta, f"{kind} coef": fits.coef}
        found |= {f"{kind} F": tests.kenward_roger.f, f"{kind} df": tests.satterthwaite.df_residual}
        if kind == "single":
            model, sums = statistics.of(slice(16)).model_of(design)
            arms = arms_of(design, "d")
            averaged = moderate(
                model, sums, [joint(design, "d").rows], statistics.mean[:16], arms=arms, threads=1
            )
            found |= {"log p": averaged.tests[0].log_p, "upper": averaged.tests[0].upper}
    return found


def test_the_kernels_as_plain_python_give_the_same_numbers(tmp_path):
    code = f"import numpy, test_without_jit; numpy.savez({str(tmp_path / 'plain.npz')!r}, **test_without_jit.numbers())"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    compiled = numbers()
    with np.load(tmp_path / "plain.npz") as plain:
        assert set(plain.files) == set(compiled)
        for name, value in compiled.items():
            np.testing.assert_allclose(plain[name], value, rtol=1e-7, atol=1e-9, err_msg=name)
