"""The files of a run that the report is made of, read once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from nestde.arrays import Floats
from nestde.cells.roster import Roster, roster_of
from nestde.expression.tables import TEXT as TABLES
from nestde.fit.family import Family, family
from nestde.fit.methods import AUTO, instead
from nestde.io.files import read_json, read_tsv, slugs
from nestde.io.layout import RESULTS, is_made
from nestde.study.config import Config

TEXT = (*TABLES, "sample_id", "verdict")


@dataclass(frozen=True)
class Test:
    """The rows of one cell type, term and pair of levels, and the genes of that cell type that were not tested.

    Parameters
    ----------
    level, against
        The level that is compared and what it is compared with; for a number such as age the latter is ''.
    frame
        The rows as in the result table; every gene once.
    n_cells, n_samples
        What entered the model; None if the design does not say.
    alone
        Whether it is the only comparison of its cell type.
    joint
        Whether the term has several levels, which share one p-value.
    named
        Whether the term is a named contrast.
    why_not
        Why the cell type has no test of a contrast; '' if it has one.
    """

    cell_type: str
    term: str
    level: str
    against: str
    frame: pd.DataFrame
    n_cells: int | None
    n_samples: int | None
    alone: bool
    joint: bool
    named: bool = False
    why_not: str = ""

    @property
    def comparison(self) -> str:
        """What is compared, short: ``AD v Control``; for a number its name, for a contrast what was written."""
        if self.named:
            return self.term
        return f"{self.level} v {self.against}" if self.against else self.level or self.term

    @property
    def label(self) -> str:
        """The cell type, with the comparison where there is more than one."""
        return self.cell_type if self.alone else f"{self.cell_type}: {self.comparison}"

    @property
    def term_label(self) -> str:
        """The cell type, with the term where its p-value is of all levels together."""
        return f"{self.cell_type}: {self.term}" if self.joint else self.label

    @property
    def level_words(self) -> str:
        """Which side is which, for an axis."""
        if self.against:
            return f"← higher in {self.against} · higher in {self.level} →"
        return self.term if self.named else f"change per unit of {self.comparison}"

    @property
    def headline(self) -> str:
        """Name of the method that its p-value is by; '' where nothing was tested."""
        return next((name for name in self.frame.get("pvalue_by", []) if name), "")

    def found(self, fdr: float) -> "pd.Series[bool]":
        """Tell of each gene whether it counts as found for this comparison.

        The test of a term with several levels says that some of them differ, not which: a gene of one diagnosis
        would be found for every pair. So the pair's own false discovery rate has to be small too.
        """
        found = self.frame["padj"] <= fdr
        return found & (self.frame["padj_level"] <= fdr) if self.joint else found

    def limits(self, frame: pd.DataFrame) -> tuple[Floats, Floats]:
        """95 % limits of the effect in some of its rows: those of the headline where it has own ones, else by t."""
        own = [f"{side}_{self.headline}" for side in ("lower", "upper")]
        if set(own) <= set(frame):
            return frame[own[0]].to_numpy(float), frame[own[1]].to_numpy(float)
        coef, se = frame["coef"].to_numpy(float), frame["se"].to_numpy(float)
        df = frame["df_level"].to_numpy(float) if "df_level" in frame else np.full(len(frame), np.nan)
        # without degrees of freedom, those of the normal distribution
        reach = se * student.ppf(0.975, np.where(df > 0, df, np.inf))
        return coef - reach, coef + reach

    @property
    def detected(self) -> list[str]:
        """Columns with the share of cells that have the gene, one per level."""
        return [name for name in self.frame if name.startswith("detected_")]


@dataclass(frozen=True)
class Results:
    """A results folder and the configuration that made it."""

    folder: Path
    config: Config

    def table(self, kind: str, **of: str) -> pd.DataFrame | None:
        """Read a table, by its kind (see `nestde.io.layout`) and the slug it is of; None if the run made none."""
        path = self._made(kind, of)
        return read_tsv(path, text=TEXT) if path else None

    def json(self, kind: str, **of: str) -> Any:
        """Read a JSON file, by its kind and the slug it is of; an empty mapping if the run made none."""
        path = self._made(kind, of)
        return read_json(path) if path else {}

    def _made(self, kind: str, of: dict[str, str]) -> Path | None:
        """Path of a file that the run made, if it made it.

        What an earlier run left of what this one was not asked for may be of other cells: it does not belong to the run.
        """
        path = self.folder / RESULTS[kind].format(**of)
        return path if path.exists() and is_made(RESULTS[kind], self.config.asked_for) else None

    @cached_property
    def slugs(self) -> dict[str, str]:
        """Cell type -> its name in paths."""
        return slugs(self.config.cell_types)

    @cached_property
    def family(self) -> Family:
        """The model family that was fitted."""
        return family(self.config.model.family)

    @cached_property
    def check(self) -> dict[str, Any]:
        """What the design check said."""
        return dict(self.json("check"))

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The sample sheet as checked: sample_id, counts, … sorted by sample."""
        found = self.table("samples")
        return pd.DataFrame({"sample_id": []}) if found is None else found

    @cached_property
    def ledgers(self) -> list[dict[str, Any]]:
        """The QC ledger of each sample, in the order of the sheet."""
        names = slugs(self.samples["sample_id"])
        found = [self.json("ledger", sample=name) for name in names.values()]
        return [ledger for ledger in found if ledger]

    @cached_property
    def designs(self) -> dict[str, dict[str, Any]]:
        """What the design of each cell type is made of, or the reason why there is none."""
        return {name: dict(self.json("terms", cell_type=slugged)) for name, slugged in self.slugs.items()}

    @cached_property
    def rosters(self) -> dict[str, Roster]:
        """The samples of each cell type, tested or where and why they left."""
        found = {name: design["roster"] for name, design in self.designs.items() if "roster" in design}
        return {name: roster_of(content) for name, content in found.items()}

    def untested(self) -> dict[str, str]:
        """Cell types of which no gene was tested, and why."""
        totals = self.table("totals")
        if totals is None:
            return {}
        number = totals.groupby("cell_type")["tested"].sum()
        return {name: self._why(name) for name in self.config.cell_types if not number.get(name, 0)}

    def _why(self, cell_type: str) -> str:
        """Return why no gene of a cell type was tested: what its design says, else the commonest of its genes' reasons."""
        if reason := self.designs[cell_type].get("reason"):
            return str(reason)
        table = self.table("de", cell_type=self.slugs[cell_type])
        reasons = [] if table is None else table["reason"].value_counts().index
        return f"of most genes: {reasons[0]}" if len(reasons) else "no gene came in"

    def instead(self, test: "Test") -> str:
        """Why `auto` took the headline of a test and not a p-value that it prefers; '' where it did not choose."""
        if self.config.inference.p_value != AUTO:
            return ""
        reasons = dict(self.json("reasons", cell_type=self.slugs[test.cell_type])).get(test.term, {})
        return instead(test.headline, self.family.engine, reasons)

    @cached_property
    def profiles(self) -> dict[str, dict[str, Any]]:
        """What is said of each cell type's pseudobulk profiles: formula, components, distances."""
        found = {name: self.json("explore", cell_type=slugged) for name, slugged in self.slugs.items()}
        return {name: dict(about) for name, about in found.items() if about}

    def of_cell_types(self, kind: str) -> dict[str, pd.DataFrame]:
        """One table of that kind per cell type, where there is one."""
        tables = {name: self.table(kind, cell_type=slugged) for name, slugged in self.slugs.items()}
        return {name: table for name, table in tables.items() if table is not None}

    @cached_property
    def profile_tables(self) -> dict[str, pd.DataFrame]:
        """Profiles of each cell type, gene by gene, without their counts: ``gene``, ``cpm_<sample>``."""
        found = {}
        for name, slugged in self.slugs.items():
            path = self._made("profiles_table", {"cell_type": slugged})
            if path:
                found[name] = read_tsv(path, ["gene"], lambda column: column.startswith(("gene", "cpm_")))
        return found

    @cached_property
    def pseudobulk(self) -> dict[str, pd.DataFrame]:
        """What the pseudobulk of each cell type found, where it was run."""
        return self.of_cell_types("pseudobulk_de")

    def tests(self) -> list[Test]:
        """Every cell type, tested term and pair of levels that has rows."""
        return list(self._tests)

    @cached_property
    def _tests(self) -> list[Test]:
        found = []
        for cell_type, table in self.of_cell_types("de").items():
            design = self.designs[cell_type]
            levels = table[["term", "level", "against"]].drop_duplicates()
            levels = levels.iloc[sorted(range(len(levels)), key=lambda i: self._place(*levels.iloc[i]))]
            # genes that were not tested are in a row per term, without a level
            named = levels.groupby("term")["level"].transform("max") != ""
            levels = levels[(levels["level"] != "") | ~named]
            for term, level, against in levels.itertuples(index=False):
                compared = (table["level"] == level) & (table["against"] == against)
                rows = (table["term"] == term) & (compared | (table["level"] == ""))
                found.append(
                    Test(
                        cell_type=cell_type,
                        term=term,
                        level=level,
                        against=against,
                        frame=table[rows].reset_index(drop=True),
                        n_cells=design.get("cells"),
                        n_samples=len(design["cells_per_sample"]) if design.get("testable") else None,
                        alone=len(levels) == 1,
                        joint=int((levels["term"] == term).sum()) > 1,
                        named=self.config.model.named(term) is not None,
                        why_not=design.get("untested", {}).get(term, ""),
                    )
                )
        return found

    @cached_property
    def tested(self) -> dict[str, list[Test]]:
        """The comparisons of each cell type that have p-values."""
        found: dict[str, list[Test]] = {}
        for test in self._tests:
            if test.frame["pvalue"].notna().any():
                found.setdefault(test.cell_type, []).append(test)
        return found

    def place(self, test: Test) -> str:
        """Where the page's packed tables have a comparison: which cell type, and which comparison of it."""
        own = [each is test for each in self.tested[test.cell_type]]
        return f"{list(self.tested).index(test.cell_type)} {own.index(True)}"

    def terms(self) -> list[Test]:
        """One of the tests of each cell type and term: those of one term share their p-values."""
        return list({(test.cell_type, test.term): test for test in reversed(self.tests())}.values())[::-1]

    def _place(self, term: str, level: str, against: str) -> tuple[object, ...]:
        """Sort comparisons as the configuration names terms and levels."""
        terms, order = self.config.model.test, self.config.model.levels.get(term, [])
        ranks = [order.index(name) if name in order else len(order) for name in (against, level)]
        return (terms.index(term) if term in terms else len(terms), *ranks, against, level)
