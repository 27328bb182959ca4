"""Strange studies for hypothesis: a sound one, spoilt in its sheet, its configuration, its formula or its cells.

A new way to spoil is one more function in `SPOILERS`: it takes hypothesis' `draw` and a `Strange`, and changes that.
"""

import json
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata.io import write_elem
from hypothesis import strategies as st

GENES = ["G1", "G2", "G3", "G4"]

# Names that the package itself, pandas, Python, R or a formula give a meaning to, and such as people and machines write
NAMES = [
    "counts", "slug", "source", "sample_id", "Intercept", "(Intercept)", "total_counts", "size_factor", "n_genes", "barcode",
    "cell_type", "gene", "status", "index", "_index", "obs", "left_out", "n_cells", "level_0", "0", "1", "C", "I", "Q", "log",
    "np", "id", "max", "input", "class", "lambda", "None", "nan", "True", "a b", "a-b", "a.b", "a:b", "a*b", "a/b", "a|b", "x~y",
    "1st", ".x", "_", "é", "神経", "age (years)", "{x}", "%s", "a'b", 'a"b', "`", "a`b", "\\", "=1+1", "@x", "x" * 300,
    "__import__('os').system('touch evil')", "x` + I(open('evil', 'w').write('a')) + `y",
]  # fmt: skip
LABELS = [
    "Control", "control", "Control ", "AD", "NA", "N/A", "None", "nan", "unknown", "-", ".", "", "0", "1", "1.0", "01", "1,5",
    "1e5", "inf", "-inf", "NaN", "True", "false", "yes", "2024-01-05", "a b", "a\u00a0b", "ä", "\u202eabc", "\x1b[2J", '"', '"x',
    "'", "=cmd()", "<b>", "x" * 3000, "{y}", "../..", "%", "\u2028", "\ufeffAD",
]  # fmt: skip
FORMULAS = [
    "", "~", "~ 1", "~ 0", "diagnosis", "~ diagnosis", "~ diagnosis + (1 | sample_id", "~ diagnosis + (1 | )", "~ + + diagnosis",
    "~ diagnosis +", "~ (1 | sample_id)", "~ 0 + diagnosis + (1 | sample_id)", "~ diagnosis - 1 + (1 | sample_id)",
    "~ diagnosis + (1 | nowhere)", "~ nowhere + (1 | sample_id)", "~ diagnosis * sex + (1 | sample_id)",
    "~ diagnosis:sex + (1 | sample_id)", "~ diagnosis + (saturation | sample_id)", "~ diagnosis + (1 + saturation || sample_id)",
    "~ diagnosis + (1 | batch / sample_id)", "~ diagnosis + (1 | batch) + (1 | sample_id)", "~ C(diagnosis) + (1 | sample_id)",
    "~ C(batch, Treatment('B2')) + diagnosis + (1 | sample_id)", "~ log(age) + diagnosis + (1 | sample_id)",
    "~ diagnosis + I(age^2) + (1 | sample_id)", "~ diagnosis + age^2 + (1 | sample_id)", "~ (diagnosis + sex)^2 + (1 | sample_id)",
    "~ poly(age, 2) + diagnosis + (1 | sample_id)", "~ bs(age, df=4) + diagnosis + (1 | sample_id)", "~ scale(age) + diagnosis",
    "~ diagnosis + offset(age) + (1 | sample_id)", "~ diagnosis / sex + (1 | sample_id)", "~ diagnosis %in% sex", "~ . + diagnosis",
    "~ diagnosis | sample_id", "y ~ x ~ z", "sqrt(y) ~ diagnosis + (1 | sample_id)", "~ diagnosis + (1 | sample_id) | batch",
    "~ diagnosis + ((1 | sample_id))", "~ diagnosis:diagnosis + (1 | sample_id)", "~ diagnosis + diagnosis + (1 | sample_id)",
    "~ diagnosis + 5 + (1 | sample_id)", "~ diagnosis + 'x' + (1 | sample_id)", "~ diagnosis + `sample_id` + (1 | sample_id)",
    "~ sample_id + (1 | sample_id)", "~ cell_type + diagnosis + (1 | sample_id)", "~ diagnosis + age / 0 + (1 | sample_id)",
    "~ I(__import__('os').system('touch evil')) + diagnosis + (1 | sample_id)", "~ I(open('evil', 'w').write('a') and age) + diagnosis",
    "~ diagnosis + (0 + I(open('evil', 'w')) | sample_id)", "~ I(eval('1')) + diagnosis", "~ [diagnosis]", "~ diagnosis[0]",
    "~ diagnosis.str + (1 | sample_id)", "~ lambda x: x", "~ diagnosis if sex else age", "~ max(age) + diagnosis + (1 | sample_id)",
    "~ diagnosis + ns(age, 3) + (1 | sample_id)", "~ cut(age, 3) + diagnosis + (1 | sample_id)", "~ {diagnosis}", "~ diagnosis \\ sex",
]  # fmt: skip
ATOMS = [
    "diagnosis", "sex", "age", "batch", "saturation", "sample_id", "cell_type", "nowhere", "1", "0", "2", "-1", "`a b`", "C(sex)",
    "C(age)", "log(age)", "I(age ** 2)", "scale(age)", "(1 | sample_id)", "(1 | batch)", "(saturation | sample_id)",
    "(1 | batch/sample_id)", "(0 + sex | batch)", "(1 || sample_id)", "(", ")", "|", "~", "''", "poly(age, 2)", "C(batch, contr.sum)",
]  # fmt: skip
OPERATORS = [" + ", " + ", " + ", " * ", ":", " - ", " / ", " ^ ", " ** ", " ", " | ", " %in% ", ","]
SCALARS = [
    None, True, False, 0, 1, -1, 3, 10**30, 0.5, 1e300, float("nan"), float("inf"), "", " ", "x", "~", "\x1b[2J", "a\nb", "{x}",
    "../..", [], [[]], [None], ["x"], [1, 2], {}, {"x": 1}, {1: ["a", "b"]}, {"diagnosis": ["AD", "Control"]},
    {"diagnosis": ["Control"]}, {"sex": ["M", "F"]}, {"cell_type": ["Neuron"]}, {"age": ["60", "70"]}, {"nowhere": ["a", "b"]},
    ["diagnosis"], ["sex"], ["diagnosis:sex"], ["age"], ["saturation"], ["sample_id"], ["(1 | sample_id)"], ["1"], ["C(sex)"],
    "counts.h5ad", "samples.tsv", "config.yaml", ".", "/", "/dev/null", "sample_id", "cell_type", "diagnosis", "raw", "X",
]  # fmt: skip
KEYS = [
    ("title",), ("seed",), ("samples",), ("cell_types",), ("chunks",), ("input",), ("input", "counts"), ("input", "layer"),
    ("input", "sample_key"), ("input", "cell_type_key"), ("input", "cell_metadata"), ("input", "gene_key"), ("input", "genes"),
    ("input", "keep"), ("qc", "enabled"), ("qc", "min_counts"), ("qc", "min_cells_per_sample"), ("qc", "mt_prefix"),
    ("qc", "hb_pattern"), ("qc", "doublets"), ("genes", "min_cells_share"), ("genes", "min_samples"), ("model",), ("model", "formula"),
    ("model", "test"), ("model", "levels"), ("model", "min_cells"), ("inference", "p_value"), ("inference", "fdr"), ("pseudobulk",),
    ("pseudobulk", "enabled"), ("pseudobulk", "formula"), ("pseudobulk", "min_cells"), ("whatever",), ("model", "whatever"),
]  # fmt: skip


@dataclass(repr=False)
class Strange:
    """A study in memory: the sheet as columns and text, the cells, their counts, the configuration."""

    sheet: pd.DataFrame
    obs: pd.DataFrame
    counts: np.ndarray
    config: dict[str, Any]
    text: bytes | None = None  # the sheet's file, where it is not what the columns give

    def __repr__(self) -> str:
        columns = {name: [str(value)[:20] for value in values] for name, values in self.sheet.items()}
        return (
            f"{described(self)} sheet={columns} text={(self.text or b'')[:200]!r} obs={dict(self.obs.dtypes)}"
        )

    def write(self, folder: Path) -> None:
        """Write samples.tsv and counts.h5ad; the configuration is handed over as it is."""
        text = self.text if self.text is not None else tsv(self.sheet)
        (folder / "samples.tsv").write_bytes(text)
        with h5py.File(folder / "counts.h5ad", "w") as root:
            write_elem(root, "X", sp.csr_matrix(self.counts))
            write_elem(root, "obs", self.obs)
            write_elem(root, "var", pd.DataFrame(index=GENES))


def tsv(sheet):
    rows = [list(sheet.columns), *sheet.astype(object).values.tolist()]
    return "\n".join("\t".join(map(str, row)) for row in rows).encode("utf-8", "surrogatepass") + b"\n"


@st.composite
def sound(draw):
    """A study of 4 to 9 samples that most often can be answered."""
    m = draw(st.integers(4, 9))
    seed = draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    sheet = pd.DataFrame({"sample_id": [f"S{i}" for i in range(m)]})
    sheet["diagnosis"] = [("Control", "AD")[i % 2] for i in range(m)]
    sheet["sex"] = [("F", "M")[(i // 2) % 2] for i in range(m)]
    sheet["age"] = rng.integers(60, 90, m)
    sheet["batch"] = [f"B{i % 3}" for i in range(m)]
    sizes = rng.integers(6, 14, m)
    n = sizes.sum()
    obs = pd.DataFrame(
        {
            "sample_id": pd.Categorical(np.repeat(sheet["sample_id"], sizes)),
            "cell_type": pd.Categorical(np.where(np.arange(n) % 3 < 2, "Neuron", "Astrocyte")),
            "saturation": rng.uniform(0.4, 0.9, n),
        },
        index=[f"C{i}" for i in range(n)],
    )
    counts = rng.poisson(rng.gamma(3.0, 1.5, (m, len(GENES))).repeat(sizes, axis=0)).astype(np.float32)
    counts[:, 0] += 1  # no cell is without a count
    formula = draw(st.sampled_from(["~ saturation + diagnosis + (1 | sample_id)", "~ diagnosis + (1 | sample_id)",
                                    "~ sex + diagnosis + (1 | sample_id)", "~ age + saturation + diagnosis + (1 | sample_id)",
                                    "~ diagnosis * saturation + (1 | sample_id)"]))  # fmt: skip
    config = {
        "samples": "samples.tsv",
        "cell_types": ["Neuron"],
        "input": {"counts": "counts.h5ad"},
        "qc": {"enabled": False, "min_cells_per_sample": 1},
        "genes": {"min_cells_share": 0.0, "min_samples": 1},
        "model": {"formula": formula, "test": ["diagnosis"], "min_cells": 1},
        "pseudobulk": {"enabled": draw(st.booleans()), "min_cells": 1, "min_counts": 0},
    }
    if draw(st.booleans()):
        config["model"]["levels"] = {"diagnosis": ["Control", "AD"]}
    return Strange(sheet, obs, counts, config)


def values(draw, n, of=LABELS):
    """n values of one of the kinds that columns have."""
    kind = draw(
        st.sampled_from(["two", "three", "numbers", "floats", "ids", "missing", "hostile", "one", "mixed"])
    )
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    match kind:
        case "two" | "three":
            few = draw(st.lists(st.sampled_from(of), min_size=2, max_size=3, unique=True))
            return [few[i] for i in rng.integers(0, len(few), n)]
        case "numbers":
            return list(rng.integers(0, draw(st.sampled_from([2, 5, 10**6])), n))
        case "floats":
            return list(rng.normal(0, draw(st.sampled_from([1e-12, 1, 1e15])), n))
        case "ids":
            return [f"D{i // 2}" for i in range(n)]
        case "missing":
            word = draw(st.sampled_from(["", "NA", "nan", "N/A", "unknown"]))
            return [word if rng.random() < 0.3 else x for x in rng.integers(0, 9, n)]
        case "one":
            return [draw(st.sampled_from(of))] * n
        case "mixed":
            return [of[i] for i in rng.integers(0, len(of), n)]
    return draw(st.lists(st.text(max_size=8), min_size=n, max_size=n))


def spoil_sheet(draw, study):
    """Columns of any name and values, samples of any name, a file of any look."""
    sheet, m = study.sheet, len(study.sheet)
    what = draw(
        st.sampled_from(["column", "column", "replace", "name", "drop", "repeat", "text", "copy", "use"])
    )
    name = draw(st.sampled_from(NAMES))
    if what in ("column", "use"):
        study.sheet = sheet.assign(**{name: values(draw, m)})
    if what == "use":
        quoted = name if name.isidentifier() else f"`{name}`"
        study.config["model"]["formula"] += f" + {quoted}"
    if what == "replace":
        column = draw(st.sampled_from(list(sheet.columns)))
        study.sheet = sheet.assign(**{column: values(draw, m)})
    if what == "name":
        column = draw(st.sampled_from(list(sheet.columns)))
        study.sheet = sheet.rename(columns={column: name})
    if what == "drop":
        study.sheet = sheet.iloc[: draw(st.integers(0, m))].reset_index(drop=True)
    if what == "repeat":
        study.sheet = pd.concat([sheet, sheet.iloc[: draw(st.integers(0, m))]], ignore_index=True)
    if what == "copy" and m:
        first, second = draw(st.lists(st.sampled_from(list(sheet.columns)), min_size=2, max_size=2))
        study.sheet = sheet.assign(**{first: sheet[second].to_numpy()})
    if what == "text":
        plain = tsv(study.sheet)
        study.text = draw(
            st.sampled_from(
                [
                    b"", b"\n\n", b"\xef\xbb\xbf" + plain, plain.replace(b"\n", b"\r\n"), plain.replace(b"\n", b"\r"),
                    plain.replace(b"\t", b","), plain.replace(b"\t", b"  "), plain + b"\n\n\t\t\n", plain + b"x\ty\n",
                    plain.replace(b"S1", b'"S1'), plain.replace(b"AD", b'"AD"'), plain.replace(b"AD", "AD\u2028".encode()),
                    plain.replace(b"AD", b"\xe4"), plain.replace(b"AD", b"A\0D"), plain.decode().encode("utf-16"),
                    plain.replace(b"\n", b"\t\n"), plain.replace(b"S2", b" S2 "), plain.replace(b"Control", b"x" * 140_000),
                    bytes(draw(st.binary(max_size=60))), plain.replace(b"\n", b"\n# note\n", 1), plain[: len(plain) // 2],
                ]
            )
        )  # fmt: skip


def spoil_formula(draw, study):
    """A formula that people write, one from pieces, one of any text; and terms to test."""
    pieces = st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(OPERATORS)), min_size=1, max_size=4)
    joined = pieces.map(lambda drawn: "~ " + "".join(a + op for a, op in drawn[:-1]) + drawn[-1][0])
    anything = st.text(string.printable, max_size=20).map(lambda text: "~ diagnosis + " + text)
    formula = draw(st.one_of(st.sampled_from(FORMULAS), joined, joined, anything))
    if draw(st.booleans()) and "sample_id" not in formula:
        formula += " + (1 | sample_id)"
    where = draw(st.sampled_from(["model", "model", "model", "pseudobulk"]))
    study.config.setdefault(where, {})
    if isinstance(study.config[where], dict):
        study.config[where]["formula"] = formula
    if draw(st.integers(0, 3)) == 0 and isinstance(study.config["model"], dict):
        study.config["model"]["test"] = [draw(st.sampled_from(ATOMS))]


def spoil_config(draw, study):
    """Any value at any key."""
    *sections, key = draw(st.sampled_from(KEYS))
    place = study.config
    for section in sections:
        if not isinstance(place.get(section), dict):
            place[section] = {}
        place = place[section]
    place[key] = draw(st.one_of(st.sampled_from(SCALARS), st.sampled_from(NAMES), st.text(max_size=5)))


def spoil_obs(draw, study):
    """Columns of cells of any name, type and values; cells of no sample or type; barcodes that repeat."""
    obs, n = study.obs, len(study.obs)
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    what = draw(
        st.sampled_from(
            ["column", "column", "replace", "name", "lose", "type", "barcodes", "few", "use", "shuffle"]
        )
    )
    name = draw(st.sampled_from([name for name in NAMES if "/" not in name and name not in (".", "_index")]))
    if what in ("column", "use", "replace"):
        column = draw(st.sampled_from(list(obs.columns))) if what == "replace" else name
        found = pd.Series(values(draw, n, [text for text in LABELS if text]), index=obs.index)
        found = pd.Series(
            [str(value).replace("\0", "0") if isinstance(value, str) else value for value in found],
            index=obs.index,
        )
        if found.dtype == object:
            found = found.astype(str).astype("category")
        study.obs = obs.assign(**{column: found})
    if what == "use":
        study.config["model"]["formula"] += f" + {name if name.isidentifier() else f'`{name}`'}"
    if what == "name" and name not in obs:
        study.obs = obs.rename(columns={draw(st.sampled_from(list(obs.columns))): name})
    if what == "lose":
        column = draw(st.sampled_from(list(obs.columns)))
        study.obs = obs.assign(
            **{column: obs[column].mask(rng.random(n) < draw(st.sampled_from([0.05, 0.5, 1.0])))}
        )
    if what == "type":
        study.obs = obs.assign(
            saturation=draw(
                st.sampled_from(
                    [
                        rng.random(n) < 0.5, rng.integers(0, 3, n).astype(np.int8), np.full(n, np.nan), np.full(n, np.inf),
                        np.where(rng.random(n) < 0.1, np.inf, 1.0), rng.integers(0, 2**62, n), np.full(n, 0.5),
                        pd.array(rng.integers(0, 3, n), dtype="Int64"), pd.array(rng.random(n) < 0.5, dtype="boolean"),
                        pd.Categorical(rng.integers(0, 3, n), ordered=True), pd.Categorical(rng.integers(0, 3, n) / 2),
                        rng.random(n).astype(np.float16), rng.random(n) * 1e-300, rng.random(n) * 1e300,
                    ]
                )
            )
        )  # fmt: skip
    if what == "barcodes":
        study.obs = obs.set_axis(pd.Index([f"C{i}" for i in rng.integers(0, n, n)]))
    if what == "few":
        keep = rng.random(n) < draw(st.sampled_from([0.0, 0.1, 0.5]))
        study.obs, study.counts = obs[keep], study.counts[keep]
    if what == "shuffle":
        order = rng.permutation(n)
        study.obs, study.counts = obs.iloc[order], study.counts[order]


SPOILERS = {"sheet": spoil_sheet, "formula": spoil_formula, "config": spoil_config, "obs": spoil_obs}


@st.composite
def strange(draw, kind):
    """A sound study, spoilt once or twice in the way named ("" for none), and sometimes in another too."""
    study = draw(sound())
    for _ in range(draw(st.integers(1, 2)) if kind else 0):
        SPOILERS[kind](draw, study)
    if draw(st.integers(0, 4)) == 0:
        other = draw(st.sampled_from(sorted(SPOILERS)))
        if isinstance(study.config.get("model"), dict) and isinstance(
            study.config["model"].get("formula"), str
        ):
            SPOILERS[other](draw, study)
    return study


def described(study):
    """The study in a line, for a failing test."""
    return json.dumps(study.config, default=str, ensure_ascii=True)[:400]
