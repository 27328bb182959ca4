"""What all formats of 10x Genomics share: features, of which some are genes, and their names."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nestde.errors import NestdeError, a_few
from nestde.io.source import Source, text, unique_genes

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

HINT = "Set input.gene_key to gene_ids, or mend the list of features."


def var_of_features(ids: Any, symbols: Any, types: Any) -> "pd.DataFrame":
    """Features as scanpy names their columns; a symbol that occurs more than once is written SYMBOL_ID."""
    import pandas as pd

    var = pd.DataFrame(
        {"gene_ids": [text(value) for value in ids], "gene_symbols": [text(v) for v in symbols]}
    )
    var["feature_types"] = "Gene Expression" if types is None else [text(value) for value in types]
    twice = var["gene_symbols"].duplicated(keep=False) & (var["feature_types"] == "Gene Expression")
    var.index = pd.Index(
        var["gene_symbols"].where(~twice, var["gene_symbols"] + "_" + var["gene_ids"]), dtype=object
    )
    return var


def genes_among(
    path: Path, var: "pd.DataFrame", gene_key: str | None
) -> tuple["NDArray[np.intp]", "NDArray[np.object_]"]:
    """Which features are genes, and their names."""
    if gene_key is not None and gene_key not in var:
        raise NestdeError(f"{path}: input.gene_key is {gene_key}; 10x data have {a_few(var.columns)}.")
    is_gene = np.flatnonzero(var["feature_types"] == "Gene Expression")
    if not len(is_gene):
        raise NestdeError(f"{path}: no feature is of type Gene Expression; is it antibody or guide data?")
    names = var.index if gene_key is None else var[gene_key]
    return is_gene, unique_genes(path, np.asarray(names, object)[is_gene], HINT)


def select_genes(source: Source, var: "pd.DataFrame", gene_key: str | None) -> Source:
    """Name the genes, and leave out features that are none (antibodies, guides)."""
    is_gene, genes = genes_among(source.path, var, gene_key)
    ids = None if gene_key == "gene_ids" else var["gene_ids"].to_numpy(object)[is_gene]
    if len(is_gene) == len(var):
        return Source(source.path, source.obs, genes, source.row_nnz, source.rows, gene_ids=ids)

    def rows(start: int, stop: int) -> Any:
        return source.rows(start, stop)[:, is_gene]

    counted = [np.diff(rows(*edge).indptr) for edge in _steps(len(source.obs))]
    row_nnz = np.concatenate(counted) if counted else source.row_nnz
    return Source(source.path, source.obs, genes, row_nnz.astype(np.int64), rows, gene_ids=ids)


def _steps(n: int, step: int = 5_000) -> list[tuple[int, int]]:
    return [(start, min(n, start + step)) for start in range(0, n, step)]


def in_memory(path: Path, barcodes: list[str], genes: Any, whole: Any) -> Source:
    """Counts of cells × genes that are read, csr."""
    import pandas as pd

    return Source(
        path,
        pd.DataFrame(index=barcodes),
        genes,
        np.diff(whole.indptr).astype(np.int64),
        lambda start, stop: whole[start:stop],
    )


def only_x(path: Path, layer: str) -> None:
    """Refuse a layer: data of 10x have one matrix."""
    if layer != "X":
        raise NestdeError(f"{path}: is 10x data and has no layer {layer}. Set input.layer to X.")
