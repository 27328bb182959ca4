"""The cell's own total: counts per 10,000."""

from nestde.size_factors.size_factor import PER, Counted, Scaled, SizeFactor


def scale(counted: Counted) -> Scaled:
    """Total counts of each cell, per `PER`."""
    return Scaled(counted.total / PER)


SIZE_FACTOR = SizeFactor(
    "library",
    "library size",
    "library divides by the total counts of the cell, per 10,000.",
    scale,
)
