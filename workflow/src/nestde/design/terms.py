"""Wilkinson and Rogers' algebra of model terms (1973, Appl Stat 22, 392-399), as R's formulas have it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from nestde.design.evaluate import check
from nestde.design.expressions import Node, fail, parse

MOST_TERMS = 500
MOST_POWER = 10


@dataclass(frozen=True, eq=False)
class Term:
    """A product of factors, each a column or a transform of columns; without factors it is the intercept.

    Terms are equal if they have the same factors in any order.
    """

    factors: tuple[Node, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Term) and frozenset(self.factors) == frozenset(other.factors)

    def __hash__(self) -> int:
        return hash(frozenset(self.factors))

    def __str__(self) -> str:
        """As a formula writes it: ``diet:log(age)``, ``1``. Reads back as the same term."""
        return ":".join(map(str, self.factors)) or "1"

    def __mul__(self, other: "Term") -> "Term":
        return Term(tuple(dict.fromkeys((*self.factors, *other.factors))))

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns that it reads, sorted."""
        return tuple(sorted({name for factor in self.factors for name in variables(factor)}))


Terms = dict[Term, None]  # a set that keeps its order


def variables(factor: Node) -> set[str]:
    """Columns that a factor reads; the arguments of a transform that are settings are none."""
    if factor.kind == "name":
        return {factor.value}
    parts = factor.parts if factor.kind != "call" else check("", factor)
    return {name for part in parts for name in variables(part)}


@lru_cache(maxsize=512)
def terms_of(text: str, start: int = 0, end: int | None = None) -> tuple[Term, ...]:
    """Terms of a right-hand side, ``text[start:end]``: the intercept, main effects, then interactions.

    Raises
    ------
    NestdeError
        With a caret under what is no part of a formula: nothing of it is evaluated before all of it is known.
    """
    node = parse(text, start, end)
    found = [term for term in _expand(text, node) if term.factors]
    return (
        *([Term()] if _intercept(node) is not False else []),
        *sorted(found, key=lambda term: len(term.factors)),
    )


def _expand(text: str, node: Node) -> Terms:
    """Terms of an expression, in the order written."""
    if node.kind == "sum":
        found: Terms = {}
        for sign, part in zip(node.value, node.parts, strict=True):
            for term in _expand(text, part):
                if sign == "+":
                    found[term] = None
                else:
                    found.pop(term, None)
        return _bounded(text, node, found)
    if node.kind == "prefix" and node.value in "+-":
        terms = _expand(text, node.parts[0])
        return terms if node.value == "+" else {}
    if node.kind == "number" and node.value in ("0", "1"):
        return {Term(): None} if node.value == "1" else {}
    if node.kind == "operator" and node.value in ("*", ":", "/", "%in%", "^"):
        return _bounded(text, node, _product(text, node))
    check(text, node)
    if node.kind not in ("name", "call"):
        what = "a number" if node.kind == "number" else "arithmetic"
        example = f"I({node})" if what == "arithmetic" else "arithmetic as in I(2 * x)"
        fail(text, node.column, f"{node} cannot be read as a term: it is {what}; write {example}")
    return {Term((node,)): None}


def _intercept(node: Node) -> bool | None:
    """Whether 1 or 0 is added, the last of them counts; None if neither is."""
    if node.kind == "number":
        return node.value == "1"
    if node.kind == "prefix":
        inner = _intercept(node.parts[0])
        return inner if node.value == "+" or inner is None else not inner
    found = None
    if node.kind == "sum":
        for sign, part in zip(node.value, node.parts, strict=True):
            told = _intercept(part)
            found = found if told is None else told if sign == "+" else not told
    return found


def _product(text: str, node: Node) -> Iterable[Term]:
    left = _expand(text, node.parts[0])
    if node.value == "^":
        return _power(text, node, left)
    right = _expand(text, node.parts[1])
    if node.value == "/":
        # everything on the left together: (a + b)/c has a:b:c
        whole = Term()
        for term in left:
            whole = whole * term
        return [*left, *(whole * term for term in right)]
    if len(left) * len(right) > MOST_TERMS**2:
        _too_many(text, node)
    crossed = [one * other for one in left for other in right]
    return [*left, *right, *crossed] if node.value == "*" else crossed


def _power(text: str, node: Node, terms: Terms) -> Terms:
    """Interactions of up to n of the terms."""
    exponent = node.parts[1]
    powers = [str(power) for power in range(1, MOST_POWER + 1)]
    if exponent.kind != "number" or exponent.value not in powers or len(terms) < 2:
        fail(
            text,
            exponent.column,
            f"outside of I() a power joins several terms, as in (a + b)^2 for a*b, and is a whole number from 1 to "
            f"{MOST_POWER}. Write I(x^2) for the square of x",
        )
    found = terms
    for _ in range(int(exponent.value) - 1):
        found = _bounded(text, node, (one * other for one in found for other in terms))
    return found


def _bounded(text: str, node: Node, terms: Iterable[Term]) -> Terms:
    found: Terms = {}
    for term in terms:
        found[term] = None
        if len(found) > MOST_TERMS:
            _too_many(text, node)
    return found


def _too_many(text: str, node: Node) -> None:
    fail(text, node.column, f"more than {MOST_TERMS} terms; no data can tell them apart")
