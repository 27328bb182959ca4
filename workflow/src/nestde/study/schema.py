"""The JSON schemas of configuration and sample sheet: what breaks them, one sentence each, and their defaults."""

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from nestde.fit import family, methods
from nestde.size_factors import SIZE_FACTORS
from nestde.study.yamlread import Place, said, text_of

OF_KEYS = ("additionalProperties", "required")
LONGEST = 100  # characters of a value that are shown
LARGEST = 2**53  # up to here every whole number is a float too


@lru_cache
def schema(name: str) -> dict[str, Any]:
    """Return the shipped JSON schema ``config`` or ``samples``."""
    import yaml

    from nestde.study.template import workflow_dir

    rules = yaml.safe_load((workflow_dir() / "schemas" / f"{name}.schema.yaml").read_text(encoding="utf-8"))
    if name == "config":  # what can be chosen of a room is listed at its foot
        rules["properties"]["inference"]["properties"]["p_value"]["enum"] = methods.names()
        factors = rules["properties"]["genes"]["properties"]["size_factors"]
        factors["enum"] = [each.name for each in SIZE_FACTORS]
        factors["description"] += " " + " ".join(each.sentence for each in SIZE_FACTORS)
        of_family = rules["properties"]["model"]["properties"]["family"]
        of_family["enum"] = family.names()
        rules["properties"]["model"]["properties"]["also"]["items"]["enum"] = family.names()
        of_family["description"] += "".join(f" {each.name}: {each.sentence}." for each in family.FAMILIES)
    return dict(rules)


def rule(key: str) -> dict[str, Any]:
    """What the schema says of one key, such as ``genes.min_samples``: its default, its choices, its description."""
    found = schema("config")
    for part in key.split("."):
        found = found["properties"][part]
    return found


def schema_faults(given: Any, rules: dict[str, Any], name: str) -> list[str]:
    """Every way in which `given` breaks a JSON schema, one sentence each, in the order of the keys."""
    return [sentence for _, _, sentences in broken(given, rules, name) for sentence in sentences]


def broken(given: Any, rules: dict[str, Any], name: str) -> list[tuple[Place, str, list[str]]]:
    """Where a JSON schema is broken, which of its rules, and the sentences about it, in the order of the keys."""
    import jsonschema

    regular = jsonschema.FormatChecker(["regex"])
    errors = jsonschema.Draft202012Validator(rules, format_checker=regular).iter_errors(given)
    in_order = sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])
    return [(tuple(error.absolute_path), str(error.validator), _sentences(error, name)) for error in in_order]


def meant(given: Any, rules: Mapping[str, Any], place: Place) -> set[str]:
    """Keys of a mapping that are missing though required, or that an unknown key may have meant."""
    for part in place:
        given, rules = given[part], rules["properties"][part]
    known = rules["properties"]
    near = {name for key in given if key not in known for name in nearest_key(key, known)}
    return {key for key in {*near, *rules.get("required", ())} if key not in given}


def nearest_key(key: str, known: Iterable[str]) -> list[str]:
    """The known key that is most like an unknown one, if any is."""
    return difflib.get_close_matches(key[:LONGEST], known, n=1)


class Reader:
    """Takes values as the schema wants them: a number or date where text is wanted, as the data would write it.

    Parameters
    ----------
    name
        What sentences begin with.
    written
        Where -> (line, how it is written), where that is known.

    Attributes
    ----------
    faults
        Where -> what is wrong there, for values that cannot be taken; those are replaced by None.
    """

    def __init__(self, name: str, written: Mapping[Place, tuple[int, str]]):
        self.name, self.written = name, written
        self.faults: dict[Place, str] = {}

    def read(self, value: Any, rules: Mapping[str, Any], place: Place = ()) -> Any:
        """Return `value` in types that JSON has."""
        if isinstance(value, Mapping):
            inner = rules.get("properties", {})
            others = rules.get("additionalProperties")
            others = others if isinstance(others, Mapping) else {}
            return {
                key: self.read(part, inner.get(key, others), (*place, key))
                for key, part in self._keys(value, place)
            }
        if isinstance(value, list | tuple):
            return [self.read(part, rules.get("items", {}), (*place, i)) for i, part in enumerate(value)]
        kinds = rules.get("type", ())
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "string" in kinds and not isinstance(value, str):
            return self._text(value, kinds, place)
        if isinstance(value, str) or value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._number(value, kinds, place)
        return self._text(value, kinds, place)

    def _keys(self, value: Mapping[Any, Any], place: Place) -> Iterable[tuple[str, Any]]:
        """Keys as text; Snakemake gives those of YAML as the numbers or truth values that they look like."""
        for key, part in value.items():
            text = text_of(key)
            if text is None:
                where = ".".join(map(str, place)) or "configuration"
                self.faults[(*place, str(key))] = (
                    f"{self.name}: {where}: the key {said(key)} is no text. Put it in quotes, as the data write it."
                )
                continue
            yield text, part

    def _text(self, value: Any, kinds: Iterable[str], place: Place) -> Any:
        """A number or date as text; what is not plain is told."""
        if value is None and ("null" in kinds or not isinstance(place[-1], int)):
            return None  # what may not be null is told of by the schema
        line, written = self.written.get(place, (0, ""))
        text = text_of(value)
        if "boolean" in kinds and isinstance(value, bool) and written.lower() in ("", "true", "false"):
            return value
        if text is None and "number" in kinds and isinstance(value, float) and math.isfinite(value):
            return value
        if text is None or (written and written != text):
            at = f"{self.name}: {_named(place)}{f' (line {line})' if line else ''}"
            as_it_is = f'"{written}"' if written else "as the data write it"
            self.faults[place] = (
                f"{at} is {written or said(value)}, which YAML reads as {said(value)} and not as text. Put it in "
                f"quotes{': ' if written else ', '}{as_it_is}."
            )
            return None
        return text

    def _number(self, value: float, kinds: Iterable[str], place: Place) -> Any:
        """A finite number of a size that counts have; 1e+3 is a whole one."""
        if not math.isfinite(value):
            self.faults[place] = (
                f"{self.name}: {_named(place)} is {value}, which is no number to compute with. "
                + ("Write null for none." if "null" in kinds else "Write a number.")
            )
            return None
        if abs(value) > LARGEST:
            self.faults[place] = (
                f"{self.name}: {_named(place)} is larger than anything that is counted here ({LARGEST:,})."
            )
            return None
        whole = "integer" in kinds and isinstance(value, float) and value.is_integer()
        return int(value) if whole else value


def _named(place: Place) -> str:
    """``model.levels.diagnosis, entry 2``."""
    keys = ".".join(part for part in place if isinstance(part, str))
    entries = [f", entry {part + 1}" for part in place if isinstance(part, int)]
    return keys + "".join(entries)


def _sentences(error: Any, name: str) -> list[str]:
    """Say one jsonschema error in words that name the key, the value and what to do."""
    where = ".".join(str(part) for part in error.absolute_path)
    at = f"{name}: {where}" if where else name
    value = json.dumps(error.instance, ensure_ascii=False, default=str)
    value = value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
    rule = error.validator_value
    match error.validator:
        case "additionalProperties":
            known = list(error.schema.get("properties", {}))
            found = []
            for key in error.instance:
                if key in known:
                    continue
                near = nearest_key(str(key), known)
                hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."
                hint = error.schema.get("renamed", {}).get(key, hint)
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
            return [
                f"{at} is {value}, but must be {' or '.join(words[kind] for kind in kinds)}.{_as_number(error.instance, kinds)}"
            ]
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
            hint = " Write null for none." if "null" in error.schema.get("type", ()) else ""
            return [f"{at} is empty.{hint}"]
        case "format":
            return [f"{at} is {value}, but that is no regular expression ({error.cause})."]
        case "pattern":
            return [f"{at} is {value}: {error.schema['$comment']}"]
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            words = {
                "minimum": "at least",
                "exclusiveMinimum": "above",
                "maximum": "at most",
                "exclusiveMaximum": "below",
            }
            why = (
                f" {error.schema['$comment']}"
                if error.validator == "maximum" and "$comment" in error.schema
                else ""
            )
            return [f"{at} is {value}, but must be {words[error.validator]} {rule}.{why}"]
        case _:
            return [f"{at}: {error.message}."]


def _as_number(value: Any, kinds: Iterable[str]) -> str:
    """How to write a number that YAML reads as text: 1.5e9, 0,05, or one in quotes; '' for what is none."""
    if not isinstance(value, str) or not {"number", "integer"} & set(kinds):
        return ""
    try:
        number = float(value.replace(",", "."))
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    plain = str(int(number)) if number.is_integer() and abs(number) <= LARGEST else repr(number)
    if re.fullmatch(r"[-+]?[\d.]+[eE]\d+", value):
        return f" YAML reads {value} as text: write {plain} or {re.sub('[eE]', 'e+', value)}."
    return f" Write {plain}, without quotes."


def with_defaults(given: Mapping[str, Any], rules: dict[str, Any]) -> dict[str, Any]:
    """Fill in the schema's defaults, section by section."""
    whole: dict[str, Any] = {}
    for key, rule in rules["properties"].items():
        value = given.get(key, rule.get("default"))
        if "properties" in rule and not isinstance(value, Mapping):
            value = {}
        whole[key] = with_defaults(value, rule) if "properties" in rule else value
    return whole
