"""A small study on disk for tests: two samples per diagnosis, two cell types, known counts."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import scipy.sparse as sp

from nestde.cells.covariates import read_obs, read_uns
from nestde.cells.roster import Comparison
from nestde.design.cellwise import Cellwise
from nestde.io.files import slugs, write_tsv
from nestde.io.layout import BESIDE, CONTENT, INTERMEDIATES, RESULTS
from nestde.study.config import load
from nestde.study.samples import covariates_of, read_checked

TABLES = {
    "genes": "genes",
    "moderated": "moderated",
    "out": "de",
    "parquet": "de_typed",
}  # of `nestde gather`
SAMPLES = ["S1", "S2", "S3", "S4"]


def cells(n=40, genes=30, seed=0, samples=SAMPLES):
    """n cells of each sample, shuffled; X int32 csr."""
    rng = np.random.default_rng(seed)
    total = n * len(samples)
    counts = rng.poisson(0.3 + rng.gamma(1.0, 2.0, genes), (total, genes)).astype(np.int32)
    sample = rng.permutation(np.repeat(samples, n))
    obs = pd.DataFrame(
        {
            "sample_id": pd.Categorical(sample),
            "cell_type": pd.Categorical(np.array(["T cell", "B/cell"])[rng.integers(0, 2, total)]),
            "sequencing_saturation": rng.uniform(0.3, 0.9, total),
        },
        index=[f"C{i:04d}-1" for i in range(total)],
    )
    names = [f"G{i}" for i in range(genes - 2)] + ["MT-CO1", "RPS6"]
    return ad.AnnData(sp.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=names))


def config(**changes):
    """A configuration with everything given, sections merged with the changes."""
    given = {
        "cell_types": ["T cell", "B/cell"],
        "input": {"counts": "counts.h5ad"},
        "qc": {"enabled": False, "min_cells_per_sample": 1},
        "genes": {"min_cells_share": 0.0, "min_samples": 1},
        "pseudobulk": {"min_cells": 1, "min_counts": 0},
        "model": {
            "formula": "~ sequencing_saturation + diagnosis + (1 | sample_id)",
            "test": ["diagnosis"],
            "levels": {"diagnosis": ["Control", "AD"]},
            "min_cells": 1,
        },
    }
    for name, change in changes.items():
        given[name] = given.get(name, {}) | change if isinstance(change, dict) else change
    return load(given)


def sheet(samples=SAMPLES, source="counts.h5ad", diagnosis=("Control", "AD")):
    """The checked sample sheet: diagnosis alternates; `source` is one path or one for each sample."""
    paths = [str(source)] * len(samples) if isinstance(source, str | Path) else [str(path) for path in source]
    return pd.DataFrame(
        {
            "sample_id": samples,
            "counts": paths,
            "diagnosis": [diagnosis[i % len(diagnosis)] for i in range(len(samples))],
        }
    )


class Steps:
    """Runs the commands of the workflow from ingest to pseudobulk-de in a folder, as the rules do."""

    def __init__(self, folder, settings, samples):
        self.folder, self.samples = Path(folder), samples
        self.settings, self.config = settings.text(), settings
        write_tsv(samples, self.folder / "samples.tsv")

    def run(self, command, **options):
        return self.main(command, settings=self.settings, **options)

    def main(self, command, **options):
        from nestde.cli import main

        words = [command]
        for name, value in options.items():
            values = value if isinstance(value, list) else [value]
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
        return main(words)

    def ingest(self):
        for source, out in self.sources.items():
            code = self.run("ingest", samples=self.folder / "samples.tsv", source=source, out=out)
            if code:
                return code
        return 0

    def qc(self, counts=None):
        names = list(self.names.values())
        return self.run(
            "qc",
            samples=names,
            sheet=self.folder / "samples.tsv",
            counts=list(self.sources.values()) if counts is None else counts,
            out=self.counts,
            cells=[self.folder / f"qc/{name}.tsv" for name in names],
            ledgers=[self.folder / f"qc/{name}.json" for name in names],
        )

    @property
    def sources(self):
        """Slug of each input -> what it is ingested to."""
        names = slugs(self.samples["counts"]).values()
        return {name: self.folder / f"ingest/{name}.h5ad" for name in names}

    @property
    def names(self):
        """Sample -> its slug."""
        return slugs(self.samples["sample_id"])

    @property
    def types(self):
        """Cell type -> its slug."""
        return slugs(self.config.cell_types)

    @property
    def counts(self):
        return [self.folder / f"counts/{name}.h5ad" for name in self.names.values()]

    def ledger(self, sample):
        return json.loads((self.folder / f"qc/{self.names[sample]}.json").read_text())

    def of_type(self, command, cell_type, **outputs):
        outputs = {name: self.folder / path for name, path in outputs.items()}
        samples = self.folder / "samples.tsv"
        compared = Comparison.of(self.config.model).text()
        options = {"samples": samples, "compared": compared, "counts": self.counts}
        return self.run(command, cell_type=cell_type, **options, **outputs)

    def matrix(self, cell_type):
        return self.of_type("matrix", cell_type, out="matrix.h5ad", cells="cells.h5ad", genes="genes.tsv")

    def design(self, cell_type, out="design.npz", explain="design.json"):
        """After `matrix`."""
        files = {"samples": "samples.tsv", "cells": "cells.h5ad", "out": out, "explain": explain}
        return self.run("design", cell_type=cell_type, **self._here(files))

    def statistics(self):
        """After `matrix`."""
        files = {"samples": "samples.tsv", "cells": "cells.h5ad", "matrix": "matrix.h5ad"}
        outputs = {"out": "statistics.npz", "drawn": "drawn.h5ad"}
        return self.run("statistics", cellwise=self.cellwise, **self._here(files | outputs))

    def crosscheck(self, fits, out):
        """After `design` and `statistics`."""
        files = {
            "design": "design.npz",
            "cells": "cells.h5ad",
            "drawn": "drawn.h5ad",
            "fits": fits,
            "out": out,
        }
        return self.run("crosscheck", **self._here(files))

    def pseudobulk_de(self, out, **more):
        """After `pseudobulk`."""
        files = {"samples": "samples.tsv", "counts": "bulk.h5ad", "out": out}
        return self.run("pseudobulk-de", **self._here(files | more))

    def _here(self, files):
        return {option: self.folder / path for option, path in files.items()}

    @property
    def cellwise(self):
        model = self.config.model
        return Cellwise.of(model.formula, model.levels, covariates_of(self.samples)).text()

    def pseudobulk(self, cell_type):
        return self.of_type("pseudobulk", cell_type, out="bulk.h5ad", table="bulk.tsv")

    def to_report(self):
        """Run the steps from the check to the report's content, but for pseudobulk; files are where a run has them."""
        self.expect("check", out=self.path("check"), samples_out=self.path("samples"))
        assert self.ingest() == 0
        names = list(self.names.values())
        ledgers = {kind: [self.path(kind, sample=name) for name in names] for kind in ("cells", "ledger")}
        ingested = list(self.sources.values())
        outputs = {"cells": ledgers["cells"], "ledgers": ledgers["ledger"], "out": self.counts}
        self.expect("qc", samples=names, sheet=self.path("samples"), counts=ingested, **outputs)
        fits = [self._fit(cell_type) for cell_type in self.config.cell_types]
        every = list(self.types.values())
        tables = {
            option: [self.path(kind, cell_type=name) for name in every] for option, kind in TABLES.items()
        }
        self.expect("gather", fits=fits, **tables, summary=self.path("totals"))
        self.expect("summary", results=self.folder, out=self.folder / CONTENT)

    def _fit(self, cell_type):
        """From the counts to the fits of a cell type, and what needs nothing else."""
        name = self.types[cell_type]

        def path(kind):
            return self.path(kind, cell_type=name, scatteritem="1-of-1")

        matrix, design, statistics = (path(kind) for kind in ("matrix", "design", "statistics"))
        samples = self.path("samples")
        of_cells = {"samples": samples, "cells": path("covariates")}
        compared, drawn = Comparison.of(self.config.model).text(), path("drawn")
        outputs = {"out": matrix, "genes": path("genes")}
        self.expect(
            "matrix", **of_cells, cell_type=cell_type, compared=compared, counts=self.counts, **outputs
        )
        self.expect("design", **of_cells, cell_type=cell_type, out=design, explain=path("terms"))
        summed = {"matrix": matrix, "out": statistics, "drawn": drawn}
        self.expect("statistics", **of_cells, cellwise=self.cellwise, **summed)
        fitted = {"design": design, "statistics": statistics}
        self.expect("fit", **fitted, chunk="1-of-1", out=path("fit"))
        self.expect("moderate", **fitted, out=path("moderated"), prior=path("prior"), reasons=path("reasons"))
        outputs = {"out": path("calibration"), "genes": path("adjusted"), "about": path("relabellings")}
        self.expect("calibrate", **fitted, **outputs)
        checked = {"design": design, "cells": path("covariates"), "drawn": drawn, "fits": path("fit")}
        self.expect("crosscheck", **checked, out=path("crosscheck"))
        for family in self.config.model.also:
            also = {"design": design, "genes": path("genes"), "cells": path("covariates"), "matrix": matrix}
            out = self.path("also", cell_type=name, family=family)
            self.expect("also", **also, cell_type=cell_type, family=family, out=out)
        return path("fit")

    def path(self, kind, **of):
        """Where a run has a file of that kind."""
        return self.folder / (RESULTS | BESIDE | INTERMEDIATES)[kind].format(**of)

    def expect(self, command, **options):
        """Run a command that must succeed."""
        assert self.run(command, **options) == 0, command


def read_tested(folder="."):
    """The matrix that `Steps.matrix` wrote, its cells with all that a formula can name of them."""
    folder = Path(folder)
    found, cells = ad.read_h5ad(folder / "matrix.h5ad"), folder / "cells.h5ad"
    found.obs, found.uns = read_obs(cells, read_checked(folder / "samples.tsv")), read_uns(cells)
    return found


def write_study(folder, adata=None, **changes):
    """Write the cells and return the steps to run on them; working directory must be `folder`."""
    adata = cells() if adata is None else adata
    adata.write_h5ad(Path(folder) / "counts.h5ad")
    return Steps(folder, config(**changes), sheet())
