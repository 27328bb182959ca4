"""What a way to a p-value is, what it may ask of the fits, and what it gives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nestde.arrays import Floats

if TYPE_CHECKING:
    from nestde.design.contrasts import Contrast


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
    engines
        Engines of model families (`Family.engine`) of whose fits it can be computed.
    estimates
        The fit whose estimates stand beside it where it is the headline: ``ML`` or ``REML``.
    every_gene
        Whether a gene's p-value needs all genes of its cell type.
    levels
        Whether it tests level against level too, not a whole term only.
    dear
        Whether a gene takes tens of microseconds, so that calibration takes some genes only.
    on_request
        Whether a gene takes so long that tables have it only where it is the headline; it is not calibrated.
    test
        From fits (a `Fitted` of one of the engines) and contrasts to one `Tested` each, or to the reason why there is none.
    """

    name: str
    label: str
    sentence: str
    model_sentence: str
    engines: tuple[str, ...]
    estimates: str
    every_gene: bool
    levels: bool
    dear: bool
    test: Callable[[Any, Sequence["Contrast"]], "list[Tested] | str"]
    on_request: bool = False
