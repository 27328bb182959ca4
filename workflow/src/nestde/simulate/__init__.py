"""Studies with known truth: cohorts of counts, made up or like a study that was fitted, and two small ones."""

from nestde.called import callable_module
from nestde.simulate.cohorts import Cohort, simulate, write
from nestde.simulate.learnt import Learnt, learn
from nestde.simulate.like import Asked, simulate_like, write_like
from nestde.simulate.small import nested_growth, shifted_gene

__all__ = [
    "Asked",
    "Cohort",
    "Learnt",
    "learn",
    "nested_growth",
    "shifted_gene",
    "simulate",
    "simulate_like",
    "write",
    "write_like",
]

callable_module(__name__)
