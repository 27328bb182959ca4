"""Example studies, made when they are asked for: a configuration in config/examples and small simulated data of its design.

Counts are gamma-Poisson with a mean of exp(base_g + depth + effect_g · w + donor + sample + slope · x), a fifth of the genes with
an effect: w is what the example is about.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nestde.errors import NestdeError
from nestde.io.files import atomic, write_tsv
from nestde.study.template import template_dir

if TYPE_CHECKING:
    import anndata
    import pandas as pd

GENES, DIFFERENT, SHAPE = 240, 0.2, 4.0
# SDs on the natural logarithm: of donors, of samples within donors, of slopes.
DONOR, SAMPLE, SLOPE = 0.15, 0.1, 0.1


class Example(NamedTuple):
    """A study by design.

    Attributes
    ----------
    sheet
        Makes one row per sample: `sample_id`, covariates, and `weight`, by which its cells have the effect.
    cell_types
        Names.
    cells
        Of a sample and cell type.
    slope
        Covariate of cells whose slope has the effect instead; '' if none.
    """

    sheet: Callable[[], "pd.DataFrame"]
    cell_types: tuple[str, ...] = ("Neuron", "Astrocyte")
    cells: int = 30
    slope: str = ""


def _sheet(donors: int, levels: dict[str, float], column: str) -> "pd.DataFrame":
    """Donors of each level in turn, one sample each."""
    import pandas as pd

    names = list(levels)
    level = [names[i % len(names)] for i in range(donors)]
    return pd.DataFrame(
        {
            "sample_id": [f"S{i + 1:02d}" for i in range(donors)],
            column: level,
            "age": [60 + 7 * i % 23 for i in range(donors)],
            "weight": [levels[name] for name in level],
        }
    )


def _times(donors: "pd.DataFrame", levels: dict[str, float], column: str) -> "pd.DataFrame":
    """Several samples of each donor."""
    import pandas as pd

    rows = [
        {
            **row,
            "sample_id": f"{row['sample_id']}_{name}",
            "donor": row["sample_id"],
            column: name,
            "weight": row["weight"] + add,
        }
        for row in donors.to_dict("records")
        for name, add in levels.items()
    ]
    return pd.DataFrame(rows).replace({"donor": r"^S"}, "D", regex=True)


AD = {"Control": 0.0, "AD": 1.0}
EXAMPLES = {
    "two_groups": Example(lambda: _sheet(12, AD, "diagnosis")),
    "paired": Example(
        lambda: _times(
            _sheet(8, {"all": 0.0}, "group").drop(columns="group"), {"ctrl": 0.0, "stim": 1.0}, "condition"
        )
    ),
    "three_levels": Example(lambda: _sheet(18, {"Control": 0.0, "MCI": 0.5, "AD": 1.0}, "diagnosis")),
    "nested_samples": Example(
        lambda: _times(
            _sheet(10, AD, "diagnosis"), {"frontal": 0.0, "temporal": 0.0, "occipital": 0.0}, "region"
        ),
    ),
    "slope": Example(lambda: _sheet(14, AD, "diagnosis"), slope="plaque_distance"),
    "poisson": Example(
        lambda: _sheet(12, AD, "diagnosis"),
        cell_types=("Ex", "In", "Ast", "Oli", "Opc", "Mic"),
        cells=20,
    ),
}


def config_of(name: str) -> Path:
    """The configuration of an example.

    Raises
    ------
    NestdeError
        There is no such example.
    """
    if name not in EXAMPLES:
        raise NestdeError(f"--example {name}: there is no such example; there are {', '.join(EXAMPLES)}.")
    return template_dir() / "config/examples" / f"{name}.yaml"


def simulate(name: str) -> tuple["anndata.AnnData", "pd.DataFrame"]:
    """Simulate the data of an example: cells × genes of raw counts, and the sample sheet; the same each time."""
    import anndata as ad
    import pandas as pd
    from scipy.sparse import csr_matrix

    config_of(name)
    example = EXAMPLES[name]
    random = np.random.default_rng([18, list(EXAMPLES).index(name)])
    sheet = example.sheet()
    donors = sheet.get("donor", sheet["sample_id"])
    donor = pd.factorize(donors)[0]
    n, kinds = len(sheet), len(example.cell_types)
    base = random.normal(1.0, 1.0, (kinds, GENES))
    effect = np.where(
        random.random((kinds, GENES)) < DIFFERENT, random.choice([-0.6, 0.6], (kinds, GENES)), 0.0
    )
    of_donor = random.normal(0.0, DONOR, (donor.max() + 1, kinds, GENES))
    of_sample = random.normal(0.0, SAMPLE, (n, kinds, GENES))
    of_slope = random.normal(0.0, SLOPE, (n, kinds, GENES))
    row, kind, _ = (index.ravel() for index in np.indices((n, kinds, example.cells)))
    saturation = np.round(np.clip(random.normal(0.7, 0.06, len(row)), 0.3, 0.98), 4)
    x = np.round(random.uniform(-1.0, 1.0, len(row)), 3)
    weight = sheet["weight"].to_numpy()[row] * (x if example.slope else 1.0)
    log_mean = base[kind] + of_donor[donor[row], kind] + of_sample[row, kind] + effect[kind] * weight[:, None]
    if example.slope:
        log_mean += of_slope[row, kind] * x[:, None]
    log_mean += random.normal(0.0, 0.25, len(row))[:, None] + (saturation - 0.7)[:, None]
    mean = np.exp(log_mean) * random.gamma(SHAPE, 1.0 / SHAPE, log_mean.shape)
    obs = pd.DataFrame(
        {
            "sample_id": pd.Categorical(sheet["sample_id"].to_numpy()[row]),
            "cell_type": pd.Categorical.from_codes(kind, list(example.cell_types)),
            "sequencing_saturation": saturation,
            **({example.slope: x} if example.slope else {}),
        },
        index=[f"C{i + 1:05d}" for i in range(len(row))],
    )
    genes = pd.DataFrame(index=[f"G{i + 1:03d}" for i in range(GENES)])
    counts = csr_matrix(random.poisson(mean).astype(np.int32))
    return ad.AnnData(counts, obs=obs, var=genes), sheet.drop(columns="weight")


def write(name: str, folder: Path) -> None:
    """Write an example's configuration, sample sheet and counts into the folder ``config`` of a study."""
    config = config_of(name)
    adata, sheet = simulate(name)
    with atomic(folder / "counts.h5ad") as temporary:
        adata.write_h5ad(temporary, compression="gzip", compression_opts=9)
    write_tsv(sheet, folder / "samples.tsv")
    with atomic(folder / "config.yaml") as temporary:
        temporary.write_bytes(config.read_bytes())
