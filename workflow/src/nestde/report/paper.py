"""For the paper: what was done in words, what to cite, the model as an equation, and how to make all of it again."""

from html import escape
from shlex import quote

from nestde import __version__
from nestde.design.effects import RandomEffects
from nestde.design.formula import parse
from nestde.fit.methods import Method, of_engine
from nestde.io.files import sha256
from nestde.io.layout import MANIFEST, RESULTS
from nestde.provenance.manifest import COMMAND, versions
from nestde.report import references
from nestde.report.equation import latex, mathml
from nestde.report.page import script
from nestde.report.quality import in_words
from nestde.report.results import Results
from nestde.report.sections import Section, html, plain_table
from nestde.report.study import sentence
from nestde.size_factors import size_factor
from nestde.words import both, count

CHAPTER = "paper"
RULES = (
    "min_counts",
    "max_counts",
    "min_genes",
    "max_genes",
    "max_pct_mt",
    "mad_counts",
    "mad_genes",
    "mad_pct_mt",
)


def sections(results: Results) -> list[Section]:
    """All sections of the chapter, in order; the last one brings the page's scripts."""
    found = []
    if any(design.get("coefficients") for design in results.designs.values()):
        found = [_methods(results), _references(results)]
    return [*found, _again(results)]


def _methods(results: Results) -> Section:
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in methods(results))
    fitted = next(design for design in results.designs.values() if design.get("coefficients"))
    random = [
        RandomEffects(told["name"], tuple(told["effects"]), tuple(told["blocks"]))
        for told in fitted["random"]
    ]
    model = (fitted["coefficients"], random, results.family.scale)
    text += (
        f'<div class="table-responsive">{mathml(*model)}</div><pre><code>{escape(latex(*model))}</code></pre>'
    )
    return Section(
        "nestde_methods",
        CHAPTER,
        "Methods",
        html(text),
        description="Made of this run's configuration and results; the model as MathML and as LaTeX (amsmath).",
    )


def methods(results: Results) -> list[str]:
    """Paragraphs that say what was done."""
    return [_of_cells(results), _of_genes(results), _of_tests(results)]


def _of_cells(results: Results) -> str:
    qc = results.config.qc
    came = sum(ledger["cells_in"] for ledger in results.ledgers)
    kept = sum(ledger["cells_kept"] for ledger in results.ledgers)
    words = f"Raw counts of {count(came, 'cell')} of {count(len(results.ledgers), 'sample')} came in. "
    if not qc.enabled:
        return f"{words}Quality control was done before; cells without counts were removed."
    rules = [in_words(rule, qc) for rule in RULES if getattr(qc, rule) is not None]
    if any(ledger["doublets"]["run"] for ledger in results.ledgers):
        rules.append("doublets by Scrublet")
    removed = f"Cells were removed that had {both(rules)}. " if rules else ""
    return f"{words}{removed}{count(kept, 'cell')} {'was' if kept == 1 else 'were'} kept."


def _of_genes(results: Results) -> str:
    genes, model = results.config.genes, results.config.model
    factor = size_factor(genes.size_factors).label
    tested = {
        name: len(tests[0].frame[tests[0].frame["pvalue"].notna()]) for name, tests in results.tested.items()
    }
    numbers = "; ".join(f"{name}: {count(number, 'gene')}" for name, number in tested.items())
    return (
        f"Samples with fewer than {count(model.min_cells, 'cell')} of a cell type, and genes detected in fewer than "
        f"{100 * genes.min_cells_share:g} % of its cells or in fewer than {count(genes.min_samples, 'sample')}, were left out of its tests. "
        f"Counts were normalised by {factor}. Tested were {numbers}."
    )


def _of_tests(results: Results) -> str:
    config, family = results.config, results.family
    fitted = next(design for design in results.designs.values() if design.get("coefficients"))
    random = [
        RandomEffects(told["name"], tuple(told["effects"]), tuple(told["blocks"]))
        for told in fitted["random"]
    ]
    headline = _headline(results)
    words = (
        sentence(parse(config.model.formula).fixed, random, config.model.test, headline) if headline else ""
    )
    reference = [
        f"{levels[0]} is the reference of {name}" for name, levels in config.model.levels.items() if levels
    ]
    compared = f" {'; '.join(reference)}." if reference else ""
    bulk = " Sums of each sample's cells were compared by PyDESeq2 beside it." if results.profiles else ""
    return (
        f"In each cell type by itself, {family.sentence} were fitted by nestde {__version__}: {config.model.formula}.{compared} {words}"
        f" P-values were adjusted for multiple testing over the genes of a cell type by Benjamini and Hochberg's method, and genes with "
        f"a false discovery rate of at most {config.inference.fdr:g} are reported.{bulk}"
    )


def _headline(results: Results) -> Method | None:
    used = [test.headline for tests in results.tested.values() for test in tests]
    return next((way for way in of_engine(results.family.engine) if used and way.name == used[0]), None)


def cited(results: Results) -> list[references.Reference]:
    """The works that this run rests on."""
    headline = _headline(results)
    engine = results.family.engine
    found = [*references.OF_ENGINE.get(engine, ()), references.BENJAMINI_HOCHBERG]
    found += references.OF_METHOD.get(headline.name, ()) if headline else ()
    if results.profiles:
        found += [references.PYDESEQ2, references.DESEQ2]
    if any(ledger["doublets"]["run"] for ledger in results.ledgers):
        found += [references.SCRUBLET, references.SCANPY]
    found += [references.SNAKEMAKE, references.MULTIQC]
    return list(dict.fromkeys(found))


def _references(results: Results) -> Section:
    found = cited(results)
    lines = "".join(f"<li>{escape(text)}</li>" for text in [references.NESTDE, *(one.text for one in found)])
    bibtex = "\n\n".join([references.NESTDE_BIBTEX, *(one.bibtex for one in found)])
    content = f"<ol>{lines}</ol><details><summary>BibTeX</summary><pre><code>{escape(bibtex)}</code></pre></details>"
    return Section(
        "nestde_references",
        CHAPTER,
        "References",
        html(content),
        description="What this run rests on: software, and the methods that it used.",
    )


def _again(results: Results) -> Section:
    """Versions, seed, commands, and checksums of the tables that this page was made of."""
    folder = results.folder.as_posix()  # as the run called it, seen from the folder of the study
    commands = f"{COMMAND}\nnestde verify {quote(folder)}\nsha256sum {quote(f'{folder}/{MANIFEST}')}"
    rows = []
    for slugged in results.slugs.values():
        path = RESULTS["de"].format(cell_type=slugged)
        if (results.folder / path).exists():
            rows.append([path, sha256(results.folder / path)])
    tables = plain_table(["Table", "SHA-256"], rows) if rows else ""
    software = plain_table(["Software", "Version"], list(versions().items()))
    text = (
        f"<p>Seed: {results.config.seed}. Run, compared with its manifest, and the manifest's checksum:</p>"
        f"<pre><code>{escape(commands)}</code></pre>{tables}"
        f"<details><summary>Versions</summary>{software}</details>{script()}"
    )
    return Section(
        "nestde_again",
        CHAPTER,
        "To make it again",
        html(text),
        description=(
            f"<code>{MANIFEST}</code> beside this page has the checksums of all inputs and results, the configuration in full, and the versions; "
            "the tables that this page was made of are listed there with the checksums below."
        ),
    )
