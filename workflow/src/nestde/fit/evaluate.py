"""Deviance, gradient and coefficients of either layout: `Blocks`, or `Sparse` where crossed factors have many levels.

The kernels that search call these; which layout is meant is settled when they are compiled, by its type.
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import overload

from nestde.fit import deviance as of_blocks
from nestde.fit import gradient as gradient_of_blocks
from nestde.fit.blocks import Blocks
from nestde.fit.sparse import deviance as of_sparse
from nestde.fit.sparse import gradient as gradient_of_sparse
from nestde.fit.sparse.layout import Sparse

Layout = Blocks | Sparse


def _either(for_blocks: Callable[..., Any], for_sparse: Callable[..., Any]) -> Callable[..., Any]:
    """One function of both kernels."""

    def called(*arguments: Any) -> Any:
        sparse = any(isinstance(argument, Sparse) for argument in arguments)
        return (for_sparse if sparse else for_blocks)(*arguments)

    def compiled(*arguments: Any) -> Any:
        given = [each.instance_class for each in arguments if isinstance(each, types.NamedTuple)]
        kernel = for_sparse if Sparse in given else for_blocks

        def chosen(*arguments: Any) -> Any:  # numba wants the signature of what chooses it
            return kernel(*arguments)

        return chosen

    overload(called)(compiled)
    return called


space = _either(of_blocks.space, of_sparse.space)
deviance = _either(of_blocks.deviance, of_sparse.deviance)
gradient = _either(gradient_of_blocks.gradient, gradient_of_sparse.gradient)
coefficients = _either(gradient_of_blocks.coefficients, gradient_of_sparse.coefficients)
