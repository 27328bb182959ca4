"""What quality control would leave for the tests: its rules applied to the counts, without a run."""

from collections.abc import Iterator

import numpy as np

from nestde.cells.fitting import forecast, measure, removed_by
from nestde.cells.ingest import cells_of
from nestde.check.power import roster_of_type
from nestde.check.study import Study, labels_of
from nestde.check.terms import tested_variables
from nestde.io.formats import open_source
from nestde.io.obs import keep_cells
from nestde.words import as_sentence


def foreseen(study: Study) -> Iterator[str]:
    """Lines: what each rule would remove, and the cell types and levels that would not be tested for it.

    Of files so large that only parts are read, no more is said of cell types.
    """
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
    yield from forecast(table, samples, _levels(study, samples), config.qc)
    if not whole:
        return
    stays = ~removed_by(table, samples, config.qc).any(axis=1).to_numpy()
    place = pd.Index(study.samples).get_indexer(pd.Index(samples))
    every = np.bincount(place[stays], minlength=len(study.samples))
    for cell_type in config.cell_types:
        of_type = (table["cell_type"] == cell_type).to_numpy()
        left, came = (
            np.bincount(place[which], minlength=len(study.samples)) for which in (of_type & stays, of_type)
        )
        roster = roster_of_type(study, left, came, every, counted="after quality control")
        if roster.untestable():
            yield f"  {cell_type} would not be tested. {as_sentence(roster.untestable())}"
            continue
        for factor in roster.factors:
            for level, number in roster.numbers(factor).items():
                if not number:
                    yield f"  {cell_type} would be tested without {level}: {as_sentence(roster.level_words(factor, level))}"


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
