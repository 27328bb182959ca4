"""Which layer of a file holds raw counts: the whole numbers, whatever it is called."""

import re
from pathlib import Path

import numpy as np

from nestde.errors import NestdeError
from nestde.io.formats import open_source
from nestde.io.source import Source

LOOKED_AT = 200  # cells at the beginning, in the middle and at the end of a layer


def raw_layer(path: Path) -> tuple[str, Source]:
    """Return the first of X, raw and the layers (those named for counts first) that holds raw counts, opened.

    Raises
    ------
    NestdeError
        None does: saying of each what it holds.
    """
    first = open_source(path)
    others = [name for name in first.layers if name not in ("X", "raw")]
    others.sort(key=lambda name: not re.search("count|raw|umi", name.lower()))
    wrong = []
    for layer in [name for name in ("X", "raw") if name in first.layers] + others:
        source = first if layer == "X" else open_source(path, layer=layer)
        odd = _no_count(source)
        if odd is None:
            return layer, source
        wrong.append(f"{layer} ({odd})")
    raise NestdeError(
        f"{path}: holds no raw counts: {', '.join(wrong)}. DE needs whole numbers as they were counted: take the file from "
        "before normalisation, or add them as a layer."
    )


def _no_count(source: Source) -> str | None:
    """Say which value of some cells of a layer is no count; None if all are."""
    n = len(source.obs)
    starts = sorted({0, max(0, n // 2 - LOOKED_AT // 2), max(0, n - LOOKED_AT)})
    parts = [
        source.rows(start, min(n, start + LOOKED_AT)).data
        for start in (starts[:1] if source.scans else starts)
    ]
    data = np.concatenate(parts)
    data = data[data != 0]
    if not len(data):
        return "nothing but zeros"
    bad = ~np.isfinite(data) | (data < 0) | (data != np.floor(data))
    return f"{data[bad][0]:g} is among its values" if bad.any() else None
