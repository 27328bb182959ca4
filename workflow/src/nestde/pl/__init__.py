"""Figures of results, by matplotlib: each takes ``ax=`` and returns the Axes that it drew on.

`volcano` and `qq` show all genes of a comparison, `forest` effects with their intervals, `strip` one gene sample by sample,
`variance` how much of it lies between samples. Colours are those of Okabe and Ito, which the colour-blind tell apart.
"""

from nestde.pl.effects import forest, strip
from nestde.pl.genes import qq, volcano
from nestde.pl.variances import variance

__all__ = ["forest", "qq", "strip", "variance", "volcano"]
