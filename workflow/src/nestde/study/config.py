"""The configuration: read, checked against the one schema, every fault at once, frozen."""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nestde.design.formula import parse
from nestde.design.named import NamedContrast, named_contrast
from nestde.errors import Faults, NestdeError, NotGivenError
from nestde.fit.family import family
from nestde.fit.methods import method
from nestde.study.schema import OF_KEYS, Reader, broken, meant, schema, with_defaults
from nestde.study.yamlread import Content, Place, read_yaml


@dataclass(frozen=True)
class _Given:
    """Values of which a step is given only those that its rule names; the others are not there."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Take the values of the fields that there are."""
        given = object.__new__(cls)
        for field in dataclasses.fields(cls):
            if field.name in values:
                object.__setattr__(given, field.name, values[field.name])
        return given

    def __getattr__(self, name: str) -> Any:
        raise NotGivenError(f"this step was given no '{name}' of the configuration")


@dataclass(frozen=True)
class Input(_Given):
    """Where counts, cell types and cell-level covariates are found."""

    counts: str | None
    layer: str
    sample_key: str
    cell_type_key: str
    cell_metadata: str | None
    gene_key: str | None
    absent_genes: str
    keep: dict[str, list[Any]]


@dataclass(frozen=True)
class QC(_Given):
    """Which cells are kept."""

    enabled: bool
    min_counts: float | None
    max_counts: float | None
    min_genes: float | None
    max_genes: float | None
    max_pct_mt: float | None
    mad_counts: float | None
    mad_genes: float | None
    mad_pct_mt: float | None
    mad_pct_mt_floor: float
    mt_prefix: list[str]
    ribo_prefix: list[str]
    hb_pattern: str
    doublets: str
    doublet_rate: float | None
    min_cells_per_sample: int


@dataclass(frozen=True)
class Genes(_Given):
    """Which genes are tested, and what their counts are divided by."""

    min_cells_share: float
    min_samples: int
    size_factors: str


@dataclass(frozen=True)
class Model(_Given):
    """The formula, what of it is tested, its factors' levels, and the model family."""

    formula: str
    test: list[str]
    levels: dict[str, list[str]]
    min_cells: int
    family: str
    also: list[str]

    def named(self, test: str) -> NamedContrast | None:
        """Read one of `test` as a contrast; None if it is a term.

        Raises
        ------
        NestdeError
            See `named_contrast`: levels without their factor are those of `levels`.
        """
        return named_contrast(test, parse(self.formula), self.levels)

    def about(self, test: str) -> str:
        """One of `test` in terms of the formula: a term itself, a contrast by those that it compares levels of."""
        named = self.named(test)
        return test if named is None else named.about

    def weights_of_levels(self) -> dict[str, dict[tuple[str, str], float]]:
        """Contrast among `test` -> (factor, level) -> its weight, see `NamedContrast.of_levels`."""
        found = {test: self.named(test) for test in self.test}
        return {test: named.of_levels for test, named in found.items() if named is not None}

    @property
    def compared(self) -> list[str]:
        """All of `test` in terms of the formula."""
        return list(dict.fromkeys(self.about(test) for test in self.test))


@dataclass(frozen=True)
class Inference(_Given):
    """The headline p-value, the false discovery rate, the check against another implementation."""

    p_value: str
    fdr: float
    crosscheck_genes: int
    crosscheck_tolerance: float


@dataclass(frozen=True)
class Calibration(_Given):
    """Relabelled samples, on which p-values are measured."""

    enabled: bool
    relabellings: int


@dataclass(frozen=True)
class Pseudobulk(_Given):
    """Pseudobulk profiles and their test."""

    enabled: bool
    formula: str | None
    min_cells: int
    min_counts: int


@dataclass(frozen=True)
class Enrich(_Given):
    """Gene sets, and how they are scored."""

    gene_sets: str | None
    score: str
    min_genes: int


@dataclass(frozen=True)
class Config(_Given):
    """The whole configuration, every key present. See workflow/schemas/config.schema.yaml."""

    title: str
    seed: int
    samples: str
    cell_types: list[str]
    chunks: int
    container: str | None
    input: Input
    qc: QC
    genes: Genes
    model: Model
    inference: Inference
    calibration: Calibration
    pseudobulk: Pseudobulk
    enrich: Enrich

    @property
    def asked_for(self) -> list[str]:
        """What of `nestde.io.layout.ON_REQUEST` a run makes."""
        asked = {"pseudobulk": self.pseudobulk.enabled, "enrich": self.enrich.gene_sets is not None}
        return [name for name, wanted in asked.items() if wanted]

    def text(self, *sections: str) -> str:
        """Return the sections or keys named (all, if none) as JSON: what a rule passes to its command.

        >>> config.text("seed", "inference.fdr")  # doctest: +SKIP
        '{"inference": {"fdr": 0.05}, "seed": 1}'
        """
        whole = dataclasses.asdict(self)
        chosen: dict[str, Any] = {}
        if sections:
            whole |= {name: whole[name] | nothing for name, nothing in _ADDS.items()}
        for name in sections or whole:
            section, _, key = name.partition(".")
            if key:
                chosen.setdefault(section, {})[key] = whole[section][key]
            else:
                chosen[section] = whole[section]
        return json.dumps(chosen, sort_keys=True)


# What only adds steps: to those that are there it is as if it were not set, so that they need not run again.
_ADDS: dict[str, dict[str, Any]] = {"model": {"also": []}}
_SECTIONS: dict[str, type[_Given]] = {
    field.name: field.type
    for field in dataclasses.fields(Config)
    if isinstance(field.type, type) and issubclass(field.type, _Given)
}


def enter(directory: Path, configfile: str | None) -> str:
    """Go to the folder of a study, to which its paths are relative; return its configuration.

    Parameters
    ----------
    configfile
        Seen from where we are; None takes the study's own ``config/config.yaml``.
    """
    if not directory.is_dir():
        raise NestdeError(f"{directory}: there is no such folder.")
    found = (
        str(Path(configfile).resolve()) if configfile and directory.resolve() != Path.cwd() else configfile
    )
    os.chdir(directory)
    return found or "config/config.yaml"


def load(source: str | Path | Mapping[str, Any]) -> Config:
    """Read the configuration from a YAML file, or check a mapping that was read before.

    Raises
    ------
    NestdeError
        With every fault: unknown keys (and the nearest known), wrong types, missing keys, values out of range.
    """
    config, faults = read(source)
    if faults:
        raise NestdeError(faults)
    return config


def read(source: str | Path | Mapping[str, Any]) -> tuple[Config, list[str]]:
    """Read the configuration as far as it is sound, and what is wrong with it.

    A key that is at fault is not in it: its use raises `NotGivenError`, as does that of one whose name may have been meant
    by an unknown key. So what depends on neither can be checked still.

    Raises
    ------
    NestdeError
        Where there is no YAML mapping at all.
    """
    if isinstance(source, Mapping):
        name, content = "configuration", Content(values=dict(source))
    else:
        name, content = str(source), read_yaml(source)
    rules = schema("config")
    reader = Reader(name, content.written)
    given = reader.read(content.values, rules)
    found = {**dict(reversed(content.faults)), **reader.faults}
    faults = Faults()
    for _, sentence in content.faults:
        faults.add(sentence)
    for sentence in reader.faults.values():
        faults.add(sentence)
    unsound = set(found)
    for place, validator, sentences in broken(given, rules, name):
        # that a list has a name twice may follow from its entries at fault
        if place in found or (validator == "uniqueItems" and any(part[:-1] == place for part in found)):
            continue
        for sentence in sentences:
            faults.add(sentence)
        unsound |= {(*place, key) for key in meant(given, rules, place)} if validator in OF_KEYS else {place}
    config = _frozen(_without(with_defaults(given, rules), unsound))
    with faults.noting(
        f"{name}: inference."
    ):  # what the schema cannot say: not every family has every p-value
        method(config.inference.p_value, family(config.model.family).engine)
        if config.model.family in config.model.also:
            raise NestdeError(
                f"model.also: {config.model.family} is what model.family fits already. Name others, or leave it out."
            )
    return config, faults.sentences


def sections(settings: str) -> Config:
    """Return the configuration that a step is given: JSON of some sections, or the path of a YAML file.

    A section or key that the step was not given raises AttributeError when it is used, so that a rule that
    forgot to name it fails in its first run and not by a stale result.
    """
    if not settings.lstrip().startswith("{"):
        return load(settings)
    return _frozen(json.loads(settings))


def _without(whole: dict[str, Any], unsound: Iterable[Place]) -> dict[str, Any]:
    """The configuration without the keys and sections in which something is at fault."""
    for place in unsound:
        section, *keys = place
        if keys and isinstance(whole.get(str(section)), dict) and section in _SECTIONS:
            whole[str(section)].pop(keys[0], None)
        else:
            whole.pop(str(section), None)
    return whole


def _frozen(values: Mapping[str, Any]) -> Config:
    parts = {name: _SECTIONS[name].of(part) if name in _SECTIONS else part for name, part in values.items()}
    return Config.of(parts)
