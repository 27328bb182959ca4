"""What `nestde power` foretells, beside what is found in simulated counts: 26 studies, counts to false discovery rate.

python tests/bench/power_scenarios.py [--like RESULTS --cell-type NAME] [--only 3] [--error 0.007]

Foretold: `nestde.calibrate.planning.power` on 24,000 genes, drawn as sums over samples. Found: gamma-Poisson counts of 2,000 genes, a
fifth of which differ by the fold change, up or down; median-of-ratios size factors, log(1 + count per 10,000), sums, the moderated
test with its own prior, Benjamini and Hochberg over all genes. Every cohort of every study has random numbers of its own; cohorts
are drawn until the standard error of what is found is as asked, at least 10 and at most 80. Genes are made up (means log-normal, dispersions about 0.4, a fifth
of the genes without variance between donors, the others' SD on the natural logarithm's scale log-normal about 0.2), or those of a results folder.
"""

import argparse
from dataclasses import dataclass

import numpy as np

from nestde.calibrate.planning import Effects, counted, power
from nestde.calibrate.scenarios import LAYOUTS, LEVELS, Scenario
from nestde.design.design import build_design
from nestde.fit.basis import basis
from nestde.fit.family import family
from nestde.fit.fdr import benjamini_hochberg
from nestde.fit.grain import grain_of
from nestde.fit.moderated import arms_of, moderate
from nestde.fit.statistics import sum_up
from nestde.simulate.learnt import Learnt, learn
from nestde.simulate.moments import moments
from nestde.size_factors import size_factor
from nestde.size_factors.size_factor import Counted

GENES, SHARE, FDR = 2_000, 0.2, 0.05
DRAWN = 24_000  # thrice what `nestde power` draws: a standard error of at most 0.005


@dataclass(frozen=True)
class Study:
    """A study, the fold change (of slopes: the effect in SDs) of what differs, and what share of a donor's variance is between its samples.

    `slope` is the variance of donors' slopes, in that of their levels.
    """

    scenario: Scenario
    fold: float
    within: float = 0.0
    like: bool = False
    slope: float = 0.0


STUDIES = [
    *(
        Study(Scenario("unpaired", (n, n), cells), fold)
        for n in (3, 6, 12)
        for cells in (50.0, 200.0)
        for fold in (1.5, 2.0)
    ),
    Study(Scenario("unpaired", (4, 10), 100.0), 1.5),
    Study(Scenario("unpaired", (6, 6), 100.0, spread=0.7), 1.5),
    Study(Scenario("unpaired", (8, 8), 100.0, dropout=0.2), 1.5),
    Study(Scenario("paired", (6, 6), 50.0), 1.5, 0.5),
    Study(Scenario("paired", (6, 6), 200.0), 1.5, 0.5),
    Study(Scenario("paired", (10, 10), 50.0), 1.5, 0.2),
    Study(Scenario("nested", (6, 6), 50.0, samples=2), 1.5, 0.5),
    Study(Scenario("interaction", (12, 12), 100.0), 2.0),
    Study(Scenario("unpaired", (6, 6), 40.0), 1.5, like=True),
    Study(Scenario("unpaired", (12, 12), 40.0), 1.5, like=True),
    Study(Scenario("unpaired", (24, 24), 40.0), 1.5, like=True),
    Study(Scenario("unpaired", (6, 6), 160.0), 1.5, like=True),
    Study(Scenario("slope", (8, 8), 100.0), 0.2, slope=0.3),
    Study(Scenario("slope", (12, 12), 50.0), 0.3, slope=0.3),
]


def made_up(random: np.random.Generator) -> Learnt:
    """2,000 genes that are all there are, in cells of 3,000 counts."""
    mean = np.exp(random.normal(0.0, 1.6, 4 * GENES))
    mean = np.sort(mean)[-GENES:]  # what is not detected is not tested
    mean *= 1e4 / mean.sum()
    dispersion = 0.1 + np.exp(random.normal(np.log(0.3), 0.6, GENES))
    size = 0.3 * np.exp(random.normal(0.0, 0.3, 5_000))
    expression, sigma = moments(size).at(mean, dispersion)
    # what donors differ by on the logarithm's scale does not depend on the mean; on that of y it does
    known = moments(size)
    sd = np.exp(random.normal(np.log(0.2), 0.6, GENES)) * (random.random(GENES) > 0.2)
    psi = (sd * known.slope(mean, dispersion) / sigma) ** 2
    nodes = np.concatenate([[0.0], np.geomspace(1e-5, 3.0, 60)])
    node = np.abs(np.log(nodes + 1e-7) - np.log(psi + 1e-7)[:, None]).argmin(axis=1)
    stratum = np.argsort(np.argsort(expression)) * 12 // GENES
    weights = np.stack([np.bincount(node[stratum == i], minlength=61) for i in range(12)]) / (GENES / 12)
    knots = np.array([np.median(expression[stratum == i]) for i in range(12)])
    return Learnt(
        *("made up", "group", ("reference", "other"), np.array([f"G{i}" for i in range(GENES)], object)),
        *(mean, expression, sigma, knots, nodes[:, None], weights, ("donor",)),
        *(np.zeros(5_000), size, np.zeros(5_000, np.int64), np.zeros(1, np.int64)),
    )


def variances(psi, study: Study) -> dict[str, np.ndarray]:
    """Of each component, in residual variances."""
    if "sample" in LAYOUTS[study.scenario.layout].components:
        return {"donor": psi.mean(axis=1) * (1 - study.within), "sample": psi.mean(axis=1) * study.within}
    if study.slope:
        return {"donor": psi.mean(axis=1), "slope": psi.mean(axis=1) * study.slope}
    return {"donor": psi if psi.shape[1] == 2 else psi[:, 0]}


def foretold(learnt: Learnt, study: Study) -> float:
    """What `nestde.power` says."""
    chosen, psi = learnt.evenly(DRAWN)
    known = learnt.moments()
    mean, sigma = learnt.mean[chosen], learnt.sigma[chosen]
    of = variances(psi, study)
    if study.slope:
        genes = Effects(np.full(DRAWN, study.fold), of, learnt.expression[chosen])
    else:
        log_fold = float(np.log(study.fold))
        effect = known.shift(mean, known.dispersion(mean, sigma), log_fold) / sigma
        genes = Effects(*(effect, of, learnt.expression[chosen]), counted(mean, sigma, of, log_fold, known))
    return power(study.scenario, genes, fdr=FDR, share=SHARE, threads=1).by_fdr


def found(learnt: Learnt, study: Study, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Of one cohort of counts: genes that differ, those found, all found, genes."""
    frame = study.scenario.frame(random)
    layout = LAYOUTS[study.scenario.layout]
    genes = len(learnt.genes)
    if frame is None:
        return round(SHARE * genes), 0, 0, genes
    known = learnt.moments()
    dispersion = known.dispersion(learnt.mean, learnt.sigma)
    scale = learnt.sigma / known.slope(learnt.mean, dispersion)
    differs = random.random(genes) < SHARE
    effect = np.where(differs, random.choice([-1.0, 1.0], genes), 0.0)
    effect *= study.fold * scale if study.slope else np.log(study.fold)
    other = (frame["group"] == "other").to_numpy(float)
    if "second" in frame:
        other = other * (frame["second"] == "b").to_numpy(float)
    sample = frame["sample"].astype(int).to_numpy()
    donor = frame["donor"].astype(int).to_numpy()
    first = np.unique(sample, return_index=True)[1]
    of_sample = np.log(learnt.mean) + np.outer(other[first] - 0.5, effect * (study.slope == 0))
    slopes = np.outer(other[first] - 0.5, effect * (study.slope > 0))
    for name, values in variances(learnt.draw_variances(learnt.expression, random), study).items():
        of = sample if name == "sample" else donor
        own = values if values.ndim == 1 else values[:, [0]]
        sd = np.sqrt(own.reshape(genes)) * scale
        if values.ndim == 2:  # an own variance in each group
            sds = np.sqrt(values) * scale[:, None]
            sd = sds[:, other[np.unique(of, return_index=True)[1]].astype(int)].T
        sd = np.broadcast_to(np.clip(sd, 0, 2), (of.max() + 1, genes))
        deviation = sd * random.normal(size=sd.shape)
        if name == "slope":
            slopes = slopes + deviation[of[first]]
        of_sample = of_sample + (deviation * (name != "slope") - sd**2 / 2)[of[first]]
    size = random.choice(learnt.size_factor, len(frame))
    mean = np.exp(of_sample)[sample] * size[:, None]
    if study.slope:
        mean *= np.exp(slopes[sample] * frame["x"].to_numpy()[:, None])
    counts = random.poisson(mean * random.gamma(1 / dispersion, dispersion, mean.shape))
    total = counts.sum(axis=1).astype(float) if not study.like else size * 1e4
    profiles = np.stack([np.bincount(sample, column, len(first)) for column in counts.T], axis=1).astype(
        np.int64
    )
    scaled = size_factor("median_of_ratios").scale(Counted(total, sample, len(first), lambda: profiles))

    import scipy.sparse

    design = build_design(layout.formula, frame, test=[layout.test], levels=LEVELS)
    names = np.array([f"G{i}" for i in range(genes)], object)
    sums = sum_up(
        family("gaussian"),
        grain_of(design, basis(design)),
        scipy.sparse.csc_array(counts),
        scaled.of_cells,
        names,
        1,
    )
    model, products = sums.model_of(design)
    test = moderate(
        *(model, products, [design.tested(layout.test)], sums.mean),
        arms=arms_of(design, layout.test), estimates=False, threads=1,
    )  # fmt: skip
    taken = benjamini_hochberg(np.exp(test.tests[0].log_p)) <= FDR
    return int(differs.sum()), int((taken & differs).sum()), int(taken.sum()), genes


def main() -> None:
    """Print a row for each study."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--like")
    parser.add_argument("--cell-type")
    parser.add_argument("--only", type=int, nargs="+")
    parser.add_argument("--error", type=float, default=0.007)
    options = parser.parse_args()
    own = made_up(np.random.default_rng(0))
    other = learn(options.like, options.cell_type) if options.like else None
    print(
        "| study | cells | fold change | foretold | found (± standard error, cohorts) | false discoveries |"
    )
    print("|---|---|---|---|---|---|")
    for number, study in enumerate(STUDIES):
        if (options.only and number not in options.only) or (study.like and other is None):
            continue
        learnt = other if study.like else own
        rounds = list[tuple[int, int, int, int]]()
        while True:
            rounds.append(found(learnt, study, np.random.default_rng([number, len(rounds), 7])))
            each = np.array(rounds, float)
            share = each[:, 1] / each[:, 0]
            error = share.std(ddof=1) / np.sqrt(len(share)) if len(share) > 1 else 1.0
            if len(share) == 80 or (len(share) >= 10 and error <= options.error):
                break
        false = (each[:, 2] - each[:, 1]).sum() / max(each[:, 2].sum(), 1)
        s = study.scenario
        words = f"{s.layout} {s.donors[0]} + {s.donors[1]}"
        for name, value in (
            ("samples", s.samples - 1 and s.samples),
            ("spread", s.spread),
            ("dropout", s.dropout),
            ("slope", study.slope),
        ):
            words += f", {name} {value:g}" if value else ""
        words += f", like {learnt.cell_type}" if study.like else ""
        print(
            f"| {words} | {s.cells:g} | {study.fold:g} | {foretold(learnt, study):.3f} | {share.mean():.3f} ± {error:.3f} ({len(share)}) | {false:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
