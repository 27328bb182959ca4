"""What the check warns of in how a study asks: beside an interaction, by a p-value or a family that does not fit what is tested."""

import pytest
from makers.studies import Study


@pytest.mark.parametrize(
    ("formula", "test", "titles", "sentence"),
    [
        ("diagnosis * sex", "diagnosis", ["diagnosis is tested in sex F only"], "diagnosis in sex F"),
        ("diagnosis * age", "diagnosis", ["diagnosis is tested at age 0 only"], "diagnosis at age 0"),
        ("diagnosis * age", "age", ["age is tested in diagnosis Control only"], "age in diagnosis Control"),
        ("sex + diagnosis * centred", "diagnosis", [], "diagnosis, at equal centred and sex"),
        ("diagnosis * sex", "diagnosis:sex", [], "diagnosis:sex"),
        ("diagnosis * sex", "diagnosis + diagnosis:sex", [], "diagnosis + diagnosis:sex"),
        (
            "diagnosis + diagnosis:sex + diagnosis:age",
            "diagnosis",
            ["diagnosis is tested in sex F and at age 0 only"],
            "diagnosis in sex F and at age 0",
        ),
    ],
)
def test_a_main_effect_beside_its_interaction(formula, test, titles, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Study()
    study.sheet["centred"] = study.sheet["age"] - study.sheet["age"].mean()
    study.formula(f"~ {formula} + (1 | sample_id)")
    study.config["model"]["test"] = [test]
    check = study.check()
    assert check.faults == ()
    found = {warning["title"]: warning["text"] for warning in check.as_json()["warnings"]}
    assert [title for title in found if title.endswith("only")] == titles
    assert f"related to {sentence}, where each" in check.as_json()["model"]["sentence"]
    for title in titles:
        if formula == "diagnosis * sex":
            assert found[title] == (
                "model.formula has diagnosis:sex, so the coefficient of diagnosis is its effect in sex F, the reference. To ask "
                "whether diagnosis matters anywhere, test diagnosis + diagnosis:sex; to ask whether its effect differs, test "
                "diagnosis:sex. To test diagnosis elsewhere, put another sex first in model.levels."
            )


@pytest.mark.parametrize(
    ("test", "p_value", "warned_of"),
    [
        ("diagnosis:saturation", "containment", True),
        ("saturation", "containment", True),
        ("diagnosis", "containment", False),
        ("diagnosis:saturation", "kenward_roger", False),
    ],
)
def test_containment_of_a_random_slope(test, p_value, warned_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Study()
    study.formula("~ diagnosis * saturation + (1 + saturation | sample_id)")
    study.config["model"]["test"] = [test]
    study.config["inference"] = {"p_value": p_value}
    found = {warning["title"]: warning["text"] for warning in study.check().as_json()["warnings"]}
    assert (f"Containment counts cells for {test}" in found) is warned_of
    if warned_of:
        assert found[f"Containment counts cells for {test}"] == (
            "inference.p_value is containment, and saturation has a random slope: it differs between samples, but as saturation "
            "varies within them, containment takes its degrees of freedom from the rows. The p-values of "
            f"{test} are too small. Write kenward_roger or satterthwaite."
        )


@pytest.mark.parametrize(
    ("family", "test", "warned_of"),
    [
        ("poisson", "treated", True),
        ("poisson", "diagnosis", False),
        ("negative_binomial", "treated", False),
        ("gaussian", "treated", False),
    ],
)
def test_a_family_that_does_not_know_how_cells_scatter(family, test, warned_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = Study()
    study.obs["treated"] = ["yes", "no"] * (len(study.obs) // 2)
    study.formula("~ treated + diagnosis + (1 + treated | sample_id)", test)
    study.config["model"]["family"] = family
    found = {warning["id"]: warning["text"] for warning in study.check().as_json()["warnings"]}
    assert ("family_of_samples_alone" in found) is warned_of
    if warned_of:
        assert found["family_of_samples_alone"].startswith("treated varies within samples. A Poisson model")
        assert "Take model.family: negative_binomial." in found["family_of_samples_alone"]
