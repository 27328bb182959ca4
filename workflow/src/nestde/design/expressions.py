"""Text of a formula -> a tree of names, numbers, texts, operators and calls. Nothing is evaluated here.

The grammar is R's, with Python's spelling of the same things (``**``, ``//``, ``True``, ``[1, 2]``). It has no attributes,
no subscripts, no lambdas: what is not in the grammar cannot be asked for. Which calls are allowed, `transforms` knows.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nestde.errors import NestdeError

NAME = r"[^\W\d][\w.]*"
MOST_NESTED = 60  # brackets and operators within each other
MOST_SHOWN = 200  # characters of a formula that an error shows

_TOKEN = re.compile(
    rf"""(?P<blank>\s+)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?(?![\w.`]))
    |(?P<name>{NAME})
    |(?P<quoted>`[^`]+`)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<operator>%in%|%%|%/%|\*\*|//|==|!=|<=|>=|&&|\|\||[-+*/^:%<>&|~!=,()\[\]])""",
    re.VERBOSE,
)
_SAME = {"**": "^", "%%": "%", "%/%": "//", "&&": "&", "||": "|"}
# How tightly an operator binds what is left of it, as in R (?Syntax).
_BINDS = {"|": 1, "&": 2, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6, "//": 6,
          "%": 6, "%in%": 7, ":": 8, "^": 10}  # fmt: skip
_PREFIX = {"!": 3, "-": 9, "+": 9, "~": 9}
COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">="])


@dataclass(frozen=True)
class Node:
    """A piece of an expression; two are equal if they mean the same, however they are written.

    Attributes
    ----------
    kind
        ``number``, ``text``, ``name`` (of a column), ``call``, ``list``, ``prefix``, ``operator``, or ``sum``, whose
        parts are added and subtracted.
    value
        The number, text or name as it is meant; the called function; the operator; the signs of a sum, as in ``"+-"``.
    parts
        Operands, items or arguments.
    names
        Of the arguments of a call, '' where they have none.
    shown
        The operator as it was written.
    column
        Where it begins in the text, from 0.
    depth
        How many nodes are within each other.
    """

    kind: str
    value: str
    parts: tuple["Node", ...] = ()
    names: tuple[str, ...] = ()
    shown: str = field(default="", compare=False)
    column: int = field(default=0, compare=False)
    depth: int = field(default=1, compare=False)

    def __str__(self) -> str:
        """R's spelling, which reads back as the same; names that need it are quoted."""
        if self.kind == "name":
            return quoted(self.value)
        if self.kind == "text":
            return repr(self.value)
        if self.kind == "call":
            given = (f"{name}={part}" if name else str(part) for name, part in self._named())
            return f"{self.value}({', '.join(given)})"
        if self.kind == "list":
            return f"c({', '.join(map(str, self.parts))})"
        if self.kind == "sum":
            first, *rest = zip(self.value, (self._inner(part, 6) for part in self.parts), strict=True)
            return first[1] + "".join(f" {sign} {part}" for sign, part in rest)
        if self.kind == "prefix":
            return self.value + self._inner(self.parts[0], _PREFIX[self.value])
        if self.kind == "operator":
            binds = _BINDS[self.value]
            # a power binds to the right, all else to the left; comparisons not at all
            left = self._inner(self.parts[0], binds + (self.value == "^" or self.value in COMPARISONS))
            right = self._inner(self.parts[1], binds + (self.value != "^"))
            space = "" if self.shown in ("^", ":") else " "
            return f"{left}{space}{self.shown}{space}{right}"
        return self.value

    def _named(self) -> Iterator[tuple[str, "Node"]]:
        return zip(self.names, self.parts, strict=True)

    @staticmethod
    def _inner(part: "Node", wanted: int) -> str:
        binds = {"sum": 5, "prefix": _PREFIX.get(part.value, 9), "operator": _BINDS.get(part.value, 99)}
        return f"({part})" if binds.get(part.kind, 99) < wanted else str(part)

    def walk(self) -> Iterator["Node"]:
        """Yield it and everything in it."""
        yield self
        for part in self.parts:
            yield from part.walk()


def quoted(name: str) -> str:
    """A column's name as a formula writes it: between backticks where it is no plain word."""
    return name if re.fullmatch(NAME, name) else f"`{name}`"


def caret(text: str, column: int) -> str:
    """Two indented lines: the formula, and a caret under its character `column` (from 0)."""
    if len(text) > MOST_SHOWN:
        start = max(0, min(column - MOST_SHOWN // 2, len(text) - MOST_SHOWN))
        before, after = "… " * (start > 0), " …" * (start + MOST_SHOWN < len(text))
        text, column = before + text[start : start + MOST_SHOWN] + after, column - start + len(before)
    return f"\n  {text}\n  {' ' * column}^"


def fail(text: str, column: int, sentence: str) -> NoReturn:
    """Raise the fault of a formula, with a caret under `column` (from 0)."""
    raise NestdeError(f"formula, column {column + 1}: {sentence}.{caret(text, column)}")


def parse(text: str, start: int = 0, end: int | None = None) -> Node:
    """Parse ``text[start:end]``, one expression.

    Raises
    ------
    NestdeError
        With a caret under what cannot be read.
    """
    return _Parser(text, start, len(text) if end is None else end).whole()


class _Parser:
    """Precedence climbing over the tokens (kind, text, column) of one expression."""

    def __init__(self, text: str, start: int, end: int):
        self.text, self.start, self.end = text, start, end
        self.tokens: list[tuple[str, str, int]] = []
        self.at = self.open = 0
        column = start
        while column < end:
            found = _TOKEN.match(text, column, end)
            if found is None or found.lastgroup is None:
                self.unreadable(column)
            if found.lastgroup != "blank":
                self.tokens.append((found.lastgroup, found[0], column))
            column = found.end()

    def whole(self) -> Node:
        """The expression, which all tokens are of."""
        node = self.expression(0)
        if self.at < len(self.tokens):
            kind, token, _ = self.tokens[self.at]
            self.refuse(
                f'"{token}" cannot stand here' if kind == "operator" else f'Missing operator before "{token}"'
            )
        return node

    def refuse(self, reason: str) -> NoReturn:
        """Point at the whole expression, and say why it cannot be read."""
        piece = self.text[self.start : self.end]
        first = self.start + len(piece) - len(piece.lstrip())
        shown = piece.strip() if len(piece.strip()) <= MOST_SHOWN else f"{piece.strip()[:MOST_SHOWN]} …"
        fail(self.text, first, f'"{shown}" cannot be read ({reason})')

    def unreadable(self, column: int) -> NoReturn:
        """No token begins here."""
        char = self.text[column]
        if char in "{}":
            fail(self.text, column, f'"{char}" cannot be read; write arithmetic as I(…)')
        if char == ".":
            fail(self.text, column, '"." cannot be read; name the columns one by one')
        self.refuse(f'"{char}" means nothing here')

    def node(self, kind: str, value: str, parts: list[Node], column: int, **more: Any) -> Node:
        """A node that has parts."""
        depth = 1 + max((part.depth for part in parts), default=0)
        if depth > MOST_NESTED:
            fail(self.text, column, f"more than {MOST_NESTED} brackets and operators within each other")
        return Node(kind, value, tuple(parts), column=column, depth=depth, **more)

    def peek(self) -> str:
        """The next operator as it is written, '' if there is none."""
        kind, token, _ = self.tokens[self.at] if self.at < len(self.tokens) else ("", "", 0)
        return token if kind == "operator" else ""

    def take(self, token: str) -> bool:
        """Go on if the next token is this operator."""
        found = self.peek() == token
        self.at += found
        return found

    def expression(self, least: int) -> Node:
        """What is joined by operators that bind as tightly as `least` or more."""
        self.open += 1
        column = self.tokens[self.at][2] if self.at < len(self.tokens) else self.end - 1
        if self.open > MOST_NESTED:
            fail(self.text, column, f"more than {MOST_NESTED} brackets and operators within each other")
        left = self.operand()
        while (binds := _BINDS.get(_SAME.get(self.peek(), self.peek()), -1)) >= least:
            shown = self.peek()
            operator = _SAME.get(shown, shown)
            if operator in "+-":
                signs, parts = "+", [left]
                while self.peek() in ("+", "-"):
                    signs += self.peek()
                    self.at += 1
                    parts.append(self.expression(binds + 1))
                left = self.node("sum", signs, parts, column)
                continue
            self.at += 1
            # the exponent may have a sign of its own: 2^-1
            right = self.expression(_PREFIX["-"] if operator == "^" else binds + 1)
            if operator in COMPARISONS and self.peek() in COMPARISONS:
                self.refuse("a comparison has two sides; join two of them by &")
            left = self.node("operator", operator, [left, right], column, shown=shown)
        self.open -= 1
        return left

    def operand(self) -> Node:
        """A number, text, name, call, list, or expression in brackets, or one with a sign."""
        if self.at >= len(self.tokens):
            self.refuse("an operator has nothing on its right")
        kind, token, column = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return Node("number", token.rstrip("L"), column=column)
        if kind == "text":
            return Node("text", self.literal(token, column), column=column)
        if kind == "operator" and token in _PREFIX:
            inner = self.expression(_PREFIX[token])
            return self.node("prefix", "!" if token == "~" else token, [inner], column)
        if kind == "operator" and token not in ("(", "["):
            self.refuse(f'the operator "{token}" has nothing on its left')
        if kind == "name" and self.take("("):
            found = self.call(token, column)
        elif kind == "operator":
            items = self.items("]" if token == "[" else ")", column)
            found = items[0] if token == "(" and len(items) == 1 else self.node("list", "", items, column)
        else:
            found = Node("name", token.strip("`"), column=column)
        if self.peek() in ("(", "["):
            what = "a subscript" if self.peek() == "[" else "a call of what is no function"
            fail(self.text, self.tokens[self.at][2], f"{what} is not part of a formula")
        return found

    def literal(self, token: str, column: int) -> str:
        """What a text in quotes says."""
        try:
            return str(ast.literal_eval(token))
        except (SyntaxError, ValueError):
            fail(self.text, column, f"{token} is no text; write a backslash twice")

    def items(self, closing: str, column: int) -> list[Node]:
        """What stands between brackets, at commas."""
        found: list[Node] = []
        while not self.take(closing):
            found.append(self.expression(0))
            self.comma(closing, column)
        return found

    def comma(self, closing: str, column: int) -> None:
        """A comma, or the closing bracket next."""
        if not self.take(",") and self.peek() != closing:
            token = self.tokens[self.at][1] if self.at < len(self.tokens) else ""
            near = f'Missing operator before "{token}"' if token else f'"{closing}" is missing'
            self.refuse(f"{near}, in the bracket at column {column + 1}")

    def call(self, function: str, column: int) -> Node:
        """The arguments of a function, whose bracket is open."""
        names: list[str] = []
        parts: list[Node] = []
        while not self.take(")"):
            ahead = self.tokens[self.at : self.at + 2]
            named = len(ahead) == 2 and ahead[0][0] == "name" and ahead[1][1] == "="
            names.append(ahead[0][1] if named else "")
            self.at += 2 * named
            parts.append(self.expression(0))
            self.comma(")", column)
        if function != "c":
            return self.node("call", function, parts, column, names=tuple(names))
        if any(names):
            fail(self.text, column, "the items of c() have no names")
        return self.node("list", "", parts, column)
