"""The raw counts of an AnnData object, and what of the configuration was not given."""

from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.errors import NestdeError, a_few
from nestde.io.raw_counts import RawCounts
from nestde.study.schema import rule
from nestde.words import count, verb

if TYPE_CHECKING:
    import anndata
    import scipy.sparse


def raw_counts(adata: "anndata.AnnData", layer: str | None) -> "scipy.sparse.csr_matrix":
    """Raw counts as CSR without stored zeros.

    Raises
    ------
    NestdeError
        There is no such layer, values are no counts, or cells have none.
    """
    from scipy.sparse import csr_matrix

    if layer is not None and layer not in adata.layers:
        raise NestdeError(f"layer {layer}: the data have {a_few(adata.layers) or 'none'}.")
    counts = csr_matrix(adata.X if layer is None else adata.layers[layer])
    check = RawCounts(layer or "X", adata.obs_names, adata.var_names)
    counts = check.whole(counts, np.arange(counts.shape[0]))
    check.raise_if_any(hint="is there a raw layer?")
    if not counts.data.all():
        counts = counts.copy()  # the arrays are the user's still
        counts.eliminate_zeros()
    empty = int((np.diff(counts.indptr) == 0).sum())
    if empty:
        raise NestdeError(f"{count(int(empty), 'cell')} {verb(empty, 'have')} no counts. Remove them.")
    return counts


def setting(given: Any, key: str) -> Any:
    """What was given, else the schema's default of the key."""
    return rule(key)["default"] if given is None else given
