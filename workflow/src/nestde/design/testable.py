"""A design whose tests have replicates; or, where a formula has none on some rows, the reason as a value."""

import itertools
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nestde.design.compared import rows_at
from nestde.design.design import Design, build_design, load_design_file
from nestde.design.formula import Formula
from nestde.design.replication import lone_samples
from nestde.errors import NestdeError
from nestde.io.files import atomic

ONE_SAMPLE = "a single sample with enough cells of this type; 2 are needed"


@dataclass(frozen=True)
class NotTestable:
    """Why nothing can be tested, in the place of a `Design`: its genes become rows with this reason."""

    reason: str

    def save(self, path: Path) -> None:
        """Write it where a design would stand."""
        with atomic(path) as temporary, temporary.open("wb") as handle:
            np.savez(handle, refused=np.frombuffer(json.dumps(self.reason).encode(), np.uint8))


def design_to_test(
    formula: str | Formula,
    table: pd.DataFrame,
    *,
    test: Sequence[str],
    levels: Mapping[str, Sequence[object]],
    why_not: Callable[[Design], str] = lambda design: "",
) -> Design | NotTestable:
    """Build the design of a formula (see `build_design`) if what is tested has replicates in it; else say why not.

    `why_not` says of a design why it cannot be fitted, as `Family.why_not` does; '' if it can.
    """
    try:
        design = build_design(formula, table, test=test, levels=levels)
    except NestdeError as error:
        # without the formula and the caret below it: this is for one cell of a table
        return NotTestable(" ".join(" ".join(fault.split("\n")[0].split()) for fault in error.faults))
    design = without_lone_contrasts(design, table)
    reason = too_few_samples(design, table) or no_groups_left(design) or why_not(design)
    if not reason and not design.tests and design.untested:
        reason = "; ".join(f"{contrast}: {why}" for contrast, why in design.untested.items())
    return NotTestable(reason) if reason else design


def load_design(path: Path) -> Design | NotTestable:
    """Read what `Design.save` or `NotTestable.save` wrote.

    Raises
    ------
    NestdeError
        If it cannot be read.
    """
    with (
        suppress(OSError, ValueError, zipfile.BadZipFile),
        path.open("rb") as handle,
        np.load(handle) as stored,
    ):
        if "refused" in stored:
            return NotTestable(str(json.loads(stored["refused"].tobytes())))
    return load_design_file(path)


def without_lone_contrasts(design: Design, obs: pd.DataFrame) -> Design:
    """The design without contrasts that have a single sample at any of their points: what is particular to it, is in them."""
    sample = _samples(design, obs)
    if sample is None:
        return design
    reasons = dict(design.untested)
    for name, compared in design.contrasts.items():
        for point in compared.points:
            numbers = [column for column, _ in point if column in obs and obs[column].dtype.kind == "f"]
            levels = [(column, value) for column, value in point if column in obs and column not in numbers]
            there = np.all([rows_at(obs[column], value) for column, value in levels], axis=0)
            if levels and len(np.unique(sample[there])) == 1:
                words = " with ".join(f"{column} {value}" for column, value in levels)
                reasons.setdefault(name, f"{words} has {ONE_SAMPLE}")
    kept = {name: columns for name, columns in design.tests.items() if name not in reasons}
    contrasts = {name: compared for name, compared in design.contrasts.items() if name not in reasons}
    return replace(design, tests=kept, contrasts=contrasts, untested=reasons)


def _samples(design: Design, obs: pd.DataFrame) -> NDArray[np.int64] | None:
    """Sample of each row, None where nothing tells."""
    if "sample_id" in obs:
        return np.asarray(pd.factorize(obs["sample_id"])[0], np.int64)
    return design.random[0].codes.astype(np.int64) if design.random else None


def too_few_samples(design: Design, obs: pd.DataFrame) -> str:
    """Name the kinds of samples that a test compares and of which there is one; '' if there are none (see `replication`)."""
    sample = _samples(design, obs)
    if sample is None:
        return ""
    terms = [test for test in design.tests if test not in design.contrasts]
    found = lone_samples(design.formula, terms, design.x, design.terms, design.levels, obs, sample)
    if not found:
        return ""
    return f"{', '.join(map(str, found))} {'has' if len(found) == 1 else 'each have'} {ONE_SAMPLE}"


def no_groups_left(design: Design) -> str:
    """Name a tested term whose groups are as few as the coefficients between them, (1 | x) beside x; '' if there is none."""
    from nestde.design.within import constant_within

    for term, factor in itertools.product(design.tests, design.random):
        constant = constant_within(design.x, factor)
        if "(Intercept)" not in factor.effects or not constant[list(design.tests[term])].all():
            continue
        first = np.unique(factor.codes, return_index=True)[1]
        if np.linalg.matrix_rank(design.x[first][:, constant]) >= len(first):
            return (
                f"{term} is tested between groups of {factor.name}: the {len(first)} that there are, are all taken up by the "
                "formula's coefficients, so nothing is left to tell how much they differ anyway"
            )
    return ""
