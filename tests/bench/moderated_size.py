"""Size and power of the moderated test beside the others, on Gaussian genes: the table that the docs show.

    python tests/bench/moderated_size.py [--genes 44000] [--only nested]

A row is a design and a law of the intraclass correlation. Sums over samples are simulated directly, so cells cost nothing. A
tenth of the genes differ, by 0.3 to 1.2 residual SDs; all genes make the prior. Size is the share of null genes with p below
.05 / .01 / .001; `singular` that share at .05 among genes whose variance between samples is estimated as zero; `BH` the share
of true genes found at a false-discovery rate of 5 %, and the share of false ones among the found. Satterthwaite and
Kenward–Roger are shown for the first genes only; they, and the likelihood ratio of several variances, take most of the time.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from nestde.design import design as designs
from nestde.fit import genes
from nestde.fit.crossproducts import Sums, collect
from nestde.fit.genes import FitModel, fit, ratio
from nestde.fit.inference import f_tests
from nestde.fit.moderated import arms_of, moderate

LEVELS = (0.05, 0.01, 0.001)
FEW = 4000


@dataclass(frozen=True)
class Case:
    """A design: its formula, samples with their columns, and the SDs of its random effects for each gene."""

    name: str
    formula: str
    test: str
    samples: pd.DataFrame
    ratio: float = 1.0  # of the variance between samples of the last level to that of the first


def two(per: tuple[int, int], cells: object, seed: int = 1) -> pd.DataFrame:
    """Samples of two diagnoses; `cells` is a number, a range to draw from, or a list."""
    rng = np.random.default_rng(seed)
    total = sum(per)
    number = rng.integers(*cells, total) if isinstance(cells, tuple) else np.broadcast_to(cells, total)
    return pd.DataFrame(
        {"cells": number, "diagnosis": np.repeat(["C", "P"], per), "age": rng.normal(size=total)}
    ).assign(sample=[f"s{i}" for i in range(total)])


def donors(count: int, cells: object, within: bool, seed: int = 2) -> pd.DataFrame:
    """Two samples of each donor; the diagnosis is the donor's, or differs within donors."""
    table = two((count, count), cells, seed)
    donor = np.repeat(np.arange(count), 2)
    arm = np.tile([0, 1], count) if within else (donor >= count // 2).astype(int)
    return table.assign(donor=[f"d{i}" for i in donor], diagnosis=np.array(["C", "P"])[arm])


def cases() -> list[Case]:
    one, mixed = "~ diagnosis + (1 | sample)", (10, 201)
    shapes = {
        "3 v 3, 50 cells": two((3, 3), 50),
        "3 v 3, 10–200 cells": two((3, 3), mixed),
        "3 v 3, 20 v 200 cells": two((3, 3), [20] * 3 + [200] * 3),
        "4 v 3, 10–200 cells": two((4, 3), mixed),
        "6 v 6, 50 cells": two((6, 6), 50),
        "6 v 6, 10–200 cells": two((6, 6), mixed),
        "12 v 12, 10–200 cells": two((12, 12), mixed),
    }
    found = [Case(name, one, "diagnosis", table) for name, table in shapes.items()]
    for factor in (4.0, 0.25):
        for name in ("3 v 3, 50 cells", "3 v 3, 20 v 200 cells", "6 v 6, 10–200 cells"):
            found.append(
                Case(f"{name}, P's donor variance × {factor:g}", one, "diagnosis", shapes[name], factor)
            )
    three = two((6, 6), mixed).assign(diagnosis=np.repeat(["C", "P", "Q"], 4))
    for factor in (1.0, 4.0):
        found.append(
            Case(f"4 v 4 v 4, 10–200 cells, Q's donor variance × {factor:g}", one, "diagnosis", three, factor)
        )
    four = two((6, 6), mixed).assign(diagnosis=np.repeat(["C", "P", "Q", "R"], 3))
    for factor in (1.0, 4.0):
        name = f"3 v 3 v 3 v 3, 10–200 cells, R's donor variance × {factor:g}"
        found.append(Case(name, one, "diagnosis", four, factor))
    found += [
        Case("6 v 6, two covariates", "~ depth + age + diagnosis + (1 | sample)", "diagnosis", two((6, 6), mixed)),
        Case("nested, 3 v 3 donors × 2, 50 cells", "~ diagnosis + (1 | donor/sample)", "diagnosis", donors(6, 50, False)),
        Case("nested, 3 v 3 donors × 2, 10–200", "~ diagnosis + (1 | donor/sample)", "diagnosis", donors(6, mixed, False)),
        Case("paired, 4 donors, 50 cells", "~ diagnosis + (1 | donor) + (1 | sample)", "diagnosis", donors(4, 50, True)),
        Case("paired, 8 donors, 10–200, age", "~ age + diagnosis + (1 | donor) + (1 | sample)", "diagnosis", donors(8, mixed, True)),
        Case("slope, 3 v 3, 10–200 cells", "~ diagnosis * depth + (1 + depth | sample)", "diagnosis:depth", two((3, 3), mixed)),
        Case("slope, 6 v 6, 10–200 cells", "~ diagnosis * depth + (1 + depth | sample)", "diagnosis:depth", two((6, 6), mixed)),
    ]  # fmt: skip
    return found


def icc_law(name: str, rng: np.random.Generator, count: int) -> np.ndarray:
    """ψ of each gene."""
    if name == "mixed":  # a fifth without any, the rest around 0.03
        return np.where(rng.random(count) < 0.2, 0.0, rng.lognormal(np.log(0.03), 1.2, count))
    return np.full(count, float(name) / (1 - float(name)))


def simulate(case: Case, law: str, count: int, effect: np.ndarray, seed: int) -> tuple[FitModel, Sums]:
    """A design, and the sums of genes with random effects of each of its factors."""
    rng = np.random.default_rng(seed)
    frame = case.samples.loc[case.samples.index.repeat(case.samples["cells"])].reset_index(drop=True)
    frame["depth"] = rng.normal(size=len(frame))
    order = sorted(frame["diagnosis"].unique())
    built = designs.build_design(case.formula, frame, test=[case.test], levels={"diagnosis": order})
    model = genes.prepare(built)
    leaf, width = model.leaf, 1 + model.leaf.grain.f.shape[1]
    # within a leaf y is U γ + noise, U = [1, F]
    uu = np.empty((len(leaf.mean), width, width))
    u = np.hstack([np.ones((built.n, 1)), leaf.grain.f])
    for i, j in np.ndindex(width, width):
        uu[:, i, j] = np.bincount(leaf.grain.code, u[:, i] * u[:, j], len(uu))
    noise = rng.normal(size=(count, len(uu), width))
    values, vectors = np.linalg.eigh(uu)
    real = values > 1e-9 * values.max(axis=1, keepdims=True)  # one column of F may do within a leaf
    root = vectors * np.where(real, 1.0 / np.sqrt(np.where(real, values, 1.0)), 0.0)[:, None]
    gamma = np.einsum("lij,glj->gli", root, noise)
    column = 0
    last = (frame["diagnosis"] == order[-1]).to_numpy()
    for f, factor in enumerate(built.random):
        arm = np.bincount(factor.codes, last, len(factor.levels)) / np.bincount(factor.codes)
        scale = np.sqrt(np.where(arm == 1, case.ratio, 1.0))[leaf.groups[f]]
        for i in range(len(factor.effects)):
            drawn = rng.normal(size=(count, len(factor.levels)))[:, leaf.groups[f]]
            drawn *= np.sqrt(icc_law(law, rng, count))[:, None] * scale
            gamma[:, :, 0] += drawn * leaf.mean[:, column + i]
            gamma[:, :, 1:] += drawn[:, :, None] * leaf.within[:, :, column + i]
        column += len(factor.effects)
    j = built.tests[case.test][-1]
    q_of = column + np.arange(built.x.shape[1])
    along = model.basis.r[:, j]
    gamma[:, :, 0] += effect[:, None] * (leaf.mean[:, q_of] @ along)
    gamma[:, :, 1:] += effect[:, None, None] * (leaf.within[:, :, q_of] @ along)
    t = np.einsum("lij,glj->gli", uu, gamma)
    squares = (t * gamma).sum(axis=2) + rng.chisquare(
        np.bincount(leaf.grain.code) - real.sum(axis=1), (count, len(uu))
    )
    return model, collect(built, leaf, np.ascontiguousarray(t), squares)


def first_of(sums: Sums, count: int) -> Sums:
    return Sums(tuple(z[:count] for z in sums.zy), *(getattr(sums, n)[:count] for n in ("qy", "yy", "shift", "rounding")))  # fmt: skip


def run(case: Case, law: str, count: int) -> None:
    """Print one row of the table."""
    rng = np.random.default_rng(99)
    true = rng.random(count) < 0.1
    effect = np.where(true, rng.uniform(0.3, 1.2, count) * rng.choice([-1, 1], count), 0.0)
    model, sums = simulate(case, law, count, effect, 5)
    rows = np.eye(model.design.x.shape[1])[list(model.design.tests[case.test])]
    every = np.eye(model.design.x.shape[1])
    kept = np.delete(every, list(model.design.tests[case.test]), axis=1)
    begin = time.process_time()
    p = {"moderated": moderate(model, sums, [rows], np.zeros(count), threads=1).tests[0].log_p}
    cost = [time.process_time() - begin]
    arms = arms_of(model.design, case.test)
    if arms:
        p["by arm"] = moderate(model, sums, [rows], np.zeros(count), arms=arms, threads=1).tests[0].log_p
        cost.append(time.process_time() - begin - cost[0])
    several = len(model.basis.theta) > 1
    fitted = first_of(sums, FEW if several else count)
    p["LRT"] = ratio(
        fit(model, fitted, every, False, threads=1), fit(model, fitted, kept, False, threads=1)
    ).log_p
    reml = fit(model, first_of(sums, FEW), every, True, threads=1)
    tests = f_tests(reml, [rows], threads=1)[0]
    p["Satterthwaite"], p["KR"] = tests.satterthwaite.log_p, tests.kenward_roger.log_p
    none = fit(model, fitted, every, True, threads=1).status == "singular"
    cells = []
    for name in ("moderated", "by arm", "LRT", "Satterthwaite", "KR"):
        if name not in p:
            cells.append("–")
            continue
        log_p, null = p[name], ~true[: len(p[name])]
        size = "/".join(f"{np.mean(log_p[null] < np.log(level)):.4f}".lstrip("0") for level in LEVELS)
        seen = min(len(none), len(log_p))
        singular = log_p[:seen][none[:seen] & null[:seen]]
        size += f"; {np.mean(singular < np.log(0.05)):.2f}" if len(singular) > 100 else "; –"
        if len(log_p) == count:
            hit = stats.false_discovery_control(np.exp(log_p)) <= 0.05
            size += f"; {np.mean(hit[true]):.2f} ({np.sum(hit & ~true) / max(hit.sum(), 1):.2f})"
        cells.append(size)
    print(
        f"| {case.name} | {law} | {' | '.join(cells)} | {', '.join(f'{t:.1f}' for t in cost)} |", flush=True
    )


def main(chosen: Callable[[Case], bool], count: int) -> None:
    """Print the table as Markdown."""
    print("size at .05/.01/.001; at .05 among singular genes; true found at BH 5 % (false among the found)\n")
    print(
        "| design | ICC | moderated | moderated, variance by arm | LRT | Satterthwaite | Kenward–Roger | CPU s |"
    )
    print("|---" * 8 + "|", flush=True)
    for case in filter(chosen, cases()):
        plain = case.formula == "~ diagnosis + (1 | sample)" and case.ratio == 1 and "4 v 4" not in case.name
        for law in ("0", "0.01", "0.1", "mixed") if plain else ("mixed",):
            run(case, law, count)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--genes", type=int, default=44_000)
    parser.add_argument("--only", default="", help="designs whose name holds this")
    options = parser.parse_args()
    main(lambda case: options.only in case.name, options.genes)
