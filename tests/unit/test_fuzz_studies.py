"""2,000 strange studies: a result or a sentence, in seconds, no file written; what passes is fitted as plain numpy fits it."""

import contextlib
import os
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from makers.plain_fit import Fit, column, dummies, simple, span
from makers.strange import GENES, SPOILERS, described, strange
from makers.tiny_study import Steps

from nestde.check import check_study
from nestde.errors import NestdeError
from nestde.io.files import read_json, read_tsv
from nestde.study.config import read

SECONDS = 60  # on a machine that is busy; alone a case takes a tenth of one
CASES = int(os.environ.get("NESTDE_FUZZ", "500"))  # of each of the four kinds


@contextlib.contextmanager
def in_time(seconds):
    def late(*_):
        raise TimeoutError(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def listing(*folders):
    return {(str(path), path.stat().st_size) for folder in folders for path in folder.rglob("*")}


def examined(study, folder):
    """What the check says of a study that was written into a folder; the folder is as it was."""
    study.write(folder)
    before = listing(folder)
    with in_time(SECONDS):
        try:
            config, told = read(study.config)
            found = check_study(config, told)
        finally:
            assert listing(folder) == before, "the check has written"
    return config, found


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(SPOILERS))
def test_a_strange_study_is_a_result_or_a_sentence(kind, monkeypatch):
    @settings(
        max_examples=CASES, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), print_blob=False,
    )  # fmt: skip
    @given(strange(kind))
    def judged(study):
        with tempfile.TemporaryDirectory() as name:
            monkeypatch.chdir(name)
            try:
                _, found = examined(study, Path(name))
            except NestdeError as error:
                assert all(error.faults)
                return
            except Exception as error:
                error.add_note(described(study))
                raise
            finally:
                monkeypatch.undo()
            assert all(isinstance(sentence, str) and sentence for sentence in found.faults)
            assert bool(found.faults) == (found.samples is None)

    judged()


def steps(study, config, found, folder):
    """Run the workflow's steps from the counts to the fits of the first cell type; its table of fits and its design."""
    samples = found.samples
    run = Steps(folder, config, samples)
    cell_type = config.cell_types[0]
    assert run.ingest() == 0 and run.qc() == 0 and run.matrix(cell_type) == 0
    assert run.design(cell_type) == run.statistics() == 0
    given = {"design": folder / "design.npz", "statistics": folder / "statistics.npz"}
    assert run.run("fit", **given, chunk="1-of-1", out=folder / "fit.tsv") == 0
    fits = read_tsv(folder / "fit.tsv", text=["gene", "term", "level", "status"])
    return fits, read_json(folder / "design.json")


def independent(study):
    """Columns, terms, group and responses of a study whose formula is simple, read anew; None for any other."""
    asked = simple(study.config["model"]["formula"])
    plain = not study.config.get("input", {}).get("keep") and not study.config["input"].get("cell_metadata")
    if asked is None or study.text is not None or not plain or study.config["input"].get("layer", "X") != "X":
        return None
    terms, group = asked
    key = study.config["input"].get("cell_type_key", "cell_type")
    of_type = (study.obs[key].astype(str) == str(study.config["cell_types"][0])).to_numpy()
    sheet = study.sheet.rename(columns=str.strip).map(lambda value: str(value).strip()).set_index("sample_id")
    samples = study.obs[study.config["input"].get("sample_key", "sample_id")].astype(str)
    levels = study.config["model"].get("levels") or {}
    columns = {}
    for name in {group, *(part for term in terms for part in term)}:
        if name == "sample_id":
            values = samples
        elif name in sheet:
            values = sheet[name].loc[samples]
        elif name in study.obs:
            values = study.obs[name]
        else:
            return None  # measured by quality control
        columns[name] = column(values.to_numpy()[of_type], levels.get(name))
    counts = study.counts[of_type].astype(float)
    y = np.log1p(counts / study.counts[of_type].sum(axis=1, keepdims=True) * 1e4)
    return columns, terms, columns[group][0], y


def agree(study, table):
    """Every row of the table with what plain numpy finds: log-likelihood, its ratio, the coefficient; rows compared."""
    read_anew = independent(study)
    if read_anew is None:
        return 0
    columns, terms, groups, y = read_anew
    matrices = {term: dummies(columns, term) for term in terms}
    compared = 0
    full_x = span(list(matrices.values()))
    for row in table[table["status"].isin(["ok", "singular"])].to_dict("records"):
        tested = next((term for term in terms if set(term) == set(row["term"].split(":"))), None)
        inside = [term for term in terms if tested and set(tested) < set(term)]
        if tested is None or inside:
            continue
        response = y[:, GENES.index(row["gene"])]
        full = Fit(full_x, groups, response)
        assert row["loglik_full"] == pytest.approx(full.loglik, abs=1e-5)
        rest = span([matrices[term] for term in terms if term != tested] or [np.ones((len(response), 1))])
        reduced = Fit(rest, groups, response)
        assert row["lrt_stat"] == pytest.approx(max(0, 2 * (full.loglik - reduced.loglik)), abs=2e-5)
        values, levels = columns[tested[0]]
        if len(tested) == 1 and row["estimates"] == "ML":
            others = values[:, None] if levels is None else (values[:, None] == np.array(levels[1:])) * 1.0
            at = 0 if levels is None else levels[1:].index(row["level"])
            full.x = rest
            scale = max(1.0, abs(full.coef(others)[at]))
            assert row["coef"] == pytest.approx(full.coef(others)[at], abs=1e-5 * scale)
        compared += 1
    return compared


@pytest.mark.slow
def test_what_passes_is_fitted_as_plain_numpy_fits_it(monkeypatch):
    compared = []

    @settings(
        max_examples=max(CASES // 5, 1), deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(st.one_of([strange(kind) for kind in ("", "", *SPOILERS)]))
    def judged(study):
        with tempfile.TemporaryDirectory() as name:
            monkeypatch.chdir(name)
            try:
                config, found = examined(study, Path(name))
                if not found.faults:
                    table, design = steps(study, config, found, Path(name))
                    if design["testable"] and not any(one["by"] for one in design["roster"]["entries"]):
                        compared.append(agree(study, table))
            finally:
                monkeypatch.undo()

    judged()
    assert sum(map(bool, compared)) >= CASES // 50
