"""The inverse Hessian over the elements that are free: from the Hessian, by what a step teaches, and the step by it.

symbol                             array
∂d/∂x, its change along a step     slope, y (T,)
∂²d/∂x²; its inverse               hessian, inverse (T, T)
elements that are not held at 0    free (T,)
"""

import math

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.fit.compiled import compiled

# Eigenvalues of the Hessian below this share of the largest are taken for it.
FLAT = 1e-8
# A change of gradient teaches BFGS if its cosine with the step is above this.
CURVED = 1e-10
TINY = 1e-300


@compiled()
def inverse_over(hessian: Floats, free: NDArray[np.bool_]) -> Floats:
    """Inverse of the Hessian over the free elements, with curvature made positive."""
    size = len(free)
    part, out = np.zeros((size, size)), np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            if free[i] and free[j]:
                part[i, j] = hessian[i, j]
    values, vectors = np.linalg.eigh(part)
    floor = TINY
    for m in range(size):
        floor = max(floor, FLAT * abs(values[m]))
    for m in range(size):
        weight = 1.0 / max(abs(values[m]), floor)
        for i in range(size):
            for j in range(size):
                if free[i] and free[j]:
                    out[i, j] += weight * vectors[i, m] * vectors[j, m]
    return out


@compiled()
def newton_step(inverse: Floats, slope: Floats, free: NDArray[np.bool_], step: Floats) -> float:
    """Fill `step` with −inverse · slope over the free elements; returns the fall of the deviance along it."""
    fall = 0.0
    for i in range(len(step)):
        step[i] = 0.0
        for j in range(len(step)):
            if free[j]:
                step[i] -= inverse[i, j] * slope[j]
        fall -= step[i] * slope[i]
    return fall


@compiled()
def learn(inverse: Floats, s: Floats, y: Floats, free: NDArray[np.bool_]) -> None:
    """BFGS: let the inverse Hessian map the change of gradient `y` to the step `s`, if the curvature is positive."""
    size = len(s)
    curvature, ss, yy = 0.0, 0.0, 0.0
    for i in range(size):
        if not free[i]:
            y[i] = 0.0
        curvature += s[i] * y[i]
        ss += s[i] * s[i]
        yy += y[i] * y[i]
    if not curvature > CURVED * math.sqrt(ss * yy):
        return
    by, yby = np.zeros(size), 0.0
    for i in range(size):
        for j in range(size):
            by[i] += inverse[i, j] * y[j]
        yby += y[i] * by[i]
    factor = (1.0 + yby / curvature) / curvature
    for i in range(size):
        for j in range(size):
            inverse[i, j] += factor * s[i] * s[j] - (by[i] * s[j] + s[i] * by[j]) / curvature
