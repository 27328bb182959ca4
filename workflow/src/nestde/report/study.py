"""The study: who was compared, by which model, and what the design check had to say."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from statistics import median

from nestde.cells.roles import tested_in
from nestde.cells.roster import Roster
from nestde.check.wording import containment_of_slopes, stands_on
from nestde.design.effects import INTERCEPT, RandomEffects
from nestde.design.formula import parse
from nestde.errors import a_few
from nestde.fit.family import Scale
from nestde.fit.methods import Method, method
from nestde.report import figures
from nestde.report.results import Results
from nestde.report.sample_similarity import COLOURS
from nestde.report.sections import Section, html, listing, note, plain_table

CHAPTER = "study"


def sections(results: Results) -> list[Section]:
    """All sections of the chapter, in order."""
    found = [_samples(results)] if any(results.designs.values()) else []
    found.append(_model(results))
    if results.check:
        found += [_cautions(results), _variables(results), _explanations(results)]
    return found


def equation(coefficients: Sequence[str], random: Sequence[RandomEffects], scale: Scale) -> str:
    """Write the model as an equation, in HTML.

    Parameters
    ----------
    coefficients
        Names of the fixed effects, ``(Intercept)`` among them.
    random
        Of the design that was fitted.
    scale
        Of the family.
    """
    terms = []
    for place, name in enumerate(coefficients):
        factor = "" if name == "(Intercept)" else f" · {_name(name)}"
        terms.append(f"<i>β</i><sub>{place}</sub>{factor}")
    variances = []
    for effects in random:
        group = _name(effects.name)
        for effect in effects.effects:
            alone = effect == INTERCEPT
            symbol = f"<i>u</i><sub>{group}{'' if alone else ', ' + _name(effect)}</sub>"
            terms.append(symbol if alone else f"{symbol} · {_name(effect)}")
        variances.append(f"<i>u</i><sub>{group}</sub> ~ N(0, {effects.spread}<sub>{group}</sub>)")
    noise = f"<i>{scale.noise}</i>"
    right = [noise if term == scale.noise else term for term in scale.right(terms)]
    law = scale.spread.replace(scale.noise, noise) if scale.noise else scale.spread
    return f"<p>{scale.response} = {' + '.join(right)}</p><p>{', &nbsp; '.join([*variances, law])}</p>"


def sentence(fixed: str, random: Sequence[RandomEffects], tests: list[str], method: Method) -> str:
    """Say the model in words."""
    groups = ", and ".join(factor.words for factor in random)
    between = f"; {groups}, drawn from a normal distribution" if groups else ""
    fixed = re.sub(r"\s+", " ", fixed)
    test = method.model_sentence.format(term=" and ".join(tests))
    return (
        f"For each gene, the expression in a cell is explained by {fixed}{between}. {test}"
        " Cells of one sample resemble one another, so the evidence for a difference between samples grows"
        " with the number of samples, not of cells."
    )


def _samples(results: Results) -> Section:
    """Count the samples and cells that were tested, by cell type and level of the first tested factor; name those left out."""
    rows, header = [], ""
    for cell_type, design in results.designs.items():
        every = design.get("levels_of", {})
        factor = next((name for name in tested_in(results.config.model.compared) if name in every), "")
        header = header or factor
        of_level = every[factor] if factor else {"": design.get("cells_per_sample", {})}
        roster = results.rosters.get(cell_type)
        left_out = _left_out(roster, factor) if roster else {}
        order = results.config.model.levels.get(factor, design.get("levels", {}).get(factor, []))
        known = sorted({*of_level, *left_out}, key=lambda level: (level == "–", level))
        for level in dict.fromkeys([*(level for level in order if level in known), *known]):
            cells = list(of_level.get(level, {}).values())
            spread = f"{min(cells):,} – {median(cells):,.0f} – {max(cells):,}" if cells else "–"
            without = a_few(left_out.get(level, [])) or "none"
            rows.append([cell_type, level, len(cells), f"{sum(cells):,}", spread, without])
    columns = [
        "Cell type",
        header,
        "Samples",
        "Cells",
        "Cells per sample (least – median – most)",
        "Left out",
    ]
    return Section(
        "nestde_samples",
        CHAPTER,
        "Samples and cells",
        html(plain_table(columns, rows, right=[2, 3], cards=True) + _cells_of_samples(results)),
        description=(
            "What entered the test of each cell type. The number of samples, not of cells, decides what can be found."
        ),
    )


def _cells_of_samples(results: Results) -> str:
    """Draw the number of cells of each tested sample, by level of the first tested factor."""
    drawn = []
    for cell_type, design in results.designs.items():
        every = design.get("levels_of", {})
        factor = next((name for name in tested_in(results.config.model.compared) if name in every), "")
        of_level = every[factor] if factor else {"samples": design.get("cells_per_sample", {})}
        order = [
            name for name in results.config.model.levels.get(factor, sorted(of_level)) if name in of_level
        ]
        cells = [
            (level, sample, number) for level in order for sample, number in sorted(of_level[level].items())
        ]
        groups = [
            (level, [float(n) for of, _, n in cells if of == level], COLOURS[i % len(COLOURS)])
            for i, level in enumerate(order)
        ]
        svg = figures.strips(groups, f"{cell_type}: cells per sample")
        if svg:
            drawn.append(
                figures.drawn(svg, [[factor or "level", "sample_id", "cells"], *cells], size="small")
            )
    return figures.row(drawn) if drawn else ""


def _left_out(roster: Roster, factor: str) -> dict[str, list[str]]:
    """Samples that a cell type's test does without, with the reason, by their level; under '–' where it is not known."""
    found: dict[str, list[str]] = {}
    for entry in roster.entries:
        if entry.by:
            level = entry.levels.get(factor, "–") if factor else ""
            found.setdefault(level, []).append(f"{entry.sample} ({entry.why})")
    return found


def _model(results: Results) -> Section:
    model = results.config.model
    fitted = next((design for design in results.designs.values() if design.get("coefficients")), None)
    text = (
        f"<p><code>{escape(model.formula)}</code> &nbsp; tested: <b>{escape(', '.join(model.test))}</b>"
        f" &nbsp; {escape(results.family.label)}</p>"
    )
    if fitted:
        random = [
            RandomEffects(told["name"], tuple(told["effects"]), tuple(told["blocks"]))
            for told in fitted["random"]
        ]
        words = sentence(
            parse(model.formula).fixed,
            random,
            model.test,
            method(results.config.inference.p_value, results.family.engine),
        )
        text += f"{equation(fitted['coefficients'], random, results.family.scale)}<p>{escape(words)}</p>"
    elif results.check:  # nothing was fitted
        text += f"<p>{escape(results.check['model']['sentence'])}</p>"
    return Section("nestde_model", CHAPTER, "The model", html(text))


def warnings_of(results: Results) -> list[dict[str, str]]:
    """Warnings of the design check, and those of the p-value, which the check is not told of."""
    config = results.config
    warnings = list(results.check.get("warnings", []))
    if config.inference.p_value == "containment":
        found = containment_of_slopes(parse(config.model.formula), config.model.compared)
        warnings += [asdict(warned) for warned in found]
    return warnings


def _cautions(results: Results) -> Section:
    """Show the warnings of the design check, and what the number of samples allows."""
    boxes = "".join(
        note(f"<b>{escape(warning['title'])}.</b> {escape(warning['text'])}", "warning")
        for warning in warnings_of(results)
    )
    lines = []
    for cell_type, design in results.designs.items():
        if design.get("reason"):
            lines.append(f"{cell_type}: not testable. {design['reason']}")
        for test in design.get("tests", []):
            said = stands_on(test["term"], test["unit"], test["groups"], test["df"], design["cells"])
            size = test["lrt_size"]
            cost = (
                f" Of genes without any difference, up to {100 * size:.1f} % have p < 0.05 by the likelihood ratio test,"
                " instead of 5 %: the fewer samples, the more."
                if size is not None
                else ""
            )
            lines.append(f"{cell_type}: {said}{cost}")
    return Section(
        "nestde_check",
        CHAPTER,
        "What this design can answer",
        html((boxes or note("The design check has no warning.", "success")) + listing(lines)),
        description=(
            "In the list, what was tested, after quality control. Warnings are the design check's, of all cells as they came in."
        ),
    )


def _variables(results: Results) -> Section:
    """Show each variable of the formula, and how cells lie in samples."""
    header = ["Variable", "Role", "Kind", "Varies", "Values", "From"]
    keys = ["variable", "role", "kind", "varies", "values", "origin"]
    rows = [[row.get(key, "") for key in keys] for row in results.check.get("variables", [])]
    drawing = results.check.get("nesting", {}).get("text", "")
    return Section(
        "nestde_variables",
        CHAPTER,
        "Variables and nesting",
        html(
            (plain_table(header, rows, cards=True) if rows else "")
            + (f"<pre>{escape(drawing)}</pre>" if drawing else "")
        ),
        description="As the data came, before quality control.",
    )


def _explanations(results: Results) -> Section:
    """Answer the questions that come with such a study, each behind its title."""
    answers = "".join(
        f"<details><summary><b>{escape(entry['title'])}</b></summary><p>{escape(entry['text'])}</p></details>"
        for entry in results.check.get("explanations", [])
    )
    return Section(
        "nestde_explanations",
        CHAPTER,
        "Questions that come with such a study",
        html(answers),
        description="By the design check, of all samples and cells as they came in, before quality control.",
    )


def _name(name: str) -> str:
    return f"<span style='font-style:normal'>{escape(name)}</span>"
