"""Which layout a design gets: blocks from fine to coarse, or sparse elimination where many levels cross."""

from nestde.arrays import Floats
from nestde.design.design import Design
from nestde.fit import blocks
from nestde.fit.basis import Basis
from nestde.fit.crossproducts import Leaves
from nestde.fit.evaluate import Layout
from nestde.fit.sparse import layout as sparse
from nestde.fit.sparse.layout import Order

# Up to this many effects of crossed factors in their last level a design keeps its blocks, and results their bytes. Sparse
# elimination is faster from about 20 on: 5 ms a fit for 12 at 20 × 20 levels, 13 for 149 at 40 × 40, 19 for 461 at 64 × 64.
CROSSED = 50


def crowded(design: Design) -> bool:
    """Whether crossed factors have many levels."""
    _, crossed = blocks.chain(design)
    return sum(len(design.random[f].levels) * len(design.random[f].effects) for f in crossed) > CROSSED


def order(design: Design, leaf: Leaves) -> Order | None:
    """Order of sparse elimination; None for a design that is laid out in blocks."""
    return sparse.order(design, leaf.groups) if crowded(design) else None


def lay_out(design: Design, basis: Basis, leaf: Leaves, order: Order | None, keep: Floats) -> Layout:
    """Lay out a model whose fixed effects are Q `keep`, (p, r)."""
    if order is None:
        return blocks.blocks(design, basis, leaf, keep)
    return sparse.layout(design, basis, leaf, order, keep)


def flatten(design: Design, order: Order | None, zy: tuple[Floats, ...]) -> Floats:
    """(G, effects) Z̃'y as the layout orders them, from one array (G, groups, k) for each factor."""
    return blocks.flatten(design, zy) if order is None else sparse.flatten(design, order, zy)


def unflatten(design: Design, order: Order | None, values: Floats) -> list[Floats]:
    """The way back: for each factor (G, groups, k)."""
    return blocks.unflatten(design, values) if order is None else sparse.unflatten(design, order, values)
