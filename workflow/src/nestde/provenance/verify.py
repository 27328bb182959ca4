"""Are these the results of that run? Bytes first, then numbers within a stated tolerance."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestde.errors import a_few
from nestde.io.files import slugs
from nestde.io.layout import INTERMEDIATES, STEPS
from nestde.provenance.contents import contents, furthest
from nestde.provenance.digests import digest
from nestde.provenance.manifest import (
    describe,
    misshapen,
    numbers,
    read_columns,
    read_manifest,
    versions,
)

# How far a number may move between processors of other kinds, see `Difference.size`: what PyDESeq2 computes, and the rest
# (tests/bench/processors.py measures it).
OF_PYDESEQ2, OF_OTHERS = 1e-2, 1e-6


@dataclass(frozen=True)
class Difference:
    """One thing that is not as recorded.

    Parameters
    ----------
    kind
        ``missing``, ``differs``, ``version``, ``arithmetic``, ``setting`` or ``unlisted``.
    name
        File, package or key.
    detail
        What differs, and by how much.
    size
        Largest difference of any number, relative to the larger of 1 and the numbers; infinite where
        something other than a number differs; 0 for a version or an arithmetic, which are causes and not effects.
    """

    kind: str
    name: str
    detail: str
    size: float


@dataclass(frozen=True)
class Verdict:
    """What was compared, all that differs, and remarks on what could not be compared."""

    folder: Path
    reference: Path
    compared: dict[str, int]
    differences: tuple[Difference, ...]
    remarks: tuple[str, ...] = ()

    @property
    def elsewhere(self) -> bool:
        """Whether the two runs were computed by processors of other kinds."""
        return any(difference.kind == "arithmetic" for difference in self.differences)

    def same(self, tolerance: float | None = None) -> bool:
        """Tell whether all is the same: every byte and version, or every number within a tolerance.

        Without one, numbers of processors of other kinds may differ by what is stated above.
        """
        if tolerance:
            return all(difference.size <= tolerance for difference in self.differences)
        if tolerance is None and self.elsewhere:
            return all(
                difference.kind != "version"
                and difference.size
                <= (OF_PYDESEQ2 if difference.name.startswith("pseudobulk/") else OF_OTHERS)
                for difference in self.differences
            )
        return not self.differences

    def story(self, tolerance: float | None = None) -> str:
        """Say it in a few lines."""
        compared = ", ".join(
            f"{count:,} {things if count != 1 else things[:-1]}" for things, count in self.compared.items()
        )
        what = "its manifest" if self.reference == self.folder else self.reference
        lines = [f"{self.folder} against {what}: {compared}"]
        width = max((len(difference.name) for difference in self.differences), default=0)
        for difference in self.differences:
            lines.append(f"  {difference.kind:<8} {difference.name:<{width}}  {difference.detail}".rstrip())
        lines += [f"  {remark}" for remark in self.remarks]
        if not self.differences:
            lines.append("The same, byte for byte.")
        elif tolerance and self.same(tolerance):
            lines.append(f"The same within {tolerance:g}, but not byte for byte.")
        elif self.same(tolerance):
            lines.append(
                f"The same, as far as another kind of processor lets numbers be (within {OF_OTHERS:g}; of PyDESeq2, "
                f"{OF_PYDESEQ2:g}), but not byte for byte."
            )
        else:
            count = len(self.differences)
            largest = max(difference.size for difference in self.differences)
            hint = f" All within {largest:.2g}: --tolerance accepts that." if 0 < largest < math.inf else ""
            lines.append(f"{count} difference{'s' if count != 1 else ''}.{hint}")
        return "\n".join(lines)


def verify(folder: str | Path, against: str | Path | None = None) -> Verdict:
    """Compare what stands in a results folder with a manifest.

    Parameters
    ----------
    folder
        Results folder of the run to be verified, or the ``manifest.json`` in it.
    against
        Manifest of the run that it should equal, or that run's results folder; default: the folder's own manifest.
        Where the reference's tables stand beside its manifest, numbers are compared one by one; elsewhere by the
        summaries of columns that the manifest holds.

    Raises
    ------
    NestdeError
        If either manifest cannot be read.
    """
    folder = Path(folder)
    folder = folder.parent if folder.is_file() else folder
    own = read_manifest(folder)
    reference = Path(against) if against is not None else folder
    recorded = own if against is None else read_manifest(reference)
    beside = reference if reference.is_dir() else reference.parent
    present = {path: folder / path for path in recorded["results"] if (folder / path).is_file()}
    apart = list(_arithmetic(own.get("arithmetic", []), recorded.get("arithmetic", [])))
    differences = [
        *other_inputs(folder, own, recorded),
        *other_settings(own["configuration"], recorded["configuration"]),
        *apart,
        *_versions(versions() if against is None else own["software"], recorded["software"]),
        *(Difference("missing", path, "", math.inf) for path in recorded["results"] if path not in present),
        *(
            Difference("unlisted", path, "a result that the reference does not have", math.inf)
            for path in own["results"]
            if path not in recorded["results"]
        ),
    ]
    for path, file in present.items():
        there = beside / path
        copy = there if there.is_file() and there.resolve() != file.resolve() else None
        differences += compare(path, file, recorded["results"][path], copy, elsewhere=bool(apart))
    absent = [path for path in recorded["inputs"] if not (folder / own["root"] / path).exists()]
    compared = {
        "results": len(recorded["results"]),
        "inputs": len(recorded["inputs"]) - len(absent),
        "packages": len(recorded["software"]),
    }
    return Verdict(folder, reference, compared, tuple(differences), tuple(_remarks(folder, own, absent)))


def compare(
    name: str, file: Path, recorded: dict[str, Any], copy: Path | None, *, elsewhere: bool = False
) -> Iterator[Difference]:
    """Compare one result with its entry in a manifest and, if there is one, with the reference's file.

    `elsewhere`: processors of other kinds made the two, so that other bytes alone tell nothing.
    """
    found = describe(file)
    if found["sha256"] == recorded["sha256"]:
        return
    if copy is not None and digest(copy) != recorded["sha256"]:
        copy = None  # not the file that the manifest tells of
    if "columns" not in recorded or "columns" not in found:
        yield _other_content(name, file, copy, elsewhere)
        return
    ours, theirs = found["columns"], recorded["columns"]
    sayings, sizes = [], [0.0]
    for what, columns in (("lacks", theirs.keys() - ours.keys()), ("has also", ours.keys() - theirs.keys())):
        if columns:
            sayings.append(f"{what} {a_few(sorted(columns))}")
            sizes.append(math.inf)
    if found["rows"] != recorded["rows"]:
        sayings.append(f"{found['rows']:,} rows, not {recorded['rows']:,}")
        sizes.append(math.inf)
    changed = [
        column for column in ours if column in theirs and ours[column]["sha256"] != theirs[column]["sha256"]
    ]
    if found["rows"] == recorded["rows"]:
        cells = read_columns(file), read_columns(copy) if copy else None
        for column in changed:
            if cells[1] is not None:
                size, saying = compare_values(cells[0][column], cells[1][column])
            else:
                size, saying = compare_summaries(ours[column], theirs[column])
            sayings.append(f"{column} ({saying})")
            sizes.append(size)
    elif changed:
        sayings.append(a_few(changed))
    strange = misshapen(file)
    sayings += strange
    sizes += [math.inf] * len(strange)
    if not sayings:  # the same cells, but another order of columns or other line ends
        sayings, sizes = ["the same cells, written in another way"], [math.inf]
    yield Difference("differs", name, "; ".join(sayings), max(sizes))


def _other_content(name: str, file: Path, copy: Path | None, elsewhere: bool) -> Difference:
    """What differs in a file that is no table, as far as the reference's can be read."""
    if copy is None and elsewhere:
        return Difference("differs", name, "not to be compared without the reference's file", 0.0)
    ours, theirs = contents(file), contents(copy) if copy else None
    if ours is None or theirs is None:
        return Difference("differs", name, "", math.inf)
    size, where = furthest(ours, theirs)
    if not where:
        return Difference("differs", name, "the same content, written in another way", 0.0)
    return Difference("differs", name, f"{where} (by up to {size:.2g})" if size < math.inf else where, size)


def compare_values(ours: list[str], theirs: list[str]) -> tuple[float, str]:
    """Largest relative difference of two columns of one length, and how to say it."""
    count = sum(our != their for our, their in zip(ours, theirs, strict=True))
    of = f"{count:,} of {len(ours):,} values"
    a, b = numbers(ours), numbers(theirs)
    if a is None or b is None:
        example = next((their, our) for our, their in zip(ours, theirs, strict=True) if our != their)
        return math.inf, f"{of}, first: '{example[0]}' → '{example[1]}'"
    # none at all where only bytes changed: '0.10' for '0.1'
    gaps = [(abs(x - y), max(1.0, abs(x), abs(y))) for x, y in _unequal(a, b)]
    if not all(math.isfinite(gap) for gap, _ in gaps):
        return math.inf, f"{of}, some of them missing or infinite on one side"
    size = max((gap / scale for gap, scale in gaps), default=0.0)
    return size, f"{of}, by up to {max((gap for gap, _ in gaps), default=0.0):.2g}"


def compare_summaries(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[float, str]:
    """Difference of two columns' summaries relative to their largest value, and how to say it.

    If one value changed, this is its change; if many did, it is of the order of the largest change, or more.
    """
    a, b = ours.get("summary"), theirs.get("summary")
    if a is None or b is None or a["n"] != b["n"]:
        return math.inf, "text or missing values"
    largest = max(1.0, *(abs(summary[key]) for summary in (a, b) for key in ("min", "max")))
    gap = max(abs(a[key] - b[key]) for key in ("min", "max", "sum", "weighted"))
    return gap / largest, f"sum {b['sum']:.15g} → {a['sum']:.15g}, by {abs(a['sum'] - b['sum']):.2g}"


def _unequal(a: list[float], b: list[float]) -> Iterator[tuple[float, float]]:
    """Pairs that differ; missing equals missing, and nothing else."""
    for x, y in zip(a, b, strict=True):
        if x != y and not (math.isnan(x) and math.isnan(y)):
            yield x, y


def other_inputs(folder: Path, own: dict[str, Any], recorded: dict[str, Any]) -> Iterator[Difference]:
    """Inputs that are there must be those that were read; those that are not (large, or elsewhere) cannot be checked."""
    root = folder / own["root"]
    for path, expected in recorded["inputs"].items():
        if (root / path).exists():
            if digest(root / path) != expected:
                yield Difference("differs", path, "an input that is not the one that was read", math.inf)
        elif own["inputs"].get(path) != expected:
            yield Difference("missing", path, "an input, and this run did not read it", math.inf)


def _remarks(folder: Path, own: dict[str, Any], absent: list[str]) -> Iterator[str]:
    """What is no difference, but should be known: inputs that could not be compared, files of no manifest."""
    if absent:
        yield f"not here to be read again, and compared by the manifests only: {a_few(absent)}"
    left = strange(folder, own)
    if left:
        yield f"not of this run: {a_few(left)}"


def strange(folder: Path, own: dict[str, Any]) -> list[str]:
    """Files in the folders of the steps that the folder's manifest does not tell of, nor are what `--notemp` keeps."""
    beside = (path for step in STEPS for path in (folder / step).glob("*") if path.is_file())
    cell_types = slugs(own.get("configuration", {}).get("cell_types", [])).values()
    passing = {INTERMEDIATES["matrix"].format(cell_type=cell_type) for cell_type in cell_types}
    return sorted({path.relative_to(folder).as_posix() for path in beside} - own["results"].keys() - passing)


def other_settings(ours: Any, theirs: Any, at: str = "") -> Iterator[Difference]:
    """Keys of the configuration that are set in another way."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from other_settings(ours.get(key), theirs.get(key), f"{at}.{key}" if at else key)
    elif ours != theirs:
        yield Difference("setting", at, f"{theirs} → {ours}", math.inf)


def _arithmetic(ours: list[str], theirs: list[str]) -> Iterator[Difference]:
    """The processors on which the two were computed, if they are of other kinds."""
    if ours and theirs and ours != theirs:
        yield Difference("arithmetic", "processor", f"{a_few(theirs)} → {a_few(ours)}", 0.0)


def _versions(ours: dict[str, str], theirs: dict[str, str]) -> Iterator[Difference]:
    for package in sorted(ours.keys() | theirs.keys()):
        if ours.get(package) != theirs.get(package):
            detail = f"{theirs.get(package, 'none')} → {ours.get(package, 'none')}"
            yield Difference("version", package, detail, 0.0)
