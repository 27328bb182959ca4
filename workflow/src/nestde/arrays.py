"""Names of the arrays that signatures speak of."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
# Of text, as numpy's own strings or as objects.
Texts = NDArray[Any]
