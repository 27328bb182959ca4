"""nestde: differential expression for cells nested in samples nested in a diagnosis."""

__version__ = "0.1.0"
