"""Small results made to break the report: tables, ledgers and JSON with hostile names in them."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd

from nestde.calibrate.calibration import COLUMNS
from nestde.cells.roster import Entry, Fewest, call
from nestde.expression import composition
from nestde.io.files import slug, write_json, write_tsv
from nestde.study import config

SCRIPT = "<script>alert(1)</script>"
BREAKOUT = '"><img src=x onerror=alert(2)>'
HOSTILE = [SCRIPT, BREAKOUT, "</title><b>", "'; alert(3); '", "&lt;i&gt;", "{{ 7*7 }}", "a,b.c", "gene.bam"]
SAMPLES = ["S1", "S2", "S3", SCRIPT, BREAKOUT, "S6"]
CELL_TYPES = ["Neuron", f"T cell {BREAKOUT}"]


CHECK = {
    "warnings": [{"title": f"Few {SCRIPT}", "text": f"Only 3 of {BREAKOUT}"}],
    "variables": [
        {"variable": SCRIPT, "role": "tested", "kind": "factor", "varies": "between", "values": BREAKOUT}
    ],
    "nesting": {"text": f"study: {SCRIPT}\n└─ 3 samples"},
    "model": {"sentence": f"Is expression related to {SCRIPT}?"},
    "explanations": [{"title": f"Why {SCRIPT}", "text": BREAKOUT}],
}


def settings(**changes):
    given = {
        "title": f"A study {SCRIPT}",
        "cell_types": CELL_TYPES,
        "model": {
            "formula": "~ sequencing_saturation + diagnosis + (1 | sample_id)",
            "test": ["diagnosis"],
            "levels": {"diagnosis": ["Control", "AD"]},
        },
    }
    return config.load(given | changes)


def de_table(cell_type, tested=60):
    """Rows as `nestde gather` writes them, the hostile names among the most significant."""
    random = np.random.default_rng(1)
    names = HOSTILE + [f"G{i:03d}" for i in range(tested - len(HOSTILE))]
    height = np.sort(random.exponential(2.0, tested))[::-1]
    p = 10.0**-height
    frame = pd.DataFrame(
        {
            "gene": names,
            "cell_type": cell_type,
            "term": "diagnosis",
            "level": "AD",
            "against": "Control",
            "status": np.where(random.random(tested) < 0.2, "singular", "ok"),
            "reason": "",
            "n_cells": 400,
            "n_samples": 24,
            "mean_Control": 1.0,
            "mean_AD": 1.5,
            "detected_Control": 0.4,
            f"detected_{BREAKOUT}": 0.1,
            "detected_AD": 0.5,
            "log2fc": [np.inf, -np.inf, *[0.58] * (tested - 2)],
            "coef": random.normal(0, 0.5, tested),
            "se": 0.1,
            "pvalue": p,
            "pvalue_by": "lrt",
            "neg_log10_pvalue": height,
            "padj": np.minimum(1, p * tested / np.arange(1, tested + 1)),
            "coef_(Intercept)": 1.0,
            "coef_sequencing_saturation": 0.1,
            "coef_diagnosis[AD]": 0.1,
            "icc": 0.05,
            "pvalue_lrt": p,
            "pvalue_satterthwaite": np.minimum(1, 3 * p),
        }
    )
    untested = pd.DataFrame({"gene": ["LOW1", "LOW2"], "cell_type": cell_type, "term": "diagnosis"}).assign(
        status="not_testable", reason="detected in 1 cell"
    )
    return pd.concat([frame, untested], ignore_index=True)


def write_results(folder):
    """What a run leaves for its report, in a folder; returns the folder."""
    for cell_type in CELL_TYPES:
        write_tsv(de_table(cell_type), folder / "de" / f"{slug(cell_type)}.tsv")
        refit = pd.DataFrame(
            {
                "gene": HOSTILE[:4],
                "difference_loglik": [1e-9, -2e-3, 1e-8, 0.0],
                "difference_coef": 1e-7,
                "verdict": ["agrees", "differs", "agrees", "agrees"],
            }
        )
        write_tsv(refit, folder / "crosscheck" / f"{slug(cell_type)}.tsv")
        write_calibration(folder, cell_type, {"relabellings": 0, "reason": f"no {BREAKOUT}"}, [])
        random = np.random.default_rng(2)
        bulk = de_table(cell_type)[["gene", "term", "level", "against", "log2fc", "pvalue", "padj"]]
        bulk["log2fc"] = random.normal(size=len(bulk))
        bulk["padj"] = random.permutation(bulk["padj"])
        write_tsv(bulk, folder / "pseudobulk" / f"{slug(cell_type)}.de.tsv")
        values = {f"cpm_{name}": random.exponential(100, len(bulk)) for name in SAMPLES}
        write_tsv(bulk[["gene"]].assign(**values), folder / "pseudobulk" / f"{slug(cell_type)}.tsv")
        about = {
            "cell_type": cell_type,
            "formula": f"~ {SCRIPT}",
            "derived": True,
            "dropped": ["sequencing_saturation"],
            "samples": SAMPLES,
            "pca": {"variance": [0.5, 0.2], "scores": random.normal(size=(6, 2)).tolist()},
            "distances": (np.ones((6, 6)) - np.eye(6)).tolist(),
            "covariates": [
                {"covariate": SCRIPT, "component": 1, "r2": 0.9, "pvalue": 1e-4},
                {"covariate": "sex", "component": 2, "r2": None, "pvalue": None},
            ],
        }
        write_json(about, folder / "pseudobulk" / f"{slug(cell_type)}.json")
        write_json(design(cell_type), folder / "design" / f"{slug(cell_type)}.json")
    write_json(CHECK, folder / "cohort" / "check.json")
    diagnosis = ["Control", "AD"] * 3
    sheet = pd.DataFrame({"sample_id": SAMPLES, "diagnosis": diagnosis})
    write_tsv(sheet, folder / "cohort" / "samples.tsv")
    for number, name in enumerate(SAMPLES):
        write_json(ledger(name, 20 * number), folder / "qc" / f"{slug(name)}.json")
    write_shares(folder, sheet)
    return folder


def write_shares(folder, sheet):
    """As `nestde composition` writes them: one cell type of a hostile name is ten times as common in AD."""
    cells = {
        name: {CELL_TYPES[0]: 90 + 7 * i, CELL_TYPES[1]: 400 if group == "AD" else 40, SCRIPT: 100}
        for i, (name, group) in enumerate(zip(sheet["sample_id"], sheet["diagnosis"], strict=True))
    }
    found = composition.test(cells, sheet, settings().model)
    write_tsv(found.table, folder / "composition" / "tests.tsv", composition.TEXT)
    write_tsv(found.shares, folder / "composition" / "shares.tsv", ["sample_id", "cell_type"])
    write_json({"formula": found.formula.text, "unit": found.unit}, folder / "composition" / "about.json")


def design(cell_type):
    """As `nestde design` writes it: one type with a sample left out, one without any sample that has enough cells."""
    if cell_type != CELL_TYPES[0]:
        return {
            "testable": False,
            "reason": f"no sample has enough cells of {BREAKOUT}",
            "cells_per_sample": {},
            "levels_of": {"diagnosis": {"Control": {}, "AD": {}}},
            "roster": roster(dict.fromkeys(SAMPLES, 0)),
        }
    cells = {"S2": 18, "S3": 38, SCRIPT: 58, BREAKOUT: 78, "S6": 98}
    control = {"S3": 38, BREAKOUT: 78}
    test = {"term": "diagnosis", "unit": "sample_id", "groups": 5, "dimension": 5, "df": 3, "columns": 1}
    return {
        "testable": True,
        "reason": "",
        "cells": sum(cells.values()),
        "coefficients": ["(Intercept)", "sequencing_saturation", "diagnosis[AD]"],
        "random": [{"name": "sample_id", "effects": ["(Intercept)"], "blocks": [0]}],
        "cells_per_sample": cells,
        "levels_of": {
            "diagnosis": {
                "Control": control,
                "AD": {name: number for name, number in cells.items() if name not in control},
            }
        },
        "roster": roster({"S1": 0} | cells, in_all=50),
        "tests": [test | {"lrt_size": 0.136}],
    }


def roster(cells, in_all=0):
    """All samples of a cell type, as `nestde matrix` tells of them."""
    levels = dict(zip(SAMPLES, ["Control", "AD"] * 3, strict=True))
    entries = [
        Entry(name, n, n, 0 if name == "S1" else 99, {"diagnosis": levels[name]}) for name, n in cells.items()
    ]
    return call(
        entries,
        {"diagnosis": ("Control", "AD")},
        of_type=Fewest("model.min_cells", 10),
        in_all=Fewest("qc.min_cells_per_sample", in_all),
        counted="after quality control",
    ).content()


def write_calibration(folder, cell_type, about, rows):
    """What `nestde calibrate` leaves for one cell type."""
    write_tsv(pd.DataFrame(rows, columns=COLUMNS), folder / "calibration" / f"{slug(cell_type)}.tsv")
    write_json({"diagnosis": about}, folder / "calibration" / f"{slug(cell_type)}.json")


def ledger(sample, kept):
    """As `nestde qc` writes it."""
    quartiles = {name: [1.0, 2.0, 3.0, 4.0, 5.0] for name in ("total_counts", "n_genes", "pct_counts_mt")}
    rules = {"min_counts": 3, "mad_pct_mt": 2, f"keep:{SCRIPT}": 1}
    return {
        "sample_id": sample,
        "enabled": True,
        "cells_in": kept + 6,
        "removed": [{"rule": rule, "any": n + 1, "only": n, "first": n} for rule, n in rules.items()],
        "cells_kept": kept,
        "left_out": "" if kept > 9 else "too few",
        "doublets": {"run": False, "why": "100 cells; it needs 500"},
        "mt_rules": True,
        "mt_genes": 13,
        "spread_of_totals": 0.4,
        "metrics": {"before": quartiles, "after": quartiles if kept else {}},
        "cell_types": {CELL_TYPES[0]: {"in": kept, "kept": kept - 2}},
    }


class Tags(HTMLParser):
    """Collects tags, event handlers and text outside of scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.handlers, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text.append(data)


def tags(html):
    parser = Tags()
    parser.feed(html)
    return parser
