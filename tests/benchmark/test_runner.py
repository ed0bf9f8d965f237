"""The grid, its records on disk, and the command line."""

import json
import subprocess
import sys

import pytest

from benchmarks import runner
from benchmarks.__main__ import main
from benchmarks.results import RecordsFile
from benchmarks.settings import Settings

GRID = Settings("grid", ["Classical"], ["OCSVM", "ECOD"], ["one-class", "unsupervised"], [0, 1])


def test_run_and_resume(folder, tmp_path):
    file = RecordsFile(tmp_path / "out" / "records.jsonl")
    records = runner.run(GRID, file, folder)
    assert len(records) == 2 * 2 * 2 * 2
    assert {record["status"] for record in records} == {"ok"}
    far = [r["auroc"] for r in records if r["dataset"] == "10_far" and r["detector"] == "OCSVM"]
    assert min(far) > 0.95
    record = records[0]
    assert record["sizes"] == {"train": 45, "test": 55, "anomalies": 10, "shape": [4]}
    assert record["parameters"]["nu"] == 0.5
    assert record["versions"]["pyod"]
    before = file.path.read_bytes()
    assert runner.run(GRID, file, folder) == records
    assert file.path.read_bytes() == before


def test_cut_short_line_is_run_again(folder, tmp_path):
    path = tmp_path / "records.jsonl"
    runner.run(GRID, RecordsFile(path), folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    file = RecordsFile(path)
    assert len(file.read()) == 15
    records = runner.run(GRID, file, folder)
    assert len(records) == len(file.read()) == 16
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_other_settings_are_other_cells(folder, tmp_path):
    file = RecordsFile(tmp_path / "records.jsonl")
    one = Settings("one", ["10_far"], ["KNN"], ["one-class"], [0])
    other = Settings("other", ["10_far"], ["KNN"], ["one-class"], [0], parameters={"KNN": {"n_neighbors": 20}})
    first, second = runner.run(one, file, folder), runner.run(other, file, folder)
    assert first[0]["parameters"]["n_neighbors"] == 5
    assert second[0]["parameters"]["n_neighbors"] == 20
    assert len(file.read()) == 2


def test_command_line(folder, tmp_path, capsys):
    out = tmp_path / "results"
    options = ["--data", str(folder), "--datasets", "far", "--detectors", "ECOD,KNN", "--protocols", "one-class"]
    assert main(["run", "adbench", *options, "--seeds", "0,4", "--out", str(out), "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    assert "one-class" in printed
    assert "KNN" in printed
    records = RecordsFile(out / "records.jsonl").read()
    assert {(r["dataset"], r["detector"], r["seed"]) for r in records} == {
        ("10_far", detector, seed) for detector in ("ECOD", "KNN") for seed in (0, 4)
    }
    assert "python -m benchmarks run adbench" in (out / "report.md").read_text()
    assert (out / "auroc.png").stat().st_size > 10_000
    (out / "report.md").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nothing"], "no settings"),
        (["run", "--datasets", "nothing"], "unknown data set"),
        (["run", "--detectors", "nothing"], "unknown detector"),
        (["run", "--protocols", "nothing"], "unknown protocol"),
        (["report", "nowhere"], "no records"),
    ],
)
def test_wrong_arguments(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_module_runs(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "run", "--datasets", "wine", "--detectors", "ECOD", "--seeds", "0"]
    finished = subprocess.run([*command, "--out", tmp_path], capture_output=True, text=True, check=True)
    assert "unsupervised" in finished.stdout
    assert "2/2" in finished.stderr


@pytest.mark.needs_data
def test_real_run(data_folder, tmp_path):
    grid = Settings("real", ["42_WBC"], ["PLAD", "KNN", "IForest"], ["one-class", "unsupervised"], [0])
    records = runner.run(grid, RecordsFile(tmp_path / "records.jsonl"), data_folder)
    assert min(record["auroc"] for record in records) > 0.95
