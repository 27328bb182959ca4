"""Modules that are functions, too: `nestde.check(adata, …)` beside the room `nestde.check`."""

import importlib
import sys
from types import ModuleType
from typing import Any

# Module -> module and name of what its call calls.
_CALLED = {
    "nestde.check": ("nestde.api.check", "check_design"),
    "nestde.simulate": ("nestde.api.simulated", "simulate_cohort"),
}


class Called(ModuleType):
    """A module that can be called (Python's data model, *Customizing module attribute access*)."""

    def __call__(self, *given: Any, **options: Any) -> Any:
        """Call `nestde.check_design`, or `nestde.simulate_cohort`: their help tells the parameters."""
        where, name = _CALLED[self.__name__]
        return getattr(importlib.import_module(where), name)(*given, **options)


def callable_module(name: str) -> None:
    """Let a module be called from now on."""
    sys.modules[name].__class__ = Called
