"""``python -m benchmarks``, as users run, interrupt and kill it."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from benchmarks import data
from benchmarks.__main__ import main
from benchmarks.running.records import Record
from benchmarks.running.records_file import RecordsFile
from tests.benchmark.records import record

CELLS = 12
PATIENCE = 120  # seconds, for a machine that is busy


@pytest.fixture
def run_command(folder, tmp_path):
    """A dozen cells of about half a second, one process each for two at a time."""
    out = tmp_path / "results"
    seeds = ",".join(map(str, range(CELLS)))
    return [
        *("run", "adbench", "--data", str(folder), "--datasets", "far", "--detectors", "IForest:n_estimators=300"),
        *("--protocols", "one-class", "--seeds", seeds, "--out", str(out), "--jobs", "2"),
    ]


@pytest.fixture
def start(tmp_path):
    """Start a command in a process group of its own, as a shell does."""
    started = []

    def start(arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:  # closes its pipes
            process.kill()


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def lines(out):
    path = out / "records.jsonl"
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def gone(processes, seconds):
    """Wait until processes are gone; those that nobody reaps in a container count as gone."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        left = [process for process in processes if process.is_running() and process.status() != "zombie"]
        if not left:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("group", [True, False], ids=["group", "parent"])
def test_kill_loses_and_repeats_nothing(group, run_command, start, tmp_path):
    out = tmp_path / "results"
    process = start(run_command)
    wait_until(lambda: len(lines(out)) >= 3)
    processes = psutil.Process(process.pid).children(recursive=True)
    assert len(processes) >= 2
    (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    assert gone(processes, 20)
    before = [line for line in lines(out) if line.endswith(b"\n")]
    assert 3 <= len(before) < CELLS
    assert main(run_command) == 0
    after = lines(out)
    assert after[: len(before)] == before
    assert len(after) == CELLS
    assert len({Record.from_json(line).cell for line in after}) == CELLS
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == [".records.jsonl.lock"]


def test_a_claim_that_a_kill_left_of_a_done_cell_goes_with_the_next_run(tmp_path):
    """A kill between a record and the end of its claim."""
    out = tmp_path / "out"
    arguments = ["run", "--datasets", "wine", "--detectors", "ECOD", "--protocols", "one-class", "--jobs", "1"]
    arguments += ["--out", str(out), "--seeds", "0"]
    assert main(arguments) == 0
    (done,) = RecordsFile(out / "records.jsonl").read()
    script = (
        "import os, sys; from benchmarks.running.records import Record; "
        "from benchmarks.running.records_file import RecordsFile; file = RecordsFile(sys.argv[1]); "
        "claim = file.claim(file.read()[0].cell); claim.__enter__(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(out / "records.jsonl")]).returncode == -signal.SIGKILL
    assert len(list(out.glob(".records.jsonl.*"))) == 2
    assert main(arguments) == 0
    assert [path.name for path in out.glob(".*")] == [".records.jsonl.lock"]
    assert RecordsFile(out / "records.jsonl").read() == [done]


def test_interrupt_leaves_a_report(run_command, start, tmp_path):
    out = tmp_path / "results"
    process = start(run_command)
    wait_until(lambda: len(lines(out)) >= 3)
    processes = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C, to the processes of the cells as well
    printed, shown = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert gone(processes, 20)
    done = len(lines(out))
    assert 3 <= done < CELLS
    assert f"Stopped: {done} of {CELLS} cells are there. The same command goes on: python -m benchmarks run" in printed
    assert "Traceback" not in shown
    assert {record.status for record in RecordsFile(out / "records.jsonl").read()} == {"ok"}
    assert "IForest(n_estimators=300)" in (out / "report.md").read_text()
    assert (out / "auroc.png").stat().st_size > 5_000
    assert main(["report", str(out)]) == 0
    assert main(run_command) == 0
    assert len({Record.from_json(line).cell for line in lines(out)}) == len(lines(out)) == CELLS


def test_interrupt_before_anything_is_done(run_command, start, tmp_path):
    out = tmp_path / "results"
    run_command[run_command.index("IForest:n_estimators=300")] = "PLAD:epoch_num=10000000"
    process = start(run_command)
    wait_until(lambda: len(list(out.glob(".records.jsonl.*"))) >= 2)
    os.killpg(process.pid, signal.SIGINT)
    printed, shown = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert f"Stopped: 0 of {CELLS} cells are there." in printed
    assert "Traceback" not in shown
    assert [path.name for path in out.iterdir()] == ["experiment.json"]


def test_two_runs_share_the_cells(run_command, start, tmp_path):
    out = tmp_path / "results"
    processes = [start(run_command) for _ in range(2)]
    shown = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert all(f"{CELLS}/{CELLS}" in text for text in shown)
    assert len(lines(out)) == CELLS
    assert len({Record.from_json(line).cell for line in lines(out)}) == CELLS


def test_report_and_options(folder, tmp_path, capsys):
    out = tmp_path / "results"
    options = ["--data", str(folder), "--datasets", "far", "--detectors", "ECOD,KNN", "--protocols", "one-class"]
    assert main(["run", "adbench", *options, "--seeds", "0,4", "--out", str(out), "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    assert "one-class" in printed
    assert "KNN" in printed
    records = RecordsFile(out / "records.jsonl").read()
    assert {(r.cell.dataset, r.cell.detector.name, r.cell.seed) for r in records} == {
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
        (["run", "nothing"], "no experiment"),
        (["run", "--datasets", "nothing"], "unknown data set"),
        (["run", "--detectors", "nothing"], "unknown detector"),
        (["run", "--protocols", "nothing"], "unknown protocol"),
        (["run", "--time-limit", "0"], "time_limit must be above 0, got 0.0"),
        (["run", "--memory-limit", "-1"], "memory_limit must be above 0, got -1.0"),
        (["run", "--jobs", "0"], "jobs must be at least 1, got 0"),
        (["run", "--backend", "nothing"], "unknown backend 'nothing'; there are local, dask, ray"),
        (["run", "--scheduler", "tcp://127.0.0.1:1"], "scheduler is for the backends dask and ray"),
        (["report", "nowhere"], "no records"),
    ],
)
def test_wrong_arguments(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_module_runs(start, tmp_path):
    process = start(
        ["run", "--datasets", "wine", "--detectors", "ECOD", "--seeds", "0", "--out", str(tmp_path), "--jobs", "2"]
    )
    printed, shown = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "unsupervised" in printed
    first, *_, last = filter(None, map(str.strip, shown.splitlines()))
    assert first == "2 of 2 cells to do, 0 done before; 2 at a time"
    assert last.startswith("2/2 [")
    assert last.endswith("running 0, failed 0, skipped 0]")


def test_time_limit(tmp_path, capsys):
    arguments = ["run", "--datasets", "wine", "--detectors", "KNN,PLAD:epoch_num=10000000", "--protocols", "one-class"]
    assert main([*arguments, "--seeds", "0", "--out", str(tmp_path), "--time-limit", "3", "--jobs", "1"]) == 1
    printed, shown = capsys.readouterr()
    assert "failed: wine, one-class, PLAD(epoch_num=10000000): took longer than 3 s" in printed
    assert "running 0, failed 1, skipped 0]" in shown
    assert "took longer than 3 s" in (tmp_path / "report.md").read_text()


def test_the_grid_is_listed_once_and_not_again_for_the_report(folder, tmp_path, monkeypatch):
    listed = []
    expand = data.expand
    monkeypatch.setattr(data, "expand", lambda names, folder: listed.append(names) or expand(names, folder))
    options = ["--data", str(folder), "--datasets", "far", "--detectors", "ECOD", "--seeds", "0", "--jobs", "1"]
    assert main(["run", "adbench", *options, "--out", str(tmp_path / "out")]) == 0
    assert listed == [["far"]]
    assert main(["report", str(tmp_path / "out")]) == 0
    assert len(listed) == 1


def test_a_run_goes_on_where_lines_are_broken(tmp_path, capsys, caplog):
    out = tmp_path / "out"
    arguments = ["run", "--datasets", "wine", "--detectors", "ECOD", "--protocols", "one-class", "--jobs", "1"]
    arguments += ["--out", str(out)]
    assert main([*arguments, "--seeds", "0,1"]) == 0
    first, second = lines(out)
    (out / "records.jsonl").write_bytes(first + b"\n" + b"{" * 20 + b"\n" + second)
    capsys.readouterr()
    assert main([*arguments, "--seeds", "0,1,2"]) == 0
    assert "1 of 3 cells to do, 2 done before" in capsys.readouterr().err
    assert "line 3: no JSON" in caplog.text
    assert (out / "records.jsonl.set-aside").read_bytes() == b"{" * 20 + b"\n"
    assert [record.cell.seed for record in RecordsFile(out / "records.jsonl").read()] == [0, 1, 2]
    assert main(["report", str(out)]) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"command": 1, "experiment": "quick", "fast": false}',
        b'{"command": "c", "experiment": "quick"}',
        b'{"command": "c", "experiment": "quick", "fast": false, "runs": "3"}',
    ],
    ids=lambda content: content[:10].decode(errors="replace"),
)
def test_experiment_json_that_is_junk(content, tmp_path, capsys):
    RecordsFile(tmp_path / "records.jsonl").append(record("wine", "KNN", 0, 0.5))
    (tmp_path / "experiment.json").write_bytes(content)
    assert main(["report", str(tmp_path)]) == 2
    assert f"error: {tmp_path}/experiment.json must " in capsys.readouterr().err


def test_a_full_disk_is_one_sentence_and_the_run_goes_on(small_disk, tmp_path, capsys):
    limit, lift = small_disk
    out = tmp_path / "out"
    arguments = ["run", "--datasets", "wine", "--detectors", "ECOD", "--protocols", "one-class", "--jobs", "1"]
    arguments += ["--out", str(out), "--seeds"]
    assert main([*arguments, "0"]) == 0
    before = lines(out)
    capsys.readouterr()
    limit(len(before[0]) + 100)  # the next record does not fit
    assert main([*arguments, "0,1,2"]) == 1
    lift()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: [Errno ")
    assert f"what is done is kept in {out}, and the same command goes on: python -m benchmarks run" in last
    assert lines(out)[: len(before)] == before
    assert main([*arguments, "0,1,2"]) == 0
    assert "2 of 3 cells to do, 1 done before" in capsys.readouterr().err
    assert [Record.from_json(line).cell.seed for line in lines(out)] == [0, 1, 2]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    options = ["--datasets", "wine", "--detectors", "ECOD", "--seeds", "0", "--jobs", "1"]
    assert main(["run", *options, "--out", str(tmp_path / "file" / "out")]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: [Errno ")
    assert f"'{tmp_path}/file/out'" in last


def test_a_report_that_cannot_be_written_is_one_sentence(tmp_path, capsys):
    RecordsFile(tmp_path / "records.jsonl").append(record("wine", "KNN", 0, 0.5))
    made_by = {"command": "the command", "experiment": "quick", "fast": False}
    (tmp_path / "experiment.json").write_text(json.dumps(made_by))
    (tmp_path / "report.md").mkdir()
    assert main(["report", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: [Errno ")
    assert f"'{tmp_path}/report.md'; what is done is kept in {tmp_path}" in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "must have a column 'y'"),
        ("a,y\n1,0\nx,1\n", "columns must be numbers, got other types in 'a'"),
        ("a,y\n1,0\n2,2\n", "y must hold 0 (normal) and 1 (anomaly) only"),
        ("", "cannot be read"),
    ],
)
def test_a_file_of_ones_own_is_checked_before_anything_runs(content, message, tmp_path, capsys):
    own, out = tmp_path / "own.csv", tmp_path / "out"
    own.write_text(content)
    assert main(["run", "--datasets", f"wine,{own}", "--detectors", "ECOD", "--seeds", "0", "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {own}")
    assert message in line
    assert not out.exists()


def test_a_parameter_that_is_a_list(tmp_path):
    names = "PLAD:sequence_shape=[1, 13]:epoch_num=1, ECOD"
    arguments = ["run", "--datasets", "wine", "--detectors", names, "--protocols", "one-class", "--seeds", "0"]
    assert main([*arguments, "--out", str(tmp_path), "--jobs", "1"]) == 0
    one, two = RecordsFile(tmp_path / "records.jsonl").read()
    assert one.parameters["sequence_shape"] == [1, 13]
    assert (one.status, two.status, two.cell.detector.name) == ("ok", "ok", "ECOD")
