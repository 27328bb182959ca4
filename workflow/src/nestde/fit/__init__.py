"""The mixed-model engine: one design, many responses."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nestde.fit.genes import fit_genes, fit_responses
    from nestde.fit.record import Fits, GeneFits, LikelihoodRatio, Record

__all__ = ["Fits", "GeneFits", "LikelihoodRatio", "Record", "fit_genes", "fit_responses"]


def __getattr__(name: str) -> Any:
    """Import what is asked for: the names of the methods need no numba."""
    if name in ("fit_genes", "fit_responses"):
        from nestde.fit import genes

        return getattr(genes, name)
    if name in __all__:
        from nestde.fit import record

        return getattr(record, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
