"""YAML as people write it: what PyYAML would swallow, drop or turn into something else is told, with its line.

PyYAML takes the last of two equal keys without a word, reads ``No`` as false, ``007`` as 7 and ``1.5e9`` as text, and
follows aliases without end. The values here are the same as Snakemake's, which reads the file again.
"""

import contextlib
import datetime
import math
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nestde.errors import NestdeError

LARGEST = 1_000_000  # bytes; the longest configuration that is one has a hundredth of it
MOST = 20_000  # values, aliases followed
MERGE = "tag:yaml.org,2002:merge"
KINDS = {"str": "text", "int": "a number", "float": "a number", "bool": "true or false", "null": "null",
         "timestamp": "a date", "value": "text"}  # fmt: skip
Place = tuple[str | int, ...]


@dataclass
class Content:
    """A mapping that was read.

    Attributes
    ----------
    values
        Keys and values; keys are text.
    written
        Where in it -> (line from 1, how it is written), for every value that is no list and no mapping.
    faults
        Where, and what is wrong there.
    """

    values: dict[str, Any] = field(default_factory=dict)
    written: dict[Place, tuple[int, str]] = field(default_factory=dict)
    faults: list[tuple[Place, str]] = field(default_factory=list)


def read_yaml(path: str | Path) -> Content:
    """Read a YAML mapping.

    Raises
    ------
    NestdeError
        A file that cannot be read, bad YAML, or another kind of content; what is wrong with single keys is in the
        content's `faults`.
    """
    text = _text(Path(path))
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise NestdeError(f"{path}: is not valid YAML: {where}.") from error
    except RecursionError as error:
        raise NestdeError(f"{path}: is no configuration: brackets stand in brackets too often.") from error
    if not isinstance(root, yaml.MappingNode):
        raise NestdeError(f"{path}: holds no `key: value` pairs. Start from the shipped config/config.yaml.")
    return _Reading(str(path), loader).content(root)


def _text(path: Path) -> str:
    try:
        kind = path.stat()
        if not stat.S_ISREG(kind.st_mode) and not stat.S_ISDIR(kind.st_mode):
            raise NestdeError(f"{path}: is no file but a pipe or device. Give the path of the configuration.")
        if kind.st_size > LARGEST and stat.S_ISREG(kind.st_mode):
            raise NestdeError(
                f"{path}: has {kind.st_size:,} bytes and is no configuration. Give the path of the configuration."
            )
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise NestdeError(
            f"{path}: cannot be read ({error.strerror}). Give the path of the configuration."
        ) from error
    except UnicodeDecodeError as error:
        raise NestdeError(f"{path}: is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except ValueError as error:  # a NUL in the path
        raise NestdeError(f"{path}: is no path ({error}). Give the path of the configuration.") from error


class _Reading:
    """Turns nodes into values and notes how each was written."""

    def __init__(self, name: str, loader: yaml.SafeLoader):
        self.name, self.loader = name, loader
        self.found, self.left = Content(), MOST

    def content(self, root: yaml.MappingNode) -> Content:
        """All of the file."""
        self.found.values = self._mapping(root, (), ())
        return self.found

    def _note(self, place: Place, sentence: str) -> None:
        self.found.faults.append((place, f"{self.name}: {sentence}"))

    def _value(self, node: yaml.Node, path: Place, around: tuple[int, ...]) -> Any:
        self.left -= 1
        if self.left < 0:
            raise NestdeError(
                f"{self.name}: holds more than {MOST:,} values, aliases (*name) followed. That is no configuration."
            )
        if id(node) in around:
            raise NestdeError(
                f"{self.name}: line {_line(node)}: holds itself by an alias (*name). Write it out."
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, around)
        if isinstance(node, yaml.SequenceNode):
            inside = (*around, id(node))
            return [self._value(item, (*path, i), inside) for i, item in enumerate(node.value)]
        self.found.written[path] = (_line(node), str(node.value))
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Place, around: tuple[int, ...]) -> dict[str, Any]:
        self._check_keys(node, path)
        inside = (*around, id(node))
        values: dict[str, Any] = {}
        for part in reversed(
            list(_merged(node))
        ):  # <<: [*first, *second]; the first wins, and own keys over all
            if id(part) in inside or not isinstance(part, yaml.MappingNode):
                raise NestdeError(f"{self.name}: line {_line(part)}: << takes other mappings. Write it out.")
            values |= self._mapping(part, path, inside)
        for key, value in node.value:
            if key.tag != MERGE and isinstance(key, yaml.ScalarNode):
                values[str(key.value)] = self._value(value, (*path, str(key.value)), inside)
        return values

    def _check_keys(self, node: yaml.MappingNode, path: Place) -> None:
        """Each key once, and each the text that it looks like."""
        lines: dict[str, list[int]] = {}
        for key, _ in node.value:
            if key.tag == MERGE:
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._note((*path, "?"), f"line {_line(key)}: a key must be text. Put it in quotes.")
                continue
            lines.setdefault(key.value, []).append(_line(key))
            read = self._scalar(key, path)
            if not isinstance(read, str) and text_of(read) != key.value:
                self._note(
                    (*path, key.value),
                    f"line {_line(key)}: the key {key.value} is {said(read)} in YAML, not text. "
                    f'Put it in quotes: "{key.value}".',
                )
        for key, at in lines.items():
            if len(at) > 1:
                where = " and ".join(map(str, at)) if len(at) < 4 else f"{at[0]}, {at[1]} … {at[-1]}"
                full = ".".join(map(str, (*path, key)))
                self._note(
                    (*path, key),
                    f"the key {full} stands in lines {where}, and only the last would count. Keep one.",
                )

    def _scalar(self, node: yaml.Node, path: Place) -> Any:
        """The value as YAML 1.1 reads it."""
        kind = str(node.tag).rpartition(":")[2]
        with contextlib.suppress(yaml.YAMLError, ValueError, OverflowError):
            if kind in KINDS:
                return self.loader.construct_object(node)
        # the 30th of February, a number of 5,000 digits, !!python/object
        self._note(
            path,
            f"line {_line(node)}: {node.value[:40]!r} cannot be read as {KINDS.get(kind, kind)}. If it is text, put it "
            "in quotes.",
        )
        return str(node.value)


def _merged(node: yaml.MappingNode) -> Iterator[yaml.Node]:
    for key, value in node.value:
        if key.tag == MERGE:
            yield from value.value if isinstance(value, yaml.SequenceNode) else [value]


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def text_of(value: Any) -> str | None:
    """The text that a number or date stands for, as the data would write it; None if that is not plain.

    A whole number that is written as a float is not: the label of 1.0 in a column of numbers is 1, in text it is 1.0.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float) and (value.is_integer() or not math.isfinite(value)):
        return None
    if isinstance(value, str | int | float | datetime.date):
        return str(value)
    return None


def said(value: Any) -> str:
    """A value that is no text, in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, datetime.date):
        return f"the date {value}"
    return f"the number {value}" if isinstance(value, int | float) else "no text"
