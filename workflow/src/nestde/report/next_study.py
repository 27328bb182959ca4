"""What the next study would find: power by donors and cells, from this study's own genes and variances."""

from html import escape

from nestde.api.power import power
from nestde.errors import NestdeError
from nestde.report.results import Results
from nestde.report.sections import Section, curves, shown
from nestde.simulate.learnt import learn

CHAPTER = "trust"
FOLD, TIMES, MORE = 1.5, (1.0, 1.5, 2.0, 3.0), 4.0
# Genes that are drawn for each number of donors and cells, and the most cells and samples of a study.
_GENES, _CELLS, _SAMPLES = 1000, 400_000, 300


def sections(results: Results) -> list[Section]:
    """The one section, of cell types with a prior and one sample a donor."""
    lines, told = dict[str, list[tuple[float, float]]](), list[str]()
    for cell_type, design in results.designs.items():
        if not design.get("testable") or len(design.get("groups", {})) != 1:
            continue
        try:
            learnt = learn(results.folder, cell_type)
        except NestdeError:
            continue  # why there is no prior is told where the test is
        reference, other = learnt.donors()
        if min(reference, other) < 2:
            continue
        cells = float(sorted(learnt.cells)[len(learnt.cells) // 2])
        # no plan of more than this: it would take minutes
        most = min(_CELLS / cells, _SAMPLES) / (reference + other)
        times = [each for each in TIMES if each <= most]
        if not times:
            continue
        found = power(
            learnt,
            donors=[(round(each * reference), round(each * other)) for each in times],
            cells=[each * cells for each in (1.0, MORE) if each * max(times) <= most],
            fold_changes=[FOLD],
            fdr=results.config.inference.fdr,
            genes=_GENES,
            seed=results.config.seed,
            threads=1,
        )
        of_all = found.table[found.table["genes"] == "all"]
        for each, rows in of_all.groupby("cells"):
            donors = rows["donors_reference"] + rows["donors_other"]
            lines[f"{cell_type}: {each:g} cells a sample"] = list(
                zip(donors.tolist(), (100 * rows["power_fdr"]).round(1).tolist(), strict=True)
            )
        told.append(f"{shown(cell_type)}: {escape(found.sentences[0])}")
    if not lines:
        return []
    name = "What the next study would find"
    return [
        Section(
            "nestde_next_study",
            CHAPTER,
            name,
            curves(
                "nestde_next_study_plot",
                name,
                "samples",
                f"% of genes of a {FOLD:g}-fold change that are found",
                lines,
            ),
            description="<br>".join(told),
            helptext=f"""
Studies with more samples, and with {MORE:g} times the cells of each, are drawn from this study's genes: their means, their spread within
samples, and the variances between samples that all genes of the cell type tell (the prior). A tenth of the genes differ {FOLD:g}-fold; what
is shown is the share of these found by the moderated test at the study's false discovery rate. `nestde power --like` with the
results' folder asks for other studies: unequal groups, pairs, other effects, donors that drop out, a budget.
""",
        )
    ]
