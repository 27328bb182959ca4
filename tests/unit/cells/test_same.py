"""Cells that are there under two names are told of, and no others."""

import numpy as np
import pytest
import scipy.sparse as sp
from makers.fabricated import ledger
from makers.tiny_study import cells, config

from nestde.cells.concerns import concerns
from nestde.cells.same import MARKS, marks, same_cells


def draw(n: int, seed: int) -> sp.csr_matrix:
    rng = np.random.default_rng(seed)
    return sp.csr_matrix(rng.poisson(rng.gamma(0.5, 2.0, 200), (n, 200)).astype(np.int32))


GENES = [f"G{i}" for i in range(200)]


def told(**samples: sp.csr_matrix) -> tuple[str, str]:
    return same_cells([{"sample_id": name, "cell_marks": marks(of, GENES)} for name, of in samples.items()])


def test_one_library_under_two_names_is_told_though_its_cells_are_in_another_order():
    one, order = draw(300, 0), np.random.default_rng(1).permutation(300)
    title, text = told(A=one, B=one[order], C=draw(300, 2))
    assert title == "Samples share cells"
    assert f"two samples: A and B (of {MARKS} cells drawn from both, {MARKS})." in text


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_part_that_is_shared_is_told(share):
    one = draw(1000, 0)
    assert "A and B" in told(A=one, B=sp.vstack([one[: int(1000 * share)], draw(1000, 1)]).tocsr())[1]


def test_cells_that_were_counted_are_each_another():
    assert told(**{f"S{i}": draw(200, i) for i in range(20)}) == ("", "")
    assert same_cells([{"sample_id": "old"}]) == ("", "")


def test_cells_of_few_genes_say_nothing():
    poor = sp.csr_matrix(np.eye(200, dtype=np.int32))
    assert marks(poor, GENES) == [] and told(A=poor, B=poor) == ("", "")
    assert marks(poor[:0], GENES) == []


def test_marks_do_not_depend_on_the_order_of_genes():
    one, order = draw(30, 0), np.random.default_rng(3).permutation(200)
    assert marks(one, GENES) == marks(one[:, order].tocsr(), [GENES[i] for i in order])
    assert marks(one, GENES) != marks(one, GENES[::-1])


def test_quality_control_tells_of_them():
    mine = marks(draw(50, 0), GENES)
    ledgers = [ledger(name, 20) | {"cell_marks": mine} for name in ("S1", "S2")]
    sheet = cells().obs.groupby("sample_id", observed=True).first().reset_index()
    assert next(title for title, _ in concerns(ledgers, sheet, config().model)) == "Samples share cells"
