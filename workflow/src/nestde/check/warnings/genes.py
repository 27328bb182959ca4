"""What is warned of genes that some files do not have: they were not measured there."""

from collections.abc import Iterator

import numpy as np

from nestde.check.faults import Answer
from nestde.check.found import Warned
from nestde.check.study import Study, labels_of
from nestde.check.terms import ordered_levels, tested_variables
from nestde.check.wording import count
from nestde.errors import a_few

MOST = 0.8  # share of a level's samples in which a gene is absent, and of another's in which it is there


def absent_with_levels(study: Study, answer: Answer) -> Iterator[Warned]:
    """Genes that are absent from the files of one level of what is tested, and there in those of another."""
    features = study.features
    if features is None:
        return
    place = [features.files.index(study.paths[sample]) for sample in study.samples]
    if len(set(place)) < 2:
        return
    there = features.there[place]
    for name in tested_variables(study):
        variable = study.variables[name]
        if not variable.between or not variable.factor:
            continue
        labels = labels_of(variable.values)
        share = {
            level: there[np.asarray(labels == level)].mean(axis=0)
            for level in ordered_levels(study, name, labels)
            if (labels == level).any()
        }
        for level, mine in share.items():
            others = np.max([share[other] for other in share if other != level], axis=0, initial=0.0)
            genes = features.genes[(mine <= 1 - MOST) & (others >= MOST)]
            if len(genes):
                zero = study.config.input.absent_genes == "zero"
                yield Warned(
                    "genes_absent_by_level",
                    f"Genes are missing from the files of {name} {level}",
                    f"{count(len(genes), 'gene')} of {len(features.genes):,} {'is' if len(genes) == 1 else 'are'} not among the "
                    f"features of most or all samples of {name} {level}, and among those of others: {a_few(genes)}. "
                    + (
                        f"input.absent_genes is zero: each would be found to differ in {name}, and nobody has looked. Set it "
                        "to not_measured, unless genes without counts were dropped from these files."
                        if zero
                        else "They are not tested."
                    )
                    + " These files were made in another way (reference, filter); other genes may differ for that reason too. "
                    "Make all of them in one way.",
                )


def absent_genes(study: Study, answer: Answer) -> Iterator[Warned]:
    """Genes that are not in every file."""
    features = study.features
    if features is None or features.there.all():
        return
    lacking = (~features.there).sum(axis=1)
    files = [f"{file} ({int(lacking[i]):,})" for i, file in enumerate(features.files) if lacking[i]]
    n = int((~features.there.all(axis=0)).sum())
    what = (
        "They are taken to have no counts there (input.absent_genes: zero)."
        if study.config.input.absent_genes == "zero"
        else "Nothing is known of them there: they are not tested in cell types with a tested sample of such a file "
        "(input.absent_genes: not_measured)."
    )
    yield Warned(
        "genes_absent",
        "Genes are not in every file",
        f"{count(n, 'gene')} of {len(features.genes):,} {'is' if n == 1 else 'are'} not among the features of every file. Missing are, by file: "
        f"{a_few(files)}. {what}",
    )
