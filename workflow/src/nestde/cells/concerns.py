"""What of quality control a reader has to be told: most cells gone, not alike in what is compared, rules that do nothing."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from nestde.arrays import Floats
from nestde.cells.same import same_cells
from nestde.cells.sexes import swapped
from nestde.design.formula import variables_of
from nestde.errors import a_few
from nestde.study.config import Model

if TYPE_CHECKING:
    import pandas as pd

MOST = 0.5  # share of a sample's cells
APART = 0.2  # of the shares removed in two levels
EQUAL = 0.03  # spread of cells' total counts (SD / mean), far below that of any cells that were counted
TIMES, TIMES_CELLS = 2.0, 3.0  # depth, and cells, of the median sample of a level as of another's
APART_HB = 0.5  # per cent of haemoglobin
FEWEST = 20  # cells whose totals say something

RULES = {
    "empty": "no counts",
    "min_counts": "too few counts (qc.min_counts)",
    "max_counts": "too many counts (qc.max_counts)",
    "min_genes": "too few genes (qc.min_genes)",
    "max_genes": "too many genes (qc.max_genes)",
    "max_pct_mt": "too high a mitochondrial percentage (qc.max_pct_mt)",
    "mad_counts": "counts far from the sample's median (qc.mad_counts)",
    "mad_genes": "genes far from the sample's median (qc.mad_genes)",
    "mad_pct_mt": "a mitochondrial percentage far above the sample's median (qc.mad_pct_mt)",
    "doublet": "doublets (qc.doublets)",
}

Ledgers = Sequence[Mapping[str, Any]]


def concerns(ledgers: Ledgers, sheet: "pd.DataFrame", model: Model) -> list[tuple[str, str]]:
    """Everything that is to be told, as title and text.

    Parameters
    ----------
    ledgers
        Of each sample, see `nestde.cells.qc.ledger_of`.
    sheet
        The sample sheet as checked.
    model
        Section ``model`` of the configuration: what is compared.
    """
    found = [
        swapped(ledgers, sheet),
        same_cells(ledgers),
        _most_removed(ledgers),
        _doublets_of_some(ledgers),
        _no_mt_genes(ledgers),
        _equal_totals(ledgers),
    ]
    names = dict.fromkeys(name for term in model.compared for name in variables_of(term))
    for name in names:
        if name in sheet and (sheet[name].dtype.kind not in "iuf" or name in model.levels):
            of_level = _by_level(ledgers, sheet, name)
            found += [_apart(of_level, name), _unlike(of_level, name)]
    return [(title, text) for title, text in found if text]


def removed(ledgers: Ledgers) -> tuple[int, int, dict[str, int]]:
    """Cells that came, without those that ``input.keep`` did not want; that were removed; and by which rule, most first."""
    by_rule: dict[str, int] = {}
    came = 0
    for ledger in ledgers:
        lines = {line["rule"]: int(line["first"]) for line in ledger["removed"]}
        came += ledger["cells_in"] - sum(n for rule, n in lines.items() if rule.startswith("keep:"))
        for rule, n in lines.items():
            if n and not rule.startswith("keep:"):
                by_rule[rule] = by_rule.get(rule, 0) + n
    by_rule = dict(sorted(by_rule.items(), key=lambda pair: -pair[1]))
    return came, sum(by_rule.values()), by_rule


def share(ledgers: Ledgers) -> float:
    """Share of cells that the rules removed."""
    came, gone, _ = removed(ledgers)
    return gone / came if came else 0.0


def removed_words(ledgers: Ledgers) -> str:
    """``3,721 of 3,726 cells: 3,700 for too few genes (qc.min_genes), …``, the most frequent rules."""
    came, gone, by_rule = removed(ledgers)
    parts = [f"{n:,} for {RULES.get(rule, rule)}" for rule, n in list(by_rule.items())[:3]]
    return f"{gone:,} of {came:,} cells: {', '.join(parts)}"


def _most_removed(ledgers: Ledgers) -> tuple[str, str]:
    advice = "Were the data filtered or normalised before, or are the bounds of section qc not for such data?"
    if share(ledgers) > MOST:
        return "Quality control removed most cells", f"It removed {removed_words(ledgers)}. {advice}"
    poor = [ledger for ledger in ledgers if share([ledger]) > MOST]
    if not poor:
        return "", ""
    named = a_few(f"{ledger['sample_id']} ({100 * share([ledger]):.0f} %)" for ledger in poor)
    return (
        "Quality control removed most cells of some samples",
        f"More than half of the cells were removed in {len(poor)} of {len(ledgers)} samples: {named}. There it removed "
        f"{removed_words(poor)}.",
    )


def _doublets_of_some(ledgers: Ledgers) -> tuple[str, str]:
    """Whether doublets were looked for in some samples and not in others, as qc.doublets: auto does by their size."""
    run = [ledger["sample_id"] for ledger in ledgers if ledger.get("doublets", {}).get("run")]
    if not run or len(run) == len(ledgers):
        return "", ""
    return (
        "Doublets were removed from some samples only",
        f"Scrublet ran on {len(run)} of {len(ledgers)} samples ({a_few(run)}), the larger ones. What was removed there stayed in "
        "the others. Set qc.doublets to always or never.",
    )


def _no_mt_genes(ledgers: Ledgers) -> tuple[str, str]:
    if not any(ledger["mt_rules"] for ledger in ledgers) or any(ledger["mt_genes"] for ledger in ledgers):
        return "", ""
    return (
        "No mitochondrial gene was found",
        "The rules for the mitochondrial percentage (qc.max_pct_mt, qc.mad_pct_mt) are on, but no gene of any sample "
        "begins with one of qc.mt_prefix: they removed nothing. If genes are named by ids, set input.gene_key to the "
        "column of symbols; if these genes were dropped from the data, set both rules to null.",
    )


def spread(totals: Floats) -> float | None:
    """Standard deviation of the total counts of cells that have any, as a share of their mean; None of fewer than 2."""
    totals = totals[totals > 0]
    return float(totals.std() / totals.mean()) if len(totals) > 1 else None


def _equal_totals(ledgers: Ledgers) -> tuple[str, str]:
    equal = [
        ledger["sample_id"]
        for ledger in ledgers
        if ledger["spread_of_totals"] is not None
        and ledger["spread_of_totals"] < EQUAL
        and ledger["cells_in"] >= FEWEST
    ]
    if not equal:
        return "", ""
    return (
        "Every cell has the same total",
        f"In {len(equal)} of {len(ledgers)} samples ({a_few(equal)}) the total counts of cells are equal, or nearly so. Counts "
        "that were made are not; these look normalised (to counts per 10,000 or so) and rounded. DE needs raw counts; is "
        "there a raw layer (input.layer)?",
    )


def _by_level(ledgers: Ledgers, sheet: "pd.DataFrame", name: str) -> dict[str, list[Mapping[str, Any]]]:
    """Level of what is compared -> ledgers of its samples."""
    level_of = dict(zip(sheet["sample_id"].astype(str), sheet[name].astype(str), strict=True))
    found: dict[str, list[Mapping[str, Any]]] = {level: [] for level in dict.fromkeys(level_of.values())}
    for ledger in ledgers:
        if ledger["sample_id"] in level_of:
            found[level_of[ledger["sample_id"]]].append(ledger)
    return {level: mine for level, mine in found.items() if mine}


def _apart(of_level: Mapping[str, Ledgers], name: str) -> tuple[str, str]:
    """Whether levels of what is compared lost cells unequally."""
    shares = {level: median(share([ledger]) for ledger in mine) for level, mine in of_level.items()}
    if not shares or max(shares.values()) - min(shares.values()) < APART:
        return "", ""
    told = ", ".join(f"{100 * value:.0f} % in {level}" for level, value in shares.items())
    return (
        f"Quality control removed unequal shares of {name}",
        f"Of the cells of the median sample it removed {told}. What is left may differ for that reason. Look at which rule it "
        "was (the report's chapter on quality control), and whether it removes a kind of cell and not bad ones.",
    )


def _unlike(of_level: Mapping[str, Ledgers], name: str) -> tuple[str, str]:
    """Whether levels of what is compared differ in depth, in number of cells, or in the RNA of blood."""
    parts = []
    for what, of_sample, times, apart in (
        ("counts of a cell", lambda ledger: _median_of(ledger, "total_counts"), TIMES, 0.0),
        ("cells of a sample", lambda ledger: float(ledger["cells_kept"]), TIMES_CELLS, 0.0),
        ("% of haemoglobin", lambda ledger: _median_of(ledger, "pct_counts_hb"), 1.0, APART_HB),
    ):
        middles = {}
        for level, mine in of_level.items():
            values = [value for value in map(of_sample, mine) if value is not None]
            if values:
                middles[level] = median(values)
        if len(middles) < 2:
            continue
        most, least = max(middles.values()), min(middles.values())
        if most >= times * least and most - least > apart:
            told = ", ".join(f"{value:,.4g} in {level}" for level, value in middles.items())
            parts.append(f"{what}: {told}")
    if not parts:
        return "", ""
    return (
        f"Samples of one {name} are unlike those of another",
        f"In the median sample, {'; '.join(parts)}. What was made or sequenced in another way differs for that reason too: have "
        "depth in the formula (log(total_counts), sequencing_saturation), and look at which batches these were.",
    )


def _median_of(ledger: Mapping[str, Any], metric: str) -> float | None:
    quartiles = ledger.get("metrics", {}).get("after", {}).get(metric)
    return None if quartiles is None else float(quartiles[2])
