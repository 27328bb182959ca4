"""lme4's formula grammar: random terms `( effects | group )` are parsed here, what they hold and the fixed part in `terms`.

Nothing is evaluated here, and nothing is let pass that `transforms` does not list.

Bates, Mächler, Bolker, Walker (2015, J Stat Softw 67(1)), section 2.1 and table 2.
"""

import re
from collections.abc import Container
from dataclasses import dataclass

from nestde.design.evaluate import check, codes
from nestde.design.expressions import NAME, caret, fail
from nestde.design.expressions import parse as parse_expression
from nestde.design.terms import MOST_TERMS, Term, terms_of
from nestde.errors import Faults, NestdeError

MOST_CHARACTERS = 10_000
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_NAME = rf"(?:{NAME}|`[^`]+`)"


@dataclass(frozen=True)
class RandomTerm:
    """One `( effects | group )`.

    Attributes
    ----------
    effects
        Left of the bar, intercept implied: ``1 + x``, ``x``, ``0 + x``.
    group
        Grouping factor as lme4 names it: ``animal``, ``animal:image``.
    factors
        The columns whose combination is the group: ``("animal", "image")``.
    correlated
        False for ``||``: the effects of different terms are independent.
    column
        Where the term's bracket stands in `Formula.text`, from 0.
    """

    effects: str
    group: str
    factors: tuple[str, ...]
    correlated: bool
    column: int


@dataclass(frozen=True)
class Formula:
    """A parsed formula.

    Attributes
    ----------
    text
        As written (line ends as spaces).
    response
        Left of the tilde, None when nothing stands there.
    fixed
        Right-hand side without random terms; ``1`` when there was nothing else.
    random
        Random terms in the order written; ``(x | a/b)`` gives two.
    """

    text: str
    response: str | None
    fixed: str
    random: tuple[RandomTerm, ...]

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns of the data that the right-hand side reads, sorted."""
        names = set(variables_of(self.fixed))
        for term in self.random:
            names.update(variables_of(term.effects), term.factors)
        return tuple(sorted(names))

    def slopes_in(self, test: str) -> tuple[str, ...]:
        """Variables of a tested term that have a random slope."""
        slopes = {name for term in self.random for name in variables_of(term.effects)}
        return tuple(name for name in variables_of(f"0 + {test}") if name in slopes)

    def ungrouped(self) -> str:
        """Say that no random term groups the rows; '' if one does."""
        if self.random:
            return ""
        return (
            f'formula: "{self.text}" has no random term, so rows of one sample would count as independent. '
            "Say what groups them, as in (1 | sample_id)."
        )

    def with_intercept(self) -> str:
        """The right-hand side without the 0 or - 1 that takes the intercept out: ``~ diagnosis + (1 | sample_id)``."""
        fixed = re.sub(r"^(?:0|- 1)(?: \+ |$)| (?:\+ 0|- 1)(?= [+-] |$)", "", self.fixed) or "1"
        random = [f"({t.effects} {'|' if t.correlated else '||'} {t.group})" for t in self.random]
        return f"~ {' + '.join([fixed, *random])}"

    def codes(self, name: str) -> bool:
        """Whether the formula makes a factor of a column: ``C(name)``, ``factor(name)``."""
        return any(codes(factor) == name for term in self.terms() for factor in term.factors)

    def terms(self) -> tuple[Term, ...]:
        """Fixed terms, and those that random effects are of."""
        return (*terms_of(self.fixed), *(effect for term in self.random for effect in terms_of(term.effects)))

    def at(self, name: str) -> str:
        """Lines that show the formula with a caret under the first mention of `name`."""
        found = re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", self.text)
        return caret(self.text, found.start() if found else 0)


def parse(text: str) -> Formula:
    """Parse a formula in lme4's grammar.

    Parameters
    ----------
    text
        ``[response] ~ fixed terms + (effects | group) + …``.

    Raises
    ------
    NestdeError
        Every fault of the formula, each with a caret under the column it is about.
    """
    text = re.sub(r"[\t\n\r\f\v]", " ", text).rstrip()
    if len(text) > MOST_CHARACTERS:
        fail(text, 0, f"it has {len(text):,} characters, and more than {MOST_CHARACTERS:,} are not read")
    outline = _outline(text, text)
    tilde = outline.find("~")
    if tilde < 0:
        fail(
            text,
            0,
            'terms stand right of a "~", for example "~ diagnosis + (1 | sample_id)"',
        )
    if "~" in outline[tilde + 1 :]:
        fail(text, outline.index("~", tilde + 1), 'a formula has one "~"')
    faults = Faults()
    fixed: list[str] = []
    random: list[RandomTerm] = []
    many = 0
    for sign, start, end in _pieces(text, outline, tilde + 1):
        try:
            terms = _random_terms(text, start, end)
            if not terms:
                many += sum(bool(term.factors) for term in terms_of(text, start, end))
                if many > MOST_TERMS:
                    fail(text, start, f"more than {MOST_TERMS} terms; no data can tell them apart")
                fixed.append(f"{sign} {text[start:end]}")
            elif sign == "-":
                fail(text, start, "a random term can be added, not subtracted; leave it out instead")
            random += terms
        except NestdeError as error:
            for fault in error.faults:
                faults.add(fault)
        if many > MOST_TERMS:
            break
    response = text[:tilde].strip()
    try:
        if response:
            check(text, parse_expression(text, 0, tilde))
    except NestdeError as error:
        faults.add(str(error))
    faults.raise_if_any()
    return Formula(
        text=text,
        response=response or None,
        fixed=" ".join(fixed).removeprefix("+ ") or "1",
        random=tuple(random),
    )


def of_genes(text: str, columns: Container[str] = ()) -> Formula:
    """Parse the formula of a study, whose response is every gene's.

    Parameters
    ----------
    text
        The formula.
    columns
        Of the data, as far as they are known: none of them can be the response.

    Raises
    ------
    NestdeError
        As `parse`; and where a column, or what is computed, stands left of the ``~``, which nothing would heed.
    """
    formula = parse(text)
    left = parse_expression(formula.response) if formula.response else None
    if left is not None and (left.kind != "name" or left.value in columns):
        what = "a column of the data, and " if left.kind == "name" else ""
        fail(
            formula.text,
            len(formula.text) - len(formula.text.lstrip()),
            f"{formula.response} is {what}no response: that is the expression of each gene (model.family). Write nothing left "
            "of the ~, or a word that is no column, as in expression ~ …; nestde.lmm fits a response of your own",
        )
    return formula


def variables_of(expression: str) -> tuple[str, ...]:
    """Columns that a right-hand side reads: ``log(age) + diet:x`` gives age, diet, x.

    Raises
    ------
    NestdeError
        It is no right-hand side.
    """
    return tuple(sorted({name for term in terms_of(expression) for name in term.variables}))


def factors_of(term: str) -> tuple[str, ...]:
    """Factors of a term as a formula writes them: diet and log(age) of ``diet:log(age)``."""
    return tuple(str(factor) for found in terms_of(f"0 + {term}") for factor in found.factors)


def column_of(term: str) -> str | None:
    """Name of the column that a term is as it stands: ``diagnosis``, `` `my column` ``; None if it is more than that."""
    factors = [factor for found in terms_of(f"0 + {term}") for factor in found.factors]
    return factors[0].value if len(factors) == 1 and factors[0].kind == "name" else None


def _outline(part: str, text: str, start: int = 0) -> str:
    """Blank out with ``_`` what stands inside brackets and quotes, so that only outer operators remain.

    `part` begins at column `start` of `text`, which errors show.
    """
    outline = []
    opened: list[int] = []
    quote = -1
    for i, char in enumerate(part):
        inner = bool(opened) or quote >= 0
        if quote >= 0:
            if char == part[quote]:
                quote = -1
        elif char in "\"'`":
            quote = i
        elif char in _CLOSING:
            opened.append(i)
        elif char in _CLOSING.values():
            if not opened:
                fail(text, start + i, f'"{char}" closes a bracket that was never opened')
            wanted = _CLOSING[part[opened[-1]]]
            if char != wanted:
                column = start + opened[-1] + 1
                fail(
                    text,
                    start + i,
                    f'"{char}" stands where "{wanted}" should close column {column}',
                )
            opened.pop()
            inner = bool(opened)
        outline.append("_" if inner else char)
    if quote >= 0:
        fail(text, start + quote, f"the quotation mark {part[quote]} is never closed")
    if opened:
        fail(text, start + opened[-1], f'the bracket "{part[opened[-1]]}" is never closed')
    return "".join(outline)


def _pieces(text: str, outline: str, start: int) -> list[tuple[str, int, int]]:
    """Cut the right-hand side at its outer + and -: (sign, first column, column after the last)."""
    pieces = []
    sign, begin, written = "+", start, False
    for i in [*(j for j in range(start, len(outline)) if outline[j] in "+-"), len(outline)]:
        body = text[begin:i]
        if body.strip():
            first = begin + len(body) - len(body.lstrip())
            pieces.append((sign, first, begin + len(body.rstrip())))
        elif written or i == len(outline):
            what = "a term is missing here" if start < len(text) else 'nothing stands right of the "~"'
            fail(text, min(i, len(text) - 1), what)
        if i < len(outline):
            sign, begin, written = outline[i], i + 1, True
    return pieces


def _random_terms(text: str, start: int, end: int) -> list[RandomTerm]:
    """Random terms of the piece text[start:end]; none if it is a piece of the fixed part."""
    outline = _outline(text[start:end], text, start)
    bar = outline.find("|")
    if bar >= 0:
        fail(text, start + bar, 'a "|" outside of brackets; write a random term as (1 | group)')
    if not re.fullmatch(r"\(_*\)", outline) or "|" not in _outline(
        text[start + 1 : end - 1], text, start + 1
    ):
        _check_no_bar(text, start, end)
        return []
    return _bar_term(text, start, end)


def _check_no_bar(text: str, start: int, end: int) -> None:
    """A bar within bare brackets of a fixed piece is a random term that something is done to.

    A bar inside a call, such as ``I(a | b)``, is Python's.
    """
    piece = re.sub(r"\"[^\"]*\"|'[^']*'|`[^`]*`", lambda found: "_" * len(found[0]), text[start:end])
    opened: list[tuple[int, bool]] = []
    for i, char in enumerate(piece):
        if char in _CLOSING:
            called = re.search(r"[\w.)\]]\s*$", piece[:i])
            opened.append((i, char == "(" and not called))
        elif char in _CLOSING.values():
            opened.pop()
        elif char == "|" and all(bare for _, bare in opened):
            fail(text, start + opened[-1][0], "a random term stands alone between + signs")


def _bar_term(text: str, start: int, end: int) -> list[RandomTerm]:
    """Parse one `( effects | group )` that fills text[start:end]."""
    first = start + 1
    outline = _outline(text[first : end - 1], text, first)
    bar = outline.index("|")
    double = outline.startswith("||", bar)
    after = bar + 1 + double
    if "|" in outline[after:]:
        fail(text, first + outline.index("|", after), 'a random term has one bar, "|" or "||"')
    effects = text[first : first + bar].strip()
    if not effects:
        fail(text, first + bar, 'nothing stands left of the bar; write "1" for a random intercept')
    terms_of(text, first, first + bar)
    effects = re.sub(r"^-\s*1\b", "0", effects)
    group = text[first + after : end - 1]
    if not group.strip():
        fail(text, end - 1, "no grouping factor stands right of the bar")
    nested: list[str] = []
    terms = []
    at = first + after
    for part in group.split("/"):
        for name in part.split(":"):
            if not re.fullmatch(_NAME, name.strip()):
                where = min(at + len(name) - len(name.lstrip()), end - 1)
                what = f'"{name.strip()}" is no grouping factor'
                fail(text, where, f'{what}; right of the bar stand columns joined by ":" or "/"')
            nested.append(name.strip().strip("`"))
            at += len(name) + 1
        if len(set(nested)) < len(nested):
            fail(text, first + after, f'"{nested[-1]}" stands twice in the grouping factor')
        terms.append(RandomTerm(effects, ":".join(nested), tuple(nested), not double, start))
    return terms
