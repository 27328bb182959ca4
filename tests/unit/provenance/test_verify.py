"""What `nestde verify` says, and its exit code."""

import shutil
from pathlib import Path

import pytest

from nestde.cli import main
from nestde.io.files import read_json, write_json
from nestde.provenance.manifest import manifest
from nestde.provenance.verify import verify

ROWS = [("A", "ok", "0.25", "-1.5"), ("B", "ok", "0.5", "2.0"), ("C", "not_testable", "", "")]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results of a small run in ``results`` and an equal run in ``other``."""
    monkeypatch.chdir(tmp_path)
    Path("samples.tsv").write_text("sample_id\nS1\n")
    for folder in ("results", "other"):
        Path(folder, "de").mkdir(parents=True)
        for name in ("Neuron", "Astrocyte"):
            table = ["gene\tstatus\tpvalue\tcoef", *("\t".join(row) for row in ROWS)]
            Path(folder, f"de/{name}.tsv").write_text("\n".join(table) + "\n")
        files = sorted(Path(folder).rglob("*.tsv"))
        told = manifest(
            {"seed": 1, "qc": {"max_pct_mt": 20}}, ["samples.tsv"], files, f"{folder}/manifest.json"
        )
        write_json(told, f"{folder}/manifest.json")
    return tmp_path


def change(path: str, old: str, new: str) -> None:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


def verified(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = main(["verify", *arguments])
    return code, capsys.readouterr().out.splitlines()


def test_untouched(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = verified(capsys, "results")
    assert code == 0
    assert lines[0].startswith("results against its manifest: 2 results, 1 input, ")
    assert lines[1:] == ["The same, byte for byte."]
    assert verified(capsys, "results", "--against", "other/manifest.json")[0] == 0


def test_one_digit_is_told_from_the_manifest_alone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change("results/de/Neuron.tsv", "0.25", "0.26")
    code, lines = verified(capsys, "results")
    assert code == 1
    assert lines[1:] == [
        "  differs  de/Neuron.tsv  pvalue (sum 0.75 → 0.76, by 0.01)",
        "1 difference. All within 0.01: --tolerance accepts that.",
    ]


def test_one_digit_is_told_by_value_where_the_reference_is_there(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change("results/de/Neuron.tsv", "2.0", "2.0000000001")
    for reference in ("other", "other/manifest.json"):
        code, lines = verified(capsys, "results", "--against", reference)
        assert code == 1
        assert lines[1] == "  differs  de/Neuron.tsv  coef (1 of 3 values, by up to 1e-10)"
    code, lines = verified(capsys, "results", "--against", "other", "--tolerance", "1e-9")
    assert (code, lines[-1]) == (0, "The same within 1e-09, but not byte for byte.")
    assert verified(capsys, "results", "--against", "other", "--tolerance", "1e-11")[0] == 1


def test_text_and_missing_values_are_beyond_any_tolerance(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change("results/de/Neuron.tsv", "B\tok\t0.5", "B\tok\t")
    change("results/de/Astrocyte.tsv", "not_testable", "failed")
    code, lines = verified(capsys, "results", "--against", "other", "--tolerance", "10")
    assert code == 1
    assert lines[1:3] == [
        "  differs  de/Astrocyte.tsv  status (1 of 3 values, first: 'not_testable' → 'failed')",
        "  differs  de/Neuron.tsv     pvalue (1 of 3 values, some of them missing or infinite on one side)",
    ]
    assert verified(capsys, "results", "--tolerance", "10")[0] == 1


def test_values_that_change_places_are_not_within_a_small_tolerance(run: Path) -> None:
    change("results/de/Neuron.tsv", "0.25\t-1.5", "0.5\t-1.5")
    change("results/de/Neuron.tsv", "0.5\t2.0", "0.25\t2.0")
    assert not verify("results").same(1e-3)


def test_missing_file(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("results/de/Neuron.tsv").unlink()
    code, lines = verified(capsys, "results")
    assert (code, lines[1:]) == (1, ["  missing  de/Neuron.tsv", "1 difference."])


def test_other_numpy_is_a_difference_that_a_tolerance_accepts(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = read_json("other/manifest.json")
    here = told["software"]["numpy"]
    told["software"]["numpy"] = "1.26.4"
    write_json(told, "other/manifest.json")
    shutil.copy("other/manifest.json", "published.json")
    for arguments in (["other"], ["results", "--against", "published.json"]):
        code, lines = verified(capsys, *arguments)
        assert (code, lines[1:]) == (1, [f"  version  numpy  1.26.4 → {here}", "1 difference."])
    assert verified(capsys, "results", "--against", "published.json", "--tolerance", "1e-9")[0] == 0


def test_rows_and_columns(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Path("results/de/Neuron.tsv").open("a") as handle:
        handle.write("D\tok\t0.1\t0.1\n")
    change("results/de/Astrocyte.tsv", "coef", "estimate")
    _, lines = verified(capsys, "results")
    assert lines[1] == "  differs  de/Astrocyte.tsv  lacks coef; has also estimate"
    assert lines[2].startswith("  differs  de/Neuron.tsv     4 rows, not 3; gene, status")


def test_a_table_that_is_no_longer_a_table_is_not_the_same_cells(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change("results/de/Neuron.tsv", "2.0\n", "2.0\tx\n")
    change("results/de/Astrocyte.tsv", "gene\tstatus\tpvalue\tcoef\n", "gene\tgene\tstatus\tpvalue\tcoef\n")
    change("results/de/Astrocyte.tsv", "\nA", "\nZ\tA")
    change("results/de/Astrocyte.tsv", "\nB", "\nZ\tB")
    change("results/de/Astrocyte.tsv", "\nC", "\nZ\tC")
    for arguments in (["results"], ["results", "--against", "other", "--tolerance", "10"]):
        code, lines = verified(capsys, *arguments)
        assert (code, lines[1:3]) == (1, [
            "  differs  de/Astrocyte.tsv  column gene is there 2 times",
            "  differs  de/Neuron.tsv     line 3 has 5 fields, not 4",
        ])  # fmt: skip


def test_the_same_cells_in_another_order_of_columns(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Path("results/de/Neuron.tsv").read_text().splitlines()
    turned = ["\t".join(reversed(line.split("\t"))) for line in lines]
    Path("results/de/Neuron.tsv").write_text("\n".join(turned) + "\n")
    _, said = verified(capsys, "results")
    assert said[1] == "  differs  de/Neuron.tsv  the same cells, written in another way"


def test_input_and_setting(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("samples.tsv").write_text("sample_id\nS2\n")
    told = read_json("other/manifest.json")
    told["configuration"]["qc"]["max_pct_mt"] = 10
    write_json(told, "published.json")
    code, lines = verified(capsys, "results", "--against", "published.json")
    assert (code, lines[1:3]) == (1, [
        "  differs  samples.tsv    an input that is not the one that was read",
        "  setting  qc.max_pct_mt  10 → 20",
    ])  # fmt: skip
    Path("samples.tsv").unlink()  # an input that is not here cannot be checked, and need not be
    assert verified(capsys, "results")[0] == 0


def test_unreadable_table(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("results/de/Neuron.tsv").write_bytes(b"\xff\x00\n")
    code, lines = verified(capsys, "results")
    assert code == 1 and lines[1].startswith("  differs  de/Neuron.tsv")


def test_no_manifest(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_what_could_not_be_compared_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("samples.tsv").unlink()
    Path("results/de/Microglia.tsv").write_text("gene\n")
    code, lines = verified(capsys, "results/manifest.json")
    assert code == 0
    assert lines[0].startswith("results against its manifest: 2 results, 0 inputs, ")
    assert lines[1:3] == [
        "  not here to be read again, and compared by the manifests only: samples.tsv",
        "  not of this run: de/Microglia.tsv",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "there is no such file"),
        ("{", "is damaged, or no JSON"),
        ("[]", "is no manifest of nestde"),
        ("{}", "is no manifest of nestde"),
        ('{"format": 1, "configuration": {"se', "is damaged, or no JSON"),
        ('{"format": 1, "results": []}', "is no manifest of nestde"),
    ],
)
def test_what_is_no_manifest(
    run: Path, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    Path("m.json").write_text(text) if text else None
    assert main(["verify", "results", "--against", "m.json"]) == 2
    assert f"m.json: {says}" in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["rows", "sha256", "columns.gene.sha256", "columns.coef.summary.sum"])
def test_a_manifest_that_is_not_whole(run: Path, capsys: pytest.CaptureFixture[str], lost: str) -> None:
    told = read_json("other/manifest.json")
    *parents, key = lost.split(".")
    entry = told["results"]["de/Neuron.tsv"]
    for parent in parents:
        entry = entry[parent]
    del entry[key]
    write_json(told, "m.json")
    change("results/de/Neuron.tsv", "0.25", "0.26")
    assert main(["verify", "results", "--against", "m.json"]) == 2
    assert "m.json: is not a whole manifest: what it says of de/Neuron.tsv is" in capsys.readouterr().err


def computed_elsewhere(manifest: str, processor: str) -> None:
    told = read_json(manifest)
    write_json(told | {"arithmetic": [processor]}, manifest)


def test_another_processor_may_move_a_number_by_what_is_stated(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change("results/de/Neuron.tsv", "0.25", "0.2500001")
    against = ("results", "--against", "other")
    assert verified(capsys, *against)[0] == 1
    computed_elsewhere("other/manifest.json", "aarch64 Graviton")
    code, lines = verified(capsys, *against)
    assert code == 0
    assert lines[1].split() == [
        "arithmetic",
        "processor",
        "aarch64",
        "Graviton",
        "→",
        *read_json("results/manifest.json")["arithmetic"],
    ]
    assert lines[-1].startswith(
        "The same, as far as another kind of processor lets numbers be (within 1e-06; of PyDESeq2, 0.01)"
    )
    assert verified(capsys, *against, "--tolerance", "0")[0] == 1
    change("results/de/Neuron.tsv", "0.2500001", "0.251")
    assert verified(capsys, *against)[0] == 1
