"""The p-values as a whole, effects along expression, and how a gene's variance is shared: a figure of each for each comparison."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta, chi2

from nestde.arrays import Floats
from nestde.design.effects import INTERCEPT
from nestde.report import figures
from nestde.report.figures import Class
from nestde.report.results import Results, Test
from nestde.report.sections import DOWN, REST, UP, Section, html

CHAPTER = "genes"
BINS = 20
NAMED = 12  # genes, at most
SAMPLES = (DOWN, "#7b3294", "#0f766e")  # colours of random factors

PVALUES_HELP = """
Were no gene different, every bar of the histogram would reach the dashed line, and all points of the other figure lie in the
grey band, which holds 95 % of p-values of each rank, were genes independent; they are not quite, so that a line along its border says
little. A peak at the left is signal. A slope over the whole width, or a peak at the right, says that the p-values are not to be
trusted: something that varies between samples is not in the model, or samples are too few. λ is the median of the p-values as χ² over
what it would be: 1 where nothing differs, more where many genes do or the p-values are too small.
"""
MA_HELP = """
Most genes should lie along 0 at every height of expression. A cloud that bends or lies beside 0 tells of depth or composition
that differs between arms: see Depth and size factors.
"""
VARIANCE_HELP = """
*All parts*: how a gene's variance over cells is shared by what the fixed effects tell (what is tested, and all covariates), by samples,
and by cells of one sample (the rest); each row's width is the number of genes, the bar has the middle half of them and
the dot their median. The fixed effects' part is the variance of what they predict (Nakagawa and Schielzeth 2013).

*ICC*: of what is left when the fixed effects are taken out, the part that lies between samples (the intraclass correlation).
Where most genes are at 0, samples are alike; a gene of a high ICC is one whose samples differ, for whatever reason, and which needs
many samples to be found.
"""


def sections(results: Results) -> list[Section]:
    """P-values, effects along mean expression, and variances."""
    terms = [test for test in results.terms() if test.frame["pvalue"].notna().any()]
    tests = [test for of in results.tested.values() for test in of]
    if not tests:
        return []
    pairs = [figure for test in terms for figure in (_histogram(test), quantiles(results, test))]
    found = [
        Section(
            "nestde_pvalues",
            CHAPTER,
            "P-values as a whole",
            html(figures.row(pairs)),
            description="A good analysis is flat on the right of the histogram, with a peak on the left where genes differ.",
            helptext=PVALUES_HELP,
        ),
        Section(
            "nestde_ma",
            CHAPTER,
            "Effects along expression",
            html(figures.row([along(results, test) for test in tests])),
            description="Each point is a gene; to the right it is expressed more, on average over the levels compared.",
            helptext=MA_HELP,
        ),
    ]
    of_types = {test.cell_type: test for test in reversed(terms)}  # each cell type's genes once
    shares = [
        figure
        for test in reversed(of_types.values())
        for figure in (_partition(results, test), *_shares(test))
        if figure
    ]
    if shares:
        found.append(
            Section(
                "nestde_variance",
                CHAPTER,
                "How variances are shared",
                html(figures.row(shares)),
                description="What a gene's variance is made of, over all genes: effects in the model, samples, and cells of one sample.",
                helptext=VARIANCE_HELP,
            )
        )
    return found


def _histogram(test: Test) -> str:
    known = test.frame["pvalue"].dropna().to_numpy(float)
    counts, edges = np.histogram(known, bins=BINS, range=(0, 1))
    rows = [["p from", "to", "genes"], *zip(edges[:-1].round(3), edges[1:].round(3), counts, strict=True)]
    svg = figures.histogram(test.term_label, known, "p-value", "if nothing differed", BINS)
    return figures.drawn(svg, rows)


def inflation(p: "pd.Series[float]") -> float:
    """λ: the median p-value as χ² of one degree of freedom, over that of p-values of which none tells of a difference."""
    return float(chi2.isf(p.median(), 1) / chi2.isf(0.5, 1))


def quantiles(results: Results, test: Test) -> str:
    """P-values by rank, over what they would be, with a band."""
    frame = test.frame[test.frame["pvalue"].notna()].sort_values("neg_log10_pvalue", ascending=False)
    n = len(frame)
    rank = np.arange(1, n + 1)
    expected, seen = -np.log10((rank - 0.5) / n), frame["neg_log10_pvalue"].to_numpy(float)
    wide, high = float(expected[0]) * 1.05 + 0.05, max(figures.limit(seen), float(expected[0]) * 1.3 + 0.2)
    axes = (
        figures.x_axis("−log10 p, if nothing differed", 0.0, wide),
        figures.y_axis("−log10 p", 0.0, high),
    )
    some = np.unique(np.geomspace(1, n, 60).astype(int))
    lower, upper = (-np.log10(beta.ppf(q, some, n + 1 - some)) for q in (0.975, 0.025))
    band = figures.band(axes, -np.log10((some - 0.5) / n), lower, upper)
    found = test.found(results.config.inference.fdr)[frame.index].to_numpy()
    svg = figures.scatter(
        f"{test.term_label}, λ = {inflation(frame['pvalue']):.2f}",
        expected,
        seen,
        found.astype(int).tolist(),
        frame["gene"].tolist(),
        (Class("not found", REST, faint=True), Class("found", UP)),
        axes,
        guides=band + figures.line(axes),
        tips=False,
    )
    return figures.drawn(svg, test=results.place(test))


def along(results: Results, test: Test) -> str:
    """Effects over mean expression."""
    frame = test.frame[test.frame["pvalue"].notna()]
    means = [name for name in frame if name.startswith("mean_")]
    mean = (
        np.log10(np.maximum(frame[means].mean(axis=1).to_numpy(float), 1e-6))
        if means
        else np.zeros(len(frame))
    )
    effect = frame["coef"].to_numpy(float)
    found = test.found(results.config.inference.fdr)[frame.index].to_numpy()
    kinds = np.where(found, np.where(effect > 0, 1, 2), 0)
    wide = figures.limit(effect)
    low, high = (float(mean.min()), float(mean.max())) if len(mean) else (0.0, 1.0)
    axes = (
        figures.x_axis("log10 of mean counts per 10,000", low - 0.05, max(high, low + 0.1) + 0.05),
        figures.y_axis(f"effect, {results.family.scale.short}", -wide, wide),
    )
    svg = figures.scatter(
        test.label,
        mean,
        effect,
        kinds.tolist(),
        frame["gene"].tolist(),
        (Class("not found", REST, faint=True), Class("up", UP), Class("down", DOWN)),
        axes,
        labelled=[
            int(i)
            for i in np.argsort(-frame["neg_log10_pvalue"].to_numpy(), kind="stable")[:NAMED]
            if found[i]
        ],
        guides=figures.line(axes, y=0.0),
        tips=False,
    )
    return figures.drawn(svg, test=results.place(test), x="mean", y="coef", axes=figures.ends(axes))


def partition(frame: pd.DataFrame, design: Mapping[str, Any]) -> dict[str, Floats]:
    """Variance over cells of what each part of the model says of each gene (rows of `frame`), as shares of their sum.

    The fixed effects' is β' cov(X) β, as Nakagawa and Schielzeth (2013) have it: with the tested factor and all covariates
    in it. Nothing where random effects are not all intercepts, or the family has no residual variance.
    """
    random = [each["name"] for each in design.get("random", []) if each["effects"] == [INTERCEPT]]
    coefficients = [f"coef_{name}" for name in design.get("coefficients", [])]
    needed = [*coefficients, "sigma", *(f"sd_{name}_{INTERCEPT}" for name in random)]
    if len(random) < len(design.get("random", [])) or "covariance" not in design or not {*needed} <= {*frame}:
        return {}
    b = frame[coefficients].to_numpy(float)
    parts = {"fixed effects": np.einsum("gi,ij,gj->g", b, np.array(design["covariance"]), b)}
    parts |= {name: frame[f"sd_{name}_{INTERCEPT}"].to_numpy(float) ** 2 for name in random}
    parts["rest"] = frame["sigma"].to_numpy(float) ** 2
    total = sum(parts.values())
    known = np.isfinite(total) & (total > 0)
    return {name: part[known] / total[known] for name, part in parts.items()} if known.any() else {}


def _partition(results: Results, test: Test) -> str:
    """The shares of all genes of a cell type, a row for each part; '' where there are none."""
    parts = partition(test.frame, results.designs[test.cell_type])
    if not parts:
        return ""
    colours = dict(zip(parts, [UP, *SAMPLES], strict=False)) | {"rest": REST}
    words = {"fixed effects": "fixed effects", "rest": "cells"}
    groups = [(words.get(name, f"{name}"), values, colours[name]) for name, values in parts.items()]
    svg = figures.violins(f"{test.cell_type}: all parts", groups, "share of the variance over cells")
    edges = np.linspace(0, 1, BINS + 1).round(3)
    counts = [np.histogram(values, bins=BINS, range=(0, 1))[0] for values in parts.values()]
    rows = zip(edges[:-1], edges[1:], *counts, strict=True)
    return figures.drawn(svg, [["share from", "to", *(name for name, _, _ in groups)], *rows])


def _shares(test: Test) -> list[str]:
    """The ICCs of a comparison's genes, one figure for each factor of them."""
    drawn = []
    names = [
        name for name in test.frame if name == "icc" or (name.startswith("icc_") and "moderated" not in name)
    ]
    for name in names:
        known = test.frame[name].dropna().to_numpy(float)
        if not len(known):
            continue
        counts, edges = np.histogram(known, bins=BINS, range=(0, 1))
        rows = [
            [f"{name} from", "to", "genes"],
            *zip(edges[:-1].round(3), edges[1:].round(3), counts, strict=True),
        ]
        what = "" if name == "icc" else f", {name.removeprefix('icc_')}"
        svg = figures.histogram(
            f"{test.cell_type}{what}: ICC, median {np.median(known):.2f}",
            known,
            "share of the residual variance between samples (ICC)",
            "",
            BINS,
        )
        drawn.append(figures.drawn(svg, rows))
    return drawn
