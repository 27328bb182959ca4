"""What becomes of data that nestde has never seen: init without options, check, run; what was tested, and why the rest was not.

python tests/bench/first_contact.py WORK [NAME …]     makers' layouts, and the real data that NESTDE_REAL_DATA names
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from makers import public

REAL = ("kang_bcells", "onek1k_bcell", "zeisel_pseudodonors")


def said(*command: str, folder: Path) -> tuple[int, str]:
    """Run a command of nestde; return its exit code and what it printed, without Snakemake's own lines."""
    done = subprocess.run(["nestde", *command], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def contact(data: Path, folder: Path) -> None:
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
    code, text = said("run", "--cores", "1", "--quiet", "all", folder=study)
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
    work, names = Path(sys.argv[1]), sys.argv[2:]
    real = Path(os.environ.get("NESTDE_REAL_DATA", ""))
    for name in names or [*public.LAYOUTS, *REAL]:
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        contact(real / f"{name}.h5ad" if name in REAL else public.write(name, folder), folder)


if __name__ == "__main__":
    main()
