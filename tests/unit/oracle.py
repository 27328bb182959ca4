"""Cases that R fitted (tests/oracle), as designs, responses and records."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from nestde import design

FOLDER = Path(__file__).parents[1] / "oracle"
SINGLE = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "slopes")


@cache
def case(name):
    """Design, response and what R recorded."""
    record = json.loads((FOLDER / f"{name}.json").read_text())
    frame = pd.read_csv(FOLDER / "data" / f"{record['data']}.csv")
    built = design.build(record["formula"], frame, levels=record["levels"] or None)
    return built, design.response(built.formula, frame), record


@cache
def slopes():
    """Design, the responses of 50 genes, and what R recorded of each."""
    record = json.loads((FOLDER / "slopes.json").read_text())
    frame = pd.read_csv(FOLDER / "data" / "slopes.csv")
    built = design.build(record["formula"], frame, levels=record["levels"], test=["diagnosis"])
    genes = record["genes"]
    return built, frame[list(genes)].to_numpy(), list(genes.values())


def factors(built, fit):
    """Λ of each random factor, (1, k, k), from R's standard deviations and correlations."""
    out = []
    for factor in built.random:
        group, k = fit["groups"][factor.name], len(factor.effects)
        sd = np.array([group["sd"][effect] for effect in factor.effects])
        corr = np.eye(k)
        for pair, value in group.get("corr", {}).items():
            i, j = (factor.effects.index(effect) for effect in pair.split(","))
            corr[i, j] = corr[j, i] = value if value != "NaN" else 0.0
        values, vectors = np.linalg.eigh(np.outer(sd, sd) * corr / fit["sigma"] ** 2)
        lower = np.linalg.qr((vectors * np.sqrt(np.clip(values, 0, None))).T)[1].T
        out.append((lower * np.where(np.diag(lower) < 0, -1, 1))[None])
    return out
