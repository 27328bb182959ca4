"""`nestde.simulate(…)`: a cohort with known truth, in memory."""

from typing import TYPE_CHECKING, Any

from nestde.errors import NestdeError, a_few
from nestde.simulate import Cohort, simulate

if TYPE_CHECKING:
    import anndata
    import pandas as pd


def simulate_cohort(**options: Any) -> tuple["anndata.AnnData", dict[str, "pd.DataFrame"]]:
    """Simulate a cohort: raw counts of cells nested in samples nested in a diagnosis, and what is true of them.

    Parameters
    ----------
    **options
        Of `nestde.simulate.Cohort`, which is what ``nestde simulate`` takes: ``donors`` a diagnosis, ``cells`` a donor,
        ``genes``, ``depth`` (median counts a cell), ``cell_types``, ``diagnoses`` (the reference first), ``batches``,
        ``de_share`` (of genes that differ), ``unequal``, ``alias_batch``, ``seed``.

    Returns
    -------
    adata
        Cells × genes, raw counts (int32 CSR); obs ``sample_id, cell_type, sequencing_saturation`` and covariates of samples.
    tables
        ``samples`` (the sheet), ``truth`` (a row per gene, cell type and diagnosis: ``log2fc, donor_sd, dispersion, …``),
        ``truth_cells`` (cells that are not good). The model behind them: `nestde.simulate`.

    Raises
    ------
    NestdeError
        Options that there are not, or that cannot be.
    """
    known = list(Cohort.__dataclass_fields__)
    strange = [name for name in options if name not in known]
    if strange:
        raise NestdeError(f"simulate: {a_few(strange)} is no option; there are {a_few(known, 20)}.")
    listed: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items()
    }
    return simulate(Cohort(**listed))
