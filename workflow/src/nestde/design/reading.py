"""Text of a named contrast -> weights of the points that it names (see `named`)."""

import difflib
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NoReturn

from nestde.design.expressions import NAME, quoted
from nestde.errors import NestdeError, a_few, shortened
from nestde.words import both

# A point is where the model is looked at: levels of factors, or values of numbers, by column and sorted.
Point = tuple[tuple[str, str], ...]
Weights = dict[Point, Fraction]

MOST_CHARACTERS = 1_000
_MOST_NESTED = 40
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?(?![\w.`])"
_TOKEN = re.compile(
    rf"""(?P<blank>\s+)|(?P<number>{_NUMBER})|(?P<name>{NAME})|(?P<quoted>`[^`]+`|"[^"]+"|'[^']+')
    |(?P<level>\[\s*(?:`[^`]+`|[^\]`]+?)\s*\])|(?P<operator>==|[-+*/():|=,&])""",
    re.VERBOSE,
)
_GRAMMAR = (
    "Levels are compared as in AD - Control, (AD + MCI)/2 - Control, diagnosis[AD] - diagnosis[Control] or AD - Control | sex=F; "
    "a level that is no plain word stands in back-quotes, `CD4-T`"
)


class Reader:
    """Reads one contrast by recursive descent.

    Attributes
    ----------
    sides
        See `NamedContrast.level`.
    """

    def __init__(self, text: str, variables: Sequence[str], levels: Mapping[str, Sequence[str]]):
        if len(text) > MOST_CHARACTERS:
            raise NestdeError(
                f"{shortened(text)}: has {len(text):,} characters; {MOST_CHARACTERS:,} are read at most."
            )
        self.text, self.variables, self.levels = text, variables, levels
        self.tokens: list[tuple[str, str, int]] = []
        self.at = self.open = column = 0
        self.sides = (text, "")
        while column < len(text):
            found = _TOKEN.match(text, column)
            if found is None or found.lastgroup is None:
                self.refuse(f'"{text[column]}" at column {column + 1} means nothing here')
            if found.lastgroup != "blank":
                self.tokens.append((found.lastgroup, found[0], column))
            column = found.end()

    def refuse(self, reason: str) -> NoReturn:
        """Say why it cannot be read."""
        raise NestdeError(f"{self.text}: cannot be read as a contrast ({reason}). {_GRAMMAR}.")

    def whole(self) -> Weights:
        """Weights of the points."""
        found = self.conditional(outer=True)
        if self.at < len(self.tokens):
            _, token, column = self.tokens[self.at]
            self.refuse(f"{token} at column {column + 1} cannot stand there")
        if not isinstance(found, dict):
            self.refuse("there are numbers only")
        return found

    def peek(self) -> str:
        """The next operator; '' where there is none."""
        kind, token, _ = self.tokens[self.at] if self.at < len(self.tokens) else ("", "", 0)
        return token if kind == "operator" else ""

    def take(self, *tokens: str) -> str:
        """Go on if the next token is one of these operators."""
        found = self.peek()
        if not found or found not in tokens:
            return ""
        self.at += 1
        return found

    def conditional(self, outer: bool = False) -> Weights | Fraction:
        """A sum, and after a bar where."""
        found = self.sum(outer)
        if not self.take("|"):
            return found
        if outer:
            self.sides = (self.text, "")
        if not isinstance(found, dict):
            self.refuse("a bar stands after levels")
        while True:
            where = self.condition()
            found = self.joined(found, {(where,): Fraction(1)})
            if not self.take(",", "&"):
                return found

    def condition(self) -> tuple[str, str]:
        """``sex = F``."""
        name = self.word("a column stands right of the bar, as in | sex=F")
        if name not in self.variables:
            near = difflib.get_close_matches(name, self.variables, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Its columns are {a_few(self.variables, 12)}."
            raise NestdeError(f"{self.text}: {name} is no column of the formula's fixed part. {hint}")
        if not self.take("=", "=="):
            self.refuse(f"{name} has no value, as in {name}=F")
        sign = "-" if self.take("-") else ""
        value = sign + self.word(f"{name} has no value, as in {name}=F")
        if name in self.levels:
            self.check_level(name, value)
        return name, value

    def word(self, otherwise: str) -> str:
        """A name, a number or a text in quotes."""
        kind, token, _ = self.tokens[self.at] if self.at < len(self.tokens) else ("", "", 0)
        if kind not in ("name", "number", "quoted"):
            self.refuse(otherwise)
        self.at += 1
        return token[1:-1] if kind == "quoted" else token

    def sum(self, outer: bool = False) -> Weights | Fraction:
        """Products that are added and subtracted."""
        self.open += 1
        if self.open > _MOST_NESTED:
            self.refuse(f"more than {_MOST_NESTED} brackets are within each other")
        signs, starts, parts = [], [], list[Weights | Fraction]()
        sign = self.take("+", "-") or "+"
        while True:
            signs.append(sign)
            starts.append(self.at)
            parts.append(self.product())
            sign = self.take("+", "-")
            if not sign:
                break
        self.open -= 1
        if outer and signs[:1] + signs[-1:] == ["+", "-"] and "-" not in signs[:-1]:
            self.sides = (
                self.said(0, starts[-1] - 1, parts[:-1]),
                self.said(starts[-1], self.at, parts[-1:]),
            )
        found = parts[0] if signs[0] == "+" else self.times(parts[0], Fraction(-1))
        for sign, part in zip(signs[1:], parts[1:], strict=True):
            found = self.plus(found, part, 1 if sign == "+" else -1)
        return found

    def said(self, begin: int, end: int, parts: Sequence[Weights | Fraction]) -> str:
        """Some tokens as they were written, without brackets around them; a single level by its label."""
        if len(parts) == 1 and isinstance(parts[0], dict):
            points = list(parts[0].items())
            if len(points) == 1 and points[0][1] == 1 and len(points[0][0]) == 1:
                return points[0][0][0][1]
        _, last, column = self.tokens[end - 1]
        text = self.text[self.tokens[begin][2] : column + len(last)].strip()
        inner = text[1:-1]
        wraps = text.startswith("(") and text.endswith(")") and len(parts) == 1
        return inner.strip() if wraps and _balanced(inner) else text

    def product(self) -> Weights | Fraction:
        """Factors that are multiplied and divided; of two, one is a number."""
        found = self.signed()
        while operator := self.take("*", "/"):
            other = self.signed()
            if isinstance(found, Fraction) and operator == "*":
                found = self.times(other, found)
            elif isinstance(other, Fraction):
                if operator == "/" and not other:
                    self.refuse("it is divided by 0")
                found = self.times(found, other if operator == "*" else 1 / other)
            else:
                what = "multiplied with each other" if operator == "*" else "divided by"
                self.refuse(
                    f"levels cannot be {what}; a level whose name has a sign in it stands in back-quotes"
                )
        return found

    def signed(self) -> Weights | Fraction:
        """A factor with a sign of its own: ``2 * -AD``."""
        if self.take("-"):
            return self.times(self.signed(), Fraction(-1))
        return self.signed() if self.take("+") else self.joint()

    def joint(self) -> Weights | Fraction:
        """A level, or a combination of levels of several factors: ``AD:F``."""
        found = self.single()
        while self.take(":"):
            other = self.single()
            if not isinstance(found, dict) or not isinstance(other, dict):
                self.refuse("a colon joins levels of two factors, as in AD:F")
            found = self.joined(found, other)
        return found

    def single(self) -> Weights | Fraction:
        """A number, a bracket, or a level."""
        if self.take("("):
            found = self.conditional()
            if not self.take(")"):
                self.refuse("a bracket is not closed")
            return found
        kind, token, column = self.tokens[self.at] if self.at < len(self.tokens) else ("", "", 0)
        if kind == "number":
            self.at += 1
            return Fraction(token)
        if kind not in ("name", "quoted"):
            self.refuse(
                "something is missing at its end"
                if not kind
                else f"{token} at column {column + 1} cannot stand there"
            )
        word = self.word("")
        ahead = self.tokens[self.at] if self.at < len(self.tokens) else ("", "", 0)
        if ahead[0] == "level":
            self.at += 1
            inside = ahead[1][1:-1].strip()
            return {((self.column(word), self.level_in(word, inside)),): Fraction(1)}
        return {((self.factor_of(word), word),): Fraction(1)}

    def column(self, name: str) -> str:
        """A column before a bracket."""
        if name not in self.variables:
            near = difflib.get_close_matches(name, self.variables, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Its columns are {a_few(self.variables, 12)}."
            raise NestdeError(f"{self.text}: {name} is no column of the formula's fixed part. {hint}")
        return name

    def level_in(self, factor: str, inside: str) -> str:
        """A level in brackets, in quotes or not."""
        level = (
            inside[1:-1] if inside[0] in "`\"'" and inside[-1] == inside[0] and len(inside) > 2 else inside
        )
        if factor in self.levels:
            self.check_level(factor, level)
        return level

    def check_level(self, factor: str, level: str) -> None:
        """A level is one of its factor's."""
        if level in self.levels[factor]:
            return
        near = difflib.get_close_matches(level, self.levels[factor], n=2)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"It has {a_few(self.levels[factor], 8)}."
        raise NestdeError(f"{self.text}: {factor} has no level {level}. {hint}")

    def factor_of(self, level: str) -> str:
        """The one factor that has a level."""
        having = [name for name, levels in self.levels.items() if level in levels]
        if len(having) == 1:
            return having[0]
        if having:
            bracketed = [f"{quoted(name)}[{level}]" for name in having]
            raise NestdeError(
                f"{self.text}: {level} is a level of {both(having)}. Name the factor: {' or '.join(bracketed)}."
            )
        every = {known: name for name, levels in self.levels.items() for known in levels}
        folded = {known.casefold(): known for known in every}
        near = [folded[one] for one in difflib.get_close_matches(level.casefold(), folded, n=2)]
        split = [known for known in every if known not in near and level in re.split(r"[^\w.]+", known)]
        if near or split:
            meant = [quoted(known) for known in [*near, *split][:2]]
            hint = f"Did you mean {' or '.join(meant)}?"
        else:
            there = [f"{name} ({a_few(levels, 8)})" for name, levels in self.levels.items()]
            hint = f"Known are those of {both(there)}. " if there else ""
            hint += f"Of another factor, write factor[{quoted(level)}]."
        raise NestdeError(
            f"{self.text}: {level} is no level that is known, nor a term of the formula. {hint}"
        )

    def joined(self, found: Weights, other: Weights) -> Weights:
        """Each point of one at each of the other."""
        product: Weights = {}
        for one, weight in found.items():
            for two, more in other.items():
                shared = sorted({name for name, _ in one} & {name for name, _ in two})
                if shared:
                    self.refuse(f"{shared[0]} is named twice at one place")
                point = tuple(sorted((*one, *two)))
                product[point] = product.get(point, Fraction(0)) + weight * more
        return product

    def times(self, found: Weights | Fraction, number: Fraction) -> Weights | Fraction:
        """All weights times a number."""
        if isinstance(found, Fraction):
            return found * number
        return {point: weight * number for point, weight in found.items()}

    def plus(self, found: Weights | Fraction, other: Weights | Fraction, sign: int) -> Weights | Fraction:
        """Two sums together, the second with a sign."""
        if isinstance(found, Fraction) and isinstance(other, Fraction):
            return found + sign * other
        if not isinstance(found, dict) or not isinstance(other, dict):
            self.refuse(
                "a number is added to levels; a level that is a number stands in back-quotes or brackets"
            )
        total = dict(found)
        for point, weight in other.items():
            total[point] = total.get(point, Fraction(0)) + sign * weight
        return total


def _balanced(text: str) -> bool:
    """Whether each bracket closes one that was opened in the text."""
    depth = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return False
    return depth == 0
