"""A formula is never run: what is not on the list of transforms is refused before anything is evaluated, and quickly."""

import builtins
import keyword
import time

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from makers.studies import Study, refusal
from makers.tiny_study import cells

import nestde
from nestde.design import design
from nestde.design.formula import parse, variables_of
from nestde.design.transforms import TRANSFORMS
from nestde.errors import NestdeError

CODE = [
    "I(__import__('os').system('touch CANARY'))",
    "__import__('os').system('touch CANARY')",
    "I(open('CANARY', 'w').write('a') and x)",
    "I(open('CANARY', 'w'))",
    'I(eval(\'open("CANARY", "w")\'))',
    'eval(\'open("CANARY", "w")\')(x)',
    'exec(\'open("CANARY", "w")\')',
    "open('CANARY', 'w')(x)(x)",
    "{open('CANARY', 'w')}",
    "[open('CANARY', 'w') for i in x]",
    "I([i for i in x])",
    "I((lambda: open('CANARY', 'w'))())",
    "I((y := x))",
    "I(f'{x}')",
    "I(f\"{open('CANARY', 'w')}\")",
    "'{0.__class__}'.format(x)",
    "I('%s' % x)",
    "I(x.__class__.__mro__[1].__subclasses__())",
    "x.to_csv('CANARY')",
    "I(x.to_csv('CANARY'))",
    "np.save('CANARY', x)",
    "np.lib.npyio.DataSource(x)",
    "np.fromfile('CANARY')",
    "I(np.__loader__)(x)",
    "x[0]",
    "I(x[open('CANARY', 'w')])",
    "C(x, open('CANARY', 'w'))",
    "C(x, contr.custom(open('CANARY', 'w')))",
    "C(x, levels=open('CANARY', 'w'))",
    "C(x, levels=[open('CANARY', 'w')])",
    "poly(x, open('CANARY', 'w'))",
    "bs(x, df=eval('4'))",
    "cut(x, breaks=[open('CANARY', 'w')])",
    "relevel(g, ref=open('CANARY', 'w'))",
    "scale(x, center=open('CANARY', 'w'))",
    "log(x, out=open('CANARY', 'w'))",
    "log(*open('CANARY', 'w'))",
    "log(**x)",
    "I(x if open('CANARY', 'w') else x)",
    "I(await x)",
    "contr.sum(x)",
    "hashed(x)",
    "Q('x')",
    "lag(x)",
    "print(x)",
    "getattr(x, 'T')",
    "globals()",
    "system('touch CANARY')",
    "`x`(open('CANARY', 'w'))",
    "x` + open('CANARY', 'w') + `x",
]


@pytest.fixture
def frame():
    rng = np.random.default_rng(2)
    n = 60
    return pd.DataFrame(
        {
            "x": rng.normal(8, 1, n),
            "y": rng.normal(size=n),
            "g": np.repeat(list("abcdef"), 10),
            "h": np.tile(list("uv"), 30),
        }
    )


@pytest.mark.parametrize("code", CODE)
def test_code_is_refused_wherever_it_stands(code, frame, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for formula in (
        f"y ~ {code}",
        f"y ~ x + {code} + (1 | g)",
        f"y ~ x + ({code} | g)",
        f"y ~ x + (1 + {code} || g)",
        f"y ~ x + (1 | {code})",
        f"{code} ~ x + (1 | g)",
        f"y ~ log({code})",
        f"y ~ x:{code}",
    ):
        with pytest.raises(NestdeError, match="formula, column"):
            parse(formula)
        with pytest.raises(NestdeError):
            nestde.lmm(formula, frame)
    with pytest.raises(NestdeError):
        variables_of(code)
    with pytest.raises(NestdeError):
        design.build_design("~ x + h", frame, test=[code])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "code", ["I(__import__('os').system('touch CANARY'))", "x` + open('CANARY', 'w') + `x"]
)
def test_code_is_refused_in_de(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    adata = cells(n=20)
    adata.obs["diagnosis"] = np.where(adata.obs["sample_id"].isin(["S1", "S2"]), "AD", "Control")
    for formula, test in (
        (f"~ diagnosis + {code} + (1 | sample_id)", "diagnosis"),
        ("~ diagnosis + (1 | sample_id)", code),
    ):
        with pytest.raises(NestdeError):
            nestde.de(ad.AnnData(adata.X, adata.obs, adata.var), formula, test=test)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["formula", "test", "random", "group", "response", "pseudobulk"])
def test_the_check_runs_nothing_of_a_study(where, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, study = "I(open('CANARY', 'w'))", Study()
    model = study.config["model"]
    if where == "test":
        model["test"] = [code, "diagnosis"]
    elif where == "pseudobulk":
        study.config["pseudobulk"] = {"formula": f"~ diagnosis + {code}"}
    else:
        model["formula"] = {
            "formula": f"~ saturation + {code} + diagnosis + (1 | sample_id)",
            "random": f"~ saturation + diagnosis + (1 + {code} | sample_id)",
            "group": f"~ saturation + diagnosis + (1 | {code})",
            "response": f"{code} ~ saturation + diagnosis + (1 | sample_id)",
        }[where]
    said = refusal(study, capsys)
    assert "open() cannot be evaluated" in said or "is no grouping factor" in said
    assert not (tmp_path / "CANARY").exists()


@pytest.mark.parametrize(
    ("term", "says"),
    [
        ("h ** 9999999", "a whole number from 1 to 10"),
        ("(x + h)^9999999", "a whole number from 1 to 10"),
        ("(x + h) ** " + "9" * 6000, "a whole number from 1 to 10"),
        ("(x + y + g + h)**50", "a whole number from 1 to 10"),
        ("x^2", r"Write I\(x\^2\) for the square"),
        ("*".join(f"x{i}" for i in range(40)), "more than 500 terms"),
        ("(" + "+".join(f"x{i}" for i in range(400)) + ")^2", "more than 500 terms"),
        ("(" * 3000 + "x" + ")" * 3000, "within each other"),
        ("I(" * 2000 + "x" + ")" * 2000, "within each other"),
        ("log(" * 1500 + "x" + ")" * 1500, "within each other"),
        ("!" * 9000 + "x", "within each other"),
        ("I(" + "-" * 9000 + "x)", "within each other"),
        ("2^" * 4000 + "x", "within each other"),
        ("I(" + "x*" * 4000 + "x)", "within each other"),
        ("x:" * 4000 + "x", "within each other"),
        ("+".join(["x"] * 50_000), "100,001 characters"),
        ("I(" + "x" * 100_000 + ")", "100,005 characters"),
        ("poly(x, 100000000)", "a whole number from 1 to 100"),
        ("bs(x, df=1e9)", "a whole number from 1 to 100"),
        ("x; h", "cannot be read"),
        ("x # h", "cannot be read"),
        ("x\x00", "cannot be read"),
        (".", "name the columns one by one"),
        ("2 * x", r"arithmetic as in I\(2 \* x\)"),
        ("I('a')", "text is compared"),
        ("I(x + 'a')", "text is compared"),
        ("x > 3", r"write I\(x > 3\)"),
        ("offset(x)", r"offset\(\) is not supported"),
        ("weights(x)", r"weights\(\) is not supported"),
        ("s(x)", "Write ns"),
        ("as.numeric(h)", "as numbers"),
        ("sqroot(x)", "no function of that name. It has C, I, abs"),
    ],
)
def test_what_is_endless_or_meaningless_is_a_sentence_at_once(term, says):
    start = time.perf_counter()
    with pytest.raises(NestdeError, match=says) as caught:
        parse(f"~ {term}")
    assert time.perf_counter() - start < 1
    assert len(caught.value.faults[0]) < 1000
    assert caught.value.faults[0].endswith("^")


@pytest.mark.parametrize(
    ("term", "says"),
    [
        ("cut(x, 1e9)", "at most 1,000"),
        ("cut(x, c(0, 1))", "60 of 60 values are in no interval"),
        ("cut(x, c(0, 9, 9, 20))", "given twice"),
        ("poly(h, 2)", "finds a factor"),
        ("log(g)", "finds a factor"),
        ("I(g + 1)", "finds a factor"),
        ("I(g == 'z')", "z is none of the levels a, b"),
        ("I(g < h)", "compares numbers"),
        ("relevel(g, ref = 'z')", "z is none of the levels"),
        ("C(g, levels = c('a', 'b'))", "not among its levels"),
        ("C(g, contr.treatment('z'))", "z is none of the levels"),
        ("factor(log(x - 8))", "no finite numbers"),
        ("factor(I(x > 0))", "True in every row"),
        ("ns(x, df = 50, knots = 3)", "between the boundary"),
        ("bs(x, df = 1)", "df"),
        ("scale(log(x - 8))", "finite numbers"),
        ("I(9^9^9^9)", "not a finite number in 60 of 60"),
        ("C(x):C(y):C(x + y)", "60 rows are too few"),
    ],
)
def test_what_cannot_be_computed_is_a_sentence(term, says, frame):
    with pytest.raises(NestdeError, match=says) as caught:
        design.build_design(f"~ {term}", frame)
    assert len(caught.value.faults) == 1


# every name that Python or the formula language gives a meaning, when it is called
NAMES = sorted({*dir(builtins), *keyword.kwlist, *TRANSFORMS, *("np", "contr", "contr.sum", "Treatment", "Intercept", "pi", "T", "F", "NULL", "c", "f0", "l1", "weights", "offset")})  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_not_called_is_a_column(name, frame):
    """`C(type)`, `id`, `max`, `input`, `log` … were dropped without a word, or taken for Python's."""
    plain, renamed = frame.assign(neutral=frame["x"], kind=frame["h"]), frame.assign(**{name: frame["x"]})
    factors = frame.assign(**{name: frame["h"]})
    shown = name if name.replace(".", "").isidentifier() else f"`{name}`"
    for ours, theirs, table in (
        ("~ {} + h + (1 | g)", "neutral", renamed),
        ("~ h*{} + (1 + {} || g)", "neutral", renamed),
        ("~ log({}) + I({}^2):h + (1 | g)", "neutral", renamed),
        ("~ {} + x + ({} | g)", "kind", factors),
        ("~ C({}) + x + (1 | {})", "kind", factors),
        ("~ x*relevel({}, ref = 'v')", "kind", factors),
        ("~ x + I({} == 'u')", "kind", factors),
    ):
        written = ours.replace("{}", shown)
        assert name in parse(written).variables
        found = design.build_design(written, table)
        wanted = design.build_design(ours.replace("{}", theirs), plain)
        np.testing.assert_array_equal(found.x, wanted.x)
        assert list(found.levels.values()) == list(wanted.levels.values())
        for one, other in zip(found.random, wanted.random, strict=True):
            np.testing.assert_array_equal(one.z, other.z)
    left = renamed.drop(columns="y")
    np.testing.assert_array_equal(
        design.response(parse(f"log({shown}) - {shown} ~ x"), left), np.log(frame["x"]) - frame["x"]
    )


@pytest.mark.parametrize(
    "label",
    [
        "__x",
        "a]",
        "[T.b]",
        "l0",
        "f0",
        "{name}",
        "a:b",
        "%s",
        "",
        " ",
        "1",
        "nan",
        "`",
        "S.",
        "\n",
        "[T.l1]:f0",
    ],
)
def test_a_label_means_nothing(label, frame):
    """A level that begins with two underscores had no column in formulaic."""
    if label == "":
        frame["h"] = frame["h"].replace("u", "zz")
    table = frame.assign(h=frame["h"].replace("v", label or "v"))
    for formula in ("~ h*x", "~ C(h, contr.sum) + x", "~ 0 + h:x + g"):
        order = {"h": [frame["h"][0], label or "v"]}
        found = design.build_design(formula, table, levels=order)
        wanted = design.build_design(formula, frame, levels={"h": [frame["h"][0], "v"]})
        np.testing.assert_array_equal(found.x, wanted.x)
        assert found.levels["h" if "C" not in formula else "C(h, contr.sum)"] == tuple(order["h"])
    assert design.build_design("~ h", table, levels=order).coef_names == ("(Intercept)", f"h[{label or 'v'}]")
