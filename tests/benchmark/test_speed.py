"""``python -m benchmarks speed``, and that no detector does Python's work row by row."""

import json
import os
import sys
import time

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.speed import measuring, records, report
from benchmarks.speed.comparisons import COMPARISONS
from benchmarks.speed.measuring import Measurement
from tests.detectors import DETECTORS, small, trains

CASES = {
    **{"fit-autoencoder": 3, "bare-loop": 10, "score-million": 7, "scaling": 6},
    **{"perturbators": 1, "import": 1, "latency": 7, "joblib": 2},
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A folder with tiny versions of all comparisons."""
    out = tmp_path_factory.mktemp("speed")
    assert main(["speed", "--fast", "--out", str(out)]) == 0
    return out


@pytest.mark.parametrize("name", COMPARISONS)
def test_records_hold_figures_and_the_machine(measured, name):
    record = records.read(measured, name)
    assert record.fast
    assert record.machine["processor"]
    assert record.machine["versions"]["torch"]
    assert len({found.case for found in record.measurements}) == len(report.table(record)) == CASES[name]
    for found in record.measurements:
        assert found.values
        assert all(np.isfinite(value) and (value >= 0 or not found.unit) for value in found.values)
        assert found.unit != "s" or min(found.values) > 0


@pytest.mark.parametrize("name", COMPARISONS)
def test_page_has_each_comparison_and_warns_of_tiny_sizes(measured, name):
    text = report.section(records.read(measured, name))
    assert text in (measured / "report.md").read_text()
    assert "say nothing" in text
    assert ("ratio |" in text or "ratio [s] |" in text) == (COMPARISONS[name].ratio is not None)


def test_what_is_done_is_measured_again_only_if_that_is_asked_for(tmp_path, monkeypatch):
    arguments, times = ["speed", "--only", "latency", "--out", str(tmp_path)], []

    def measure(name, fast):
        times.append(fast)
        return records.Record(name, fast, 1, measuring.machine(), 1.0, [Measurement("PLAD", "one row", "ms", [1.0])])

    monkeypatch.setattr(records, "measure", measure)
    for more in ([], [], ["--fast"], ["--fast"], [], ["--again"]):
        assert main([*arguments, *more]) == 0
    assert times == [False, True, False, False]


def test_broken_records_and_unknown_names_are_errors(tmp_path, capsys):
    (tmp_path / "latency.json").write_text("{")
    assert main(["speed", "--only", "latency", "--out", str(tmp_path)]) == 2
    assert "latency.json is no record" in capsys.readouterr().err
    assert main(["speed", "--only", "latncy", "--out", str(tmp_path)]) == 2
    assert "fit-autoencoder" in capsys.readouterr().err


def test_table_has_medians_and_their_ratio():
    sides = {"10 perturbators": [9.0, 3.0, 6.0], "1 perturbator": [2.0, 0.1, 4.0]}
    measurements = [Measurement("DHAG", side, "s", values) for side, values in sides.items()]
    record = records.Record("perturbators", False, 1, measuring.machine(), 1.0, measurements)
    table = report.table(record)
    assert table.loc["DHAG"].to_list() == ["6.00", "2.00", "3.00"]
    assert "tiny" not in report.section(record).lower()
    assert [report.number(value) for value in (1234.5, 0.01234, 100.2, 99.94)] == ["1,234", "0.0123", "100", "99.9"]


def test_calls_alternate(monkeypatch):
    called = []
    monkeypatch.setattr(measuring.time, "perf_counter", iter(range(8)).__next__)
    seconds = measuring.in_turn({name: lambda name=name: called.append(name) for name in "AB"}, 2)
    assert called == ["A", "B", "A", "B"]
    assert seconds == {"A": [1, 1], "B": [1, 1]}


def test_memory_is_that_above_the_input_and_of_another_process():
    def call():
        memory = np.ones(2**24)  # 128 MiB
        time.sleep(0.1)
        return memory.sum()

    seconds, mib = measuring.peak_above(call)
    assert 120 < mib < 160
    assert seconds > 0.1
    assert measuring.alone(os.getpid) != os.getpid()


def test_rows_are_correlated_if_that_is_asked_for():
    spectrum = np.linalg.svd(measuring.rows(500, correlated=True), compute_uv=False)
    assert spectrum[6] < 0.1 * spectrum[5]
    spectrum = np.linalg.svd(measuring.rows(500), compute_uv=False)
    assert spectrum[-1] > 0.5 * spectrum[0]
    assert not np.array_equal(measuring.rows(5), measuring.rows(5, seed=1))


def python_calls(function):
    """Count the calls of functions, Python's and C's, among them torch's, in this thread."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(trace)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)
def test_scoring_calls_grow_with_blocks_and_not_with_rows(detector):
    clf, X = small(detector).fit(measuring.rows(100, 4)), measuring.rows(20_000, 4)
    clf.decision_function(X[:2000])
    with measuring.on_threads(1):
        few, many = (python_calls(lambda n=n: clf.decision_function(X[:n])) for n in (2_000, 20_000))
    assert many < 3 * few  # three blocks, where there was one
    assert many < 20_000 / 4


@pytest.mark.parametrize(
    "detector", [each for each in DETECTORS if trains(each)], ids=lambda detector: detector.__name__
)
def test_calls_of_an_epoch_grow_with_batches_and_not_with_rows(detector):
    def of_one_epoch(n):
        X = measuring.rows(n, 4)
        one, two = (
            python_calls(lambda epochs=epochs: small(detector, epoch_num=epochs, batch_size=n // 4).fit(X))
            for epochs in (1, 2)
        )
        return two - one

    small(detector).fit(measuring.rows(500, 4))  # what is done once is done
    few, many = of_one_epoch(500), of_one_epoch(5_000)
    assert 0 < many < 1.2 * few


def test_a_detector_that_scores_row_by_row_would_be_seen():
    clf, X = small(DETECTORS[0]).fit(measuring.rows(100, 4)), measuring.rows(200, 4)
    one_by_one = python_calls(lambda: [clf.decision_function(X[[i]]) for i in range(200)])
    assert one_by_one > 20 * python_calls(lambda: clf.decision_function(X))


def test_list_names_all(capsys):
    assert main(["speed", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(COMPARISONS)


def test_a_record_is_json_that_reads_back(measured, tmp_path):
    record = records.read(measured, "latency")
    records.write(record, tmp_path)
    assert records.read(tmp_path, "latency") == record
    assert [path.name for path in tmp_path.iterdir()] == ["latency.json"]
    assert json.loads((tmp_path / "latency.json").read_text())["threads"] == 1
