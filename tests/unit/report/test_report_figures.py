"""The figures that the report draws itself: axes, points and bars."""

import re

import numpy as np
import pytest

from nestde.report import figures


def test_scatter_draws_each_visible_point_and_caps_the_rest():
    axes = (figures.x_axis("x", -1, 1), figures.y_axis("y", 0, 10))
    drawn = figures.scatter(
        "t", [0, 0.5, 99, np.nan, -np.inf], [1, 2, 3, 4, 5], [0, 1, 1, 1, 1], list("abcde"),
        (figures.Class("no", "#888", faint=True), figures.Class("yes", "#f00")), axes, labelled=[1],
    )  # fmt: skip
    assert drawn.count("<title>") == 3
    assert drawn.count("m-2 2h4l-2-4z") == 2
    assert "yes (3)" in drawn and "no (1)" in drawn
    assert ">b</text>" in drawn


def test_a_scatter_of_a_genome_stays_small():
    random = np.random.default_rng(0)
    n = 36_000
    axes = (figures.x_axis("x", -4, 4), figures.y_axis("y", 0, 6))
    drawn = figures.scatter(
        "t", random.normal(size=n), random.exponential(size=n), [0] * n, ["g"] * n,
        (figures.Class("no", "#888", faint=True), figures.Class("yes", "#f00")), axes,
    )  # fmt: skip
    assert drawn.count("M") <= figures.MOST_POINTS + 30
    assert "no (36,000)" in drawn


def test_histogram_counts():
    drawn = figures.histogram("t", [0.01, 0.02, 0.99, np.nan], "p", "flat")
    assert "0.00 to 0.05: 2 genes" in drawn and "0.95 to 1.00: 1 genes" in drawn


@pytest.mark.parametrize(("low", "high"), [(-1.2, 1.2), (0, 1), (0, 17000), (-0.003, 0.004), (2.5, 3.5)])
def test_ticks_are_few_and_inside(low, high):
    ticks = figures.Axis("", low, high, 0, 1).ticks()
    assert 4 <= len(ticks) <= 10
    assert min(ticks) >= low - 1e-9 and max(ticks) <= high + 1e-9


def test_limit_is_not_stretched_by_one_gene():
    assert figures.limit([*np.linspace(-1, 1, 1000), 500.0]) < 4
    assert figures.limit([]) == 1.0


def test_names_do_not_lie_on_one_another_or_on_points_that_have_names():
    random = np.random.default_rng(1)
    x, y = random.normal(size=(2, 40))
    axes = figures.x_axis("x", -3, 3), figures.y_axis("y", -3, 3)
    names = [f"GENE{i:03d}" for i in range(40)]
    drawn = figures.scatter(
        "t", x, y, [0] * 40, names, [figures.Class("c", "#000")], axes, labelled=range(40)
    )
    words = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">(GENE\d+)', drawn)
    assert len(words) > 15
    starts = {"start": 0, "middle": 0.5, "end": 1}
    boxes = {
        name: (
            float(x) - starts[anchor] * 48.3,
            float(y) - 10,
            float(x) + (1 - starts[anchor]) * 48.3,
            float(y) + 2,
        )
        for x, y, anchor, name in words
    }

    def apart(a, b):
        return a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]

    px, py = axes[0].pixels(x), axes[1].pixels(y)
    for name, box in boxes.items():
        assert all(apart(box, other) for its, other in boxes.items() if its != name)
        for i in range(40):
            assert names[i] == name or apart(box, (px[i], py[i], px[i], py[i]))


def test_a_violin_tells_the_median():
    drawn = figures.violins(
        "t", [("a", np.array([0.1, 0.2, 0.6]), "#000"), ("<b>", np.zeros(4), "#111")], "share"
    )
    assert "median 20 %<" in drawn and "median 0 %<" in drawn and "<b>" not in drawn
