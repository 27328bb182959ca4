import pytest

from nestde.design.formula import parse
from nestde.errors import NestdeError


def random(text):
    return [(t.effects, t.group, t.factors, t.correlated) for t in parse(text).random]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("~ (1|g)", [("1", "g", ("g",), True)]),
        ("~ (1 + x | g)", [("1 + x", "g", ("g",), True)]),
        ("~ (x | g)", [("x", "g", ("g",), True)]),
        ("~ (0+x | g)", [("0+x", "g", ("g",), True)]),
        ("~ (-1 + x | g)", [("0 + x", "g", ("g",), True)]),
        ("~ (1 + x || g)", [("1 + x", "g", ("g",), False)]),
        ("~ (x | a/b)", [("x", "a", ("a",), True), ("x", "a:b", ("a", "b"), True)]),
        ("~ (x || a/b)", [("x", "a", ("a",), False), ("x", "a:b", ("a", "b"), False)]),
        (
            "~ (1 | a/b/c)",
            [("1", "a", ("a",), True), ("1", "a:b", ("a", "b"), True), ("1", "a:b:c", ("a", "b", "c"), True)],
        ),
        ("~ (1 | a:b)", [("1", "a:b", ("a", "b"), True)]),
        ("~ (1 | a) + (1 | b)", [("1", "a", ("a",), True), ("1", "b", ("b",), True)]),
        ("~ (poly(x, 2) | g.1)", [("poly(x, 2)", "g.1", ("g.1",), True)]),
        ("~ (1 | `my group`)", [("1", "my group", ("my group",), True)]),
    ],
)
def test_random_terms(text, expected):
    assert random(text) == expected


@pytest.mark.parametrize(
    ("text", "response", "fixed", "variables"),
    [
        ("y ~ diet*x + (x | animal/image)", "y", "diet*x", ("animal", "diet", "image", "x")),
        ("~ (1 | g)", None, "1", ("g",)),
        ("~ 0 + x + (1|g)", None, "0 + x", ("g", "x")),
        ("~ x + (1|g) - 1", None, "x - 1", ("g", "x")),
        ("~ (1|g) + x", None, "x", ("g", "x")),
        ("log(y + 1) ~ x", "log(y + 1)", "x", ("x",)),
        ('~ C(batch, Treatment("B (1|2)")) + (1|g)', None, 'C(batch, Treatment("B (1|2)"))', ("batch", "g")),
        (
            "~ scale(age) + bs(z, df=4) + I(a | b)",
            None,
            "scale(age) + bs(z, df=4) + I(a | b)",
            ("a", "age", "b", "z"),
        ),
        ("~ (a + b)^2 + np.log(`my x`)", None, "(a + b)^2 + np.log(`my x`)", ("a", "b", "my x")),
        ("y ~ x\n  + (1 | g)", "y", "x", ("g", "x")),
    ],
)
def test_the_fixed_part_is_left_to_formulaic(text, response, fixed, variables):
    formula = parse(text)
    assert (formula.response, formula.fixed, formula.variables) == (response, fixed, variables)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("x + y", 1, '"~"'),
        ("a ~ b ~ c", 7, 'one "~"'),
        ("~", 1, "nothing stands right"),
        ("~ x +", 5, "term is missing"),
        ("~ x + + z", 7, "term is missing"),
        ("~ x + (1 | g", 7, "never closed"),
        ("~ x + 1 | g)", 12, "never opened"),
        ("~ x + (1] | g)", 9, 'where ")" should close column 7'),
        ('~ x + "a', 7, "never closed"),
        ("~ x + 1|g", 8, "outside of brackets"),
        ("~ x*(1|g)", 5, "alone between + signs"),
        ("~ x + ((1|g))", 8, "alone between + signs"),
        ("~ (1|g):z", 3, "alone between + signs"),
        ("~ x - (1|g)", 7, "not subtracted"),
        ("~ x + (|g)", 8, "left of the bar"),
        ("~ x + (1|)", 10, "right of the bar"),
        ("~ x + (1|g|h)", 11, "one bar"),
        ("~ x + (1|a+b)", 10, '"a+b" is no grouping factor'),
        ("~ x + (1|a/)", 12, "is no grouping factor"),
        ("~ x + (1|a/a)", 10, "twice"),
        ("~ x + offset(n) + (1|g)", 7, "offset() is not supported"),
        ("~ weights(n) + (1|g)", 3, "weights() is not supported"),
        ("~ x y + (1|g)", 3, "Missing operator"),
        ("~ z + (1 + > | g)", 8, "cannot be read"),
    ],
)
def test_a_fault_points_at_its_column(text, column, says):
    with pytest.raises(NestdeError) as caught:
        parse(text)
    (fault,) = caught.value.faults
    sentence, shown, arrow = fault.split("\n")
    assert sentence.startswith(f"formula, column {column}: ")
    assert says in sentence
    assert shown == f"  {text}"
    assert arrow.index("^") == column + 1


def test_all_faulty_terms_are_told_at_once():
    with pytest.raises(NestdeError) as caught:
        parse("~ x y + (|g) + (1|a+b)")
    assert len(caught.value.faults) == 3


def test_what_is_coded_as_a_factor():
    formula = parse("~ age + C(age_group) + C( `my batch` , levels=[1, 2]) + (1 | s)")
    assert [formula.codes(name) for name in ("age", "age_group", "my batch", "s")] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("formula", "whole"),
    [
        ("~ 0 + x + (1|g)", "~ x + (1 | g)"),
        ("~ -1 + x*z + (0 + x|g)", "~ x*z + (0 + x | g)"),
        ("~ x + (1|g) - 1", "~ x + (1 | g)"),
        ("~ x + 0 + z + (x||g)", "~ x + z + (x || g)"),
        ("~ x + I(z - 1)", "~ x + I(z - 1)"),
    ],
)
def test_the_formula_with_its_intercept(formula, whole):
    assert parse(formula).with_intercept() == whole
