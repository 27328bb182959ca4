"""One p-value of two that may go together: Cauchy's combination (Liu & Xie 2020, J Am Stat Assoc 115, 393-402).

A sample in which a gene is high has more cells with a count, and more counts in these: the two parts of a hurdle model are
not independent of each other, and the sum of their χ² is too large in too many genes (tests/bench/hurdle_size.py). The mean of
cot(πp) follows Cauchy's law nearly whatever the dependence, the more exactly the smaller p is.
"""

import math

import numpy as np

from nestde.arrays import Floats

# A p-value above this is taken for it: else one of nearly 1 would hide the other.
_LARGEST = 0.9
# Below this log, cot(πp) is 1/(πp) to rounding.
_FAR = -20.0


def cauchy(log_p: Floats, other: Floats) -> Floats:
    """(G,) log of the p-value of both; where one is NaN it is the other."""
    both = np.isfinite(log_p) & np.isfinite(other)
    out = np.where(np.isfinite(log_p), log_p, other)
    a, b = log_p[both], other[both]
    far = np.minimum(a, b) < _FAR
    out[both] = np.where(far, math.log(2.0) - np.logaddexp(-a, -b), _middle(a, b))
    return np.minimum(out, 0.0)


def _middle(a: Floats, b: Floats) -> Floats:
    """Where neither is very small."""
    p = [np.clip(np.exp(each), math.exp(_FAR), _LARGEST) for each in (a, b)]
    mean = 0.5 * sum(1.0 / np.tan(math.pi * each) for each in p)
    return np.asarray(np.log(0.5 - np.arctan(mean) / math.pi))
