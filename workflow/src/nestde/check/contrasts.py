"""Named contrasts set against the levels that the data and the configuration have."""

from collections.abc import Mapping, Sequence

from nestde.check.study import Study
from nestde.design.expressions import quoted
from nestde.design.named import named_contrast
from nestde.errors import Faults, NestdeError


def check_contrast(study: Study, test: str, levels: Mapping[str, Sequence[str]], faults: Faults) -> bool:
    """Note what is wrong with a named contrast; False if the test is a term.

    What is told of levels is of those that the data have; which factor's they are, has to stand in the configuration,
    which all steps read.

    Parameters
    ----------
    levels
        Of each factor, as the data have them.
    """
    named = named_contrast(test, study.formula, {**levels, **study.config.model.levels})
    if named is None:
        return False
    try:
        study.config.model.named(test)
    except NestdeError:
        factors = sorted(
            {name for point in named.weights for name, _ in point} - set(study.config.model.levels)
        )
        lacking = "; ".join(f"{name}: [{', '.join(levels[name])}]" for name in factors if name in levels)
        level = next(label for point in named.weights for name, label in point if name in factors)
        faults.add(
            f"model.test: {test} names levels whose factor model.levels does not have. Add {lacking} to model.levels, the "
            f"reference first, or name the factor, as in {quoted(factors[0])}[{level}]."
        )
    return True
