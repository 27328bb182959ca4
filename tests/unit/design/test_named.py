"""Named contrasts as text: what is read, and the sentences for what is not."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nestde.design.formula import parse
from nestde.design.named import named_contrast
from nestde.errors import NestdeError

LEVELS = {"diagnosis": ["Control", "MCI", "AD"], "sex": ["F", "M"]}
ADDITIVE = parse("~ saturation + diagnosis + sex + (1 | sample_id)")
CROSSED = parse("~ saturation + diagnosis*sex + age + (1 | sample_id)")


def weights(text, formula=ADDITIVE, levels=LEVELS):
    found = named_contrast(text, formula, levels)
    return {", ".join(level for _, level in point): float(weight) for point, weight in found.weights.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AD-Control", {"AD": 1, "Control": -1}),
        ("  AD\t-  Control ", {"AD": 1, "Control": -1}),
        ("-Control + AD", {"AD": 1, "Control": -1}),
        ("(AD+MCI)/2-Control", {"AD": 0.5, "MCI": 0.5, "Control": -1}),
        ("0.5*AD + MCI*0.5 - Control", {"AD": 0.5, "MCI": 0.5, "Control": -1}),
        ("AD - (MCI + Control)/2", {"AD": 1, "MCI": -0.5, "Control": -0.5}),
        ("AD - MCI - (MCI - Control)", {"AD": 1, "MCI": -2, "Control": 1}),
        ("diagnosis[AD] - diagnosis[Control]", {"AD": 1, "Control": -1}),
        ("`diagnosis`[ `AD` ] - 'Control'", {"AD": 1, "Control": -1}),
        ("M - F", {"M": 1, "F": -1}),
        ("AD/3 + MCI/3 + Control/3 - Control", {"AD": 1 / 3, "MCI": 1 / 3, "Control": 1 / 3 - 1}),
    ],
)
def test_arithmetic_of_levels(text, expected):
    assert weights(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AD-Control | sex=F", {"AD, F": 1, "Control, F": -1}),
        ('AD-Control|sex == "F"', {"AD, F": 1, "Control, F": -1}),
        ("AD:F - Control:F", {"AD, F": 1, "Control, F": -1}),
        ("M-F | diagnosis=AD", {"AD, M": 1, "AD, F": -1}),
        (
            "(AD-Control | sex=M) - (AD-Control | sex=F)",
            {"AD, M": 1, "Control, M": -1, "AD, F": -1, "Control, F": 1},
        ),
        (
            "(AD-Control | sex=M)/2 + (AD-Control | sex=F)/2",
            {"AD, M": 0.5, "Control, M": -0.5, "AD, F": 0.5, "Control, F": -0.5},
        ),
    ],
)
def test_a_bar_says_where(text, expected):
    assert weights(text, CROSSED) == expected


@pytest.mark.parametrize(
    "text",
    [
        "diagnosis",
        "diagnosis:sex",
        "sex + diagnosis",
        "diagnosis*sex - sex",
        "(1 | sample_id)",
        "log(age)",
        "I(age - 2)",
        "AD",
    ],
)
def test_what_is_a_term_stays_one(text):
    assert named_contrast(text, CROSSED, LEVELS) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AD + MCI/2 - Control", "add up to 0.5"),
        ("AD-AD", "cancel each other"),
        ("AD-Contol", "Did you mean Control?"),
        ("ad - Control", "Did you mean AD?"),
        ("AD-Elsewhere", "those of diagnosis (Control, MCI, AD) and sex (F, M)"),
        ("diagnosis[A] - diagnosis[Control]", "diagnosis has no level A"),
        ("diagnoses[AD] - diagnosis[Control]", "Did you mean diagnosis?"),
        ("AD - 1", "number is added to levels"),
        ("AD*MCI - Control", "multiplied"),
        ("1/AD - Control", "divided by"),
        ("AD/0 - Control", "divided by 0"),
        ("AD - (Control", "not closed"),
        ("AD - ", "missing at its end"),
        ("AD - Control)", "cannot stand there"),
        ("AD # Control - MCI", '"#" at column 4'),
        ("AD - Control | sex", "no value"),
        ("AD - Control | sex=X", "sex has no level X"),
        ("AD - Control | sez=F", "Did you mean sex?"),
        ("AD - Control | diagnosis=MCI", "named twice"),
        ("1 - 1 | sex=F", "stands after levels"),
        ("(" * 60 + "AD" + ")" * 60 + " - Control", "within each other"),
        ("AD - " * 400 + "Control", "characters"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(text, words):
    with pytest.raises(NestdeError) as refused:
        named_contrast(text, ADDITIVE, LEVELS)
    (sentence,) = refused.value.faults
    assert words in sentence
    assert sentence.startswith(text[:20])


def test_a_contrast_of_an_interaction_says_where():
    with pytest.raises(
        NestdeError, match=r"diagnosis:sex in the formula it differs by sex.*\(AD-Control \| sex=F\)/2"
    ):
        named_contrast("AD-Control", CROSSED, LEVELS)
    with pytest.raises(NestdeError, match=r"differs by age.*AD-Control \| age="):
        named_contrast("AD-Control", parse("~ diagnosis*age + (1 | sample_id)"), LEVELS)


def test_a_level_of_two_factors_wants_its_factor():
    levels = {"diagnosis": ["A", "B"], "batch": ["A", "B"]}
    formula = parse("~ diagnosis + batch + (1 | sample_id)")
    with pytest.raises(NestdeError, match=r"batch\[A\] or diagnosis\[A\]"):
        named_contrast("A - B", formula, levels)
    assert named_contrast("batch[A] - batch[B]", formula, levels).about == "batch"


HOSTILE = ["CD4-T", "a b", "it's", '"x"', "1", "1.10", "-2", "*", "IL-10+ / IFNγ", "Ω", "a|b=c", "[x]", "(", "sex=F", "AD:F", " lead", "e1", "0x1", "=", "\\", "TRUE", "—", "病"]  # fmt: skip


@pytest.mark.parametrize("level", HOSTILE)
def test_any_level_can_be_said_in_back_quotes(level):
    levels = {"diagnosis": ["Control", level], "sex": ["F", "M"]}
    found = named_contrast(f"`{level}` - Control", ADDITIVE, levels)
    assert (found.level, found.against) == (level, "Control")
    assert weights(f"diagnosis[`{level}`] - diagnosis[Control]", levels=levels) == {level: 1, "Control": -1}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_characters="`", exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=2, max_size=5, unique=True),
    st.data(),
)  # fmt: skip
def test_no_name_of_levels_and_column_is_beyond_words(levels, data):
    column = data.draw(
        st.text(st.characters(exclude_characters="`", exclude_categories=["C", "Z"]), min_size=1, max_size=6)
    )
    assume(column not in levels)  # then it is a sum of terms
    formula = parse(f"~ `{column}` + (1 | s)")
    a, b = levels[0], levels[1]
    for text in (f"`{a}` - `{b}`", f"`{column}`[`{a}`]-`{column}`[`{b}`]"):
        found = named_contrast(text, formula, {column: levels})
        assert {point: float(weight) for point, weight in found.weights.items()} == {
            ((column, a),): 1,
            ((column, b),): -1,
        }


@settings(max_examples=300, deadline=None)
@given(st.text("ADMCI-+*/()[]|:=,&`' 120.ControlsexFγ", max_size=30))
def test_any_text_is_a_term_a_contrast_or_a_sentence(text):
    try:
        found = named_contrast(text, CROSSED, LEVELS)
    except NestdeError as error:
        assert all(fault.strip() for fault in error.faults)
    else:
        assert found is None or not sum(found.weights.values())
