"""Which genes each file has, where there are several: a gene that a file does not have was not measured there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestde.errors import Faults
from nestde.io.formats import read_genes
from nestde.study.config import Config


@dataclass(frozen=True, eq=False)
class Features:
    """Genes of several files.

    Attributes
    ----------
    files
        (f,) paths.
    genes
        (m,) names of the genes of all files together.
    there
        (f, m) whether a file has a gene.
    """

    files: tuple[str, ...]
    genes: NDArray[np.object_]
    there: NDArray[np.bool_]


def read_features(files: Sequence[str], config: Config, faults: Faults) -> Features | None:
    """Read the names of genes of each file, no counts; what cannot be read is noted. None of a single file."""
    import pandas as pd

    named: list[NDArray[np.object_]] = []
    for file in files:
        with faults.noting():
            names = read_genes(file, layer=config.input.layer, gene_key=config.input.gene_key)
            # one array for all that are alike: hundreds of files of a study mostly are
            named.append(named[0] if named and np.array_equal(named[0], names) else names)
    if len(named) < len(files) or len(files) < 2:
        return None
    genes = pd.unique(np.concatenate(list({id(names): names for names in named}.values())))
    index = pd.Index(genes)
    there = np.ones((len(files), len(genes)), bool)
    for row, names in zip(there, named, strict=True):
        if len(names) < len(genes):
            row[:] = False
            row[index.get_indexer(names)] = True
    return Features(tuple(files), genes, there)
