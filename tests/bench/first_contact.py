"""What becomes of data that nestde has never seen: init without options, check, run; what was tested, and why the rest was not.

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
from nestde.errors import NestdeError
from nestde.io.files import read_tsv, slugs
from nestde.io.layout import RESULTS
from nestde.run.closing import say
from nestde.study.config import load

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
    step("qc", settings=settings, samples=names, counts=ingested, out=counts, cells=tables, ledgers=ledgers)
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
        step("matrix", **of, samples=checked, counts=counts, out=matrix, genes=at["genes"])
        step("design", **of, matrix=matrix, out=at["design"], explain=at["terms"])
        given = {"settings": settings, "design": at["design"]}
        step("statistics", **given, matrix=matrix, out=at["statistics"])
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


def contact(data: Path, folder: Path, quick: bool) -> None:
    """Take one file through init, check and run, and tell."""
    print(f"\n===== {data.name}", flush=True)
    code, text = said("init", "study", "--from", str(data), folder=folder)
    print(f"init {code}\n{text}")
    if code:
        return
    study = folder / "study"
    code, text = said("check", folder=study)
    print(f"check {code}\n{text}")
    began = time.time()
    code, text = steps(study) if quick else said("run", "--cores", "1", "--quiet", "all", folder=study)
    print(f"run {code}, {time.time() - began:.0f} s\n" + "\n".join(text.splitlines()[-12:]))
    for path in sorted((study / "results/de").glob("*.tsv")):
        table = pd.read_csv(path, sep="\t", low_memory=False).drop_duplicates(["gene", "term"])
        tested, found = table["pvalue"].notna(), table["padj"] <= 0.05
        print(f"  {path.name}: {tested.sum()} of {len(table)} tested, {found.sum()} found", end="")
        known = table["gene"].astype(str).str.fullmatch(r"D\d+")
        print(f", {(found & known).sum()} of {known.sum()} that differ" if known.any() else "")
        for why, number in table.loc[~tested, "reason"].value_counts().head(5).items():
            print(f"    {number:>6} {why}")


def main() -> None:
    """Take the layouts named, or all, through."""
    quick = "--steps" in sys.argv
    work, *names = [word for word in sys.argv[1:] if word != "--steps"]
    real = Path(os.environ.get("NESTDE_REAL_DATA", ""))
    for name in names or [*public.LAYOUTS, *REAL]:
        folder = Path(work).resolve() / name
        folder.mkdir(parents=True, exist_ok=True)
        contact(real / f"{name}.h5ad" if name in REAL else public.write(name, folder), folder, quick)


if __name__ == "__main__":
    main()
