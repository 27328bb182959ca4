"""The configuration: read, checked against the one schema, every fault at once, frozen."""

import dataclasses
import difflib
import json
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from nestde.errors import Faults, NestdeError

_ABSENT: Any = object()


class _Given:
    """Values of which a step is given only those that its rule names."""

    def __getattribute__(self, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if value is _ABSENT:
            raise AttributeError(f"this step was given no '{name}' of the configuration")
        return value


@dataclass(frozen=True)
class Input(_Given):
    """Where counts, cell types and cell-level covariates are found."""

    counts: str | None
    layer: str
    sample_key: str
    cell_type_key: str
    cell_metadata: str | None
    gene_key: str | None
    genes: str
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
    """The formula, what of it is tested, and its factors' levels."""

    formula: str
    test: list[str]
    levels: dict[str, list[str]]
    min_cells: int


@dataclass(frozen=True)
class Inference(_Given):
    """The headline p-value, the false discovery rate, the check against statsmodels."""

    p_value: str
    fdr: float
    crosscheck_genes: int
    crosscheck_tolerance: float


@dataclass(frozen=True)
class Pseudobulk(_Given):
    """Pseudobulk profiles and their test."""

    enabled: bool
    formula: str | None
    min_cells: int
    min_counts: int


@dataclass(frozen=True)
class Config(_Given):
    """The whole configuration, every key present. See workflow/schemas/config.schema.yaml."""

    title: str
    seed: int
    samples: str
    cell_types: list[str]
    chunks: int
    input: Input
    qc: QC
    genes: Genes
    model: Model
    inference: Inference
    pseudobulk: Pseudobulk

    def text(self, *sections: str) -> str:
        """Return the sections or keys named (all, if none) as JSON: what a rule passes to its command.

        >>> config.text("seed", "inference.fdr")  # doctest: +SKIP
        '{"inference": {"fdr": 0.05}, "seed": 1}'
        """
        whole = dataclasses.asdict(self)
        chosen: dict[str, Any] = {}
        for name in sections or whole:
            section, _, key = name.partition(".")
            if key:
                chosen.setdefault(section, {})[key] = whole[section][key]
            else:
                chosen[section] = whole[section]
        return json.dumps(chosen, sort_keys=True)


_SECTIONS = {
    field.name: field.type for field in dataclasses.fields(Config) if dataclasses.is_dataclass(field.type)
}


@lru_cache
def schema(name: str) -> dict[str, Any]:
    """Return the shipped JSON schema ``config`` or ``samples``."""
    import yaml

    from nestde.template import workflow_dir

    return yaml.safe_load((workflow_dir() / "schemas" / f"{name}.schema.yaml").read_text(encoding="utf-8"))


def load(source: str | Path | Mapping[str, Any]) -> Config:
    """Read the configuration from a YAML file, or check a mapping that was read before.

    Raises
    ------
    NestdeError
        With every fault: unknown keys (and the nearest known), wrong types, missing keys, values out of range.
    """
    name = "configuration" if isinstance(source, Mapping) else str(source)
    given = source if isinstance(source, Mapping) else read_yaml(source)
    faults = Faults()
    for sentence in schema_faults(given, schema("config"), name):
        faults.add(sentence)
    faults.raise_if_any()
    return _frozen(_with_defaults(given, schema("config")), partial=False)


def sections(settings: str) -> Config:
    """Return the configuration that a step is given: JSON of some sections, or the path of a YAML file.

    A section or key that the step was not given raises AttributeError when it is used, so that a rule that
    forgot to name it fails in its first run and not by a stale result.
    """
    if not settings.lstrip().startswith("{"):
        return load(settings)
    return _frozen(json.loads(settings), partial=True)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping; a missing file, bad YAML or another kind of content is a sentence."""
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise NestdeError(
            f"{path}: cannot be read ({error.strerror}). Give the path of the configuration."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise NestdeError(f"{path}: is not valid YAML: {where}.") from error
    if not isinstance(content, dict):
        raise NestdeError(f"{path}: holds no `key: value` pairs. Start from the shipped config/config.yaml.")
    return content


def schema_faults(given: Any, rules: dict[str, Any], name: str) -> list[str]:
    """Every way in which `given` breaks a JSON schema, one sentence each, in the order of the keys."""
    import jsonschema

    errors = jsonschema.Draft202012Validator(rules).iter_errors(given)
    return [
        sentence
        for error in sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])
        for sentence in _sentences(error, name)
    ]


def _sentences(error: Any, name: str) -> list[str]:
    """Say one jsonschema error in words that name the key, the value and what to do."""
    where = ".".join(str(part) for part in error.absolute_path)
    at = f"{name}: {where}" if where else name
    value = json.dumps(error.instance, ensure_ascii=False, default=str)
    rule = error.validator_value
    match error.validator:
        case "additionalProperties":
            known = list(error.schema.get("properties", {}))
            found = []
            for key in error.instance:
                if key in known:
                    continue
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."
                found.append(f"{name}: unknown key {f'{where}.' if where else ''}{key}. {hint}")
            return found
        case "required":
            about = {key: part.get("description", "") for key, part in error.schema["properties"].items()}
            missing = [key for key in rule if key not in error.instance]
            return [f"{at}: the key {key} is missing. {about.get(key, '')}".rstrip() for key in missing]
        case "type":
            kinds = [rule] if isinstance(rule, str) else rule
            words = {"null": "null", "array": "a list", "object": "a mapping", "string": "text", "boolean": "true or false",
                     "integer": "a whole number", "number": "a number"}  # fmt: skip
            return [f"{at} is {value}, but must be {' or '.join(words[kind] for kind in kinds)}."]
        case "enum":
            near = difflib.get_close_matches(str(error.instance), [str(item) for item in rule], n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            return [f"{at} is {value}, but must be one of {', '.join(map(str, rule))}.{hint}"]
        case "uniqueItems":
            twice = sorted({str(item) for item in error.instance if error.instance.count(item) > 1})
            return [f"{at} names {', '.join(twice)} more than once. Name each once."]
        case "minItems":
            return [f"{at} has {len(error.instance)} entries, but needs at least {rule}."]
        case "minLength":
            return [f"{at} is empty."]
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            words = {
                "minimum": "at least",
                "exclusiveMinimum": "above",
                "maximum": "at most",
                "exclusiveMaximum": "below",
            }
            return [f"{at} is {value}, but must be {words[error.validator]} {rule}."]
        case _:
            return [f"{at}: {error.message}."]


def _with_defaults(given: Mapping[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    """Fill in the schema's defaults, section by section."""
    whole: dict[str, Any] = {}
    for key, rule in rules["properties"].items():
        value = given.get(key, rule.get("default"))
        whole[key] = _with_defaults(value, rule) if "properties" in rule else value
    return whole


def _frozen(values: Mapping[str, Any], *, partial: bool) -> Config:
    parts: dict[str, Any] = {}
    for field in dataclasses.fields(Config):
        if partial and field.name not in values:
            parts[field.name] = _ABSENT
        elif field.name in _SECTIONS:
            section = typing.cast(type, _SECTIONS[field.name])
            names = [part.name for part in dataclasses.fields(section)]
            parts[field.name] = section(**{name: values[field.name].get(name, _ABSENT) for name in names})
        else:
            parts[field.name] = values[field.name]
    return Config(**parts)
