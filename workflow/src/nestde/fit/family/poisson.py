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
    scale=Scale(
        response="ln(mean count / size factor)",
        noise="",
        spread="counts ~ Poisson",
        effect=LOG_RATIO,
        short="log ratio of counts",
    ),
)
