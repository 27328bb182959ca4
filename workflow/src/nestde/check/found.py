"""What the check finds, as values; and as JSON, from which the report reads them back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nestde.check.replicates import Replicates


@dataclass(frozen=True)
class Warned:
    """A study can be answered, but not as well as it seems.

    Attributes
    ----------
    id
        Which warning it is, whatever its words.
    title, text
        What a reader is told.
    """

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Explained:
    """An answer to a doubt that comes with such a study."""

    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Footing(Replicates):
    """What the test of a term stands on, and the true size of its χ² likelihood-ratio test at 0.05.

    The size is None where replicates are cells: of these there are enough.
    """

    term: str
    lrt_size: float | None


@dataclass(frozen=True, kw_only=True)
class TermTest(Footing):
    """What the test of a term stands on and costs, as the check foresees it.

    Attributes
    ----------
    lrt_size_by_icc
        Intraclass correlation -> true size; empty where replicates are cells.
    smallest_effect
        Coefficient -> intraclass correlation -> the smallest effect seen with a power of 80 %, in SD of the replicates.
    per_unit
        Of which number it is a slope; '' of a factor.
    cells_per_group
        Least, median, most.
    text
        The same in a sentence.
    ignores_samples
        Whether it is a term between samples that no random term groups by.
    """

    lrt_size_by_icc: Mapping[str, float | None] = field(default_factory=dict)
    smallest_effect: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    per_unit: str = ""
    cells_per_group: tuple[int, float, int] = (1, 1.0, 1)
    text: str = ""
    ignores_samples: bool = False

    def effect_at(self, icc: float) -> float | None:
        """Largest of the coefficients' smallest effects; None where none is known."""
        return max((by_icc[f"{icc:g}"] for by_icc in self.smallest_effect.values()), default=None)


@dataclass(frozen=True)
class LevelCount:
    """Samples and cells of one level of a tested factor."""

    variable: str
    level: str
    samples: int
    cells: int


@dataclass(frozen=True, kw_only=True)
class TypeFound:
    """What can be estimated in one cell type; where nothing can, why not.

    Attributes
    ----------
    samples, cells
        Of samples with enough cells.
    left_out
        Sample -> why it is not tested.
    levels_left_out
        In words, levels with too few samples, without which the others are compared.
    untested
        Contrast of those asked for -> why it cannot be tested, though others can.
    cells_per_sample
        Sample -> cells, of those that are tested.
    levels
        Reference first.
    lrt_size, smallest_effect
        Of the first test.
    """

    cell_type: str
    reason: str
    samples: int
    cells: int
    left_out: Mapping[str, str]
    levels: tuple[LevelCount, ...]
    cells_per_sample: Mapping[str, int]
    tests: tuple[TermTest, ...] = ()
    levels_left_out: tuple[str, ...] = ()
    untested: Mapping[str, str] = field(default_factory=dict)
    lrt_size: float | None = None
    smallest_effect: float | None = None

    @property
    def estimable(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reason


@dataclass(frozen=True)
class VariableFound:
    """A covariate: what it is for, what kind it is, where it varies, its values, and where they stand."""

    variable: str
    role: str
    kind: str
    varies: str
    values: str
    origin: str


@dataclass(frozen=True)
class GroupCount:
    """How many groups of a grouping factor there are."""

    unit: str
    number: int


@dataclass(frozen=True)
class NestingNode:
    """A part of the study: its groups, coarsest first, its cells, and its own parts."""

    label: str
    groups: tuple[GroupCount, ...]
    cells: int
    cells_per_sample: tuple[int, float, int]
    children: tuple["NestingNode", ...] = ()


@dataclass(frozen=True)
class Nesting:
    """How cells lie in samples, samples in groups, groups in what is tested: a tree with counts, and its drawing."""

    root: NestingNode
    text: str


@dataclass(frozen=True)
class ModelFound:
    """The model as it was written, as an equation in plain text, and as a question."""

    formula: str
    tested: str
    equation: str
    sentence: str


@dataclass(frozen=True)
class Accepted:
    """All that is said of a study that can be answered.

    Attributes
    ----------
    samples, cells
        As they came.
    tests
        Of the whole study.
    cell_types
        As configured.
    counted
        When the cells of cell types were counted; '' where quality control was taken to keep all.
    """

    samples: int
    cells: int
    warnings: tuple[Warned, ...]
    variables: tuple[VariableFound, ...]
    nesting: Nesting
    model: ModelFound
    tests: tuple[TermTest, ...]
    cell_types: tuple[TypeFound, ...]
    explanations: tuple[Explained, ...]
    counted: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as what `json` can write; of each cell type also whether it is `estimable`."""
        told = asdict(self)
        for entry, found in zip(told["cell_types"], self.cell_types, strict=True):
            entry["estimable"] = found.estimable
        return told
