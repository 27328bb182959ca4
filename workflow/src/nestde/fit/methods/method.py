"""What a way to a p-value is, what it may ask of the fits, and what it gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from nestde.arrays import Floats

if TYPE_CHECKING:
    from nestde.design.contrasts import Contrast
    from nestde.design.design import Design
    from nestde.fit.crossproducts import Sums
    from nestde.fit.genes import FitModel
    from nestde.fit.inference import FTests
    from nestde.fit.record import Fits, GeneFits
    from nestde.fit.statistics import Statistics


class Fitted:
    """A design and genes' statistics, and their fits: made when a method asks for them, once.

    Parameters
    ----------
    design
        Of n cells.
    statistics
        Of G genes in these cells.
    threads
        Threads to fit with; None takes all. Results do not depend on it.
    learnt
        What methods learnt from all genes of a cell type, by the method's name: a prior. A method that finds its own
        there takes it, else it learns and puts it there.
    """

    def __init__(
        self,
        design: "Design",
        statistics: "Statistics",
        threads: int | None = None,
        learnt: dict[str, Any] | None = None,
    ):
        self.design, self.statistics, self.threads = design, statistics, threads
        self.learnt: dict[str, Any] = {} if learnt is None else learnt
        self._f_tests: dict[bytes, FTests] = {}

    @cached_property
    def model(self) -> tuple["FitModel", "Sums"]:
        """The y-free part, and the cross-products of the genes."""
        return self.statistics.model_of(self.design)

    @cached_property
    def ml(self) -> "GeneFits":
        """By ML, with and without each tested term."""
        from nestde.fit.genes import fit_tests

        return fit_tests(*self.model, threads=self.threads)

    @cached_property
    def reml(self) -> "Fits":
        """By REML, all columns."""
        from nestde.fit.genes import fit

        return fit(*self.model, tuple(range(self.design.x.shape[1])), True, threads=self.threads)

    def f_tests(self, contrasts: Sequence["Contrast"]) -> list["FTests"]:
        """Tests of contrasts by REML, t or F."""
        from nestde.fit.inference import f_tests

        new = {contrast.rows.tobytes(): contrast.rows for contrast in contrasts}
        new = {key: rows for key, rows in new.items() if key not in self._f_tests}
        if new:
            found = f_tests(self.reml, list(new.values()), threads=self.threads)
            self._f_tests |= dict(zip(new, found, strict=True))
        return [self._f_tests[contrast.rows.tobytes()] for contrast in contrasts]


@dataclass(frozen=True)
class Tested:
    """One contrast of G genes.

    Attributes
    ----------
    log_p
        (G,) natural log of the p-value, finite where the p-value itself would be 0; NaN where there is none.
    columns
        What else the method writes into the rows of a whole term, (G,) each.
    coef, se, lower, upper
        (G,) the method's own estimate of a contrast of one row, its standard error and 95 % limits; else those of
        `Method.estimates`, which have no limits.
    """

    log_p: Floats
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    coef: Floats | None = None
    se: Floats | None = None
    lower: Floats | None = None
    upper: Floats | None = None


@dataclass(frozen=True)
class Method:
    """A way to a p-value.

    Attributes
    ----------
    name
        Of `inference.p_value` and the column ``pvalue_<name>``.
    label
        For tables and axes.
    sentence
        What it is, and when to read it.
    model_sentence
        How the report tells the model with this as headline; ``{term}`` is what is tested.
    estimates
        The fit whose estimates stand beside it where it is the headline.
    every_gene
        Whether a gene's p-value needs all genes of its cell type.
    levels
        Whether it tests level against level too, not a whole term only.
    dear
        Whether a gene takes tens of microseconds, so that calibration takes some genes only.
    test
        From fits and contrasts to one `Tested` each, or to the reason why there is none.
    """

    name: str
    label: str
    sentence: str
    model_sentence: str
    estimates: Literal["ML", "REML"]
    every_gene: bool
    levels: bool
    dear: bool
    test: Callable[[Fitted, Sequence["Contrast"]], "list[Tested] | str"]
