"""The design check: what cannot be answered is said before anything is queued.

It reads configuration, sample sheet and the columns of the cells, never a count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nestde.called import callable_module
from nestde.check.found import Accepted
from nestde.errors import Faults, NestdeError
from nestde.study.config import Config

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Check:
    """What the check found.

    Attributes
    ----------
    faults
        Why the study is refused; empty if it is not.
    accepted
        All that is said of a study that can be answered; None if refused.
    samples
        The sheet as resolved: sample_id, counts, covariates; None if refused.
    """

    faults: tuple[str, ...]
    accepted: Accepted | None
    samples: "pd.DataFrame | None"

    def as_json(self) -> dict[str, Any]:
        """Return it as what `json` can write."""
        return {"faults": list(self.faults)} | (self.accepted.as_json() if self.accepted else {})

    def raise_if_refused(self) -> Accepted:
        """Raise `NestdeError` with all faults; return what is said of the study if there are none."""
        if self.accepted is None:
            raise NestdeError(self.faults)
        return self.accepted


def check_study(config: Config, told: Iterable[str] = (), *, ask_plan: bool = False) -> Check:
    """Check a study: all that would make it fail, or mislead, once its counts are read.

    Parameters
    ----------
    config
        Sections samples, cell_types, input, qc, model and pseudobulk.
    told
        Faults of the configuration (`nestde.study.config.read`). What depends on none of the keys at fault is checked too, so
        that all is said at once.
    ask_plan
        Whether to count cells after quality control, where `nestde plan` has seen what that leaves.
    """
    from nestde.check.faults import check
    from nestde.check.gene_sets import check_gene_sets
    from nestde.check.seen import recall
    from nestde.check.study import read_study

    faults, study, answer, seen = Faults(), None, None, None
    for sentence in told:
        faults.add(sentence)
    with faults.noting():
        study = read_study(config, faults)
        if study is not None:
            seen = recall(study) if ask_plan else None
            answer = check(study, faults, seen)
    with faults.noting():
        check_gene_sets(config)
    if study is None or answer is None or faults.sentences:
        return Check(tuple(faults.sentences), None, None)
    from nestde.check.content import content, resolved_samples

    return Check((), content(study, answer, after_qc=seen is not None), resolved_samples(study))


callable_module(__name__)
