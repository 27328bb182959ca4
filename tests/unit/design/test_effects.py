"""What random terms mean is told from the design, however they are written."""

import numpy as np
import pandas as pd
import pytest

from nestde.design.design import build_design
from nestde.design.effects import RandomEffects


@pytest.mark.parametrize(
    ("terms", "words", "spreads"),
    [
        ("(1 | g)", ["each g has its own level"], ["σ²"]),
        ("(x | g)", ["each g has its own level and slope of x"], ["Σ"]),
        ("(x - 1 | g)", ["each g has its own slope of x"], ["σ²"]),
        ("(0 + x | g)", ["each g has its own slope of x"], ["σ²"]),
        ("(1 + log(x + 1) | g)", ["each g has its own level and slope of log(x + 1)"], ["Σ"]),
        ("(1 + x || g)", ["each g has its own level and slope of x"], ["diag σ²"]),
        ("(1 | g) + (0 + x | g)", ["each g has its own level and slope of x"], ["diag σ²"]),
        ("(1 + x | g) + (0 + z | g)", ["each g has its own level, slope of x and slope of z"], ["diag Σ"]),
        ("(1 | h/g)", ["each h has its own level", "each g within h has its own level"], ["σ²", "σ²"]),
        ("(d | g)", ["each g has its own level and slope of d[b]"], ["Σ"]),
    ],
)
def test_random_effects_in_words(terms, words, spreads):
    rng = np.random.default_rng(1)
    cells = np.arange(240)
    frame = pd.DataFrame({"x": rng.uniform(1, 2, 240), "z": rng.normal(size=240)})
    frame = frame.assign(
        g=(cells % 12).astype(str), h=(cells % 4).astype(str), d=np.where(cells % 5 < 2, "a", "b")
    )
    found = RandomEffects.of(build_design(f"~ z + {terms}", frame).random)
    assert [effects.words for effects in found] == words
    assert [effects.spread for effects in found] == spreads
