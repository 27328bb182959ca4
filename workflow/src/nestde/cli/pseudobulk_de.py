"""Test pseudobulk profiles with PyDESeq2."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--settings", required=True, help="sections model, pseudobulk, inference, as JSON or a YAML file"
    )
    parser.add_argument("--counts", type=Path, required=True, help="what `nestde pseudobulk` wrote")
    parser.add_argument("--samples", type=Path, required=True, help="the checked sample sheet")
    parser.add_argument("--out", type=Path, required=True, help="TSV: every gene, tested term and level")
    parser.add_argument(
        "--explore", type=Path, help="JSON: the formula, samples' principal components and distances"
    )


def main(args: argparse.Namespace) -> None:
    """Test; say with which formula and how many genes."""
    from nestde.cells.pseudobulk import read
    from nestde.expression.pseudobulk_de import explore, test
    from nestde.expression.tables import TEXT
    from nestde.io.counts import OURS
    from nestde.io.files import write_json, write_tsv
    from nestde.logs import log
    from nestde.study.config import sections
    from nestde.study.samples import read_checked

    config = sections(args.settings)
    found = read(args.counts, read_checked(args.samples))
    log.info("%s: %d profiles of %d genes are tested", found.uns["cell_type"], *found.shape)
    table, formula, reason = test(found, config.model, config.pseudobulk.formula, config.inference.fdr)
    write_tsv(table, args.out, TEXT)
    if args.explore:
        left_out = found.obsm[OURS]["left_out"].loc[lambda why: why != ""]
        about = {
            "cell_type": str(found.uns["cell_type"]),
            "formula": formula.text,
            "derived": formula.derived,
            "dropped": list(formula.dropped),
            "paired": list(formula.paired),
            "reason": reason,
            "left_out": {str(sample): str(why) for sample, why in left_out.items()},
        }
        write_json(about | explore(found), args.explore)
    log.info(
        f"{found.uns['cell_type']}: {formula.text}; {(table['status'] == 'ok').sum():,} tests. {reason}".rstrip()
    )
