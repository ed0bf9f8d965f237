"""The best epoch by the test labels, beside the last one."""

from dataclasses import replace

import pytest

from benchmarks import data, protocols
from benchmarks.__main__ import main
from benchmarks.experiments import Experiment
from benchmarks.running.metrics import evaluate
from benchmarks.running.records_file import RecordsFile
from pyod_synth import NCAE
from tests.benchmark.records import run, specs


@pytest.mark.parametrize("metric", ["auroc", "f1"])
def test_oracle_epoch(folder, tmp_path, metric):
    file = RecordsFile(tmp_path / "records.jsonl")
    experiment = Experiment("oracle", ["2_near"], specs("NCAE", "KNN"), ["one-class"], [0], epoch_num=4, metric=metric)
    plain = run(experiment, file, folder)
    assert all(record.oracle_epoch is None for record in plain)
    ours, knn = run(replace(experiment, oracle_epoch=True), file, folder)
    assert knn == plain[1]
    assert ours.figures == plain[0].figures
    # the same training, stopped by hand
    parts = protocols.split(data.load("2_near", folder), "one-class", 0)
    stages = NCAE(epoch_num=4, random_state=0).staged_fit(parts.X_train)
    epochs = [evaluate(parts.y_test, stage.decision_function(parts.X_test)) for stage in stages]
    best = max(range(4), key=lambda e: epochs[e][metric])
    assert len({epoch["auroc"] for epoch in epochs}) > 1
    assert ours.oracle_epoch == {"epoch": best + 1} | epochs[best]
    # whoever asks again, nothing is run again
    before, done = file.path.read_bytes(), file.read()
    assert run(replace(experiment, oracle_epoch=True), file, folder) == done
    assert run(experiment, file, folder) == done
    assert file.path.read_bytes() == before


def test_oracle_epoch_from_the_command_line(tmp_path):
    own, out = tmp_path / "own.toml", tmp_path / "out"
    own.write_text(
        'datasets = ["wine"]\ndetectors = ["NCAE", "ECOD"]\nprotocols = ["one-class"]\nseeds = [0]\nepoch_num = 3\n'
    )
    assert main(["run", str(own), "--out", str(out), "--jobs", "1", "--oracle-epoch"]) == 0
    ours, ecod = RecordsFile(out / "records.jsonl").read()
    assert 1 <= ours.oracle_epoch["epoch"] <= 3
    assert ours.oracle_epoch["auroc"] >= ours.figures["auroc"]
    assert ecod.oracle_epoch is None
