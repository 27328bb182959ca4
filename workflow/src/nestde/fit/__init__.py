"""The mixed-model engine: one design, many responses."""

from nestde.fit.genes import fit_genes, fit_responses
from nestde.fit.state import Fits, GeneFits, LikelihoodRatio, Record

__all__ = ["Fits", "GeneFits", "LikelihoodRatio", "Record", "fit_genes", "fit_responses"]
