"""Hurdle models: whether a cell has a count of a gene, and how much the cells have that do (as MAST, with random effects)."""
