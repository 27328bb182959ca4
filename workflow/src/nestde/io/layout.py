"""What a run makes, and where: the table that rules, manifest, verify, crate, run and report share.

Paths are relative to the results folder, which a study may call as it likes (``<results>`` in the rules, one of
Snakemake's pathvars). Where a rule writes a path out, to be read as a table of contents, a test holds it against this one.
Names of samples and cell types in paths are slugs.
"""

from collections.abc import Collection

MANIFEST = "manifest.json"
CRATE = "ro-crate-metadata.json"
WORKFLOW = "workflow"  # folder: a copy of the rules that were run
CONTENT = "report/content"  # folder: what the page is made of
PAGE = "report/multiqc.html"

# What is kept, and told of in the manifest.
RESULTS = {
    "check": "cohort/check.json",
    "samples": "cohort/samples.tsv",
    "admitted": "cohort/admitted.tsv",
    "totals": "summary.tsv",
    "ledger": "qc/{sample}.json",
    "cells": "qc/{sample}.tsv",
    "genes": "matrix/{cell_type}.genes.tsv",
    "covariates": "cells/{cell_type}.h5ad",
    "terms": "design/{cell_type}.json",
    "design": "design/{cell_type}.npz",
    "statistics": "statistics/{cell_type}.npz",
    "drawn": "statistics/{cell_type}.h5ad",
    "prior": "prior/{cell_type}.tsv",
    "reasons": "prior/{cell_type}.json",
    "calibration": "calibration/{cell_type}.tsv",
    "adjusted": "calibration/{cell_type}.genes.tsv",
    "relabellings": "calibration/{cell_type}.json",
    "de": "de/{cell_type}.tsv",
    "de_typed": "de/{cell_type}.parquet",
    "crosscheck": "crosscheck/{cell_type}.tsv",
    "also": "also/{family}/{cell_type}.tsv",
    "profiles": "pseudobulk/{cell_type}.h5ad",
    "profiles_table": "pseudobulk/{cell_type}.tsv",
    "pseudobulk_de": "pseudobulk/{cell_type}.de.tsv",
    "explore": "pseudobulk/{cell_type}.json",
    "enrich": "enrich/{cell_type}.tsv",
    "composition": "composition/tests.tsv",
    "shares": "composition/shares.tsv",
    "composed": "composition/about.json",
}
# What is kept for what may be asked next, another cell type or headline, and is no result.
BESIDE = {
    "counts": "counts/{sample}.h5ad",
    "kernels": "kernels.txt",
    "fit": "fit/{cell_type}/{scatteritem}.tsv",
    "moderated": "moderated/{cell_type}.tsv",
}
# What Snakemake removes when the last job that reads it has ended.
INTERMEDIATES = {
    "ingest": "ingest/{source}.h5ad",
    "matrix": "matrix/{cell_type}.h5ad",
}
# Folders in which all files are results.
STEPS = tuple(sorted({step for step, _, name in (path.partition("/") for path in RESULTS.values()) if name}))


# Folders that a run makes only where the configuration asks for them (`Config.asked_for`).
ON_REQUEST = ("pseudobulk", "enrich")


def is_made(path: str, asked_for: Collection[str]) -> bool:
    """Whether a run makes a result, by its path or pattern, where these of `ON_REQUEST` are asked for."""
    folder = path.partition("/")[0]
    return folder not in ON_REQUEST or folder in asked_for


def kept(
    samples: Collection[str],
    cell_types: Collection[str],
    asked_for: Collection[str],
    also: Collection[str] = (),
) -> list[str]:
    """Every result of a run, in the order of the table.

    Parameters
    ----------
    samples, cell_types
        Slugs.
    asked_for
        Of `ON_REQUEST`.
    also
        Model families that are fitted beside the headline's.
    """
    paths: list[str] = []
    for pattern in RESULTS.values():
        if not is_made(pattern, asked_for):
            continue
        if "{sample}" in pattern:
            paths += [pattern.format(sample=sample) for sample in samples]
        elif "{family}" in pattern:
            paths += [pattern.format(family=name, cell_type=each) for name in also for each in cell_types]
        elif "{cell_type}" in pattern:
            paths += [pattern.format(cell_type=cell_type) for cell_type in cell_types]
        else:
            paths.append(pattern)
    return paths
