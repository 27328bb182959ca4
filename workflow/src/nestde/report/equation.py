"""The model that was fitted, as an equation for a paper: MathML, which browsers draw and Word takes, and LaTeX."""

from collections.abc import Sequence
from html import escape

from nestde.design.effects import INTERCEPT, RandomEffects
from nestde.fit.family import Scale

TEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)


def mathml(coefficients: Sequence[str], random: Sequence[RandomEffects], scale: Scale) -> str:
    """The equation as MathML.

    Parameters
    ----------
    coefficients, random, scale
        As of `latex`.
    """
    terms = []
    for place, name in enumerate(coefficients):
        symbol = f"<msub><mi>β</mi><mn>{place}</mn></msub>"
        terms.append(symbol if name == INTERCEPT else f"{symbol}<mo>·</mo>{_named(name)}")
    for effects in random:
        for effect in effects.effects:
            alone = effect == INTERCEPT
            index = effects.name if alone else f"{effects.name}, {effect}"
            symbol = f"<msub><mi>u</mi>{_named(index)}</msub>"
            terms.append(symbol if alone else f"{symbol}<mo>·</mo>{_named(effect)}")
    if scale.noise:
        terms.append(f"<mi>{escape(scale.noise)}</mi>")
    right = "<mo>+</mo>".join(f"<mrow>{term}</mrow>" for term in terms)
    return (
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">'
        f"<mrow>{_named(scale.response)}<mo>=</mo>{right}</mrow></math>"
    )


def latex(coefficients: Sequence[str], random: Sequence[RandomEffects], scale: Scale) -> str:
    """The equation as LaTeX, for amsmath.

    Parameters
    ----------
    coefficients
        Names of the fixed effects, ``(Intercept)`` among them.
    random
        Of the design that was fitted.
    scale
        Of the family.
    """
    terms = []
    for place, name in enumerate(coefficients):
        terms.append(f"\\beta_{{{place}}}" + ("" if name == INTERCEPT else rf" \cdot {_text(name)}"))
    for effects in random:
        for effect in effects.effects:
            alone = effect == INTERCEPT
            index = effects.name if alone else f"{effects.name}, {effect}"
            terms.append(f"u_{{{_text(index)}}}" + ("" if alone else rf" \cdot {_text(effect)}"))
    if scale.noise:
        terms.append(r"\varepsilon")
    return f"{_text(scale.response)} = {' + '.join(terms)}"


def _named(name: str) -> str:
    return f"<mtext>{escape(name)}</mtext>"


def _text(name: str) -> str:
    return rf"\text{{{name.translate(TEX)}}}"
