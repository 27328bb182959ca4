"""Negative binomial mixed models of counts."""

from nestde.fit.family.counted import DISPERSION, SD, CountFamily
from nestde.fit.family.family import Scale
from nestde.fit.family.poisson import LOG_RATIO

FAMILY = CountFamily(
    name="negative_binomial",
    label="negative binomial mixed model",
    sentence=(
        "negative binomial mixed models of the counts of each cell, with the logarithm of its size factor as offset"
    ),
    scale=Scale(
        response="ln(mean count / size factor)",
        noise="",
        spread="counts ~ NB, variance μ + dispersion · μ²",
        effect=LOG_RATIO,
        short="log ratio of counts",
    ),
    shown=(SD, DISPERSION),
)
