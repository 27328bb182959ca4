"""Test gene sets: decoupler's scores of the genes' statistics, held against relabelled samples.

nestde enrich --settings config/config.yaml --cell-type Neuron --design results/design/Neuron.npz --genes results/matrix/Neuron.genes.tsv \
    --statistics results/statistics/Neuron.npz --gene-sets hallmark.gmt --out neuron.sets.tsv
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument("--settings", required=True, help="configuration: JSON text or a file")
    parser.add_argument("--cell-type", required=True, help="its name")
    parser.add_argument("--design", required=True, type=Path, help="design of the cell type (npz)")
    parser.add_argument("--statistics", required=True, type=Path, help="what `nestde statistics` wrote (npz)")
    parser.add_argument("--genes", required=True, type=Path, help="the ledger of its genes (tsv)")
    parser.add_argument("--gene-sets", required=True, type=Path, help="GMT: name, description, genes")
    parser.add_argument("--threads", type=int, default=1, help="results do not depend on it")
    parser.add_argument(
        "--out", required=True, type=Path, help="TSV: every set, tested term and pair of levels"
    )


def main(args: argparse.Namespace) -> None:
    """Score, relabel, write."""
    from nestde.design.testable import load_design
    from nestde.expression.enrichment import TEXT, enrich, in_data
    from nestde.expression.tables import TEXT as OF_TABLES
    from nestde.fit.statistics import load
    from nestde.io.files import read_tsv, write_tsv
    from nestde.io.gene_sets import read_gene_sets
    from nestde.logs import log
    from nestde.study.config import sections

    config = sections(args.settings)
    sets = in_data(read_gene_sets(args.gene_sets), read_tsv(args.genes, text=OF_TABLES))
    table = enrich(
        *(args.cell_type, load_design(args.design), load(args.statistics), config.model.test, sets),
        config.inference.p_value,
        score=config.enrich.score,
        min_genes=config.enrich.min_genes,
        number=config.calibration.relabellings,
        seed=config.seed,
        threads=args.threads,
    )
    write_tsv(table, args.out, TEXT)
    log.info(f"{args.cell_type}: {(table['status'] == 'ok').sum():,} tests of sets, found by {sets.by}")
