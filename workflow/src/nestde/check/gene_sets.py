"""Whether the gene sets of the configuration can be read, and name genes that the data have."""

from contextlib import suppress

from nestde.errors import NestdeError, a_few
from nestde.io.formats import read_genes
from nestde.io.gene_sets import read_gene_sets
from nestde.study.config import Config
from nestde.study.samples import read_samples, source_paths


def check_gene_sets(config: Config) -> None:
    """Read them, and the names of genes of one file.

    Parameters
    ----------
    config
        Sections samples, input and enrich.

    Raises
    ------
    NestdeError
        If there is no such file, or it is no GMT file, or none of its genes is in the data, by name or by id.
    """
    path = config.enrich.gene_sets
    if path is None:
        return
    sets = read_gene_sets(path)
    file = next(iter(source_paths(config, read_samples(config.samples)).values()))
    known: set[str] = set()
    for key in (config.input.gene_key, "gene_ids"):
        with suppress(NestdeError):  # of data that cannot be read others tell
            known |= set(map(str, read_genes(file, layer=config.input.layer, gene_key=key)))
    named = {gene for own in sets.values() for gene in own}
    if known and not named & known:
        raise NestdeError(
            f"{path}: none of the {len(named):,} genes of its {len(sets):,} sets ({a_few(sorted(named), 3)}) is a gene of {file} "
            f"({a_few(sorted(known), 3)}). Take sets of the same species, in symbols or ids as the data have them."
        )
