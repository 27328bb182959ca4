"""Size and power of count models on whole transcriptomes, beside edgeR and limma: a table for workflow/docs/counts.md.

    python tests/bench/count_transcriptome.py                # every row, hours of one core
    python tests/bench/count_transcriptome.py --only "3 v 3" # rows whose name has that
    python tests/bench/count_transcriptome.py --null 3000    # of half as many genes

Cells are drawn as in count_size.py, but means of genes run from .02 to 10, log-uniformly: 6,000 null genes and a third as many of log fold change .5 (of
either sign) a row. edgeR (quasi-likelihood) and limma (trend), both robust, see the samples' sums; the linear model sees
ln(1 + counts per 10,000) and has no term for depth. R with edgeR and limma is needed.
"""

import argparse
import itertools
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse

from nestde.design.contrasts import contrasts
from nestde.design.design import build_design
from nestde.fit.family import family
from nestde.fit.grain import grain_of
from nestde.fit.methods import method

NULL, EFFECT = 6000, 0.5
PEERS = """
suppressMessages({library(edgeR); library(limma)})
counts <- as.matrix(read.table("sums.tsv")); case <- scan("case.tsv", quiet = TRUE)
y <- calcNormFactors(DGEList(counts)); design <- model.matrix(~ case)
y <- estimateDisp(y, design, robust = TRUE)
edger <- glmQLFTest(glmQLFit(y, design, robust = TRUE), coef = 2)$table$PValue
trend <- eBayes(lmFit(cpm(y, log = TRUE, prior.count = 3), design), trend = TRUE, robust = TRUE)$p.value[, 2]
write.table(cbind(edger, trend), "p.tsv", row.names = FALSE, col.names = FALSE)
"""


def simulate(per, unequal, seed, depth, nulls):
    """Cells, library sizes, (n, genes) counts, which genes are null."""
    random = np.random.default_rng(seed)
    samples, genes = 2 * per, nulls + nulls // 3
    sizes = random.integers(10, 201, samples) if unequal else random.integers(50, 101, samples)
    sample = np.repeat(np.arange(samples), sizes)
    case = np.repeat([0.0, 1.0], per)[sample]
    library = np.exp(random.normal(np.log(5000), 0.4, len(sample)) + random.normal(0, 0.2, samples)[sample])
    library *= np.where(case == 1, depth, 1.0)
    null = np.arange(genes) < nulls
    mean = np.exp(random.uniform(np.log(0.02), np.log(10), genes))
    sd = np.where(random.random(genes) < 0.2, 0.0, 0.25 * np.exp(random.normal(0, 0.6, genes)))
    dispersion = 0.5 * np.exp(random.normal(0, 0.5, genes))
    effect = np.where(null, 0.0, EFFECT * random.choice([-1, 1], genes))
    columns = []
    for g in range(genes):
        mu = (
            library
            / 5000
            * mean[g]
            * np.exp((random.normal(0, 1, samples) * sd[g])[sample] + effect[g] * case)
        )
        shape = 1 / dispersion[g]
        columns.append(
            scipy.sparse.csc_array(random.poisson(mu * random.gamma(shape, 1 / shape, len(mu)))[:, None])
        )
    obs = pd.DataFrame({"sample": [f"S{s:03d}" for s in sample], "case": case})
    return obs, library, scipy.sparse.csc_array(scipy.sparse.hstack(columns)), null


def peers(obs, counts):
    """(genes, 2) p-values of edgeR and limma-trend."""
    code, names = pd.factorize(obs["sample"])
    sums = (scipy.sparse.csr_array(np.eye(len(names))[code].T) @ counts).toarray()
    with tempfile.TemporaryDirectory() as folder:
        np.savetxt(Path(folder, "sums.tsv"), sums.T, "%d")
        np.savetxt(Path(folder, "case.tsv"), obs.groupby(code)["case"].first())
        subprocess.run(["Rscript", "-e", PEERS], cwd=folder, check=True)
        return np.loadtxt(Path(folder, "p.tsv"))


def ways(obs, library, counts):
    """Name of each way -> (genes,) p."""
    design = build_design("~ case + (1 | sample)", obs, test=["case"])
    names = [str(gene) for gene in range(counts.shape[1])]
    found = {}
    for name, heads in (
        ("negative_binomial", {"lrt": "NB, χ²", "lrt_f": "NB, F", "moderated": "**NB, moderated**"}),
        ("gaussian", {"moderated": "linear, moderated"}),
    ):
        of = family(name)
        fitted = of.sum_up(grain_of(design), counts, library / 1e4, names, 1).fitted(design, 1)
        for by, head in heads.items():
            (tested,) = method(by, of.engine).test(fitted, [contrasts(design, "case")[0]])
            found[head] = np.exp(tested.log_p)
    edger, trend = peers(obs, counts).T
    return found | {"edgeR QL": edger, "limma-trend": trend}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--null", type=int, default=NULL)
    arguments = parser.parse_args()
    rows = list(itertools.product((3, 6, 12), (False, True), (1.0,)))
    rows += list(itertools.product((6,), (False,), (1.5, 2.0)))
    heads = False
    for per, unequal, depth in rows:
        name = f"{per} v {per}, {'10–200' if unequal else '50–100'} cells" + f", × {depth:g}" * (depth > 1)
        if arguments.only not in name:
            continue
        obs, library, counts, null = simulate(
            per, unequal, 100 * per + unequal + int(10 * depth), depth, arguments.null
        )
        found = ways(obs, library, counts)
        # genes that every way tests
        known = np.all([np.isfinite(p) for p in found.values()], axis=0)
        if not heads:
            print(
                f"| samples, cells a sample, depth | genes | {' | '.join(found)} |\n|{'---|' * (2 + len(found))}"
            )
            heads = True
        cells = []
        for p in found.values():
            size = "/".join(f"{(p[known & null] <= alpha).mean():.4f}"[1:] for alpha in (0.05, 0.001))
            cells.append(f"{size}; {(p[known & ~null] <= 0.05).mean():.3f}".replace("; 0", "; "))
        print(f"| {name} | {known.sum():,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
