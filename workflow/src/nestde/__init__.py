"""nestde: differential expression for cells nested in samples nested in a diagnosis.

`nestde.check` says what a design can answer, `nestde.de` tests every gene of an AnnData object, `nestde.pl` draws what was
found; `nestde.lmm` and `nestde.glmm` fit one response, `nestde.lrt` compares two fits; `nestde.simulate` makes studies with
known truth. The workflow is run by the command `nestde run`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from nestde.errors import NestdeError, NestdeWarning

if TYPE_CHECKING:
    from nestde import pl, simulate
    from nestde.api.check import DesignCheck, check_design
    from nestde.api.composition import composition
    from nestde.api.de import de
    from nestde.api.glmm import GLMMResult, glmm
    from nestde.api.lmm import LMMResult, lmm
    from nestde.api.lrt import lrt
    from nestde.api.power import Power, power
    from nestde.api.simulated import simulate_cohort
    from nestde.api.uns import to_uns
    from nestde.api.variances import Certainty, variances

__version__ = "0.2.0"
__all__ = [
    "Certainty",
    "DesignCheck",
    "GLMMResult",
    "LMMResult",
    "NestdeError",
    "NestdeWarning",
    "Power",
    "__version__",
    "check_design",
    "composition",
    "de",
    "glmm",
    "lmm",
    "lrt",
    "pl",
    "power",
    "simulate",
    "simulate_cohort",
    "to_uns",
    "variances",
]

# Looked up when first used: a step of the workflow should not wait for what it does not need.
_LAZY = {
    "Certainty": "nestde.api.variances",
    "DesignCheck": "nestde.api.check",
    "composition": "nestde.api.composition",
    "GLMMResult": "nestde.api.glmm",
    "LMMResult": "nestde.api.lmm",
    "Power": "nestde.api.power",
    "check_design": "nestde.api.check",
    "de": "nestde.api.de",
    "glmm": "nestde.api.glmm",
    "lmm": "nestde.api.lmm",
    "lrt": "nestde.api.lrt",
    "power": "nestde.api.power",
    "simulate_cohort": "nestde.api.simulated",
    "to_uns": "nestde.api.uns",
    "variances": "nestde.api.variances",
}
# Modules; the first two can be called (`nestde.called`), as `check_design` and `simulate_cohort`.
_MODULES = ("check", "simulate", "pl")


def __dir__() -> list[str]:
    return sorted([*__all__, "check", "__all__", "__doc__", "__file__", "__name__", "__path__", "__spec__"])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"nestde.{name}")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'nestde' has no attribute '{name}'")
