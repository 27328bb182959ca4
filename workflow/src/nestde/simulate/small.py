"""Two small studies with known truth, of one response each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nestde.simulate.cohorts import SATURATION_MEAN

if TYPE_CHECKING:
    import pandas as pd


def shifted_gene(
    donors: int = 12, cells: int = 40, shift: float = 10.0, donor_sd: float = 3.0, seed: int = 1
) -> "pd.DataFrame":
    """One gene of the first study: `donors` per diagnosis, `cells` each, AD higher by `shift`.

    expression = 50 + 8 (saturation − 0.7) + shift [AD] + N(0, donor_sd²) per donor + N(0, 5²) per cell.

    Returns
    -------
    DataFrame
        2 × donors × cells rows: ``sample_id, diagnosis, sequencing_saturation, batch, aliased_batch,
        expression``; `batch` is balanced over diagnosis, `aliased_batch` is another name for diagnosis.
    """
    import pandas as pd

    random = np.random.default_rng(seed)
    donor = np.repeat(np.arange(2 * donors), cells)
    ad_donor = donor % 2 == 1
    saturation = np.clip(random.normal(SATURATION_MEAN, 0.08, len(donor)), 0.3, 0.98)
    expression = (
        50.0
        + 8.0 * (saturation - SATURATION_MEAN)
        + shift * ad_donor
        + random.normal(0.0, donor_sd, 2 * donors)[donor]
        + random.normal(0.0, 5.0, len(donor))
    )
    return pd.DataFrame(
        {
            "sample_id": [f"S{number + 1:02d}" for number in donor],
            "diagnosis": np.where(ad_donor, "AD", "Control"),
            "sequencing_saturation": saturation,
            "batch": [f"B{number // 2 % 3 + 1}" for number in donor],
            "aliased_batch": np.where(ad_donor, "B2", "B1"),
            "expression": expression,
        }
    )


def nested_growth(
    animals: int = 50,
    images: int = 10,
    points: int = 10,
    fed: int | None = None,
    fixed: Sequence[float] = (1.0, 0.5, 0.05, 0.1),
    animal_sd: Sequence[float] = (0.015, 0.02),
    image_sd: Sequence[float] = (0.06, 0.08),
    sigma: float = 0.085,
    seed: int = 1,
) -> "pd.DataFrame":
    """The second study: points in images in animals, each animal and image with its own line.

    y = (b₀ + a₀ + m₀) + b₁ [fed] + (b₂ + b₃ [fed] + a₁ + m₁) x + ε, to be fitted by
    ``y ~ diet*x + (x | animal/image)``; all random effects are independent.

    Parameters
    ----------
    fed
        Animals fed, the rest are fasted; half of them if not given.
    fixed
        Intercept, slope of x, effect of feeding, its change of the slope.
    animal_sd, image_sd
        SD of intercept and slope between animals, and between the images of an animal.
    sigma
        SD of the residual.

    Returns
    -------
    DataFrame
        animals × images × points rows: ``y, diet, x, animal, image``; x runs evenly from 0 to 1; images are
        numbered from 1 in every animal, so that their labels repeat.
    """
    import pandas as pd

    random = np.random.default_rng(seed)
    fed = animals // 2 if fed is None else fed
    shape = (animals, images, points)
    animal, image, _ = (index.ravel() for index in np.indices(shape))
    x = np.broadcast_to(np.linspace(0.0, 1.0, points), shape).ravel()
    is_fed = animal < fed
    by_animal = random.normal(size=(animals, 2)) * np.asarray(animal_sd)
    by_image = random.normal(size=(animals, images, 2)) * np.asarray(image_sd)
    line = by_animal[animal] + by_image[animal, image]
    y = (fixed[0] + fixed[2] * is_fed + line[:, 0]) + (fixed[1] + fixed[3] * is_fed + line[:, 1]) * x
    return pd.DataFrame(
        {
            "y": y + random.normal(0.0, sigma, len(y)),
            "diet": np.where(is_fed, "fed", "fasted"),
            "x": x,
            "animal": [f"A{number + 1:02d}" for number in animal],
            "image": [str(number + 1) for number in image],
        }
    )
