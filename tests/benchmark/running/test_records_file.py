"""The file of records, shared by several processes and cut short by kills."""

import json
import multiprocessing
import os
import time

import pytest
from filelock import FileLock

from benchmarks.detectors import DetectorSpec
from benchmarks.running.records import Cell, Record
from benchmarks.running.records_file import RecordsFile


def cell(seed):
    return Cell("d", "one-class", DetectorSpec("KNN", {"n": [1, 2]}), seed)


def record(seed, status="ok", **more):
    return Record(cell(seed), status, **more)


@pytest.fixture
def file(tmp_path):
    return RecordsFile(tmp_path / "out" / "records.jsonl")


def append_many(path, first, count, start):
    file = RecordsFile(path)
    start.wait()
    for seed in range(first, first + count):
        # longer than what a pipe or a buffer writes at a time
        file.append(record(seed, reason="x" * 20_000))


def claim_and_wait(path, claimed):
    with RecordsFile(path).claim(cell(0)):
        claimed.set()
        time.sleep(600)


def test_latest_of_each_cell(file):
    assert file.read() == []
    assert file.find(cell(0)) is None
    for one in (record(0, status="failed"), record(1), record(0, figures={"auroc": 0.5})):
        file.append(one)
    assert file.read() == RecordsFile(file.path).read() == [record(0, figures={"auroc": 0.5}), record(1)]
    assert file.find(cell(0)) == record(0, figures={"auroc": 0.5})
    assert file.find(cell(2)) is None


def test_other_runners_records_are_seen(file):
    other = RecordsFile(file.path)
    assert file.read() == []
    other.append(record(0))
    assert file.find(cell(0)) == record(0)
    file.append(record(1))
    assert other.read() == [record(0), record(1)]


def test_rest_of_a_record_is_dropped_by_the_next(file):
    for seed in (0, 1):
        file.append(record(seed))
    whole = file.path.read_bytes()
    file.path.write_bytes(whole[:-20])
    other = RecordsFile(file.path)
    assert other.read() == [record(0)]
    assert file.path.read_bytes() == whole[:-20]  # it may be one that is being written
    other.append(record(2))
    assert other.read() == [record(0), record(2)]
    assert [json.loads(line)["seed"] for line in file.path.read_text().splitlines()] == [0, 2]


def test_what_another_is_writing_is_waited_for(file):
    file.append(record(0))
    line = (record(1).to_json() + "\n").encode()
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    start.set()
    other = context.Process(target=append_many, args=(file.path, 2, 1, start))
    with FileLock(file.path.with_name(".records.jsonl.lock")), file.path.open("ab", buffering=0) as lines:
        lines.write(line[:30])
        other.start()
        other.join(3)
        assert other.is_alive()
        lines.write(line[30:])
    other.join()
    assert [one.cell.seed for one in file.read()] == [0, 1, 2]


def test_nothing_but_a_rest(file):
    file.append(record(0))
    os.truncate(file.path, 10)
    other = RecordsFile(file.path)
    assert other.read() == []
    other.append(record(1))
    assert RecordsFile(file.path).read() == [record(1)]


OLD = b'{"dataset": "d", "protocol": "one-class", "detector": "KNN:n=1", "seed": 7, "status": "ok"}'


def changed(**entries):
    """A line of a record with other entries."""
    return json.dumps(json.loads(record(7).to_json()) | entries).encode()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nonsense", "no JSON, got b'nonsense'"),
        (b"\0\0\0", "no JSON"),
        (b"\xff\xfe{", "no JSON"),
        (b"null", "a record is an object, got NoneType"),
        (b"{}", "it lacks dataset, protocol, detector, seed, max_rows, status"),
        (OLD, "it lacks max_rows"),
        (b"[" * 100_000, "nested too deeply"),
        (changed(colour=1), "Record.__init__() got an unexpected keyword argument 'colour'"),
        (changed(detector="KNN:n=1"), "detector must hold a name and parameters, got 'KNN:n=1'"),
        (changed(detector={"name": "KNN", "parameters": [1]}), "detector must hold"),
        (changed(dataset=["d"]), r"dataset must be text, got ['d']"),
        (changed(seed="7"), "seed must be an integer, got '7'"),
        (changed(seed=True), "seed must be an integer, got True"),
        (changed(max_rows=1.5), "max_rows must be an integer or null, got 1.5"),
        (changed(status="done"), "status must be one of ok, failed, skipped, got 'done'"),
        (changed(versions="1.0"), "versions must be an object"),
        (changed(figures={"auroc": "0.5"}), "figures must be numbers by auroc, auprc, f1"),
        (changed(figures={"dataset": 1}), "figures must be numbers by auroc, auprc, f1"),
        (changed(figures={"auroc": float("nan")}), "figures must be numbers"),
        (changed(figures={"auroc": 10**400}), "figures must be numbers"),
        (changed(oracle_epoch=[1]), "oracle_epoch must be an object of numbers"),
        (changed(fit_seconds="1"), "fit_seconds must be a number, got '1'"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_no_record_is_set_aside_and_said(line, reason, file, caplog):
    file.append(record(0))
    with file.path.open("ab") as lines:
        lines.write(line + b"\n")
    before = file.path.read_bytes()
    file.append(record(1))
    assert RecordsFile(file.path).read() == [record(0), record(1)]
    (message,) = caplog.messages
    assert f"{file.path}: " in message
    assert f"line 2: {reason}" in message
    aside = file.path.with_name("records.jsonl.set-aside")
    assert str(aside) in message
    assert aside.read_bytes() == line + b"\n"
    assert len(file.path.read_bytes()) > len(before)
    # once is enough, and a runner that was there before goes on
    assert RecordsFile(file.path).read() == [record(0), record(1)]
    file.append(record(2))
    assert file.read() == [record(0), record(1), record(2)]
    assert len(caplog.messages) == 1
    assert aside.read_bytes() == line + b"\n"


def test_blank_lines_say_nothing(file, caplog):
    file.append(record(0))
    with file.path.open("ab") as lines:
        lines.write(b"\n  \n\r\n")
    file.append(record(1))
    assert file.read() == [record(0), record(1)]
    assert not caplog.messages
    assert {path.name for path in file.path.parent.iterdir()} == {"records.jsonl", ".records.jsonl.lock"}


def test_zeros_that_a_loss_of_power_left_before_a_record(file, caplog):
    file.append(record(0))
    file.path.write_bytes(bytes(50) + file.path.read_bytes())
    assert file.read() == [record(0)]
    assert not caplog.messages


def test_a_runner_that_reads_on_is_not_led_astray(file):
    other = RecordsFile(file.path)
    file.append(record(0))
    assert other.read() == [record(0)]
    with file.path.open("ab") as lines:
        lines.write(b"nonsense\n")
    assert file.read() == [record(0)]  # sets aside
    file.append(record(1))
    assert other.read() == [record(0), record(1)]


def test_many_lines_that_are_no_records_are_one_warning(file, caplog):
    file.path.parent.mkdir()
    file.path.write_bytes(b"nonsense\n" * 500)
    file.append(record(0))
    assert file.read() == [record(0)]
    (message,) = caplog.messages
    assert "line 1: " in message
    assert message.endswith("and 490 more")
    assert file.path.with_name("records.jsonl.set-aside").read_bytes() == b"nonsense\n" * 500


def test_what_cannot_be_set_aside_is_left_out_all_the_same(file, caplog):
    file.append(record(0))
    with file.path.open("ab") as lines:
        lines.write(b"nonsense\n")
    before = file.path.read_bytes()
    file.path.with_name("records.jsonl.set-aside").mkdir()
    assert file.read() == [record(0)]
    assert "line 2: no JSON" in caplog.text
    assert "not moved to" in caplog.text
    assert file.path.read_bytes() == before


def test_a_record_without_an_end_is_not_lost(file):
    for seed in (0, 1):
        file.append(record(seed))
    file.path.write_bytes(file.path.read_bytes()[:-1])
    other = RecordsFile(file.path)
    assert other.read() == [record(0), record(1)]
    other.append(record(2))
    assert other.read() == RecordsFile(file.path).read() == [record(0), record(1), record(2)]
    assert [json.loads(line)["seed"] for line in file.path.read_text().splitlines()] == [0, 1, 2]


def test_a_record_that_is_no_json_leaves_no_trace(file):
    file.append(record(0))
    before = file.path.read_bytes()
    with pytest.raises(ValueError, match="JSON compliant"):
        file.append(record(1, figures={"auroc": float("nan")}))
    assert file.path.read_bytes() == before


def test_two_processes_append_while_a_third_reads(file):
    file.path.parent.mkdir()
    file.path.write_text('{"dataset": "cut sho')
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)  # neither begins before the other is there
    processes = [context.Process(target=append_many, args=(file.path, first, 150, start)) for first in (0, 1000)]
    for process in processes:
        process.start()
    counts = []
    while any(process.is_alive() for process in processes):
        counts.append(len(file.read()))
    for process in processes:
        process.join()
        assert process.exitcode == 0
    seeds = [one.cell.seed for one in file.read()]
    assert sorted(seeds) == [*range(150), *range(1000, 1150)]
    assert len(file.path.read_text().splitlines()) == 300
    assert counts == sorted(counts)


def test_a_claim_keeps_others_off_until_its_holder_is_gone(file):
    other = RecordsFile(file.path)
    with file.claim(cell(0)) as ours:
        assert ours
        with other.claim(cell(0)) as theirs, other.claim(cell(1)) as free:
            assert not theirs
            assert free
    context = multiprocessing.get_context("spawn")
    claimed = context.Event()
    holder = context.Process(target=claim_and_wait, args=(file.path, claimed))
    holder.start()
    assert claimed.wait(60)
    with file.claim(cell(0)) as ours:
        assert not ours
    holder.kill()
    holder.join()
    with file.claim(cell(0)) as ours:
        assert ours
    assert list(file.path.parent.iterdir()) == []


def test_claims_of_killed_runners_are_cleared_and_those_of_live_ones_are_not(file):
    context = multiprocessing.get_context("spawn")
    claimed = context.Event()
    killed = context.Process(target=claim_and_wait, args=(file.path, claimed))
    killed.start()
    assert claimed.wait(60)
    others = [".records.jsonl.lock", ".records.jsonl.1234", "records.jsonl", ".other.jsonl." + "0" * 40]
    for name in others:
        file.path.with_name(name).touch()
    with RecordsFile(file.path).claim(cell(1)):
        file.clear_claims()
        assert len(list(file.path.parent.iterdir())) == len(others) + 2  # both live
        killed.kill()
        killed.join()
        assert len(list(file.path.parent.iterdir())) == len(others) + 2
        file.clear_claims()
        assert len(list(file.path.parent.iterdir())) == len(others) + 1
        with file.claim(cell(1)) as ours:
            assert not ours
    assert sorted(path.name for path in file.path.parent.iterdir()) == sorted(others)


def test_there_may_be_no_claims(file):
    file.clear_claims()
    assert not file.path.parent.exists()


def test_ten_thousand_records(file):
    lines = [record(seed, sizes={"train": 100}, parameters={"n": 1}).to_json() for seed in range(10_000)]
    file.path.parent.mkdir()
    file.path.write_text("\n".join(lines) + "\n")
    start = time.perf_counter()
    assert len(file.read()) == 10_000
    once = time.perf_counter() - start
    assert once < 5
    start = time.perf_counter()
    for seed in range(1000):
        assert file.find(cell(seed)).cell.seed == seed
    assert time.perf_counter() - start < 20 * once  # what is read is not read again
