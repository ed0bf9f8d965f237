"""Cells and records, and the lines that these become."""

import json
import math
import pickle
import sys
from dataclasses import fields, replace
from importlib import metadata

import pytest

from benchmarks.detectors import DetectorSpec
from benchmarks.running.records import Cell, Record, holder

CELL = Cell("wine", "semi-supervised:0.1", DetectorSpec("DHAG", {"n_augmented": 0, "space": "input"}), 3, 1000)
RECORD = Record(
    CELL,
    "ok",
    sizes={"train": 50, "shape": [13]},
    parameters={"lr": 0.001, "device": None},
    figures={"auroc": 0.1 + 0.2, "auprc": 1e-17, "f1": 1.0},
    fit_seconds=1.5,
    score_seconds=0.0,
    oracle_epoch={"epoch": 2, "auroc": 0.5, "auprc": 0.5, "f1": 0.5},
    peak_mib=400,
)


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        Record(CELL, "skipped", "needs labels"),
        Record(CELL, "failed", "took longer than 3 s\n", time_limit=3.0, peak_mib=0),
        Record(replace(CELL, max_rows=None, detector=DetectorSpec("KNN")), "failed", "ä", memory_limit=0.5),
    ],
    ids=lambda record: record.status,
)
def test_a_line_holds_the_record(record):
    line = record.to_json()
    assert "\n" not in line
    again = Record.from_json(line)
    assert again == record
    assert again.to_json() == line
    for entry in fields(Record):
        assert getattr(again, entry.name) == getattr(record, entry.name)


def test_a_line_says_which_algorithm_it_is_of():
    entries = json.loads(RECORD.to_json())
    assert entries["detector"] == {"name": "DHAG", "parameters": {"n_augmented": 0, "space": "input"}}
    assert list(entries)[:5] == ["dataset", "protocol", "detector", "seed", "max_rows"]
    assert entries["figures"] == RECORD.figures
    assert set(entries["versions"]) == {"pyod_synth", "pyod", "scikit-learn", "torch", "numpy", "python"}
    assert "time_limit" not in entries


@pytest.mark.parametrize(
    ("detector", "package", "distribution"),
    [
        ("DHAG", "pyod_synth", "pyod_synth"),
        ("KNN", "pyod", "pyod"),
        ("SVM", "scikit-learn", "scikit-learn"),
        ("LightGBM", "lightgbm", "lightgbm"),
        ("XGBoost", "xgboost", "xgboost-cpu" if sys.platform == "linux" else "xgboost"),
        ("DeepSAD", "deepod", "deepod"),
        ("of a user's own", "", ""),
    ],
)
def test_a_record_says_the_version_of_what_holds_its_detector(detector, package, distribution):
    try:
        expected = metadata.version(distribution) if distribution else None
    except metadata.PackageNotFoundError:
        expected = None
    record = Record(replace(CELL, detector=DetectorSpec(detector)), "ok")
    assert holder(record.cell.detector) == (package, expected)
    assert record.versions.get(package) == expected
    assert {"pyod_synth", "pyod", "scikit-learn", "torch", "numpy", "python"} <= set(record.versions)
    assert Record.from_json(record.to_json()).versions == record.versions


def test_a_line_without_versions_does_not_take_those_of_this_process():
    entries = json.loads(RECORD.to_json())
    del entries["versions"]
    assert Record.from_json(json.dumps(entries)).versions == {}


@pytest.mark.parametrize("line", ["nonsense", "3", "{}", '{"dataset": "wine"}', RECORD.to_json()[:-1]])
def test_what_is_no_record(line):
    with pytest.raises((ValueError, KeyError, TypeError)):
        Record.from_json(line)


def test_unknown_entries_are_no_record():
    with pytest.raises(TypeError, match="colour"):
        Record.from_json(json.dumps(json.loads(RECORD.to_json()) | {"colour": 1}))


def test_figures_that_json_does_not_know():
    with pytest.raises(ValueError, match="JSON compliant"):
        replace(RECORD, figures={"auroc": math.nan}).to_json()


def test_cells_are_what_is_run_and_nothing_else():
    detector = DetectorSpec("DHAG", {"space": "input", "n_augmented": 0}, label="DHAG-variant")
    same = replace(CELL, detector=detector, extensions=["mine.py"], oracle_metric="f1")
    assert same == CELL
    assert {CELL: 1}[same] == 1
    others = [
        replace(CELL, dataset="kdd"),
        replace(CELL, protocol="one-class"),
        replace(CELL, seed=4),
        replace(CELL, max_rows=None),
        replace(CELL, detector=DetectorSpec("DHAG", {"space": "input"})),
        replace(CELL, detector=DetectorSpec("PLAD", CELL.detector.parameters)),
    ]
    assert len({CELL, same, *others}) == 7


def test_cells_and_records_travel_to_other_processes():
    assert pickle.loads(pickle.dumps(RECORD)) == RECORD
    sent = pickle.loads(pickle.dumps(replace(CELL, extensions=["mine.py"], oracle_metric="f1")))
    assert (sent.extensions, sent.oracle_metric, sent.detector.label) == (["mine.py"], "f1", CELL.detector.label)
