"""What one job compiles is all that the fits need."""

import subprocess
import sys

import pytest

CODE = """
import sys
import numpy as np, pandas as pd, scipy.sparse
from nestde.expression.celltype import fit_table, moderate
from nestde.design.design import build_design
from nestde.fit.family import log1p
from nestde.fit import crossproducts, inference, mixture, optimise, points, prior, scalar
from nestde.fit.family.gaussian import FAMILY as GAUSSIAN
from nestde.expression.warmup import compile_kernels
from nestde.fit.grain import grain_of

def compiled():
    return {
        (module.__name__, name, signature)
        for module in (crossproducts, log1p, inference, mixture, optimise, points, prior, scalar)
        for name, kernel in vars(module).items()
        for signature in getattr(kernel, "signatures", [])
    }

formula, terms = sys.argv[1], sys.argv[2:]
compile_kernels(formula, GAUSSIAN)
before = compiled()
rng = np.random.default_rng(1)
cells = np.arange(600)
obs = pd.DataFrame(rng.normal(size=(600, 2)), columns=["x", "z"])
obs = obs.assign(a=cells % 6, b=cells % 24, c=rng.integers(0, 9, 600)).astype(dict.fromkeys("abc", str))
obs["d"] = np.where(cells % 6 < 3, "p", "q")
counts = scipy.sparse.csc_matrix(rng.poisson(2, size=(600, 5)).astype(np.int32))
design = build_design(formula, obs, test=terms)
statistics = GAUSSIAN.sum_up(grain_of(design), counts, rng.uniform(0.5, 2, 600), list("vwxyz"), threads=2)
fit_table(design, statistics, terms, threads=2)
many = scipy.sparse.csc_matrix(rng.poisson(2, size=(600, 200)).astype(np.int32))
names = [str(gene) for gene in range(200)]
moderate(design, GAUSSIAN.sum_up(grain_of(design), many, rng.uniform(0.5, 2, 600), names, threads=2), terms, threads=2)
assert {"_pass", "_log1p", "_every_response", "_solve", "average", "_responsibilities"} <= {name for _, name, _ in before}, before
print(sorted(compiled() - before))
"""


@pytest.mark.parametrize(
    ("formula", "terms"),
    [
        ("~ x + d + (1 | a)", ["d"]),
        ("~ x + d + (0 + x | a)", ["d"]),
        ("~ d * x + (x | a / b)", ["d", "d:x"]),
        ("~ d + (1 | a) + (1 | c)", ["d"]),
        ("~ x + (x || a) + (0 + z | c)", ["x"]),
    ],
)
def test_fits_find_everything_compiled(formula: str, terms: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, formula, *terms], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
