"""Differential expression of pseudobulk profiles by PyDESeq2, and what the profiles look like beside each other.

DESeq2: Love, Huber, Anders 2014 (Genome Biol 15, 550); PyDESeq2: Muzellec et al. 2023 (Bioinformatics 39, btad547).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nestde.arrays import Floats
from nestde.cells.parts import not_measured
from nestde.design.design import Design
from nestde.design.expressions import quoted
from nestde.design.formula import parse
from nestde.design.terms import Term, terms_of
from nestde.design.testable import NotTestable, design_to_test
from nestde.errors import NestdeError
from nestde.io.counts import OURS
from nestde.study.config import Model

if TYPE_CHECKING:
    import anndata as ad
    import pandas as pd

COLUMNS = ["log2fc", "lfcse", "stat", "pvalue", "padj", "base_mean"]
FEWEST_COUNTS = 10  # of a gene over all profiles, as the vignette of DESeq2 filters
PCA_GENES = 500  # most variable genes, as DESeq2's plotPCA takes


@dataclass(frozen=True)
class SampleFormula:
    """The formula over samples: as given, or the model's fixed effects without what varies within samples.

    `paired` are grouping factors of the model, within which its tests compare samples, as fixed effects.
    """

    text: str
    derived: bool
    dropped: tuple[str, ...]
    paired: tuple[str, ...] = ()


def sample_formula(model: Model, given: str | None, columns: Sequence[str]) -> SampleFormula:
    """Derive the formula for profiles whose covariates are `columns`; a formula that is given stays.

    Random effects fall away: a profile is a sample, and the variance between samples is the dispersion. Of groups of
    samples see `paired_design`.

    Raises
    ------
    NestdeError
        If a given formula has random effects.
    """
    if given is not None:
        if parse(given).random:
            raise NestdeError(
                f'pseudobulk.formula: "{given}" has random effects; DESeq2 has none. Drop them.'
            )
        return SampleFormula(given, False, ())
    terms = terms_of(parse(model.formula).fixed)
    kept = [term for term in terms if set(term.variables) <= set(columns)]
    text = (
        " + ".join([*([] if Term() in kept else ["0"]), *(str(term) for term in kept if term.factors)]) or "1"
    )
    return SampleFormula(f"~ {text}", True, tuple(str(term) for term in terms if term not in kept))


def test(
    found: "ad.AnnData", model: Model, given: str | None, alpha: float
) -> tuple["pd.DataFrame", SampleFormula, str]:
    """Test every gene of the profiles of one cell type.

    Parameters
    ----------
    found
        What `pseudobulk.profiles` returned.
    model
        Section ``model`` of the configuration.
    given
        ``pseudobulk.formula``.
    alpha
        False discovery rate that DESeq2's independent filtering is tuned to.

    Returns
    -------
    table
        ``gene, cell_type, term, level, against, status, reason`` and `COLUMNS`: one row per gene, tested term and
        pair of levels; positive = higher in `level` than in `against`. ``padj`` is empty for genes that DESeq2's
        independent filtering leaves out. status: ``ok`` or ``not_testable``, then with a reason.
    formula
        What was fitted.
    reason
        '' or why nothing could be tested.
    """
    import pandas as pd

    cell_type = str(found.uns["cell_type"])
    used = tested(found)
    formula, design = paired_design(used.obs, sample_formula(model, given, list(found.obs.columns)), model)
    genes = np.asarray(found.var_names, object)
    parts = []
    for term in model.test:
        if isinstance(design, NotTestable) or term not in design.tests:
            reason = (
                design.reason
                if isinstance(design, NotTestable)
                else design.untested.get(term, f"{model.about(term)} is not in the formula {formula.text}")
            )
            parts.append(
                pd.DataFrame({"gene": genes, "term": term, "status": "not_testable", "reason": reason})
            )
    if isinstance(design, Design):
        absent = not_measured(used.layers["measured"] == 1, list(used.obs_names))
        size_factor = used.obsm[OURS]["size_factor"].to_numpy(float)
        parts += deseq2(np.asarray(used.X), size_factor, genes, absent, design, alpha)
    table = pd.concat(parts, ignore_index=True).reindex(
        columns=["gene", "term", "level", "against", "status", "reason", *COLUMNS]
    )
    table[["level", "against"]] = table[["level", "against"]].fillna("")
    table.insert(1, "cell_type", cell_type)
    return table, formula, design.reason if isinstance(design, NotTestable) else ""


def tested(found: "ad.AnnData") -> "ad.AnnData":
    """Profiles that are not left out."""
    return found[(found.obsm[OURS]["left_out"] == "").to_numpy()]


def sample_design(obs: "pd.DataFrame", formula: SampleFormula, model: Model) -> Design | NotTestable:
    """Build the design of the profiles, or say why they cannot be tested."""
    parsed = parse(formula.text)
    if obs.empty:
        return NotTestable("no sample has enough cells of this type")
    terms = set(terms_of(parsed.fixed))
    # of a contrast what it is about in the model: without an interaction it would be another one
    tests = [test for test in model.test if set(terms_of(f"0 + {model.about(test)}")) <= terms]
    levels = {name: of for name, of in model.levels.items() if name in parsed.variables}
    return design_to_test(parsed, obs, test=tests, levels=levels)


def paired_design(
    obs: "pd.DataFrame", formula: SampleFormula, model: Model
) -> tuple[SampleFormula, Design | NotTestable]:
    """Build the design of the profiles, samples compared within the groups in which the mixed model compares them.

    A donor with samples of several diagnoses, ``(1 | donor)`` in the model, becomes a fixed effect: DESeq2 has no other way
    to pair. Where the samples are too few for that, or a donor has one diagnosis, it is left out.
    """
    design = sample_design(obs, formula, model)
    if not formula.derived or isinstance(design, NotTestable):
        return formula, design
    names = dict.fromkeys(name for term in parse(model.formula).random for name in term.factors)
    for name in names:
        if name == "sample_id" or name not in obs or name in parse(formula.text).variables:
            continue
        groups = obs[name].astype(str)
        if not 1 < groups.nunique() < len(obs) or not _varies(design, groups.to_numpy(object)):
            continue
        term = f"C({quoted(name)})" if obs[name].dtype.kind in "iuf" else quoted(name)
        candidate = replace(formula, text=f"{formula.text} + {term}", paired=(*formula.paired, name))
        found = sample_design(obs, candidate, model)
        if isinstance(found, Design):
            formula, design = candidate, found
    return formula, design


def _varies(design: Design, groups: NDArray[np.object_]) -> bool:
    """Whether what is tested differs between samples of one group."""
    tested = sorted({column for columns in design.tests.values() for column in columns})
    codes = np.unique(groups, return_inverse=True)[1]
    first = np.unique(codes, return_index=True)[1]
    return bool(tested) and bool((design.x[:, tested] != design.x[first][codes][:, tested]).any())


def deseq2(
    counts: NDArray[np.int64],
    size_factor: Floats,
    genes: NDArray[np.object_],
    absent: Sequence[str],
    design: Design,
    alpha: float,
) -> list["pd.DataFrame"]:
    """Wald tests of every contrast of every tested term, one table each.

    Parameters
    ----------
    counts
        (samples, genes) sums.
    size_factor
        (samples,) what they are divided by; PyDESeq2's own would be of the genes that it tests.
    genes
        Their names.
    absent
        Why each is not to be tested, '' if it is: it was not measured in every sample.
    design
        Of the samples.
    """
    import pandas as pd
    from pydeseq2.dds import DeseqDataSet
    from pydeseq2.ds import DeseqStats
    from threadpoolctl import threadpool_limits

    from nestde.design.contrasts import contrasts
    from nestde.expression.deseq2_inference import TogetherInference

    measured = np.array([why == "" for why in absent], bool)
    many = counts.sum(axis=0) >= FEWEST_COUNTS
    few = np.where(many, "", f"fewer than {FEWEST_COUNTS} counts over all samples").astype(object)
    low = np.where(measured, few, np.array(absent, object))
    enough = measured & many
    status = np.where(enough, "ok", "not_testable").astype(object)
    empty = pd.DataFrame({"gene": genes, "status": status, "reason": low}).reindex(
        columns=["gene", "status", "reason", *COLUMNS]
    )
    empty["base_mean"] = 0.0
    names = [f"s{row}" for row in range(len(counts))]
    tested = pd.DataFrame(counts[:, enough], index=names, columns=[f"g{i}" for i in np.flatnonzero(enough)])
    every = [contrast for term in design.tests for contrast in contrasts(design, term)]
    if not enough.any():
        return [empty.assign(term=one.term, level=one.level, against=one.against) for one in every]
    # neutral names: PyDESeq2 makes names of its own of them
    matrix = pd.DataFrame(design.x, index=names, columns=[f"x{j}" for j in range(design.x.shape[1])])

    class Dataset(DeseqDataSet):  # type: ignore[misc]  # PyDESeq2 has no types
        """With size factors as given."""

        def fit_size_factors(self, *_: object, **__: object) -> None:
            self.obs["size_factors"] = size_factor / np.exp(np.log(size_factor).mean())
            self.layers["normed_counts"] = self.X / self.obs["size_factors"].to_numpy()[:, None]
            self.var["_normed_means"] = self.layers["normed_counts"].mean(axis=0)

    # thousands of fits of a few coefficients: threads of the linear algebra would wait for each other
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # PyDESeq2 tells of its fallbacks; they are DESeq2's own
        together = TogetherInference(n_cpus=1)
        fitted = Dataset(
            counts=tested,
            metadata=pd.DataFrame(index=names),
            design=matrix,
            inference=together,
            quiet=True,
        )
        try:
            fitted.deseq2()
            results = []
            for one in every:
                stats = DeseqStats(fitted, contrast=one.rows[0], alpha=alpha, inference=together, quiet=True)
                stats.summary()
                results.append(
                    _rows(empty, enough, stats.results_df).assign(
                        term=one.term, level=one.level, against=one.against
                    )
                )
        except (ValueError, ArithmeticError, LookupError, RuntimeError) as error:
            why = f"PyDESeq2 failed: {' '.join(str(error).split())}"
            failed = empty.assign(status="not_testable", reason=why)
            return [failed.assign(term=one.term, level=one.level, against=one.against) for one in every]
    return results


def _rows(empty: "pd.DataFrame", enough: NDArray[np.bool_], results: "pd.DataFrame") -> "pd.DataFrame":
    """Put PyDESeq2's results where their genes are, and say why a p-value is missing."""
    rows = empty.copy()
    names = {"log2FoldChange": "log2fc", "lfcSE": "lfcse", "baseMean": "base_mean"}
    found = results.rename(columns=names)[COLUMNS].to_numpy(float)
    rows.loc[enough, COLUMNS] = found
    outlier = enough & rows["pvalue"].isna().to_numpy()
    rows.loc[outlier, "status"] = "not_testable"
    rows.loc[outlier, "reason"] = "the count of one sample is an outlier (Cook's distance)"
    rows.loc[outlier, "padj"] = np.nan
    return rows


def explore(found: "ad.AnnData") -> dict[str, Any]:
    """Lay samples beside each other: principal components, distances, and what the components go with.

    Of the `PCA_GENES` most variable genes of log2(1 + CPM), over the profiles that are tested.

    Returns
    -------
    dict
        ``samples``; ``pca``: ``variance`` (share of each component) and ``scores`` (samples × components, at most
        5); ``distances`` (samples × samples, Euclidean); ``covariates``: for each covariate and component the
        share ``r2`` of the component's variance that it explains, and the p-value of its F test.
    """
    used = tested(found)
    used = used[:, (used.layers["measured"] == 1).all(axis=0)]
    n = used.n_obs
    logs = np.log2(1 + np.asarray(used.layers["cpm"]))
    variable = np.sort(np.argsort(-logs.var(axis=0), kind="stable")[:PCA_GENES]) if n else slice(0, 0)
    centred = logs[:, variable] - (logs[:, variable].mean(axis=0) if n else 0)
    result: dict[str, Any] = {"samples": [str(name) for name in used.obs_names]}
    result["distances"] = [np.sqrt(((centred - row) ** 2).sum(axis=1)).tolist() for row in centred]
    if n < 3:
        return result | {"pca": {"variance": [], "scores": []}, "covariates": []}
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    k = min(5, n - 1)
    # a component's sign is arbitrary: its largest score is positive
    signs = np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])])
    scores = (left * sizes * signs)[:, :k]
    share = (sizes**2 / max(float((sizes**2).sum()), np.finfo(float).tiny))[:k]
    result["pca"] = {"variance": share.tolist(), "scores": scores.tolist()}
    covariates = {name: used.obs[name] for name in used.obs.columns.drop("sample_id")}
    covariates = {name: used.obsm[OURS][name] for name in ("n_cells", "total_counts")} | covariates
    result["covariates"] = [
        {"covariate": str(name), "component": i + 1, **explained(scores[:, i], column)}
        for name, column in covariates.items()
        if 1 < column.nunique() < (n if column.dtype.kind not in "iuf" else n + 1)
        for i in range(k)
    ]
    return result


def explained(score: Floats, column: "pd.Series[Any]") -> dict[str, float | None]:
    """Share of a component's variance that a covariate explains, and its F test; samples without a value left out."""
    import pandas as pd
    from scipy.stats import f

    there = column.notna().to_numpy()
    y = score[there]
    if column.dtype.kind in "iuf":
        x = column[there].to_numpy(float)[:, None]
    else:
        x = pd.get_dummies(column[there].astype(str), drop_first=True).to_numpy(float)
    x = np.column_stack([np.ones(len(y)), x])
    fit = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    total, rest = float(((y - y.mean()) ** 2).sum()), float(((y - fit) ** 2).sum())
    df1 = int(np.linalg.matrix_rank(x)) - 1
    df2 = len(y) - df1 - 1
    if total <= 0 or df1 < 1:
        return {"r2": None, "pvalue": None}
    r2 = min(1.0, max(0.0, 1 - rest / total))
    p = float(f.sf(r2 / df1 / max((1 - r2) / df2, 1e-300), df1, df2)) if df2 > 0 else None
    return {"r2": r2, "pvalue": p}
