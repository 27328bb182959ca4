"""The report as MultiQC itself writes it: offline, every name in its place, nothing from data as markup."""

import base64
import csv
import gzip
import io
import json
import re
import subprocess
import sys
import zipfile
from html import unescape
from xml.etree import ElementTree

import pandas as pd
import pytest
from makers import chromium
from makers.fabricated import (
    BREAKOUT,
    CELL_TYPES,
    HOSTILE,
    SAMPLES,
    SCRIPT,
    de_table,
    ledger,
    settings,
    tags,
    write_results,
)

from nestde import report
from nestde.expression.tables import TEXT
from nestde.io.files import read_tsv, slug, slugs, write_json, write_tsv
from nestde.report import figures
from nestde.report.genes import TOP
from nestde.report.page import script, style


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The page of the fabricated study, in its results folder."""
    folder = write_results(tmp_path_factory.mktemp("whole") / "results")
    report.write(settings(), folder, folder / "report/content")
    run_multiqc(folder / "report/content", folder / "report")
    return folder


def test_the_page_that_multiqc_makes(whole):
    """MultiQC itself, offline: every section is there, nothing from data is markup, nothing is fetched."""
    content = whole / "report/content"
    page = (whole / "report/multiqc.html").read_text()
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


@pytest.fixture(scope="module")
def tab(whole):
    """The page in a browser, all of its scripts done; what it saves is kept in `window.saved`."""
    if chromium.PROGRAM is None:
        pytest.skip(chromium.WHY_NOT)
    with chromium.page() as page:
        page.look(1300, 900)
        page.open(whole / "report/multiqc.html")
        page.until("document.documentElement.dataset.nestde === 'ready'")
        page.run("window.saved = []; URL.createObjectURL = (blob) => { saved.push(blob); return '#'; }")
        yield page
        assert (page.faults, page.asked) == ([], [])


def saved(tab, press):
    """The bytes of what a click saves."""
    tab.run("saved.length = 0")
    tab.run(press)
    tab.until("saved.length === 1")
    text = tab.run(
        "saved[0].arrayBuffer().then((b) => btoa(Array.from(new Uint8Array(b), (c) => String.fromCharCode(c)).join('')))"
    )
    return base64.b64decode(text)


def shown_table(tab, place):
    return tab.run(
        f"Array.from(document.querySelectorAll('{place} tr'), (r) => Array.from(r.cells, (c) => c.textContent))"
    )


def rounded(value, digits=4):
    return float(f"{value:.{digits - 1}e}")


def as_number(text):
    return float(text.replace("−", "-"))


def test_a_gene_is_found_by_its_name_and_its_numbers_are_those_of_the_tables(tab, whole):
    for gene in (HOSTILE[0], "G010"):
        tab.run("var box = document.getElementById('nd-search'); box.value = ''; box.focus()")
        tab.press(gene, "ArrowDown", "Enter")
        assert tab.run("document.activeElement.textContent") == gene
        rows = shown_table(tab, "#nd-shown")
        assert [row[0].rstrip(" ↑↓") for row in rows[1:]] == CELL_TYPES
        for cell_type, row in zip(CELL_TYPES, rows[1:], strict=True):
            table = read_tsv(whole / f"de/{slug(cell_type)}.tsv", TEXT).set_index("gene").loc[gene]
            numbers = [row[1], *row[2].split(" to "), *row[3:5]]
            limits = table["coef"] - 1.959964 * table["se"], table["coef"] + 1.959964 * table["se"]
            wanted = [table["coef"], 10 ** -table["neg_log10_pvalue"], table["padj"]]
            assert [as_number(text) for text in numbers[:1] + numbers[3:]] == [
                rounded(value) for value in wanted
            ]
            assert [as_number(text) for text in numbers[1:3]] == [rounded(value, 3) for value in limits]
        drawn = "document.querySelectorAll('#nd-shown svg circle title').length"
        assert tab.run(drawn) == 2 * len(SAMPLES)


def test_a_key_and_a_link_lead_to_the_search(tab):
    for press in (
        "document.body.dispatchEvent(new KeyboardEvent('keydown', { key: '/', bubbles: true }))",
        "document.querySelector('.mainpage a[href=\"#nestde_any_gene\"]').click()",
    ):
        tab.run(f"document.activeElement.blur(); {press}")
        tab.until("document.activeElement.id === 'nd-search'")


def test_a_gene_that_was_not_tested_says_why_and_an_unknown_one_is_none(tab):
    tab.run("const box2 = document.getElementById('nd-search'); box2.value = ''; box2.focus()")
    tab.press("low1", "Enter")
    assert shown_table(tab, "#nd-shown")[1] == ["Neuron", "not_testable: detected in 1 cell"]
    tab.run("box2.value = ''; box2.focus()")
    tab.press("nosuchgene")
    assert tab.run("document.getElementById('nd-list').textContent") == "No gene of that name came in."
    tab.press("Escape")
    assert tab.run("document.getElementById('nd-list').hidden")


def test_a_comparison_is_sorted_by_a_click_and_saved_whole(tab, whole):
    table = read_tsv(whole / f"de/{slug('Neuron')}.tsv", TEXT)
    table = table[table["pvalue"].notna()].set_index("gene")
    first = [row[0] for row in shown_table(tab, ".nd-browser")[1:]]
    assert first == table.index[: len(first)].tolist()
    tab.run(
        "Array.from(document.querySelectorAll('.nd-sort')).find((b) => b.textContent.startsWith('Effect')).click()"
    )
    assert shown_table(tab, ".nd-browser")[1][0] == table["coef"].idxmin()
    press = (
        "Array.from(document.querySelectorAll('.nd-bar button')).find((b) => b.textContent === '{}').click()"
    )
    rows = list(csv.DictReader(io.StringIO(saved(tab, press.format("CSV")).decode("utf-8-sig"))))
    assert [row["gene"].lstrip("\u200b") for row in rows] == table.index.tolist()
    for key in ("coef", "padj", "pvalue_satterthwaite", "icc"):
        digits = 2 if key in ("pvalue_satterthwaite", "icc") else 4
        assert [float(row[key]) for row in rows] == [rounded(value, digits) for value in table[key]]
    book = zipfile.ZipFile(io.BytesIO(saved(tab, press.format("XLSX"))))
    assert book.testzip() is None
    sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    cells = [
        ["".join(cell.itertext()) for cell in row]
        for row in sheet.iter("{http://schemas.openxmlformats.org/spreadsheetml/2006/main}row")
    ]
    assert [row[0] for row in cells[1:]] == table.index.tolist()
    assert [float(row[cells[0].index("coef")]) for row in cells[1:]] == [
        rounded(value) for value in table["coef"]
    ]


def test_a_point_that_is_clicked_shows_its_samples_and_each_figure_is_saved(tab):
    point = "document.querySelector('figure[data-x=coef] g path title').parentNode"
    tab.run(f"{point}.scrollIntoView({{ block: 'center', behavior: 'instant' }})")
    for _ in range(50):  # plots that come into view may move the page meanwhile
        *middle, name = tab.run(
            f"(({{ x, y, width, height }}) => [x + width / 2, y + height / 2, {point}.textContent])({point}.getBoundingClientRect())"
        )
        tab.mouse("mouseMoved", *middle)
        hint = tab.run(
            "new Promise((seen) => setTimeout(() => seen(document.querySelector('#nd-hint b')?.textContent), 50))"
        )
        if hint == name:
            break
    assert hint == name
    for kind in ("mousePressed", "mouseReleased"):
        tab.mouse(kind, *middle)
    assert tab.run("document.querySelector('#nd-card h4').textContent") == name
    assert tab.run("document.querySelectorAll('#nd-card circle').length") == len(SAMPLES)
    tab.press("Escape")
    assert tab.run("document.getElementById('nd-card').hidden")
    number = tab.run("document.querySelectorAll('.nd-figure').length")
    assert number == tab.run("document.querySelectorAll('.nd-files').length") > 10
    ElementTree.fromstring(saved(tab, "document.querySelector('.nd-figure .nd-save').click()"))
    picture = saved(tab, "document.querySelectorAll('.nd-figure .nd-save')[1].click()")
    assert picture.startswith(b"\x89PNG") and len(picture) > 2000


def test_a_page_of_a_study_in_which_nothing_was_tested_has_its_figures(tmp_path):
    if chromium.PROGRAM is None:
        pytest.skip(chromium.WHY_NOT)
    figure = figures.drawn(figures.strips([("Control", [1.0, 2.0], "red")]), [["a"], ["1"]])
    page = tmp_path / "page.html"
    page.write_text(f"<h1>Nothing</h1><style>{style([])}</style>{figure}{script()}")
    with chromium.page() as tab:
        tab.open(page)
        tab.until("document.documentElement.dataset.nestde === 'ready'")
        assert (tab.run("document.querySelectorAll('.nd-save').length"), tab.faults) == (3, [])


def test_one_heading_of_the_first_rank_and_nothing_without_a_name(tab):
    assert tab.run("Array.from(document.querySelectorAll('h1'), (h) => h.textContent.trim())") == [
        f"A study {SCRIPT}"
    ]
    nameless = """Array.from(document.querySelectorAll('a[href], button, input, select')).filter((each) =>
        each.checkVisibility() && !(each.textContent.trim() || each.getAttribute('aria-label') || each.title || each.labels?.length))
        .map((each) => each.outerHTML.slice(0, 100))"""
    assert tab.run(nameless) == []


def test_on_a_phone_nothing_is_wider_than_the_screen(tab, whole):
    tab.look(390, 844)
    tab.open(whole / "report/multiqc.html")
    tab.until("document.documentElement.dataset.nestde === 'ready'")
    assert tab.run("document.documentElement.scrollWidth") <= 390
