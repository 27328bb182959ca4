"""What quality control would leave for the tests: its rules applied to the counts, without a run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.cells.fitting import forecast, measure, removed_by
from nestde.cells.ingest import cells_of
from nestde.cells.sexes import evidence, swapped
from nestde.check.celltypes import roster_of_type
from nestde.check.seen import Seen
from nestde.check.study import Study, labels_of
from nestde.check.terms import tested_variables
from nestde.io.formats import open_source
from nestde.io.obs import keep_cells
from nestde.words import as_sentence

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Foreseen:
    """Lines on what each rule would remove, and the cell types and levels that would not be tested for it; cells left.

    Of files so large that only parts are read, no more is said of cell types, and what is left is not known.
    """

    lines: tuple[str, ...]
    seen: Seen | None


def foreseen(study: Study) -> Foreseen:
    """Apply the rules of quality control to the counts of a study."""
    import pandas as pd

    config = study.config
    parts, whole = [], True
    for path in dict.fromkeys(study.paths.values()):
        mine = [sample for sample in study.samples if study.paths[sample] == path]
        source = open_source(path, layer=config.input.layer, gene_key=config.input.gene_key)
        obs, cells = cells_of(source, mine, config.input)
        named = cells["sample_id"].notna().to_numpy()
        kept, _ = keep_cells(source.path, obs, named, config.input.keep)
        measured = measure(source, config.qc)
        whole = whole and len(measured) == len(cells)
        chosen = measured.index[kept[measured.index]]
        told = cells.iloc[chosen].astype(object).reset_index(drop=True)
        parts.append(pd.concat([measured.loc[chosen].reset_index(drop=True), told], axis=1))
    table = pd.concat(parts, ignore_index=True)
    samples = table["sample_id"].map(str).to_numpy(object)
    lines = forecast(table, samples, _levels(study, samples), config.qc)
    stays = ~removed_by(table, samples, config.qc).any(axis=1).to_numpy()
    title, text = swapped(list(_sexes(table[stays], samples[stays], study)), study.sheet)
    if title:
        lines.append(f"  {title}. {text}")
    if not whole:
        return Foreseen(tuple(lines), None)
    place = pd.Index(study.samples).get_indexer(pd.Index(samples))
    every = np.bincount(place[stays], minlength=len(study.samples))
    of_types = {}
    for cell_type in config.cell_types:
        of_type = (table["cell_type"] == cell_type).to_numpy()
        left, came = (
            np.bincount(place[which], minlength=len(study.samples)) for which in (of_type & stays, of_type)
        )
        of_types[cell_type] = dict(zip(study.samples, left.tolist(), strict=True))
        roster = roster_of_type(study, left, came, every, counted="after quality control")
        if roster.untestable():
            lines.append(f"  {cell_type} would not be tested. {as_sentence(roster.untestable())}")
            continue
        for factor in roster.factors:
            for level, number in roster.numbers(factor).items():
                if not number:
                    why = as_sentence(roster.level_words(factor, level))
                    lines.append(f"  {cell_type} would be tested without {level}: {why}")
    in_all = dict(zip(study.samples, every.tolist(), strict=True))
    return Foreseen(tuple(lines), Seen(of_types, in_all))


def _sexes(
    table: "pd.DataFrame", samples: "np.ndarray[tuple[int], np.dtype[np.object_]]", study: Study
) -> Iterator[dict[str, Any]]:
    """What the ledger of each sample will tell of its sex."""
    for sample in study.samples:
        mine = table[samples == sample]
        # data of one file may have these genes and those of another not: NaN
        sides = {
            side: mine[side].to_numpy(np.int64) if side in mine and mine[side].notna().all() else None
            for side in ("XIST", "Y")
        }
        yield {"sample_id": sample} | evidence(sides)


def _levels(
    study: Study, samples: "np.ndarray[tuple[int], np.dtype[np.object_]]"
) -> "np.ndarray[tuple[int], np.dtype[np.object_]]":
    """Level of the first tested factor of each cell's sample; '' where there is none."""
    for name in tested_variables(study):
        variable = study.variables[name]
        if variable.between and variable.factor:
            labels = np.asarray(labels_of(variable.values).astype(object))
            of = {
                sample: str(level) if level == level else ""
                for sample, level in zip(study.samples, labels, strict=True)
            }
            return np.array([of[sample] for sample in samples], object)
    return np.full(len(samples), "", object)
