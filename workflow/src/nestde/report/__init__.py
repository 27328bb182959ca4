"""The report: MultiQC custom content, one file per section, and the MultiQC configuration that orders them."""

import json
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from nestde.io.files import write_json, write_text
from nestde.provenance.manifest import versions
from nestde.report import (
    across,
    also,
    any_gene,
    brief,
    calibration,
    composition,
    concordance,
    depth,
    enrichment,
    evidence,
    genes,
    identity,
    next_study,
    paper,
    prior,
    quality,
    sample_similarity,
    study,
    trust,
)
from nestde.report.page import STYLE, style
from nestde.report.results import Results
from nestde.report.sections import Section
from nestde.study.config import Config

CHAPTERS = {
    brief.CHAPTER: ("In brief", "The answer, and what to keep in mind when reading it."),
    study.CHAPTER: ("The study", "Who was compared with whom, and by which model."),
    genes.CHAPTER: ("Differential expression", "What differs, in each cell type."),
    trust.CHAPTER: ("How far to trust it", "The same data, looked at by other means."),
    quality.CHAPTER: ("Quality control", "Which cells were kept, and how samples look beside each other."),
    paper.CHAPTER: ("For the paper", "What to write, what to cite, and how to make it again."),
}


# What yields sections of a study's results, in the order in which they are read within their chapters.
PARTS: list[Callable[[Results], list[Section]]] = [
    brief.sections,
    study.sections,
    genes.sections,
    any_gene.sections,
    genes.top,
    evidence.sections,
    across.sections,
    enrichment.sections,
    composition.sections,
    trust.sections,
    prior.sections,
    next_study.sections,
    calibration.sections,
    concordance.sections,
    also.sections,
    quality.sections,
    depth.sections,
    identity.sections,
    sample_similarity.sections,
    paper.sections,
]


def write(config: Config, folder: str | Path, out: str | Path) -> None:
    """Write the content of the report.

    Parameters
    ----------
    config
        The whole configuration.
    folder
        The results folder of a run.
    out
        Folder for ``<section>_mqc.json`` files, ``multiqc_config.yaml``, and ``summary.json`` with the
        numbers of the report for machines.
    """
    import yaml

    results = Results(Path(folder), config)
    found = [section for sections in PARTS for section in sections(results) if section.content["data"]]
    out = Path(out)
    for old in out.glob("*_mqc.json"):  # sections that this run may not have
        old.unlink()
    for section in found:
        # not `write_json`, which sorts keys: rows, bars and columns are in an order that says something
        text = json.dumps(_custom_content(section), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(text, out / f"{section.id}_mqc.json")
    settings = yaml.safe_dump(_settings(config, found), sort_keys=False, allow_unicode=True, width=100)
    write_text(settings, out / "multiqc_config.yaml")
    write_json(summary(results), out / "summary.json")
    write_text(style(any_gene.packed(results)), out / STYLE)


def summary(results: Results) -> dict[str, Any]:
    """The numbers of the report, for machines."""
    fdr = results.config.inference.fdr
    return {
        "title": results.config.title,
        "formula": results.config.model.formula,
        "fdr": fdr,
        "tests": [
            {"cell_type": test.cell_type, "term": test.term, "level": test.level, "against": test.against}
            | {"comparison": test.comparison}
            | genes.summary(test, fdr)
            for test in results.tests()
        ],
        "calibration": [
            {"cell_type": cell_type, "term": term, "verdict": row["verdict"]}
            for cell_type, term, row in calibration.of_headline(results)
        ],
        "warnings": results.check.get("warnings", []),
        "crosscheck_differs": trust.differing(results),
        "versions": versions(),
    }


def _custom_content(section: Section) -> dict[str, Any]:
    name, description = CHAPTERS[section.chapter]
    return {
        "id": section.id,
        "parent_id": f"nestde_{section.chapter}",
        "parent_name": name,
        "parent_description": description,
        "section_name": section.name,
        "description": section.description,
        "helptext": section.helptext,
        **section.content,
    }


def _settings(config: Config, sections: list[Section]) -> dict[str, Any]:
    """MultiQC's configuration: our title and order, names left as they are, no network, nothing of its own."""
    return {
        "title": escape(config.title),
        "subtitle": None,
        "intro_text": "Differential expression between samples, cells nested in them, by a mixed model; made by nestde.",
        "show_analysis_paths": False,
        "custom_content": {"order": [f"nestde_{chapter}" for chapter in CHAPTERS]},
        "report_section_order": {
            section.id: {"order": place} for place, section in enumerate(sections, start=1)
        },
        "run_modules": ["custom_content"],
        "software_versions": {"nestde": versions()},
        "fn_clean_sample_names": False,
        "thousandsSep_format": ",",
        "skip_generalstats": True,
        "skip_versions_section": True,  # they are in For the paper
        "table_cond_formatting_rules": {
            "all_columns": {"pass": [], "warn": [], "fail": []}
        },  # no green pills for the word ok
        "custom_css_files": [STYLE],
        "no_version_check": True,
        "no_ai": True,
        "plots_force_interactive": True,
        "plots_defer_loading_numseries": 100_000,
    }
