"""The grid, what is run again, and cells that are stopped."""

import _thread
import json
import signal
import threading
import time
from contextlib import closing
from dataclasses import replace

import numpy as np
import psutil
import pytest

from benchmarks.detectors import RIVALS, Rival
from benchmarks.experiments import Experiment
from benchmarks.running.backends import Local
from benchmarks.running.grid import grid
from benchmarks.running.records import Record
from benchmarks.running.records_file import RecordsFile
from tests.benchmark.records import run, specs

GRID = Experiment("grid", ["Classical"], specs("OCSVM", "ECOD"), ["one-class", "unsupervised"], [0, 1])


def test_run_and_resume(folder, tmp_path):
    file = RecordsFile(tmp_path / "out" / "records.jsonl")
    records = run(GRID, file, folder)
    assert len(records) == 2 * 2 * 2 * 2
    assert {record.status for record in records} == {"ok"}
    far = [r.figures["auroc"] for r in records if r.cell.dataset == "10_far" and r.cell.detector.name == "OCSVM"]
    assert min(far) > 0.95
    record = records[0]
    assert record.sizes == {"train": 45, "test": 55, "anomalies": 10, "shape": [4]}
    assert record.parameters["nu"] == 0.5
    assert record.versions["pyod"]
    before = file.path.read_bytes()
    assert run(GRID, file, folder) == records
    assert file.path.read_bytes() == before


def test_cut_short_line_is_run_again(folder, tmp_path):
    path = tmp_path / "records.jsonl"
    run(GRID, RecordsFile(path), folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    file = RecordsFile(path)
    assert len(file.read()) == 15
    records = run(GRID, file, folder)
    assert len(records) == len(file.read()) == 16
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_other_settings_are_other_cells(folder, tmp_path):
    file = RecordsFile(tmp_path / "records.jsonl")
    one = Experiment("one", ["10_far"], specs("KNN"), ["one-class"], [0])
    other = Experiment("other", ["10_far"], specs("KNN"), ["one-class"], [0], parameters={"KNN": {"n_neighbors": 20}})
    first, second = run(one, file, folder), run(other, file, folder)
    assert first[0].parameters["n_neighbors"] == 5
    assert second[0].parameters["n_neighbors"] == 20
    assert len(file.read()) == 2


def add_table(folder, name, n, n_features):
    rng = np.random.default_rng(0)
    np.savez(folder / "Classical" / f"{name}.npz", X=rng.normal(size=(n, n_features)), y=np.arange(n) % 10 == 0)


def test_skipped_is_done_and_failed_is_not(folder, tmp_path):
    file = RecordsFile(tmp_path / "records.jsonl")
    experiment = Experiment("grid", ["10_far"], specs("OCSVM", "ECOD", "KNN"), ["one-class"], [0])
    skipped, failed, _ = grid(experiment, folder)
    file.append(Record(skipped, "skipped", "not for tables"))
    file.append(Record(failed, "failed", "no memory"))
    records = run(experiment, file, folder)
    assert [record.status for record in records] == ["skipped", "ok", "ok"]
    assert len(file.path.read_text().splitlines()) == 4


def recorded_with(file, **versions):
    """Rewrite every line as if it had been made with other versions; None takes the entry out."""
    lines = [json.loads(line) for line in file.path.read_text().splitlines()]
    for entries in lines:
        entries["versions"] = {k: v for k, v in (entries["versions"] | versions).items() if v is not None}
    file.path.write_text("".join(json.dumps(entries) + "\n" for entries in lines))


VERSIONS = Experiment("versions", ["wine"], specs("ECOD", "PLAD:epoch_num=1"), ["one-class"], [0, 1])


@pytest.mark.parametrize(("package", "again"), [("pyod_synth", "PLAD"), ("pyod", "ECOD")])
def test_cells_of_another_version_run_again_and_their_lines_stay(package, again, tmp_path, caplog):
    file = RecordsFile(tmp_path / "records.jsonl")
    records = run(VERSIONS, file)
    now = records[0].versions[package]
    recorded_with(file, **{package: "0.0.1"})
    before = file.path.read_bytes()
    later = RecordsFile(file.path)
    again_there = run(VERSIONS, later)
    (message,) = caplog.messages
    assert f"their old lines stay in {file.path}: 2 with {package} 0.0.1, now {now}" in message
    after = file.path.read_bytes()
    assert after.startswith(before)
    added = [Record.from_json(line) for line in after[len(before) :].splitlines()]
    assert [record.cell.detector.name for record in added] == [again] * 2
    assert {record.versions[package] for record in again_there if record.cell.detector.name == again} == {now}
    caplog.clear()
    run(VERSIONS, RecordsFile(file.path))
    assert file.path.read_bytes() == after
    assert not caplog.messages


@pytest.mark.parametrize("changes", [{"numpy": "1.0"}, {"torch": "1.0", "python": "3.8"}, {"pyod": None}])
def test_other_versions_of_what_holds_no_detector_of_the_cells_change_nothing(changes, tmp_path, caplog):
    file = RecordsFile(tmp_path / "records.jsonl")
    experiment = replace(VERSIONS, detectors=specs("ECOD"))
    run(experiment, file)
    recorded_with(file, **changes)
    before = file.path.read_bytes()
    run(experiment, RecordsFile(file.path))
    assert file.path.read_bytes() == before
    assert not caplog.messages


def test_what_is_not_installed_now_stays_done_and_what_was_not_then_runs(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(RIVALS, "Missing", Rival("no_such_package.Model", needs="no_such_package"))
    experiment = replace(VERSIONS, detectors=specs("Missing", "ECOD"), seeds=[0])
    file = RecordsFile(tmp_path / "records.jsonl")
    missing, ecod = grid(experiment)
    file.append(Record(missing, "ok", versions={"no_such_package": "1.0"}, figures={"auroc": 0.5}))
    file.append(Record(ecod, "skipped", "pyod is not installed", versions={"pyod": None}))
    first, second = run(experiment, file)
    assert (first.status, first.figures) == ("ok", {"auroc": 0.5})
    assert second.status == "ok"
    (message,) = caplog.messages
    assert f"1 with pyod not installed, now {second.versions['pyod']}" in message


def test_a_new_version_tries_again_what_passed_a_limit(tmp_path):
    file = RecordsFile(tmp_path / "records.jsonl")
    experiment = replace(VERSIONS, detectors=specs("ECOD"), seeds=[0], time_limit=50)
    (ecod,) = grid(experiment)
    file.append(Record(ecod, "failed", "took longer than 60 s", versions={"pyod": "0.1"}, time_limit=60.0))
    assert [record.status for record in run(experiment, file)] == ["ok"]


def test_time_limit_stops_calls_into_c(folder, tmp_path):
    add_table(folder, "3_large", 60_000, 20)  # OCSVM fits this for minutes, in a single call
    file = RecordsFile(tmp_path / "records.jsonl")
    experiment = Experiment("grid", ["10_far", "3_large"], specs("OCSVM"), ["one-class"], [0], time_limit=3)
    start = time.perf_counter()
    small, large = run(experiment, file, folder)
    assert time.perf_counter() - start < 30
    assert small.status == "ok"
    assert (large.status, large.reason, large.time_limit) == ("failed", "took longer than 3 s", 3)
    assert large.versions == small.versions
    assert large.figures == {}
    before = file.path.read_bytes()
    for limit in (3, 2.5):
        assert run(replace(experiment, time_limit=limit), file, folder) == [small, large]
    assert file.path.read_bytes() == before  # it would fail again
    _, again = run(replace(experiment, time_limit=3.5), file, folder)
    assert again.reason == "took longer than 3.5 s"


def test_time_limit_stops_torch_and_the_run_goes_on(tmp_path):
    experiment = Experiment(
        "grid", ["wine"], specs("PLAD:epoch_num=10000000", "KNN"), ["one-class"], [0, 1], time_limit=3
    )
    records = run(experiment, RecordsFile(tmp_path / "records.jsonl"), jobs=2)
    assert [record.status for record in records] == ["failed", "ok"] * 2
    assert {record.reason for record in records} == {"took longer than 3 s", ""}


def test_memory_limit(folder, tmp_path):
    add_table(folder, "3_large", 300_000, 30)  # 72 MB, of which ECOD makes several copies
    experiment = Experiment("grid", ["10_far", "3_large"], specs("ECOD"), ["one-class"], [0])
    small, large = run(experiment, RecordsFile(tmp_path / "free.jsonl"), folder)
    assert small.peak_mib > 100  # the libraries
    assert large.peak_mib > small.peak_mib + 150
    limit = (small.peak_mib + 100) / 1024
    file = RecordsFile(tmp_path / "records.jsonl")
    small, large = run(replace(experiment, memory_limit=limit), file, folder)
    assert small.status == "ok"
    assert (large.status, large.reason) == ("failed", f"needed more than {limit:.6g} GiB")
    before = file.path.read_bytes()
    run(replace(experiment, memory_limit=limit), file, folder)
    assert file.path.read_bytes() == before
    _, large = run(experiment, file, folder)
    assert large.status == "ok"


def test_memory_of_earlier_cells_is_not_held_against_a_cell(tmp_path):
    forest, greedy = grid(
        Experiment("grid", ["wine"], specs("IForest:n_estimators=1000", "PLAD:epoch_num=5"), ["one-class"], [0])
    )
    with closing(Local(1)) as place:
        alone = place.run(forest).peak_mib
        place.run(greedy)
        later = place.run(forest).peak_mib
        assert later > alone + 20  # what PLAD loaded is still there
        assert place.run(forest, memory_limit=(alone + later) / 2 / 1024).status == "ok"


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL"])
def test_dead_process_is_a_failure_and_the_run_goes_on(name, folder, tmp_path):
    add_table(folder, "3_large", 60_000, 20)
    file = RecordsFile(tmp_path / "records.jsonl")
    # a limit only so that the test ends if the kill misses
    experiment = Experiment("grid", ["10_far", "3_large", "2_near"], specs("OCSVM"), ["one-class"], [0], time_limit=120)

    def kill():
        while not file.read():
            time.sleep(0.05)
        time.sleep(0.5)
        youngest = max(psutil.Process().children(recursive=True), key=lambda process: process.create_time())
        youngest.send_signal(signal.Signals[name])

    killer = threading.Thread(target=kill)
    killer.start()
    far, large, near = run(experiment, file, folder)
    killer.join()
    assert (large.status, large.reason) == ("failed", f"its process was killed by {name}")
    assert far.status == near.status == "ok"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_limit": 0}, "time_limit must be above 0, got 0"),
        ({"memory_limit": float("nan")}, "memory_limit must be above 0, got nan"),
    ],
)
def test_wrong_limits(changes, message, tmp_path):
    file = RecordsFile(tmp_path / "out" / "records.jsonl")
    with pytest.raises(ValueError, match=message):
        run(replace(GRID, datasets=["wine"], **changes), file)
    assert not list(tmp_path.iterdir())


def test_processes_end_with_the_run(tmp_path):
    run(replace(GRID, datasets=["wine"]), RecordsFile(tmp_path / "records.jsonl"), jobs=2)
    names = [" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)]
    assert [name for name in names if "resource_tracker" not in name and "forkserver" not in name] == []
    assert sum("forkserver" in name for name in names) <= 1


def test_interrupt_that_does_not_wake_the_main_thread(tmp_path):
    """As a signal just before a wait, this one leaves its flag, and nothing that ends the wait."""
    file = RecordsFile(tmp_path / "records.jsonl")
    long = Experiment("long", ["wine"], specs("PLAD:epoch_num=10000000"), ["one-class"], [0], time_limit=180)
    timer = threading.Timer(3, _thread.interrupt_main)
    timer.start()
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(long, file)
    finally:
        timer.cancel()
    assert time.monotonic() - start < 120
    assert file.read() == []


@pytest.mark.needs_data
def test_real_run(data_folder, tmp_path):
    experiment = Experiment("real", ["42_WBC"], specs("GatedKNN", "KNN", "IForest"), ["one-class", "unsupervised"], [0])
    records = run(experiment, RecordsFile(tmp_path / "records.jsonl"), data_folder)
    assert min(record.figures["auroc"] for record in records) > 0.95
