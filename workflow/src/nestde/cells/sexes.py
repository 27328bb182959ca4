"""Whose sample is it: sex as the counts tell it, by XIST and the genes of the Y chromosome, beside what the sheet says."""

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


def sex_counts(
    counts: "csr_matrix", genes: Iterable[object], ids: Iterable[object] | None = None
) -> dict[str, int | None]:
    """Counts of ``XIST`` and of the genes of ``Y`` over some cells; None where the data do not have them."""
    names = _folded(genes)
    if ids is not None:
        names = np.where(np.isin(names, list(XIST | Y)), names, _folded(ids))
    total = np.asarray(counts.sum(axis=0)).ravel()
    found: dict[str, int | None] = {}
    for side, members in (("XIST", XIST), ("Y", Y)):
        there = np.isin(names, list(members))
        found[side] = int(total[there].sum()) if there.any() else None
    return found


def _folded(names: Iterable[object]) -> NDArray[np.str_]:
    """Lower case, an id without its version."""
    return np.array([re.sub(r"(?<=\d)\.\d+$", "", str(name).lower()) for name in names], str)


def called(found: Mapping[str, int | None]) -> str:
    """``female``, ``male``, ``both`` where neither is rare; '' where the counts do not tell."""
    x, y = found.get("XIST"), found.get("Y")
    if x is None or y is None or max(x, y) < FEWEST:
        return ""
    if x >= CLEAR * y:
        return "female"
    return "male" if y >= CLEAR * x else "both"


def swapped(ledgers: Sequence[Mapping[str, Any]], sheet: "pd.DataFrame") -> tuple[str, str]:
    """Title and text on samples whose counts contradict the sheet's sex, or are of both; '' and '' if there are none.

    A sex that is coded (1 and 2) is read in the way that fits most samples.
    """
    calls = {ledger["sample_id"]: called(ledger.get("sex_counts", {})) for ledger in ledgers}
    column = next((name for name in sheet if re.sub("[^a-z]", "", str(name).lower()) in COLUMNS), None)
    said: dict[str, str] = {}
    if column is not None:
        given = dict(zip(sheet["sample_id"].astype(str), sheet[column].astype(str), strict=True))
        meant = _meant(given, calls)
        said = {sample: meant.get(value, "") for sample, value in given.items()}
    counts = {ledger["sample_id"]: ledger.get("sex_counts", {}) for ledger in ledgers}
    wrong = [
        f"{sample} ({column} {given[sample]}; XIST {counts[sample]['XIST']:,}, Y {counts[sample]['Y']:,})"
        for sample, call in calls.items()
        if call in ("female", "male") and said.get(sample) in ("female", "male") and said[sample] != call
    ]
    both = [
        f"{sample} (XIST {counts[sample]['XIST']:,}, Y {counts[sample]['Y']:,})"
        for sample, call in calls.items()
        if call == "both"
    ]
    texts = []
    if wrong:
        texts.append(
            f"The counts of XIST and of genes of the Y chromosome contradict the sheet in {len(wrong)} of {len(calls)} samples: "
            f"{a_few(wrong, 8)}. Were samples swapped, or is the sheet wrong? Then their other columns may be wrong, too."
        )
    if both:
        texts.append(f"Both are there in {a_few(both, 8)}: cells of two donors, or much ambient RNA.")
    return (
        ("Sex by the counts is not that of the sheet" if wrong else "Samples of both sexes", " ".join(texts))
        if texts
        else ("", "")
    )


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
