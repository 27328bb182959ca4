"""What is known of the p-values when samples are few, in sentences that check, report and documentation share."""

from collections.abc import Mapping

import numpy as np

from nestde.cells.depth import LOG_SIZE_FACTOR, says_depth, span
from nestde.design.formula import Formula
from nestde.fit.family import family

FEW_SAMPLES = (
    "With few samples the likelihood-ratio test is too bold, and t and F tests (Satterthwaite, Kenward and Roger, containment) "
    "keep their size but find little; the moderated test, the headline wherever it applies, keeps its size over all genes together "
    "and finds more."
)
# tests/bench/moderated_size.py: 44,000 genes a design, samples of 10 to 200 cells, intraclass correlations as they are mixed in
# tissue (a fifth 0, the others log-normal with a median of 0.03); a tenth differ, by 0.3 to 1.2 standard deviations.
MEASURED = (
    "In simulated genes of samples with 10 to 200 cells, null genes had p < 0.05 in 5.2 % by the moderated test, 10.6 % by the "
    "likelihood ratio, 2.8 % by Satterthwaite and 0.8 % by Kenward and Roger at 3 v 3 samples; 5.0 %, 7.4 %, 4.3 % and 4.1 % at 6 v 6; "
    "5.0 %, 6.0 %, 4.2 % and 4.1 % at 12 v 12. Of true differences, at a false discovery rate of 5 %, the moderated test found 56 % "
    "at 3 v 3 (4 % of what it found was false), 86 % at 6 v 6 (5 %) and 95 % at 12 v 12 (4 %); the likelihood ratio 70 % (18 % false), "
    "87 % (9 %) and 95 % (6 %)."
)
CALIBRATED_ON_AVERAGE = (
    "This is an average over genes. A p-value that borrows from other genes can be honest for all together, and still too small for "
    "genes whose samples vary more than most, and too large for those that vary less."
)
# tests/bench/normalisation.py: by how many times deeper the cells of one arm were counted, the share of genes without any
# difference that have p < 0.05 by the moderated test of a linear formula without a depth term, 6 v 6 samples.
DEPTH_SIZE = {1.0: 0.048, 1.5: 0.184, 2.0: 0.384, 3.0: 0.648, 4.0: 0.757}
DEEPER = 1.25  # times that are told


def lacks_depth(formula: Formula, family_name: str) -> bool:
    """Whether depth goes into a test: the family takes logarithms of scaled counts, and no covariate says how much was counted."""
    return family(family_name).engine != "counts" and not says_depth(formula.variables)


def depth_words(deeper: Mapping[str, float]) -> str:
    """What it does that the cells of some levels were counted deeper than those of others.

    `deeper` has multiples of the first level's depth.
    """
    times = span(deeper)
    known = np.array(list(DEPTH_SIZE))
    size = float(np.interp(np.log(times), np.log(known), list(DEPTH_SIZE.values())))
    told = ", ".join(f"× {ratio:.2f} in {level}" for level, ratio in deeper.items())
    return (
        f"Cells were counted to different depths: {told}. Logarithms of scaled counts are not free of depth. In simulated studies of 6 v 6 "
        f"samples with that much between the arms, about {100 * size:.0f}\u00a0% of genes without any difference had p < 0.05, not "
        f"5\u00a0%, and no p-value repairs that. Add + {LOG_SIZE_FACTOR} to the formula: the logarithm of what the counts of each cell are "
        "divided by."
    )
