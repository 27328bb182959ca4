"""What the counts of a cell are divided by, a file for each way. A new one is a file here and a line in the list."""

from nestde.errors import NestdeError
from nestde.size_factors import library, median_of_ratios
from nestde.size_factors.size_factor import PER, Counted, Scaled, SizeFactor

__all__ = ["PER", "SIZE_FACTORS", "Counted", "Scaled", "SizeFactor", "size_factor"]

SIZE_FACTORS: list[SizeFactor] = [
    median_of_ratios.SIZE_FACTOR,
    library.SIZE_FACTOR,
]


def size_factor(name: str) -> SizeFactor:
    """Find a way to size factors by its name.

    Raises
    ------
    NestdeError
        There is none of that name.
    """
    for each in SIZE_FACTORS:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in SIZE_FACTORS)
    raise NestdeError(f"genes.size_factors: {name} is no way to size factors. There are {known}.")
