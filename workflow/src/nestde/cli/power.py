"""Plan the next study: what share of genes it would find, with so many donors and cells.

nestde power --like results/ --cell-type Neuron
nestde power --like results/ --cell-type Neuron --donors 6 12 6:18 --cells 50 200 --fold-change 1.5 2 --out power.tsv
nestde power --icc 0.1 --mean 2 --donors 6 12 --cells 100 400

By the moderated test, of cohorts that are drawn from the results' prior of variances, or of genes that are given by numbers.
"""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--like", type=Path, metavar="RESULTS", help="results of a study: its genes and variances"
    )
    parser.add_argument("--cell-type", metavar="NAME", help="of these results")
    gene = parser.add_argument_group("a gene in numbers, without results")
    gene.add_argument(
        "--icc", type=float, default=0.1, help="share of variance between samples (default: 0.1)"
    )
    gene.add_argument("--mean", type=float, default=1.0, help="counts per 10,000 (default: 1)")
    gene.add_argument(
        "--dispersion", type=float, default=0.3, help="variance = mean + dispersion·mean² (default: 0.3)"
    )
    gene.add_argument("--depth", type=float, default=3000, help="median counts of a cell (default: 3000)")
    study = parser.add_argument_group("the study")
    study.add_argument(
        "--layout",
        default="unpaired",
        choices=["unpaired", "nested", "paired", "slope", "interaction"],
        help="who is compared with whom (default: unpaired)",
    )
    study.add_argument(
        "--donors",
        nargs="+",
        default=[],
        metavar="N[:M]",
        help="donors a group, or of reference and other group",
    )
    study.add_argument("--cells", nargs="+", type=float, default=[], metavar="N", help="cells a sample")
    study.add_argument("--samples", type=int, default=1, help="samples a donor, if nested")
    study.add_argument(
        "--spread", type=float, default=0.0, help="SD of the log of cells a sample (default: 0)"
    )
    study.add_argument(
        "--dropout", type=float, default=0.0, help="share of donors that are lost (default: 0)"
    )
    study.add_argument("--within-donor", type=float, metavar="SHARE", help="of the variance between samples")
    study.add_argument("--slope", type=float, metavar="TIMES", help="variance of slopes, in that of levels")
    asked = parser.add_argument_group("what is to be found")
    asked.add_argument(
        "--fold-change", nargs="+", type=float, default=[1.5], metavar="F", help="default: 1.5"
    )
    asked.add_argument(
        "--sd", nargs="+", type=float, default=[], metavar="D", help="effects in residual SDs instead"
    )
    asked.add_argument("--fdr", type=float, default=0.05, help="false discovery rate (default: 0.05)")
    asked.add_argument("--alpha", type=float, default=0.05, help="size of a single test (default: 0.05)")
    asked.add_argument("--share", type=float, default=0.1, help="share of genes that differ (default: 0.1)")
    costs = parser.add_argument_group("a budget")
    costs.add_argument("--budget", type=float, help="to be split between donors and cells")
    costs.add_argument("--donor-cost", type=float, help="of a donor")
    costs.add_argument("--cell-cost", type=float, help="of a cell")
    parser.add_argument("--genes", type=int, default=8000, help="genes drawn for each study (default: 8000)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same numbers (default: 1)")
    parser.add_argument("--threads", type=int, help="default: all; results do not depend on it")
    parser.add_argument("--out", type=Path, metavar="FILE.tsv", help="write the table, too")


def main(args: argparse.Namespace) -> None:
    """Plan, print, write."""
    from nestde.api.power import Costs, Given, power
    from nestde.errors import Faults
    from nestde.io.files import write_tsv

    faults, donors = Faults(), list[int | tuple[int, int]]()
    for word in args.donors:
        try:
            numbers = [int(part) for part in word.split(":")]
            donors.append(numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1]))
        except (ValueError, IndexError):
            faults.add(f"--donors {word}: write 6, or 6:12 for 6 of the reference and 12 of the other group.")
    costs = [args.budget, args.donor_cost, args.cell_cost]
    if any(costs) and not all(costs):
        faults.add("--budget, --donor-cost, --cell-cost: give all three, above 0.")
    faults.raise_if_any()
    found = power(
        args.like,
        args.cell_type,
        given=Given(args.icc, args.mean, args.dispersion, args.depth),
        layout=args.layout,
        donors=donors,
        cells=args.cells,
        fold_changes=args.fold_change,
        sds=args.sd,
        samples=args.samples,
        spread=args.spread,
        dropout=args.dropout,
        within_donor=args.within_donor,
        slope=args.slope,
        fdr=args.fdr,
        alpha=args.alpha,
        share=args.share,
        costs=Costs(*costs) if all(costs) else None,
        genes=args.genes,
        seed=args.seed,
        threads=args.threads,
    )
    if args.out:
        write_tsv(found.table, args.out, ["cell_type", "layout", "effect", "genes"])
    print(found)
