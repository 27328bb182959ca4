"""Studies that are still to be made: who is compared with whom, and how many donors and cells there are."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from nestde.arrays import Floats, Integers

# Arms with fewer donors left have no test.
LEAST = 2
LEVELS = {"group": ["reference", "other"]}


@dataclass(frozen=True)
class Layout:
    """Who is compared with whom.

    Attributes
    ----------
    words
        What it is.
    formula, test
        The model that is fitted, and its tested term.
    components
        What variances it has: ``donor``, ``sample`` (of one donor), ``slope`` (between donors).
    """

    words: str
    formula: str
    test: str
    components: tuple[str, ...]


LAYOUTS = {
    "unpaired": Layout("donors of two groups, a sample each", "~ group + (1 | donor)", "group", ("donor",)),
    "nested": Layout(
        "donors of two groups, several samples each",
        "~ group + (1 | donor) + (1 | sample)",
        "group",
        ("donor", "sample"),
    ),
    "paired": Layout(
        "a sample of either group from each donor",
        "~ group + (1 | donor) + (1 | sample)",
        "group",
        ("donor", "sample"),
    ),
    "slope": Layout(
        "how a covariate of cells works in donors of two groups",
        "~ group * x + (1 + x || donor)",
        "group:x",
        ("donor", "slope"),
    ),
    "interaction": Layout(
        "whether the groups differ by as much at one level of a second factor as at the other",
        "~ group * second + (1 | donor)",
        "group:second",
        ("donor",),
    ),
}


@dataclass(frozen=True)
class Scenario:
    """A study to be made.

    Attributes
    ----------
    layout
        A key of `LAYOUTS`.
    donors
        Of the reference and of the other group; of pairs both the same.
    cells
        Cells a sample, on average.
    samples
        Samples a donor, of the nested layout.
    spread
        SD of the natural logarithm of the cells a sample.
    dropout
        Share of donors that are lost.
    """

    layout: str = "unpaired"
    donors: tuple[int, int] = (6, 6)
    cells: float = 100.0
    samples: int = 1
    spread: float = 0.0
    dropout: float = 0.0

    @property
    def random(self) -> bool:
        """Whether one cohort is unlike another."""
        return self.spread > 0 or self.dropout > 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Donors of each arm; pairs are one arm."""
        return self.donors[:1] if self.layout == "paired" else self.donors

    @property
    def each(self) -> int:
        """Samples of a donor."""
        return 2 if self.layout == "paired" else self.samples if self.layout == "nested" else 1

    def evenly(self, cohorts: int, random: np.random.Generator) -> Floats:
        """Numbers that make as many cohorts by `frame`, (cohorts, donors, 1 + samples of each): of each of them one in every nth part.

        A Latin hypercube (McKay, Beckman, Conover 1979, Technometrics 21): what each donor that is lost, and each sample's cells, do to
        power is averaged out.
        """
        shape = (sum(self.sizes), 1 + self.each)
        part = random.permuted(np.tile(np.arange(cohorts)[:, None, None], (1, *shape)), axis=0)
        return (part + random.random(part.shape)) / cohorts

    def frame(self, random: np.random.Generator, uniform: Floats | None = None) -> pd.DataFrame | None:
        """The rows of one cohort; None if too few donors or cells are left.

        `uniform`, (donors, 1 + samples of each) between 0 and 1, says who is lost and how many cells there are; None draws it.
        """
        sizes = self.sizes
        arm = np.repeat(np.arange(len(sizes)), sizes)
        second = np.concatenate([np.arange(size) % 2 for size in sizes])
        if uniform is None:
            uniform = random.random((len(arm), 1 + self.each))
        stays = uniform[:, 0] >= self.dropout
        arm, second = arm[stays], second[stays]
        kinds = arm * 2 + second if self.layout == "interaction" else arm
        wanted = len(sizes) * (2 if self.layout == "interaction" else 1)
        if np.bincount(kinds, minlength=wanted).min() < LEAST:
            return None
        donor = np.repeat(np.arange(len(arm)), self.each)
        normal = special.ndtri(uniform[stays, 1:].reshape(-1))
        cells = self.cells * np.exp(self.spread * normal - self.spread**2 / 2) if self.spread else self.cells
        number = np.maximum(np.round(np.broadcast_to(cells, len(donor))), 1).astype(int)
        if number.max() == 1:
            return None  # nothing tells samples from cells
        sample = np.repeat(np.arange(len(donor)), number)
        group = (np.arange(len(donor)) % 2 if self.layout == "paired" else arm[donor])[sample]
        columns = {
            "group": pd.Categorical.from_codes(group, LEVELS["group"]),
            "donor": _labels(donor[sample]),
            "sample": _labels(sample),
        }
        if self.layout == "interaction":
            columns["second"] = pd.Categorical.from_codes(second[donor[sample]], ["a", "b"])
        if self.layout == "slope":
            columns["x"] = random.normal(size=len(sample))
        return pd.DataFrame(columns)


def _labels(code: Integers) -> pd.Categorical:
    """Groups by number."""
    return pd.Categorical.from_codes(code, [str(i) for i in range(int(code.max()) + 1)])
