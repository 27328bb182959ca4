"""What a run refuses of results that stand there, whatever their folder is called."""

import base64
import json
import os
from pathlib import Path

import pytest

from nestde.errors import NestdeError
from nestde.io.files import write_json, write_text
from nestde.provenance import digests
from nestde.provenance.manifest import manifest, parse_configuration
from nestde.run import snakemake
from nestde.run.asked import Asked
from nestde.study.config import load

SETTINGS = {"samples": "samples.tsv", "cell_types": ["Neuron"], "input": {"counts": "counts.h5ad"},
            "model": {"formula": "~ diagnosis + (1 | sample_id)", "test": ["diagnosis"]}}  # fmt: skip
TABLE = "gene\tpvalue\nA\t0.25\n"
FOLDERS = ["results", "out/a", "../elsewhere", "results/deep/down", "with blank"]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    write_text("sample_id\tdiagnosis\nS1\tAD\n", "samples.tsv")
    return tmp_path / "study"


def ran(folder: str, *, recorded: bool = True) -> Asked:
    """The results of a run in that folder, as Snakemake has them on record."""
    one = Asked(Path(folder), load(SETTINGS))
    table = one.folder / "de/Neuron.tsv"
    digests.SNAKEMAKE.mkdir(exist_ok=True)
    with digests.recording():
        write_text(TABLE, table)
    told = manifest(parse_configuration(one.config.text()), ["samples.tsv"], [table], one.manifest)
    write_json(told, one.manifest)
    for path in (table, one.manifest) if recorded else ():
        record(path, shellcmd="nestde gather", endtime=path.stat().st_mtime)
    return one


def record(path: Path, kind: str = "metadata", **told: object) -> None:
    """What Snakemake writes of a file that it made, or is making."""
    name = base64.urlsafe_b64encode(str(path).encode()).decode()
    write_text(json.dumps(told), Path(".snakemake") / kind / name)


def edit(path: Path) -> None:
    """Change a digit by hand, and put the time back."""
    time = path.stat().st_mtime
    path.write_text(path.read_text().replace("0.25", "0.01"))
    os.utime(path, (time, time))


@pytest.mark.parametrize("folder", FOLDERS)
def test_results_that_were_changed_by_hand_are_refused_wherever_they_are(study: Path, folder: str) -> None:
    one = ran(folder)
    snakemake._remake([one], dry=False)
    edit(one.folder / "de/Neuron.tsv")
    with pytest.raises(NestdeError) as caught:
        snakemake._remake([one], dry=False)
    assert caught.value.faults == (
        f"{folder}/de/Neuron.tsv: was changed after the run that made it. Move it out of {folder}/, or remove it: "
        "`nestde run` then makes it again.",
    )


def test_each_of_several_studies_is_looked_at(study: Path) -> None:
    asked = [ran("out"), ran("out/b"), ran("more")]
    for one in asked[1:]:
        edit(one.folder / "de/Neuron.tsv")
    with pytest.raises(NestdeError) as caught:
        snakemake._remake(asked, dry=False)
    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "out/b/de/Neuron.tsv",
        "more/de/Neuron.tsv",
    ]


def test_results_that_the_snakefile_asks_for_no_more_are_left_alone(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = ran("results"), ran("out/a")
    edit(old.folder / "de/Neuron.tsv")
    for one in (old, new):
        os.truncate(one.manifest, 10)
    snakemake._remake([new], dry=False)
    assert "out/a/manifest.json: is damaged" in capsys.readouterr().out
    assert (old.manifest.exists(), new.manifest.exists()) == (True, False)


@pytest.mark.parametrize("folder", FOLDERS)
def test_results_of_others_are_refused_wherever_they_are(study: Path, folder: str) -> None:
    one = ran(folder, recorded=False)
    snakemake._remake([one], dry=False)  # the manifest tells of this study
    write_text("sample_id\tdiagnosis\nS1\tControl\n", "samples.tsv")
    with pytest.raises(
        NestdeError, match=rf"^{folder}/: is of a run .* differs in samples\.tsv\. Move {folder}/ away"
    ):
        snakemake._remake([one], dry=False)
    ran("in another folder")  # of which there is a record
    with pytest.raises(NestdeError, match=rf"^{folder}/: is of a run"):
        snakemake._remake([one], dry=False)


def test_what_a_kill_left_half_made_is_ours(study: Path) -> None:
    one = Asked(Path("out/a"), load(SETTINGS))
    check = one.folder / "cohort/check.json"
    write_json({}, check)
    with pytest.raises(NestdeError, match=r"differs in cohort/check\.json"):
        snakemake._remake([one], dry=False)
    record(check, "incomplete")
    snakemake._remake([one], dry=False)


def test_a_file_that_a_killed_job_was_about_to_replace_is_not_called_changed(study: Path) -> None:
    one = ran("results")
    edit(one.folder / "de/Neuron.tsv")
    record(one.folder / "de/Neuron.tsv", "incomplete")
    snakemake._remake([one], dry=False)


def test_a_study_is_complete_when_its_own_manifest_is_its_youngest_file(study: Path) -> None:
    outer, inner = ran("out"), ran("out/b")
    late = inner.manifest.stat().st_mtime + 100
    record(inner.folder / "de/Neuron.tsv", shellcmd="nestde gather", endtime=late)
    assert [snakemake._is_complete(one, [outer, inner]) for one in (outer, inner)] == [True, False]


@pytest.mark.parametrize("link", ["results", "out", "out/a"])
def test_a_link_to_nowhere_on_the_way_to_results_is_named(
    study: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to("purged")
    folder = Path("results" if link == "results" else "out/a/deep")
    with pytest.raises(NestdeError, match=f"^{link}: is a link to purged, which is not there"):
        snakemake._raise_faults([], [folder])


def test_unknown_profile_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(NestdeError, match="Shipped are local, lsf, pbs, sge, slurm"):
        snakemake.find_profile("slrum", tmp_path)


def test_what_snakemake_says_of_profiles_is_not_told_unless_it_gives_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = str(snakemake.find_profile("local", tmp_path))
    snakemake._parsed(["--profile", profile, "--cores", "1"])
    assert capsys.readouterr().err == ""
    with pytest.raises(SystemExit):
        snakemake._parsed(["--profile", profile, "--no-such-option"])
    assert "--no-such-option" in capsys.readouterr().err


def test_snakemakes_usual_limit_of_jobs_a_second_is_lifted_and_any_other_kept() -> None:
    for given, kept in ((), None), (("--max-jobs-per-timespan", "7/2s"), (7, 2)):
        _, args = snakemake._parsed(["--cores", "1", *given])
        snakemake._lift_limit(args)
        limit = args.max_jobs_per_timespan
        assert (limit and (limit.max_jobs, limit.timespan)) == kept
