"""Differential expression of a cell type: fits of its genes, tables of results, the same by other means."""
