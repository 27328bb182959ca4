import numpy as np
import pandas as pd
import pytest

from nestde.design import design
from nestde.design.aliasing import aliased
from nestde.errors import NestdeError


@pytest.fixture
def frame():
    """Six donors of ten cells, two images each, numbered from 1 within the donor."""
    n = 60
    donor = np.repeat(np.arange(6), 10)
    return pd.DataFrame(
        {
            "sample_id": np.array([f"S{d}" for d in donor], dtype=object),
            "image": np.tile(np.repeat([1, 2], 5), 6),
            "diagnosis": np.where(donor < 3, "AD", "Control"),
            "batch": np.where(donor % 2, "B1", "B2"),
            "diet": np.array(["b", "a", "c"])[np.arange(n) % 3],
            "x": np.linspace(0.0, 1.0, n),
            "age": np.sin(np.arange(n)) * 5 + 70,
            "treated": donor % 2 == 0,
            "y": np.cos(np.arange(n)),
        }
    )


def faults(*args, **kwargs):
    with pytest.raises(NestdeError) as caught:
        design.build_design(*args, **kwargs)
    return caught.value.faults


def test_names_terms_levels_and_tests(frame):
    d = design.build_design(
        "~ x + diagnosis + (1 | sample_id)",
        frame,
        test=["diagnosis"],
        levels={"diagnosis": ["Control", "AD"]},
    )
    assert d.coef_names == ("(Intercept)", "x", "diagnosis[AD]")
    assert d.terms == {"1": (0,), "x": (1,), "diagnosis": (2,)}
    assert d.tests == {"diagnosis": (2,)}
    assert d.levels == {"diagnosis": ("Control", "AD")}
    np.testing.assert_array_equal(d.x[:, 2], frame["diagnosis"] == "AD")
    (factor,) = d.random
    assert (factor.name, factor.effects, factor.blocks) == ("sample_id", ("(Intercept)",), (0,))
    assert factor.levels == ("S0", "S1", "S2", "S3", "S4", "S5")
    assert factor.codes.dtype == np.int32
    np.testing.assert_array_equal(factor.codes, np.repeat(np.arange(6), 10))
    assert d.n == 60


def test_levels_are_sorted_when_not_named(frame):
    assert design.build_design("~ diagnosis", frame).coef_names == ("(Intercept)", "diagnosis[Control]")


def test_the_order_of_an_ordered_categorical_is_kept_and_that_of_another_is_not(frame):
    for ordered, reference in [(True, "c"), (False, "a")]:
        frame["diet"] = pd.Categorical(frame["diet"].astype(str), categories=["c", "b", "a"], ordered=ordered)
        assert design.build_design("~ diet", frame).levels["diet"][0] == reference


def test_levels_without_rows_are_left_out(frame):
    d = design.build_design("~ diagnosis", frame, levels={"diagnosis": ["Control", "MCI", "AD"]})
    assert d.levels["diagnosis"] == ("Control", "AD")


def test_numbers_named_as_a_factor_and_booleans_are_factors(frame):
    d = design.build_design("~ image + treated", frame, levels={"image": [2, 1]})
    assert d.coef_names == ("(Intercept)", "image[1]", "treated[True]")
    assert design.build_design("~ C(image)", frame).coef_names == ("(Intercept)", "C(image)[2]")


def test_interactions_and_transforms(frame):
    d = design.build_design("~ diet*x + scale(age)", frame, test=["x:diet", "diet*x"])
    assert d.coef_names[-3] == "scale(age)"  # main effects before interactions, as R has them
    assert d.coef_names[-2:] == ("diet[b]:x", "diet[c]:x")
    assert d.tests["x:diet"] == d.terms["diet:x"]
    assert d.tests["diet*x"] == d.terms["diet"] + d.terms["x"] + d.terms["diet:x"]
    scaled = d.x[:, d.terms["scale(age)"][0]]
    assert abs(scaled.mean()) < 1e-12
    d = design.build_design(
        '~ C(batch, Treatment("B2")) + poly(x, 2) + bs(age, df=4)', frame, test=["poly(x,2)"]
    )
    assert d.levels == {"C(batch, Treatment('B2'))": ("B2", "B1")}
    assert len(d.tests["poly(x,2)"]) == 2


def test_nested_labels_that_repeat_are_told_apart(frame):
    d = design.build_design("~ x + (x | sample_id/image)", frame)
    fine, coarse = d.random
    assert (fine.name, coarse.name) == ("sample_id:image", "sample_id")
    assert len(fine.levels) == 12
    assert fine.levels[:3] == ("S0:1", "S0:2", "S1:1")
    np.testing.assert_array_equal(fine.codes, np.repeat(np.arange(12), 5))
    assert fine.effects == coarse.effects == ("(Intercept)", "x")
    np.testing.assert_array_equal(fine.z, np.column_stack([np.ones(60), frame["x"]]))


def test_crossed_factors_come_finest_first(frame):
    d = design.build_design("~ (1 | diet) + (1 | sample_id)", frame)
    assert [f.name for f in d.random] == ["sample_id", "diet"]


def test_a_column_may_be_a_number_and_a_group(frame):
    d = design.build_design("~ image + x + (1 | sample_id/image)", frame)
    assert d.coef_names == ("(Intercept)", "image", "x")
    assert d.random[0].levels[:2] == ("S0:1", "S0:2")


@pytest.mark.parametrize(
    ("bars", "effects", "blocks"),
    [
        ("(1 + x | sample_id)", ("(Intercept)", "x"), (0, 0)),
        ("(1 + x || sample_id)", ("(Intercept)", "x"), (0, 1)),
        ("(x + age | sample_id)", ("(Intercept)", "x", "age"), (0, 0, 0)),
        ("(0 + x | sample_id)", ("x",), (0,)),
        ("(1 | sample_id) + (0 + x | sample_id)", ("(Intercept)", "x"), (0, 1)),
        ("(0 + x + age | sample_id) + (1 | sample_id)", ("x", "age", "(Intercept)"), (0, 0, 1)),
        ("(diet | sample_id)", ("(Intercept)", "diet[b]", "diet[c]"), (0, 0, 0)),
        ("(0 + diet | sample_id)", ("diet[a]", "diet[b]", "diet[c]"), (0, 0, 0)),
        ("(x*age || sample_id)", ("(Intercept)", "x", "age", "x:age"), (0, 1, 2, 3)),
    ],
)
def test_effects_of_one_grouping_factor_are_merged(frame, bars, effects, blocks):
    (factor,) = design.build_design(f"~ 1 + {bars}", frame).random
    assert factor.effects == effects
    assert factor.blocks == blocks
    assert factor.z.shape == (60, len(effects))


def test_the_caller_is_out_of_reach(frame):
    secret = np.ones(60)
    (fault,) = faults("~ secret", frame)
    assert "no column secret" in fault
    assert design.build_design("~ secret", frame.assign(secret=secret * frame["x"])).n == 60


def test_unknown_columns_all_at_once_with_the_nearest_names(frame):
    unknown, group = faults("~ diagnosi + (1 | sampleid)", frame)
    assert "no column diagnosi. Did you mean diagnosis?\n  ~ diagnosi + (1 | sampleid)\n    ^" in unknown
    assert "Did you mean sample_id?" in group
    (fault,) = faults("~ x", frame, levels={"diagnosys": ["a"]})
    assert fault.startswith("levels: the data have no column diagnosys")


def test_missing_values_name_column_cells_and_samples(frame):
    frame.loc[[3, 4, 11], "age"] = np.nan
    frame.loc[20, "diet"] = ""
    age, diet = faults("~ age + diet", frame)
    assert age.startswith("age: 3 of 60 cells have no value, in samples S0, S1.")
    assert diet.startswith("diet: 1 of 60 cells has no value, in sample S2.")


@pytest.mark.parametrize("aliases", ["batch", "site + batch"])
def test_rank_deficiency_is_told_in_words(frame, aliases):
    frame["batch"] = np.where(frame["diagnosis"] == "AD", "B2", "B1")
    frame["site"] = frame["diet"]
    (fault,) = faults(
        f"~ x + diagnosis + {aliases} + (1 | sample_id)", frame, levels={"diagnosis": ["Control", "AD"]}
    )
    assert "batch[B2] cannot be separated from other columns: batch[B2] = diagnosis[AD] in every row" in fault


def test_aliased_returns_the_combination():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 50))
    big = 1e9 + 3.0 * a
    x = np.column_stack([np.ones(50), a, b, 2 - a + 0.5 * b, np.zeros(50), big])
    found = dict(aliased(x, ["(Intercept)", "a", "b", "c", "zero", "big"]))
    assert found["c"] == pytest.approx({"(Intercept)": 2.0, "a": -1.0, "b": 0.5})
    assert found["zero"] == {}
    assert set(found) == {"c", "zero", "big"}
    assert aliased(np.column_stack([np.ones(50), 1e9 + a]), ["(Intercept)", "a"]) == []


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("~ x + (diet || sample_id)", '"||" wants numbers'),
        ("~ x + (1 | sample_id) + (x | sample_id)", "(Intercept) twice"),
        ("~ x + (1 | same)", "same in every row"),
        ("~ x + (1 | cell)", "too many"),
        ("~ x + (1 | sample_id) + (1 | copy)", "group the rows in the same way"),
        ("~ same", "nothing to compare"),
        ("~ text", "numbers as text"),
        ("~ when", "holds dates"),
        ("~ endless", "infinite"),
        ("~ log(x)", "log(x) is not a finite number in 1 of 60 rows"),
        ("~ nofunction(x)", "cannot be evaluated"),
        ('~ I("a")', "cannot be evaluated"),
        ("~ 0 + (1 | sample_id)", "is empty"),
        ("~ x + zero", "zero is zero in every row"),
        ("~ huge", "huge has values up to 1e+299, whose squares a computer cannot add up"),
        ("~ 1 + (huge | sample_id)", "huge has values up to 1e+299"),
        ("~ I(huge / 1e250) + tiny", "tiny has values up to 1e-200"),
    ],
)
def test_each_fault_has_a_sentence(frame, formula, says):
    frame["same"] = "a"
    frame["cell"] = np.arange(60)
    frame["copy"] = "c" + frame["sample_id"]
    frame["text"] = [str(v) for v in range(60)]
    frame["when"] = pd.Timestamp("2024-01-01")
    frame["endless"] = np.inf
    frame["zero"] = 0.0
    frame["huge"] = np.linspace(0, 1e299, 60)
    frame["tiny"] = np.linspace(-1e-200, 0, 60)
    (fault,) = faults(formula, frame)
    assert says in fault


def test_tested_terms_and_levels_must_exist(frame):
    (fault,) = faults("~ x + diagnosis", frame, test=["diagnosi"])
    assert 'diagnosi is not a fixed term of "~ x + diagnosis". Did you mean diagnosis?' in fault
    (fault,) = faults("~ diagnosis", frame, levels={"diagnosis": ["Control", "ad"]})
    assert "not among its levels (Control, ad): AD" in fault
    (fault,) = faults("~ diagnosis", frame, levels={"diagnosis": ["MCI", "Control", "AD"]})
    assert "no cell has the reference level MCI" in fault


def test_what_takes_the_place_of_the_intercept_is_not_tested(frame):
    for formula, test in [
        ("~ 0 + diet + (1 | sample_id)", "diet"),
        ("~ 0 + x + diet", "diet"),
        ("~ 0 + diet + x", "x + diet"),
        ("~ 0 + diet:diagnosis", "diet:diagnosis"),
    ]:
        (fault,) = faults(formula, frame, test=[test])
        assert (
            f'formula: "{formula}" has no intercept: leaving out {test} would test that its means are'
            in fault
        )
    for formula, test in [
        ("~ 0 + diet + diagnosis", "diagnosis"),  # the means are those of diet
        ("~ 0 + diet + x", "x"),
        ("~ 0 + x", "x"),  # a line through the origin, as asked
        ("~ diet", "1"),
    ]:
        assert design.build_design(formula, frame, test=[test]).tests[test]


def test_response(frame):
    formula = design.parse("np.exp(y) ~ x")
    np.testing.assert_allclose(design.response(formula, frame), np.exp(frame["y"]))
    with pytest.raises(NestdeError, match="no response"):
        design.response(design.parse("~ x"), frame)
    with pytest.raises(NestdeError, match="not a number"):
        design.response(design.parse("diet ~ x"), frame)


def test_save_and_load_round_trip_to_the_same_bytes(frame, tmp_path):
    d = design.build_design("~ diet*x + (x || sample_id/image)", frame, test=["diet"])
    d.save(tmp_path / "a.npz")
    d.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    back = design.load_design_file(tmp_path / "a.npz")
    for name in ("formula", "coef_names", "terms", "tests", "levels"):
        assert getattr(back, name) == getattr(d, name)
    np.testing.assert_array_equal(back.x, d.x)
    for ours, theirs in zip(d.random, back.random, strict=True):
        assert (ours.name, ours.levels, ours.effects, ours.blocks) == (
            theirs.name,
            theirs.levels,
            theirs.effects,
            theirs.blocks,
        )
        np.testing.assert_array_equal(ours.codes, theirs.codes)
        np.testing.assert_array_equal(ours.z, theirs.z)
    (tmp_path / "no.npz").write_text("no")
    with pytest.raises(NestdeError, match="no design"):
        design.load_design_file(tmp_path / "no.npz")
