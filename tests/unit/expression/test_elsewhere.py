import numpy as np
import pandas as pd
import pytest

from nestde.expression.elsewhere import Elsewhere, elsewhere, title_and_text, together

N = 12


def profiles(types=("T", "B"), sd=1.5, seed=0, missing=()):
    """Distances of samples of two batches in some cell types, as `explore` gives them; `missing`: (type, sample)."""
    rng = np.random.default_rng(seed)
    batch = np.arange(N) % 2
    found = {}
    for name in types:
        y = rng.normal(0, 1, (N, 300)) + rng.normal(0, sd, (2, 300))[batch]
        there = [i for i in range(N) if (name, i) not in missing]
        distance = np.sqrt(((y[there][:, None] - y[there][None]) ** 2).sum(axis=2))
        found[name] = {"samples": [f"S{i:02}" for i in there], "distances": distance.tolist()}
    return found


def sheet(**columns):
    names = [f"S{i:02}" for i in range(N)]
    table = {"sample_id": names, "diagnosis": ["AD", "Control"] * 6, "counts": names}
    return pd.DataFrame(table | {"batch": np.array(["B1", "B2"] * 6)} | columns)


def test_a_sample_with_the_other_batchs_label_is_told():
    batch = np.array(["B1", "B2"] * 6, object)
    assert title_and_text(profiles(), sheet(), ["diagnosis"]) == ("", "")
    batch[3] = "B1"
    title, text = title_and_text(profiles(), sheet(batch=batch), ["diagnosis"])
    assert title == "Samples lie with others than the sheet says"
    assert "S03 with batch B2 (B1 in the sheet)" in text and text.count("S0") == 1


def test_a_sample_that_a_cell_type_lacks_is_judged_by_the_others():
    batch = np.array([1, 2] * 6)
    batch[4] = 2
    seen = profiles(missing=[("T", 4), ("B", 7)])
    assert "S04 with batch 1 (2 in the sheet)" in title_and_text(seen, sheet(batch=batch), ["diagnosis"])[1]


def test_what_is_tested_may_lie_as_it_likes():
    moved = ["AD", "Control", "AD", "AD", *(["AD", "Control"] * 4)]
    assert title_and_text(profiles(), sheet(diagnosis=moved), ["diagnosis"]) == ("", "")
    assert title_and_text(profiles(), sheet(diagnosis=moved), [])[0]


@pytest.mark.parametrize("seed", range(20))
def test_batches_that_do_not_differ_tell_of_nobody(seed):
    batch = np.array(["B1", "B2"] * 6, object)
    batch[3] = "B1"
    assert title_and_text(profiles(sd=0.0, seed=seed), sheet(batch=batch), ["diagnosis"]) == ("", "")


def test_few_samples_or_several_that_lie_elsewhere_are_no_news():
    samples, distance = together(profiles())
    labels = [f"B{1 + i % 2}" for i in range(N)]
    exchanged = [labels[1], *labels[1:]]
    assert elsewhere(samples, distance, exchanged) == [Elsewhere("S00", "B2", "B1")]
    assert not elsewhere(samples[:8], distance[:8, :8], exchanged[:8])
    assert not elsewhere(samples, distance, labels[:6] + labels[7:] + labels[6:7])
    assert not elsewhere(samples, distance, [f"L{i // 2}" for i in range(N)])


def test_without_profiles_there_is_nothing_to_tell():
    assert title_and_text({}, sheet(), []) == ("", "")
    empty = {"T": {"samples": [], "distances": []}, "B": {"samples": ["S00"], "distances": [[0.0]]}}
    assert title_and_text(empty, sheet(), []) == ("", "")
