"""Build the design of one cell type from the formula and its cells.

A cell type in which the formula cannot be fitted is no error: its genes become rows with the reason.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument("--cell-type", required=True, help="the cell type, as it is named")
    parser.add_argument("--samples", type=Path, required=True, help="the checked sample sheet")
    parser.add_argument("--cells", required=True, type=Path, help="covariates of the cells (h5ad)")
    parser.add_argument("--out", required=True, type=Path, help="design (npz)")
    parser.add_argument("--explain", required=True, type=Path, help="what it is made of (json)")


def main(args: argparse.Namespace) -> None:
    """Read the cells' covariates, build the design, write it."""
    from dataclasses import asdict

    import numpy as np

    from nestde.cells.covariates import read_measured, read_obs, read_roster, read_uns
    from nestde.cells.depth import depths
    from nestde.check.footing import cells_of, footings
    from nestde.design.effects import RandomEffects
    from nestde.design.testable import NotTestable, design_to_test
    from nestde.fit.family import family
    from nestde.io.files import write_json
    from nestde.logs import log
    from nestde.study.config import sections
    from nestde.study.samples import read_checked

    config = sections(args.settings)
    obs = read_obs(args.cells, read_checked(args.samples))
    model = config.model
    roster = read_roster(args.cells)
    why = roster.untestable()
    fitted = family(model.family)
    design = (
        NotTestable(why)
        if why
        else design_to_test(model.formula, obs, test=model.test, levels=model.levels, why_not=fitted.why_not)
    )
    if not isinstance(design, NotTestable):
        design = roster.explain(design, model)
    design.save(args.out)
    if isinstance(design, NotTestable):
        content = {"testable": False, "reason": design.reason}
    else:
        content = {
            "testable": True,
            "reason": "",
            "cells": design.n,
            "groups": {factor.name: len(factor.levels) for factor in design.random},
            "coefficients": list(design.coef_names),
            # of the columns of the fixed effects over cells: from it and coefficients, what they explain of a gene's variance
            "covariance": np.cov(design.x, rowvar=False, bias=True).reshape(2 * design.x.shape[1:]).tolist(),
            "random": [asdict(effects) for effects in RandomEffects.of(design.random)],
            "levels": {name: list(levels) for name, levels in design.levels.items()},
            "tests": [asdict(footing) for footing in footings(design)],
            "untested": design.untested,
        }
    told = read_uns(args.cells)
    content |= cells_of(obs, model) | {
        "cell_type": args.cell_type,
        "roster": roster.content(),
        "depths": depths(read_measured(args.cells), obs["sample_id"]),
        "size_factors": {name: str(value) for name, value in told["size_factors"].items()},
        "genes": {
            "absent_genes": str(told["genes"]["absent_genes"]),
            "came": int(told["genes"]["in_any_sample"]),
            "in_every_sample": int(told["genes"]["in_every_sample"]),
            "removed": {rule: int(number) for rule, number in told["genes"]["removed"].items()},
            "tested": int(told["genes"]["tested"]),
        },
    }
    write_json(content, args.explain)
    if isinstance(design, NotTestable):
        log.info("%s: is not testable: %s", content["cell_type"], design.reason)
    else:
        log.info("%s: %d cells, %d coefficients", content["cell_type"], design.n, len(design.coef_names))
