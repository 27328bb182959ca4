"""A warning of random factors that cross each other with many levels: what they cost, before it is spent."""

from nestde.check.found import Warned
from nestde.check.wording import both
from nestde.design.design import Design
from nestde.fit.family import Family

# Seconds of a fit: above it ten thousand genes, three fits each, take more than about eight hours of one core.
SLOW = 1.0
# Genes by which the cost is told.
_GENES = 1000


def slow_crossing(design: Design, family: Family) -> Warned | None:
    """Warn if a fit takes seconds or a test of the family is out of reach."""
    if len(design.random) < 2:
        return None
    seconds, reason = family.seconds_per_fit(design), family.out_of_reach(design)
    if seconds < SLOW and not reason:
        return None
    sizes = both([f"{factor.name} ({len(factor.levels):,})" for factor in design.random])
    text = f"The levels of {sizes} share cells, so that all random effects are estimated together."
    if seconds >= SLOW:
        text += (
            f" One fit takes about {duration(seconds)}, and {_GENES:,} genes, {family.fits} fits each, "
            f"{duration(_GENES * family.fits * seconds)} of one core (an order of magnitude, from the design's size; `nestde plan` "
            "times it). A factor with few levels can be a fixed effect; fewer genes are tested with a higher "
            "genes.min_cells_share."
        )
    return Warned(
        "crossed_factors_slow", "Many random effects share cells", text + (f" {reason}." if reason else "")
    )


def duration(seconds: float) -> str:
    """A rough number of seconds, minutes, hours or days."""
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 1.5 * size:
            return f"{float(f'{seconds / size:.1g}'):,.0f} {unit}s"
    rounded = float(f"{seconds:.1g}")
    return f"{rounded:g} second{'s' * (rounded != 1)}"
