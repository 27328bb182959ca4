"""What becomes of data that nestde has never seen: init without options, check, run; what was tested, and why the rest was not.

The table that it prints last stands in workflow/docs/first_contact.md.

    python tests/bench/first_contact.py WORK [--steps] [NAME …]

NAMEs are makers' layouts, and the real data in the folder that NESTDE_REAL_DATA names; --steps takes the steps from the counts
to the tables in this process, without Snakemake, calibration, pseudobulk and report.
"""

import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from makers import public

from nestde import cli
from nestde.cells.roster import Comparison
from nestde.design.cellwise import Cellwise
from nestde.errors import NestdeError
from nestde.io.files import read_tsv, slugs
from nestde.io.layout import RESULTS
from nestde.run.closing import say
from nestde.study.config import load
from nestde.study.samples import covariates_of, read_checked

GUESSED = ("samples", "diagnosis", "cell types", "raw counts", "genes", "model")  # lines of what init says
BREAK = "<br>"
REAL = ("kang_bcells", "onek1k_bcell", "zeisel_pseudodonors")


def said(*command: str, folder: Path) -> tuple[int, str]:
    """Run a command of nestde; return its exit code and what it printed, without Snakemake's own lines."""
    done = subprocess.run(["nestde", *command], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def steps(study: Path) -> tuple[int, str]:
    """Take the steps of a run in this process; return the exit code and the closing words."""
    os.chdir(study)
    config = load("config/config.yaml")
    settings, results = config.text(), Path("results")
    out = io.StringIO()

    def step(command: str, **options: object) -> None:
        words = [command]
        for name, value in options.items():
            values = value if isinstance(value, list) else [value]
            words += [f"--{name.replace('_', '-')}", *map(str, values)]
        if code := cli.main(words):
            raise SystemExit(f"{command}: {code}")

    checked = results / RESULTS["samples"]
    step("check", settings=settings, out=results / RESULTS["check"], samples_out=checked)
    sheet = read_tsv(checked, text=["sample_id", "counts"])
    names = list(slugs(sheet["sample_id"]).values())
    (source,) = slugs(sheet["counts"]).values()
    ingested = results / f"ingest/{source}.h5ad"
    step("ingest", settings=settings, samples=checked, source=source, out=ingested)
    counts = [results / f"counts/{name}.h5ad" for name in names]
    tables, ledgers = (
        [results / RESULTS[kind].format(sample=name) for name in names] for kind in ("cells", "ledger")
    )
    step(
        "qc",
        settings=settings,
        samples=names,
        sheet=checked,
        counts=ingested,
        out=counts,
        cells=tables,
        ledgers=ledgers,
    )
    model, covariates = config.model, covariates_of(read_checked(checked))
    compared = Comparison.of(model).text()
    cellwise = Cellwise.of(model.formula, model.levels, covariates).text()
    parts: dict[str, list[Path]] = {"genes": [], "fits": [], "moderated": [], "out": []}
    for name in slugs(config.cell_types).values():
        at = {
            kind: results / path.format(cell_type=name)
            for kind, path in RESULTS.items()
            if "{cell_type}" in path
        }
        matrix, fit = results / f"matrix/{name}.h5ad", results / f"fit/{name}/1-of-1.tsv"
        moderated = results / f"moderated/{name}.tsv"
        of = {"settings": settings, "cell_type": name}
        of_cells = {"samples": checked, "cells": at["covariates"]}
        step("matrix", **of, **of_cells, compared=compared, counts=counts, out=matrix, genes=at["genes"])
        step("design", **of, **of_cells, out=at["design"], explain=at["terms"])
        given = {"settings": settings, "design": at["design"]}
        summed = {"matrix": matrix, "out": at["statistics"], "drawn": at["drawn"]}
        step("statistics", settings=settings, **of_cells, cellwise=cellwise, **summed)
        given["statistics"] = at["statistics"]
        step("fit", **given, chunk="1-of-1", out=fit)
        step("moderate", **given, out=moderated, prior=at["prior"], reasons=at["reasons"])
        for kind, path in (
            ("genes", at["genes"]),
            ("fits", fit),
            ("moderated", moderated),
            ("out", at["de"]),
        ):
            parts[kind].append(path)
    step("gather", settings=settings, **parts, summary=results / RESULTS["totals"])
    try:
        with contextlib.redirect_stdout(out):
            say([(results, config)])
    except NestdeError as error:
        return 2, out.getvalue() + str(error)
    return 0, out.getvalue()


def contact(data: Path, folder: Path, quick: bool) -> dict[str, str]:
    """Take one file through init, check and run; tell all of it, and return a row of the table."""
    print(f"\n===== {data.name}", flush=True)
    row = {"data": data.stem}
    code, text = said("init", "study", "--from", str(data), folder=folder)
    print(f"init {code}\n{text}")
    if code:
        return row | {"guessed": text, "run": "-"}
    lines = [line.strip() for line in text.splitlines()]
    row["guessed"] = BREAK.join(
        line for line in lines if line.split("  ")[0] in GUESSED or line.startswith(("qc.", "note"))
    )
    row["to be mended"] = (
        BREAK.join(line for line in lines if line.startswith("To be filled in")) or "nothing"
    )
    study = folder / "study"
    code, text = said("check", folder=study)
    print(f"check {code}\n{text}")
    warned = [line.removeprefix("Warning: ") for line in text.splitlines() if line.startswith("Warning: ")]
    row["check"] = BREAK.join(warned) or "nothing to warn of"
    if code:
        return row | {"check": text, "run": "-"}
    began = time.time()
    code, text = steps(study) if quick else said("run", "--cores", "1", "--quiet", "all", folder=study)
    print(f"run {code}, {time.time() - began:.0f} s\n" + "\n".join(text.splitlines()[-12:]))
    notes = [line.split(".")[0] for line in text.splitlines() if line.startswith(("Note: ", "Warning: "))]
    row["run"] = BREAK.join([f"exit {code}", *notes])
    row["tested"] = BREAK.join(_of_type(path) for path in sorted((study / "results/de").glob("*.tsv")))
    return row


def _of_type(path: Path) -> str:
    """What was tested of a cell type, found, and why the rest was not."""
    table = pd.read_csv(path, sep="\t").drop_duplicates(["gene", "term"])
    tested, found = table["pvalue"].notna(), table["padj"] <= 0.05
    words = f"{path.stem}: {tested.sum():,} of {len(table):,} genes tested, {found.sum():,} found"
    known = table["gene"].astype(str).str.fullmatch(r"D\d+")
    if known.any():
        words += f" ({(found & known).sum()} of the {known.sum()} that differ)"
    # the numbers in a reason apart, it is one of a few
    kinds = table.loc[~tested, "reason"].str.replace(r"^in [\d,]+ of", "in too few of", regex=True)
    why = [f"{number:,} {reason}" for reason, number in kinds.value_counts().head(4).items()]
    print("  " + "\n    ".join([words, *why]))
    return "; ".join([words, *why])


def main() -> None:
    """Take the layouts named, or all, through; print the table last."""
    quick = "--steps" in sys.argv
    work, *names = [word for word in sys.argv[1:] if word != "--steps"]
    real = Path(os.environ.get("NESTDE_REAL_DATA", ""))
    rows = []
    for name in names or [*public.LAYOUTS, *REAL]:
        folder = Path(work).resolve() / name
        folder.mkdir(parents=True, exist_ok=True)
        data = real / f"{name}.h5ad" if name in REAL else public.write(name, folder)
        rows.append(contact(data, folder, quick))
    columns = ["data", "guessed", "to be mended", "check", "run", "tested"]
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row.get(column, '').replace('|', '∣').strip() for column in columns)} |")


if __name__ == "__main__":
    main()
