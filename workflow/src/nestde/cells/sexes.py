"""Whose sample is it: sex as the counts tell it, by XIST and the genes of the Y chromosome, beside what the sheet says.

Where female and male cells are together, some have XIST and others Y, hardly any both; ambient RNA brings the
other sex's to any cell. So it is asked how many cells have both, beside how many would by chance.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.errors import a_few

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

# Of man and mouse; outside of the regions that X and Y share.
XIST = {"xist", "ensg00000229807", "ensmusg00000086503"}
Y = {
    *("rps4y1", "ddx3y", "uty", "kdm5d", "eif1ay", "usp9y", "zfy", "eif2s3y"),
    *("ensg00000129824", "ensg00000067048", "ensg00000183878", "ensg00000012817", "ensg00000198692", "ensg00000114374"),
    *("ensmusg00000069045", "ensmusg00000068457", "ensmusg00000056673", "ensmusg00000069049"),
}  # fmt: skip
FEWEST = 10  # counts of one side that say something
CLEAR = 5  # times as many as of the other
BY_CHANCE = 10  # cells of which both would be expected, below which that nearly none has says nothing
COLUMNS = ("sex", "gender", "sexatbirth", "biologicalsex", "donorsex")
WORDS = {
    "f": "female",
    "female": "female",
    "woman": "female",
    "w": "female",
    "m": "male",
    "male": "male",
    "man": "male",
}


def in_cells(
    counts: "csr_matrix", genes: Iterable[object], ids: Iterable[object] | None = None
) -> dict[str, NDArray[np.int64] | None]:
    """Counts of ``XIST``, and of the genes of ``Y``, in each cell; None where the data do not have them."""
    names = _folded(genes)
    if ids is not None:
        names = np.where(np.isin(names, list(XIST | Y)), names, _folded(ids))
    found: dict[str, NDArray[np.int64] | None] = {}
    for side, members in (("XIST", XIST), ("Y", Y)):
        there = np.isin(names, list(members))
        found[side] = counts @ there.astype(np.int64) if there.any() else None
    return found


def evidence(found: Mapping[str, NDArray[np.int64] | None]) -> dict[str, Any]:
    """What a ledger tells of the sex of some cells.

    Parameters
    ----------
    found
        See `in_cells`.

    Returns
    -------
    dict
        ``sex_counts``: sums of each side, or None; ``sex_cells``: cells ``of`` which some have ``XIST``, ``Y``, ``both``,
        empty where the data have not the genes of both.
    """
    sums = {side: None if of is None else int(of.sum()) for side, of in found.items()}
    x, y = found["XIST"], found["Y"]
    if x is None or y is None:
        return {"sex_counts": sums, "sex_cells": {}}
    numbers = {"of": len(x), "XIST": (x > 0).sum(), "Y": (y > 0).sum(), "both": ((x > 0) & (y > 0)).sum()}
    return {"sex_counts": sums, "sex_cells": {name: int(number) for name, number in numbers.items()}}


def _folded(names: Iterable[object]) -> NDArray[np.str_]:
    """Lower case, an id without its version."""
    return np.array([re.sub(r"(?<=\d)\.\d+$", "", str(name).lower()) for name in names], str)


def called(found: Mapping[str, int | None], cells: Mapping[str, int] | None = None) -> str:
    """``female``, ``male``, ``both`` where there are cells of either; '' where the counts do not tell.

    Parameters
    ----------
    found, cells
        See `evidence`.
    """
    x, y = found.get("XIST"), found.get("Y")
    if x is None or y is None or max(x, y) < FEWEST:
        return ""
    if cells:
        by_chance = cells["XIST"] * cells["Y"] / cells["of"]
        fewest = min(by_chance / 2, by_chance - 3 * math.sqrt(by_chance))
        if by_chance >= BY_CHANCE and cells["both"] <= fewest:
            return "both"
    if x >= CLEAR * y:
        return "female"
    return "male" if y >= CLEAR * x else ""


def call_of(ledger: Mapping[str, Any]) -> str:
    """`called` of what a sample's ledger tells."""
    return called(ledger.get("sex_counts", {}), ledger.get("sex_cells"))


def said_sexes(
    ledgers: Sequence[Mapping[str, Any]], sheet: "pd.DataFrame"
) -> tuple[str | None, dict[str, str], dict[str, str]]:
    """The column of the sheet that says a sex, if any; sample -> its value there; sample -> ``female``, ``male`` or ''.

    A sex that is coded (1 and 2) is read in the way that fits most samples.
    """
    column = next((name for name in sheet if re.sub("[^a-z]", "", str(name).lower()) in COLUMNS), None)
    if column is None:
        return None, {}, {}
    given = dict(zip(sheet["sample_id"].astype(str), sheet[column].astype(str), strict=True))
    meant = _meant(given, {ledger["sample_id"]: call_of(ledger) for ledger in ledgers})
    return str(column), given, {sample: meant.get(value, "") for sample, value in given.items()}


def swapped(ledgers: Sequence[Mapping[str, Any]], sheet: "pd.DataFrame") -> tuple[str, str]:
    """Title and text on samples whose counts contradict the sheet's sex, or are of both; '' and '' if there are none."""
    calls = {ledger["sample_id"]: call_of(ledger) for ledger in ledgers}
    column, given, said = said_sexes(ledgers, sheet)
    counts = {ledger["sample_id"]: ledger.get("sex_counts", {}) for ledger in ledgers}
    wrong = [
        f"{sample} ({column} {given[sample]}; XIST {counts[sample]['XIST']:,}, Y {counts[sample]['Y']:,})"
        for sample, call in calls.items()
        if contradicts(call, said.get(sample, ""))
    ]
    both = [
        "{} (XIST in {XIST:,}, Y in {Y:,}, both in {both:,} of {of:,} cells)".format(
            ledger["sample_id"], **ledger["sex_cells"]
        )
        for ledger in ledgers
        if calls[ledger["sample_id"]] == "both"
    ]
    texts = []
    if wrong:
        texts.append(
            f"The counts of XIST and of genes of the Y chromosome contradict the sheet in {len(wrong)} of {len(calls)} samples: "
            f"{a_few(wrong, 8)}. Were samples swapped, or is the sheet wrong? Then their other columns may be wrong, too."
        )
    if both:
        texts.append(
            f"Female and male cells are together in {a_few(both, 8)}; were it ambient RNA, more cells would have both. "
            "Were samples pooled, or cells told apart wrongly?"
        )
    title = "Sex by the counts is not that of the sheet" if wrong else "Samples of both sexes" if both else ""
    return title, " ".join(texts)


def contradicts(call: str, said: str) -> bool:
    """Whether counts tell one sex and the sheet says the other."""
    return {call, said} == {"female", "male"}


def _meant(given: Mapping[str, str], calls: Mapping[str, str]) -> dict[str, str]:
    """What each value of the sheet means: a word for a sex, or one of two codes as most samples have them."""
    values = sorted(set(given.values()) - {"nan"})
    if all(value.lower() in WORDS for value in values):
        return {value: WORDS[value.lower()] for value in values}
    known = [
        (value, calls[sample]) for sample, value in given.items() if calls.get(sample) in ("female", "male")
    ]
    if len(values) != 2 or not known:
        return {value: WORDS.get(value.lower(), "") for value in values}
    ways = [dict(zip(values, order, strict=True)) for order in (("female", "male"), ("male", "female"))]
    agree = [sum(way[value] == call for value, call in known) for way in ways]
    best = int(agree[1] > agree[0])
    return ways[best] if agree[best] >= max(3, 0.75 * len(known)) else {}
