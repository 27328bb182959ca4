"""The page *Validation*: nestde beside its peers, how exact, how fast, how honest and how sharp.

    NESTDE_REAL_DATA=… PYTHONPATH=tests:tests/unit/fit python tests/bench/validation.py

writes `workflow/docs/validation.md`. Values of R's packages are those of `tests/oracle/`; edgeR, limma, lme4 and glmmTMB are run.
`--genes` of a simulated study, `--studies` of a row, `--peers` genes of each study for glmmTMB, which takes long, `--splits` of the real donors.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import beside_pseudobulk
import numpy as np
import pandas as pd
import scipy.sparse
from makers.oracle import FOLDER, SINGLE, case, slopes
from test_inference import at_r_estimates

from nestde.design.contrasts import joint
from nestde.design.design import build_design
from nestde.fit import fit_responses
from nestde.fit.counts import fits as counted
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.fit.methods import method

ROOT = Path(__file__).parents[2]
Largest = dict[tuple[str, str], list[float]]


def linear(largest: Largest) -> None:
    """Differences of linear mixed models from lme4, nlme, lmerTest and pbkrtest."""
    built, y, records = slopes()
    cases = [(*case(name)[:2], [case(name)[2]]) for name in SINGLE] + [(built, y, records)]
    for built, y, records in cases:
        for criterion in ("ml", "reml"):
            fits = fit_responses(built, y, reml=criterion == "reml")
            for g, record in enumerate(records):
                theirs = record[criterion]
                largest["lme4", "log-likelihood, absolute"].append(abs(fits.loglik[g] - theirs["loglik"]))
                coef, se = np.array(list(theirs["coef"].values())), np.array(theirs["se"])
                largest["lme4", "coefficients, in standard errors"].append(
                    np.abs((fits.coef[g] - coef) / se).max()
                )
                largest["lme4", "standard errors, relative"].append(np.abs(fits.se[g] / se - 1).max())
                if theirs.get("nlme"):
                    gained = fits.loglik[g] - theirs["nlme"]["loglik"]
                    largest["nlme", "log-likelihood, by which nestde's is lower"].append(max(-gained, 0.0))
        for g, record in enumerate(records):
            column = y if y.ndim == 1 else y[:, g]
            for row, ours in at_r_estimates(built, column, record["reml"]):
                for package, name, one in zip(
                    ("lmerTest", "pbkrtest"), ("satterthwaite", "kenward_roger"), ours, strict=True
                ):
                    if name in row and row[name]["p"] > 1e-30:
                        df, p = (
                            one.df_residual[0] / row[name]["df"] - 1,
                            np.exp(one.log_p[0]) / row[name]["p"] - 1,
                        )
                        largest[package, "degrees of freedom, relative"].append(abs(df))
                        largest[package, "p-value, relative"].append(abs(p))


def counts(largest: Largest) -> None:
    """Differences of count models from glmmTMB, where it says that it has converged."""
    genes = json.loads((FOLDER / "counts.json").read_text())["genes"]
    cells = pd.read_csv(FOLDER / "data/counts.csv.gz").astype({"sample": str})
    design = build_design("~ x + case + (1 | sample)", cells)
    for name in counted.FAMILIES:
        for offset in ("offset", "wide"):
            chosen = [gene for gene in genes if gene["offset"] == offset]
            model = counted.prepare(design, name, cells[offset].to_numpy())
            matrix = scipy.sparse.csc_array(cells[[gene["gene"] for gene in chosen]].to_numpy())
            full, _ = counted.fit_tests(
                model, counted.data_of(model.cells, matrix), [np.array([[0.0, 0.0, 1.0]])]
            )
            for g in np.flatnonzero(counted.trusted(full.status)):
                end = chosen[g][name]
                if not end["warned"] and isinstance(end["full"], float):
                    lower = max(end["full"] - full.loglik[g], 0.0)
                    largest["glmmTMB", f"log-likelihood, by which nestde's is lower, {name}"].append(lower)


def of_cells(seed: int, per: tuple[int, int], cells: int, genes: int) -> tuple[np.ndarray, np.ndarray, str]:
    """glmmTMB's p-values of the first genes of a study, seconds a gene of lmer's and glmmTMB's pairs, versions."""
    obs = beside_pseudobulk.cells_of(per, cells)
    drawn, _, _ = beside_pseudobulk.simulate(obs, seed)
    total = drawn.sum(axis=1)
    with tempfile.TemporaryDirectory() as folder:
        np.savetxt(Path(folder, "counts.tsv"), drawn[:, :genes].T, "%d", "\t")
        obs.assign(factor=total / total.mean()).to_csv(Path(folder, "cells.tsv"), sep="\t", index=False)
        script = str(Path(__file__).with_name("cells.R"))
        done = subprocess.run(["Rscript", script, folder], check=True, capture_output=True, text=True)
        return (
            np.loadtxt(Path(folder, "glmmtmb.tsv")),
            np.loadtxt(Path(folder, "times.tsv")),
            done.stdout.strip(),
        )


def own_seconds(per: tuple[int, int], cells: int) -> dict[str, float]:
    """Processor seconds a gene of nestde's pairs of fits on the same cells, kernels compiled."""
    obs = beside_pseudobulk.cells_of(per, cells)
    drawn, _, _ = beside_pseudobulk.simulate(obs, 3)
    design = build_design(beside_pseudobulk.FORMULA, obs, test=["arm"])
    names, factor = (
        np.array([f"g{i}" for i in range(drawn.shape[1])], object),
        drawn.sum(axis=1) / drawn.sum(axis=1).mean(),
    )
    sparse, seconds = scipy.sparse.csc_array(drawn), {}
    for name, way in (("gaussian", "lrt"), ("negative_binomial", "lrt_f")):
        for _ in range(2):  # the second time kernels are there
            began = time.process_time()
            fitted = family(name).sum_up(grain_of(design), sparse, factor, names, 1).fitted(design, 1)
            method(way, fitted.statistics.family.engine).test(fitted, [joint(design, "arm")])  # which fits
            seconds[name] = (time.process_time() - began) / drawn.shape[1]
    return seconds


def exact(_: argparse.Namespace) -> list[str]:
    """Largest differences from the oracles."""
    largest: Largest = defaultdict(list)
    linear(largest)
    counts(largest)
    return [
        "## How exact",
        "",
        "The largest difference over all cases of `tests/oracle/`, whose README has versions, scripts and how R's optimum was found. Tests hold bounds on them. glmmTMB's are of genes where it warns of nothing.",
        "",
        "| beside | of | fits | largest difference |",
        "|---|---|---|---|",
        *(
            f"| {peer} | {what} | {len(found):,} | {max(found):.1e} |"
            for (peer, what), found in largest.items()
        ),
        "",
    ]


def simulated(options: argparse.Namespace) -> list[str]:
    """Time, and size and power on a simulated cohort."""
    beside_pseudobulk.GENES = options.genes
    lines: list[str] = []
    seconds, rows, versions, times = own_seconds((3, 3), 50), [], "", np.zeros(2)
    for per in ((3, 3), (6, 6)):
        obs = beside_pseudobulk.cells_of(per, 50)
        found: dict[str, list[np.ndarray]] = defaultdict(list)
        true, true_few = [], []
        for study in range(options.studies):
            p, differ, _ = beside_pseudobulk.study(obs, 3 + study)
            for name, of_study in p.items():
                found[name].append(of_study)
            true.append(differ)
            if options.peers:
                few, taken, versions = of_cells(3 + study, per, 50, options.peers)
                times = taken if per == (3, 3) and study == 0 else times
                found["glmmTMB"].append(few)
                true_few.append(differ[: options.peers])
        for name, of_studies in found.items():
            told = beside_pseudobulk.shares(of_studies, true_few if name == "glmmTMB" else true)
            rows.append((f"{per[0]} v {per[1]}", name, sum(len(p) for p in of_studies), told))
    if options.peers:
        lines += [
            "## How fast",
            "",
            "Processor milliseconds a gene of both fits, with and without the tested term: 3 v 3 samples of 50 cells, kernels compiled, the machine busy with other work "
            f"({versions}).",
            "",
            "| model | nestde | peer |",
            "|---|---|---|",
            f"| linear | {1e3 * seconds['gaussian']:.2f} | lme4 {1e3 * times[0]:.0f} |",
            f"| negative binomial | {1e3 * seconds['negative_binomial']:.2f} | glmmTMB {1e3 * times[1]:.0f} |",
            "",
        ]
    sure = 1.96 * np.sqrt(0.05 * 0.95 / (0.9 * options.genes * options.studies))
    lines += [
        "## How honest, and how sharp: a simulated cohort",
        "",
        "Gamma–Poisson cells, 50 a sample, log-normal donors, a tenth of the genes differ by .2 to 1.2 (natural log): null genes with p below .05 / .01 / .001; true "
        f"differences found at a false discovery rate of 5 % (in brackets what of the found was false). A size of .05 is sure to ± {sure:.3f} here; more designs and more genes: [beside pseudobulk](inference.md#beside-pseudobulk).",
        "",
        "| samples | p-value | genes | size; found (false) |",
        "|---|---|---|---|",
        *(f"| {samples} | {name} | {many:,} | {told} |" for samples, name, many, told in rows),
        "",
        "glmmTMB's is Wald's z, as its summary gives it, of so few genes that it tells no more than that it is sane. NEBULA and dream (variancePartition) were not to be had where this was made: they were not run.",
        "",
    ]
    return lines


def real(options: argparse.Namespace) -> list[str]:
    """Size and recall on real donors."""
    command = [sys.executable, str(Path(__file__).with_name("real_donors.py"))]
    how = (
        "Kang's B cells ([how](inference.md#beside-pseudobulk)), `tests/bench/real_donors.py`, a few splits of the donors: first one arm against itself, where nothing "
        "differs, then stimulated donors against others, unpaired. glmmTMB takes about a second a gene, too long here."
    )
    lines = ["## A real cohort", "", how, ""]
    for what in ("null", "recall"):
        told = [*command, what, "--splits", str(options.splits)]
        done = subprocess.run(told, check=True, capture_output=True, text=True)
        # R tells its versions between the rows
        lines += [row for row in done.stdout.splitlines() if not row.startswith("edgeR")] + [""]
    return lines


PARTS = {"exact": exact, "simulated": simulated, "real": real}


def main(options: argparse.Namespace) -> None:
    """Write the page."""
    only = "" if list(options.parts) == list(PARTS) else f" --parts {' '.join(options.parts)}"
    command = f"NESTDE_REAL_DATA=… PYTHONPATH=tests:tests/unit/fit python tests/bench/validation.py{only}"
    lines = ["# Validation", "", f"Written by `{command}`, all of it: the same command makes it again.", ""]
    for part in options.parts:
        lines += PARTS[part](options)
    Path(ROOT / "workflow/docs/validation.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("genes", 2000), ("studies", 1), ("peers", 20), ("splits", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    main(parser.parse_args())
