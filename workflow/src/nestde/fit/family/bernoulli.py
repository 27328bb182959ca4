"""Logistic mixed models of detection: whether a cell has a count of a gene."""

from nestde.fit.family.counted import CountFamily
from nestde.fit.family.family import Scale

FAMILY = CountFamily(
    name="bernoulli",
    label="logistic mixed model of detection",
    sentence=(
        "logistic mixed models of whether a cell has a count, with the logarithm of its size factor as offset: in how many "
        "cells a gene is found"
    ),
    scale=Scale(
        response="ln(odds of a count / size factor)",
        noise="",
        spread="detection ~ Bernoulli",
        effect="the natural logarithm of a ratio of odds that a cell has a count of the gene, at equal size factors",
        short="log odds ratio",
    ),
)
