"""What the random effects of a design mean, in words and as variances: from its effects, never from a formula's text."""

from collections.abc import Sequence
from dataclasses import dataclass

from nestde.design.design import RandomFactor
from nestde.words import both

INTERCEPT = "(Intercept)"


@dataclass(frozen=True)
class RandomEffects:
    """The random effects of one grouping factor, without the rows: `name`, `effects`, `blocks` as of a `RandomFactor`."""

    name: str
    effects: tuple[str, ...]
    blocks: tuple[int, ...]

    @classmethod
    def of(cls, factors: Sequence[RandomFactor]) -> list["RandomEffects"]:
        """Leave the rows of a design's factors out; the coarsest is told first."""
        return [cls(factor.name, factor.effects, factor.blocks) for factor in reversed(factors)]

    @property
    def group(self) -> str:
        """The grouping factor in words, the finest part first: ``donor:sample_id`` is sample_id within donor."""
        return " within ".join(reversed(self.name.split(":")))

    @property
    def words(self) -> str:
        """``each sample_id has its own level and slope of x``."""
        own = ["level" if effect == INTERCEPT else f"slope of {effect}" for effect in self.effects]
        return f"each {self.group} has its own {both(own)}"

    @property
    def spread(self) -> str:
        """Symbol of the covariance of the effects: one variance, a matrix of them, or a matrix with zeros between blocks."""
        if len(self.effects) == 1:
            return "σ²"
        different = len(set(self.blocks))
        return "Σ" if different == 1 else "diag σ²" if different == len(self.blocks) else "diag Σ"
