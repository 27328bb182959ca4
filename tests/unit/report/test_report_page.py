"""The report as MultiQC itself writes it: offline, every name in its place, nothing from data as markup."""

import base64
import gzip
import json
import re
import subprocess
import sys
from html import unescape

import pandas as pd
from makers.fabricated import BREAKOUT, SCRIPT, de_table, ledger, settings, tags, write_results

from nestde import report
from nestde.io.files import slugs, write_json, write_tsv
from nestde.report.genes import TOP


def run_multiqc(content, out):
    command = [
        sys.executable,
        "-m",
        "multiqc",
        str(content),
        "--config",
        str(content / "multiqc_config.yaml"),
    ]
    command += ["--force", "--no-data-dir", "--outdir", str(out), "--filename", "multiqc.html"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=out)
    assert "WARNING" not in done.stderr and "Error" not in done.stderr, done.stderr
    return (out / "multiqc.html").read_text()


# What MultiQC would take for paths, file names with endings, and names of the two reads of a pair.
LIKE_FILES = [
    "CD4 T / naive",
    "CD8 T / naive",
    "a/1",
    "b/1",
    "a∕1",
    "x/",
    "/x",
    "/",
    "c\\1",
    "d\\1",
    "s_1",
    "s_2",
]
LIKE_FILES += [
    "s_R1",
    "s_R2",
    "s.gz",
    "s.fastq.gz",
    "s_val_1",
    ".bam",
    "s|1",
    "s",
    " s",
    "s ",
    "100",
    "1e5",
    "null",
]
LIKE_FILES += ["</b>", "a&b", "a&amp;b", "{x}", "%{y}", "$z$", "[b](c)", "#h", "__proto__"]


def test_multiqc_leaves_names_as_they_are(tmp_path):
    """Every sample, cell type and gene has its own row and its own bar, under its name but for slashes."""
    folder, content = tmp_path / "results", tmp_path / "content"
    sheet = pd.DataFrame({"sample_id": LIKE_FILES, "slug": LIKE_FILES, "diagnosis": "AD"})
    write_tsv(sheet, folder / "cohort" / "samples.tsv")
    for number, (name, slugged) in enumerate(slugs(LIKE_FILES).items()):
        write_json(ledger(name, number), folder / "qc" / f"{slugged}.json")
        genes = de_table(name).assign(gene=[*LIKE_FILES, *(f"G{i}" for i in range(62 - len(LIKE_FILES)))])
        write_tsv(genes.iloc[:TOP], folder / "de" / f"{slugged}.tsv")
    report.write(settings(cell_types=LIKE_FILES), folder, content)
    page = run_multiqc(content, tmp_path)

    plots = re.search('id="mqc_compressed_plotdata">(.*?)</script>', page, re.DOTALL)[1]
    plots = json.loads(gzip.decompress(base64.b64decode(plots)))
    shown = {
        id: [unescape(name) for name in reversed(plots[id]["datasets"][0]["samples"])]
        for id in ("nestde_qc_cells_plot", "nestde_gene_counts_plot")
    }
    for id in ("nestde_qc_samples_table", "nestde_overview_table", "nestde_top_1_table"):
        written = re.search(f'<table id="{id}_table".*?</table>', page, re.DOTALL)[0]
        shown[id] = [unescape(name) for name in re.findall('data-original-sn="(.*?)"', written)]
    names = [name.strip().replace("/", "∕") for name in LIKE_FILES]
    for id, found in shown.items():
        # names that would look alike are told apart by a space of no width
        assert len(set(found)) == len(found), id
        assert [name.rstrip("\u200b") for name in found] == names[: len(found)], id
        assert len(found) == (TOP if "top" in id else len(names)), id


def test_the_page_that_multiqc_makes(tmp_path):
    """MultiQC itself, offline: every section is there, nothing from data is markup, nothing is fetched."""
    content = tmp_path / "content"
    report.write(settings(), write_results(tmp_path / "results"), content)
    page = run_multiqc(content, tmp_path)
    for path in content.glob("*_mqc.json"):
        assert f'id="{json.loads(path.read_text())["id"]}' in page
    parsed = tags(page)
    assert not [attrs for tag, attrs in parsed.tags if tag == "img" and attrs.get("src") == "x"]
    assert SCRIPT not in page and BREAKOUT not in page
    fetched = [
        attrs.get("src") or attrs.get("href")
        for tag, attrs in parsed.tags
        if tag in ("script", "link", "img", "iframe", "source")
    ]
    assert not [url for url in fetched if url and not url.startswith(("data:", "#"))]
