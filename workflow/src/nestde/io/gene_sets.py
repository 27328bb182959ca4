"""Gene sets as GMT files have them: a line for each set, its name, a description and its genes, between tabs."""

from pathlib import Path

from nestde.errors import Faults, NestdeError, a_few


def read_gene_sets(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Read the gene sets of a GMT file, in its order; a gene named twice in a set is in it once.

    Raises
    ------
    NestdeError
        With every fault: no such file, no text in UTF-8, lines without genes, names that repeat, no set.
    """
    path = Path(path)
    if not path.is_file():
        raise NestdeError(
            f"{path}: there is no such file. enrich.gene_sets is the path of a GMT file, from the folder of the study."
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise NestdeError(f"{path}: is no text in UTF-8 (byte {error.start:,}). Is it a GMT file?") from error
    found: dict[str, tuple[str, ...]] = {}
    empty, twice = [], []
    for number, line in enumerate(lines, start=1):
        name, *rest = (field.strip() for field in line.split("\t"))
        genes = tuple(dict.fromkeys(filter(None, rest[1:])))
        if not any((name, *rest)):
            continue
        if not name or not genes:
            empty.append(f"{number} ({name or 'no name'})")
        elif name in found:
            twice.append(name)
        else:
            found[name] = genes
    faults = Faults()
    if empty:
        faults.add(f"{path}: lines without a name, a description and genes between tabs: {a_few(empty)}.")
    if twice:
        faults.add(f"{path}: sets that are there more than once: {a_few(sorted(set(twice)))}. Rename them.")
    if not found and not faults.sentences:
        faults.add(f"{path}: has no gene set.")
    faults.raise_if_any()
    return found
