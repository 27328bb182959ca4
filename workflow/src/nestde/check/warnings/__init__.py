"""What is warned of and carried into the report: the study can be answered, but not as well as it seems.

A warning is a function of the study and of what can be estimated in it; it yields `Warned` or nothing. It stands in the file
of its theme and in `WARNINGS`, in the order in which readers meet them, the gravest first.
"""

from collections.abc import Callable, Iterator

from nestde.check.faults import Answer
from nestde.check.found import Warned
from nestde.check.study import Study
from nestde.check.warnings import cells, columns, covariates, donors, genes, groups, samples

WARNINGS: list[Callable[[Study, Answer], Iterator[Warned]]] = [
    genes.absent_with_levels,
    groups.no_groups,
    columns.of_the_users,
    cells.depth_apart,
    groups.scattered_cells,
    groups.no_slope,
    groups.containment,
    covariates.conditional,
    cells.unnamed,
    cells.untyped,
    samples.left_out,
    samples.few_samples,
    samples.cell_types,
    groups.absorbed,
    donors.unpaired,
    donors.crossing,
    donors.repeated,
    groups.few_groups,
    covariates.one_sided,
    samples.lonely,
    genes.absent_genes,
    columns.unused_doublets,
    covariates.collinear,
    covariates.labels,
    covariates.scales,
    cells.unequal,
    groups.slow,
]


def warnings_of(study: Study, answer: Answer) -> tuple[Warned, ...]:
    """All warnings, the gravest first."""
    return tuple(warned for find in WARNINGS for warned in find(study, answer))
