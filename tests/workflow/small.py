"""A study that is small enough to be run many times: six donors, one cell type, every step."""

from pathlib import Path

import yaml

from nestde.run.rules import init
from nestde.simulate import Cohort, write

CONFIG = {
    "title": "Six donors",
    "samples": "config/samples.tsv",
    "cell_types": ["Neuron"],
    "input": {"counts": "config/counts.h5ad"},
    "qc": {"min_counts": 50, "min_genes": 20, "min_cells_per_sample": 10, "doublets": "never"},
    "model": {
        "formula": "~ sequencing_saturation + diagnosis + (1 | sample_id)",
        "test": ["diagnosis"],
        "levels": {"diagnosis": ["Control", "AD"]},
    },
    "inference": {"crosscheck_genes": 3},
    "chunks": 3,
}


def start_study(folder: Path) -> Path:
    """Start the study, with the shipped Snakefile and rules, in a new folder; the same bytes each time."""
    init(folder)
    write(Cohort(donors=3, cells=40, genes=200, cell_types=("Neuron",), batches=1), folder / "config")
    (folder / "config/config.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder
