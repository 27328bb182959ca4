"""What is in a result beside tables: numbers and texts by name, to be compared where bytes differ."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nestde.errors import a_few

Contents = dict[str, Any]  # name -> array of numbers, or something else that is equal or not


def contents(path: Path) -> Contents | None:
    """Read what is in a result; None if its format is none that is known."""
    return _READERS[path.suffix](path) if path.suffix in _READERS else None


def furthest(ours: Contents, theirs: Contents) -> tuple[float, str]:
    """Largest difference of two contents, relative to the larger of 1 and the numbers, and how to say it.

    Infinite where something other than numbers differs.
    """
    apart = dict.fromkeys(ours.keys() ^ theirs.keys(), math.inf)
    for name in ours.keys() & theirs.keys():
        if size := _gap(ours[name], theirs[name]):
            apart[name] = size
    return max(apart.values(), default=0.0), a_few(sorted(apart))


def _gap(a: Any, b: Any) -> float:
    if not (_is_numeric(a) and _is_numeric(b)):
        return 0.0 if np.array_equal(a, b) else math.inf
    x, y = np.asarray(a, float), np.asarray(b, float)
    if x.shape != y.shape or not np.array_equal(np.isfinite(x), np.isfinite(y)):
        return math.inf
    if not np.array_equal(x[~np.isfinite(x)], y[~np.isfinite(y)], equal_nan=True):
        return math.inf
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    return float(np.max(np.abs(x - y) / np.maximum(1.0, np.maximum(np.abs(x), np.abs(y))), initial=0.0))


def _is_numeric(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "iuf"


def _json(path: Path) -> Contents:
    def leaves(value: Any, at: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict | list):
            for key, each in value.items() if isinstance(value, dict) else enumerate(value):
                yield from leaves(each, f"{at}.{key}" if at else str(key))
        else:
            yield at, value

    return dict(leaves(json.loads(path.read_bytes()), ""))


def _npz(path: Path) -> Contents:
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _h5ad(path: Path) -> Contents:
    import h5py

    found: Contents = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return found


def _parquet(path: Path) -> Contents:
    from pyarrow import parquet

    frame = parquet.read_table(path).to_pandas()
    return {
        name: values.to_numpy() if values.dtype.kind in "iuf" else values.fillna("").to_numpy(object)
        for name, values in frame.items()
    }


_READERS: dict[str, Callable[[Path], Contents]] = {
    ".h5ad": _h5ad,
    ".json": _json,
    ".npz": _npz,
    ".parquet": _parquet,
}
