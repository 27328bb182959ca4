"""Size of the report's page, seconds to make and to open it: genes of several cell types, of which not all are tested.

    python tests/bench/report_size.py [genes] [cell types] [samples] [share tested]

Prints a row of a table. Needs Chromium to open the page.
"""

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from makers import chromium

from nestde import report
from nestde.expression.tables import adjust
from nestde.io.files import write_json, write_tsv
from nestde.study import config


def rows(random: np.random.Generator, cell_type: str, genes: int, share: float) -> pd.DataFrame:
    """A table of a cell type: log-normal expression, one gene in thirty that differs."""
    names = [f"GENE{i:05d}" for i in range(genes)]
    mean = np.exp(random.normal(-1.5, 2, genes))
    tested = mean >= np.quantile(mean, 1 - share)
    se = random.gamma(4, 0.02, genes)
    coef = random.normal(0, 1, genes) * se + (random.random(genes) < 1 / 30) * random.normal(0, 0.5, genes)
    height = -np.log10(2) - np.log10(np.maximum(1e-300, 0.5 * np.exp(-0.5 * (coef / se) ** 2)))
    p = np.where(tested, np.minimum(1, 10.0**-height), np.nan)
    values = {
        "gene": names,
        "gene_id": [f"ENSG{i:011d}" for i in range(genes)],
        "cell_type": cell_type,
        "term": "diagnosis",
        "level": np.where(tested, "AD", ""),
        "against": np.where(tested, "Control", ""),
        "status": np.where(tested, np.where(random.random(genes) < 0.2, "singular", "ok"), "not_testable"),
        "reason": np.where(tested, "", "in fewer than 2 % of cells"),
        "n_cells": 1000,
        "n_samples": 24,
        "mean_Control": mean,
        "detected_Control": 1 - np.exp(-mean),
        "mean_AD": mean * np.exp(coef),
        "detected_AD": 1 - np.exp(-mean * np.exp(coef)),
        "coef": coef,
        "se": se,
        "log2fc": coef / np.log(2),
        "pvalue": p,
        "neg_log10_pvalue": np.where(tested, -np.log10(p), np.nan),
        "pvalue_by": np.where(tested, "moderated", ""),
        "icc": random.beta(0.4, 8, genes),
        "lower_moderated": coef - 2 * se,
        "upper_moderated": coef + 2 * se,
    }
    for way in ("lrt", "satterthwaite", "kenward_roger", "containment", "means"):
        values[f"pvalue_{way}"] = np.minimum(1, p * random.lognormal(0, 0.2, genes))
    return pd.DataFrame(values)


def fill(folder: Path, genes: int, types: int, samples: int, share: float) -> "config.Config":
    """Write a results folder; return the configuration that it is of."""
    random = np.random.default_rng(1)
    names, donors = [f"Type{i}" for i in range(types)], [f"S{i:02d}" for i in range(samples)]
    tables = adjust({name: rows(random, name, genes, share) for name in names})
    levels = dict(zip(donors, ["Control", "AD"] * samples, strict=False))
    for name, table in tables.items():
        write_tsv(table, folder / f"de/{name}.tsv")
        mean = table["mean_Control"].to_numpy()[:, None]
        cpm = random.poisson(mean * 300 * random.lognormal(0, 0.3, (genes, samples))) / 3
        bulk = pd.DataFrame(cpm, columns=[f"cpm_{donor}" for donor in donors]).assign(gene=table["gene"])
        write_tsv(bulk, folder / f"pseudobulk/{name}.tsv")
        theirs = table[["gene", "term", "level", "against", "log2fc", "pvalue", "padj"]]
        write_tsv(theirs, folder / f"pseudobulk/{name}.de.tsv")
        about = {"cell_type": name, "formula": "~ diagnosis", "samples": donors, "covariates": []}
        scores = random.normal(size=(samples, 2)).tolist()
        apart = np.abs(np.subtract.outer(np.arange(samples), np.arange(samples))).tolist()
        write_json(
            about | {"pca": {"variance": [0.4, 0.2], "scores": scores}, "distances": apart},
            folder / f"pseudobulk/{name}.json",
        )
        cells = {donor: int(random.integers(20, 300)) for donor in donors}
        of = {level: {d: n for d, n in cells.items() if levels[d] == level} for level in ("Control", "AD")}
        design = {
            "testable": True,
            "cells": sum(cells.values()),
            "cells_per_sample": cells,
            "levels_of": {"diagnosis": of},
        }
        design |= {"coefficients": ["(Intercept)", "diagnosis[AD]"], "tests": []}
        design["random"] = [{"name": "sample_id", "effects": ["(Intercept)"], "blocks": [0]}]
        write_json(design, folder / f"design/{name}.json")
    write_tsv(
        pd.DataFrame({"sample_id": donors, "diagnosis": [levels[d] for d in donors]}),
        folder / "cohort/samples.tsv",
    )
    model = {
        "formula": "~ diagnosis + (1 | sample_id)",
        "test": ["diagnosis"],
        "levels": {"diagnosis": ["Control", "AD"]},
    }
    return config.load({"title": f"{types} cell types", "cell_types": names, "model": model})


def main(genes: int = 36_000, types: int = 12, samples: int = 24, share: float = 0.45) -> None:
    """Make the page, open it, print what it took."""
    with TemporaryDirectory() as given:
        folder = Path(given) / "results"
        settings = fill(folder, genes, types, samples, share)
        began = time.monotonic()
        report.write(settings, folder, folder / "report/content")
        written = time.monotonic()
        content = str(folder / "report/content")
        command = [
            sys.executable,
            "-m",
            "multiqc",
            content,
            "--config",
            f"{content}/multiqc_config.yaml",
            "--force",
            "--no-data-dir",
        ]
        subprocess.run(
            [*command, "--outdir", str(folder / "report"), "--filename", "multiqc.html"],
            check=True,
            capture_output=True,
        )
        made, page = time.monotonic(), folder / "report/multiqc.html"
        with chromium.page() as tab:
            tab.look(1400, 1000)
            tab.open(page)  # the browser's own first seconds are not the page's
            start = time.monotonic()
            tab.open(page)
            opened = time.monotonic() - start
            tab.until("document.documentElement.dataset.nestde === 'ready'")
            ready = time.monotonic() - start
            assert (tab.faults, tab.asked) == ([], [])
            if len(sys.argv) > 5:
                tab.picture(Path(sys.argv[5]), whole=True)
        print("| genes | cell types | samples | tested | content s | MultiQC s | MB | open s | ready s |")
        size = page.stat().st_size / 1e6
        print(
            f"| {genes:,} | {types} | {samples} | {share:g} | {written - began:.0f} | {made - written:.0f} | {size:.1f} | {opened:.1f} | {ready:.1f} |"
        )


if __name__ == "__main__":
    main(*(kind(given) for kind, given in zip((int, int, int, float), sys.argv[1:5], strict=False)))
