"""Poisson mixed models of counts."""

from nestde.fit.family.counted import CountFamily
from nestde.fit.family.family import Scale

LOG_RATIO = (
    "the natural logarithm of a ratio of counts at equal size factors: e to its power is a fold change"
)

FAMILY = CountFamily(
    name="poisson",
    label="Poisson mixed model",
    sentence=(
        "Poisson mixed models of the counts of each cell, with the logarithm of its size factor as offset: for terms that are "
        "constant within samples only"
    ),
    # tests/bench/count_structures.py cells "cells, high"
    within=(
        "A Poisson model takes counts for no more scattered than by chance, and those of cells are: in simulated genes of 3 v 3 samples "
        "11 % (mean count .5) and 39 % (5) of genes without any effect of such a term had p < 0.05, and by a negative binomial model 5 %. Take "
        "model.family: negative_binomial."
    ),
    scale=Scale(
        response="ln(mean count / size factor)",
        noise="",
        spread="counts ~ Poisson",
        effect=LOG_RATIO,
        short="log ratio of counts",
    ),
)
