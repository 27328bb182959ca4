"""A format of counts is one file and one line: steps, check and the list of files know it by its line alone."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from makers import tiny_study
from scipy.sparse import csr_matrix

from nestde.cells.ingest import peek
from nestde.check import check_study
from nestde.errors import NestdeError
from nestde.io import formats
from nestde.io.counts import Counts
from nestde.io.files import slug
from nestde.io.formats.format import Files, Format
from nestde.io.layout import CONTENT
from nestde.io.obs import Cells, tidy
from nestde.io.source import Source
from nestde.study.samples import files_of


def toy() -> Format:
    """Counts as JSON, the columns of the cells in a file beside them."""

    def read(path):
        return json.loads(path.read_text())

    def obs(path):
        return pd.read_csv(path.with_suffix(".obs"), index_col=0, float_precision="round_trip")

    def opened(path, layer, gene_key):
        counts = csr_matrix(np.array(read(path)["counts"], np.int32))
        nnz = np.diff(counts.indptr).astype(np.int64)
        return Source(path, obs(path), genes(path, layer, gene_key), nnz, lambda a, b: counts[a:b])

    def genes(path, layer, gene_key):
        return np.array(read(path)["genes"], object)

    def cells(path, asked):
        frame = obs(path)
        taken = {name: tidy(frame[name]).array for name in frame if asked(name)}
        return Cells(
            path, frame.index.to_numpy(object), tuple(frame), pd.DataFrame(taken, index=range(len(frame)))
        )

    def files(path):
        return Files([path], [path.with_suffix(".obs")]) if path.suffix == ".toy" else None

    return Format(
        "toy", lambda path: path.is_file() and path.read_bytes()[:1] == b"{", opened, genes, cells, files
    )


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(formats, "FORMATS", [*formats.FORMATS, toy()])
    return tmp_path


def test_a_new_format_is_checked_and_ingested_as_the_others_are(written):
    adata = tiny_study.cells()
    adata.obs.to_csv("counts.obs")
    Path("counts.toy").write_text(
        json.dumps({"counts": adata.X.toarray().tolist(), "genes": list(adata.var_names)})
    )
    found = {}
    adata.write_h5ad("counts.h5ad")
    for path in ("counts.h5ad", "counts.toy"):
        config = tiny_study.config(samples="samples.tsv", input={"counts": path})
        tiny_study.sheet()[["sample_id", "diagnosis"]].to_csv("samples.tsv", sep="\t", index=False)
        content = check_study(config).as_json()
        study = tiny_study.Steps(written, config, tiny_study.sheet(source=path))
        assert peek(path, config.input) == ""
        assert study.ingest() == 0
        with Counts(next(iter(study.sources.values()))) as counts:
            frame = counts.obs().to_dict("list")
            found[path] = (
                json.dumps([content["cell_types"], frame], default=str),
                counts.slice(0, counts.shape[0]),
            )
    (said, counts), (said_of_toy, counts_of_toy) = found.values()
    assert said == said_of_toy
    assert (counts != counts_of_toy).nnz == 0
    assert [str(file) for file in files_of("counts.toy")] == ["counts.toy", "counts.obs"]


def test_a_new_format_comes_through_every_step_to_the_report(written):
    adata = tiny_study.cells()
    adata.obs.to_csv("counts.obs")
    Path("counts.toy").write_text(
        json.dumps({"counts": adata.X.toarray().tolist(), "genes": list(adata.var_names)})
    )
    adata.write_h5ad("counts.h5ad")
    tiny_study.sheet()[["sample_id", "diagnosis"]].to_csv("samples.tsv", sep="\t", index=False)
    tables, sections = [], []
    for path in ("counts.h5ad", "counts.toy"):
        folder = Path(path.replace(".", "_"))
        config = tiny_study.config(
            samples="samples.tsv",
            cell_types=["T cell"],
            input={"counts": path},
            inference={"crosscheck_genes": 2},
            pseudobulk={"enabled": False},
        )
        folder.mkdir()
        steps = tiny_study.Steps(folder, config, tiny_study.sheet(source=path))
        steps.to_report()
        for table in Path(steps.folder).rglob("*.tsv"):  # a warning of pandas is an error here
            assert len(pd.read_csv(table, sep="\t").columns)
        tables.append(Path(steps.path("de", cell_type=slug("T cell"))).read_bytes())
        sections.append(sorted(found.name for found in (folder / CONTENT).iterdir()))
    assert tables[0] == tables[1] and b"\tok\t" in tables[0]
    assert sections[0] == sections[1] and "nestde_top_1_mqc.json" in sections[0]


def test_each_is_known_by_what_it_is(written):
    Path("x.toy").write_text('{"counts": [[1]], "genes": ["G"]}')
    assert formats.sniff("x.toy").name == "toy"
    assert [str(file) for file in formats.files_at("x.toy").beside] == ["x.obs"]
    Path("x.h5ad").write_text("no data")
    with pytest.raises(NestdeError, match="nestde reads h5ad, 10x h5, 10x mtx folders, zarr and toy"):
        formats.sniff("x.h5ad")
