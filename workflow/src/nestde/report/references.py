"""What a paper on these results cites: each work once, as text and as BibTeX."""

from dataclasses import dataclass

from nestde import __version__


@dataclass(frozen=True)
class Reference:
    """A published work.

    Parameters
    ----------
    key
        Of its BibTeX entry.
    authors
        As BibTeX has them, in full: ``Family, Given and …``.
    where
        Journal or proceedings, with the fields that BibTeX knows for it: ``volume``, ``number``, ``pages``.
    """

    key: str
    authors: str
    year: int
    title: str
    where: str
    fields: tuple[tuple[str, str], ...]
    doi: str

    @property
    def text(self) -> str:
        """As a line of a list of references."""
        names = self.authors.split(" and ")
        families = [name.partition(",")[0] for name in names]
        who = families[0] if len(families) == 1 else f"{families[0]} and {families[1]}"
        who = who if len(families) < 3 else f"{families[0]} et al."
        told = dict(self.fields)
        volume = told.get("volume", "") + (f"({told['number']})" if "number" in told else "")
        place = ": ".join(filter(None, [volume, told.get("pages", "").replace("--", "–")]))
        return f"{who} ({self.year}). {self.title}. {self.where} {place}. doi:{self.doi}"

    @property
    def bibtex(self) -> str:
        """As a BibTeX entry."""
        lines = [("author", self.authors), ("year", str(self.year)), ("title", f"{{{self.title}}}")]
        lines += [("journal", self.where), *self.fields, ("doi", self.doi)]
        return (
            f"@article{{{self.key},\n" + "".join(f"  {name} = {{{value}}},\n" for name, value in lines) + "}"
        )


def _reference(
    key: str, authors: str, year: int, title: str, where: str, doi: str, **fields: str
) -> Reference:
    return Reference(key, authors, year, title, where, tuple(fields.items()), doi)


LME4 = _reference(
    *("bates2015", "Bates, Douglas and Mächler, Martin and Bolker, Ben and Walker, Steve", 2015),
    *(
        "Fitting linear mixed-effects models using lme4",
        "Journal of Statistical Software",
        "10.18637/jss.v067.i01",
    ),
    volume="67",
    number="1",
    pages="1--48",
)
BENJAMINI_HOCHBERG = _reference(
    *("benjamini1995", "Benjamini, Yoav and Hochberg, Yosef", 1995),
    "Controlling the false discovery rate: a practical and powerful approach to multiple testing",
    *("Journal of the Royal Statistical Society: Series B", "10.1111/j.2517-6161.1995.tb02031.x"),
    volume="57",
    number="1",
    pages="289--300",
)
KENWARD_ROGER = _reference(
    *("kenward1997", "Kenward, Michael G. and Roger, James H.", 1997),
    "Small sample inference for fixed effects from restricted maximum likelihood",
    *("Biometrics", "10.2307/2533558"),
    volume="53",
    number="3",
    pages="983--997",
)
SATTERTHWAITE = _reference(
    *("satterthwaite1946", "Satterthwaite, Franklin E.", 1946),
    *(
        "An approximate distribution of estimates of variance components",
        "Biometrics Bulletin",
        "10.2307/3002019",
    ),
    volume="2",
    number="6",
    pages="110--114",
)
SMYTH = _reference(
    *("smyth2004", "Smyth, Gordon K.", 2004),
    "Linear models and empirical Bayes methods for assessing differential expression in microarray experiments",
    *("Statistical Applications in Genetics and Molecular Biology", "10.2202/1544-6115.1027"),
    volume="3",
    number="1",
    pages="3",
)
GLMMTMB = _reference(
    *("brooks2017", "Brooks, Mollie E. and Kristensen, Kasper and van Benthem, Koen J. and others", 2017),
    "glmmTMB balances speed and flexibility among packages for zero-inflated generalized linear mixed modeling",
    *("The R Journal", "10.32614/RJ-2017-066"),
    volume="9",
    number="2",
    pages="378--400",
)
DESEQ2 = _reference(
    *("love2014", "Love, Michael I. and Huber, Wolfgang and Anders, Simon", 2014),
    "Moderated estimation of fold change and dispersion for RNA-seq data with DESeq2",
    *("Genome Biology", "10.1186/s13059-014-0550-8"),
    volume="15",
    pages="550",
)
PYDESEQ2 = _reference(
    *("muzellec2023", "Muzellec, Boris and Teleńczuk, Maria and Cabeli, Vincent and Andreux, Mathieu", 2023),
    "PyDESeq2: a python package for bulk RNA-seq differential expression analysis",
    *("Bioinformatics", "10.1093/bioinformatics/btad547"),
    volume="39",
    number="9",
    pages="btad547",
)
SCANPY = _reference(
    *("wolf2018", "Wolf, F. Alexander and Angerer, Philipp and Theis, Fabian J.", 2018),
    *(
        "SCANPY: large-scale single-cell gene expression data analysis",
        "Genome Biology",
        "10.1186/s13059-017-1382-0",
    ),
    volume="19",
    pages="15",
)
SCRUBLET = _reference(
    *("wolock2019", "Wolock, Samuel L. and Lopez, Romain and Klein, Allon M.", 2019),
    "Scrublet: computational identification of cell doublets in single-cell transcriptomic data",
    *("Cell Systems", "10.1016/j.cels.2018.11.005"),
    volume="8",
    number="4",
    pages="281--291",
)
SNAKEMAKE = _reference(
    *("molder2021", "Mölder, Felix and Jablonski, Kim Philipp and Letcher, Brice and others", 2021),
    *("Sustainable data analysis with Snakemake", "F1000Research", "10.12688/f1000research.29032.2"),
    volume="10",
    pages="33",
)
BARTLETT = _reference(
    *("bartlett1937", "Bartlett, M. S.", 1937),
    "Properties of sufficiency and statistical tests",
    *("Proceedings of the Royal Society of London A", "10.1098/rspa.1937.0109"),
    volume="160",
    number="901",
    pages="268--282",
)
MULTIQC = _reference(
    *("ewels2016", "Ewels, Philip and Magnusson, Måns and Lundin, Sverker and Käller, Max", 2016),
    "MultiQC: summarize analysis results for multiple tools and samples in a single report",
    *("Bioinformatics", "10.1093/bioinformatics/btw354"),
    volume="32",
    number="19",
    pages="3047--3048",
)

# By names of p-values.
OF_METHOD = {
    "satterthwaite": (SATTERTHWAITE,),
    "kenward_roger": (KENWARD_ROGER, LME4),
    "means": (SMYTH,),
    "lrt_bartlett": (BARTLETT,),
}
# By engines of model families.
OF_ENGINE = {"linear": (LME4,), "counts": (GLMMTMB,)}
NESTDE_BIBTEX = f"""@software{{nestde,
  author = {{{{The nestde authors}}}},
  title = {{nestde: differential expression for cells nested in samples}},
  version = {{{__version__}}},
}}"""
NESTDE = (
    f"The nestde authors. nestde: differential expression for cells nested in samples, version {__version__}."
)
