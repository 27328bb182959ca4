"""nestde: differential expression for cells nested in samples nested in a diagnosis.

`nestde.de` tests every gene of an AnnData object, `nestde.lmm` and `nestde.glmm` fit one response, `nestde.lrt` compares
two fits, `nestde.simulate` makes studies with known truth. The workflow is run by the command `nestde run`.
"""

from typing import TYPE_CHECKING, Any

from nestde.errors import NestdeError, NestdeWarning

if TYPE_CHECKING:
    from nestde.api.de import de
    from nestde.api.glmm import GLMMResult, glmm
    from nestde.api.lmm import LMMResult, lmm
    from nestde.api.lrt import lrt
    from nestde.api.variances import Certainty, variances

__version__ = "0.2.0"
__all__ = [
    "Certainty",
    "GLMMResult",
    "LMMResult",
    "NestdeError",
    "NestdeWarning",
    "__version__",
    "de",
    "glmm",
    "lmm",
    "lrt",
    "variances",
]

# Looked up when first used: a step of the workflow should not wait for what it does not need.
_LAZY = {
    "de": "nestde.api.de",
    "GLMMResult": "nestde.api.glmm",
    "LMMResult": "nestde.api.lmm",
    "glmm": "nestde.api.glmm",
    "lmm": "nestde.api.lmm",
    "lrt": "nestde.api.lrt",
    "Certainty": "nestde.api.variances",
    "variances": "nestde.api.variances",
}


def __dir__() -> list[str]:
    return sorted([*__all__, "__all__", "__doc__", "__file__", "__name__", "__path__", "__spec__"])


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'nestde' has no attribute '{name}'")
