"""Records as one table of numbers."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.detectors import DetectorSpec
from benchmarks.experiments import Experiment
from benchmarks.reporting.frame import COLUMNS, group, to_frame
from tests.benchmark.records import record, specs, table


def test_columns():
    best = {"epoch": 3, "auroc": 0.9, "auprc": 0.8, "f1": 0.7}
    records = [record("a", "P:lam=2", 0, 0.5, oracle_epoch=best), record("a", "Q", 1, None, "failed", reason="broken")]
    found = to_frame(records)
    assert list(found) == COLUMNS
    first, second = found.to_dict("records")
    assert (first["dataset"], first["protocol"], first["seed"], first["status"]) == ("a", "one-class", 0, "ok")
    assert (first["detector"], first["algorithm"], first["parameters"]) == ("P(lam=2)", "P", {"lam": 2})
    assert (first["auroc"], first["auprc"], first["f1"], first["fit_seconds"]) == (0.5, 0.25, 0.125, 1.0)
    assert [first[f"oracle_{name}"] for name in best] == [3, 0.9, 0.8, 0.7]
    assert (second["status"], second["reason"], second["versions"]) == ("failed", "broken", {"x": "1"})
    numbers = found[COLUMNS[COLUMNS.index("auroc") :]]
    assert (numbers.dtypes == np.float64).all()
    assert numbers.loc[1].isna().all()


def test_labels_are_those_of_the_experiment():
    experiment = Experiment(
        "own",
        ["a", "b"],
        [DetectorSpec("DHAG", {"space": "input"}, "DHAG-variant"), *specs("PLAD", "PLAD:lam=3.0")],
        ["one-class"],
        [0],
        epoch_num=7,
        parameters={"PLAD": {"lr": 0.1}, "KNN": {"p": 1}},
        special={"b": {"PLAD": {"lam": 2.0}}},
    )
    cells = {
        ("a", "DHAG", ("space", "input"), ("epoch_num", 7)): "DHAG-variant",
        ("a", "PLAD", ("lr", 0.1), ("epoch_num", 7)): "PLAD",
        ("b", "PLAD", ("lr", 0.1), ("lam", 2.0), ("epoch_num", 7)): "PLAD",
        ("b", "PLAD", ("lr", 0.1), ("lam", 3.0), ("epoch_num", 7)): "PLAD(lam=3.0)",
        # not listed: what holds for all is left out
        ("a", "KNN", ("p", 1), ("n_neighbors", 3)): "KNN(n_neighbors=3)",
        ("a", "KNN", ("p", 2)): "KNN(p=2)",
        ("a", "PLAD", ("lr", 0.1), ("lam", 1.0)): "PLAD(lam=1.0)",
    }
    made = record("a", "PLAD", 0, 0.5)
    for (dataset, name, *parameters), label in cells.items():
        cell = replace(made.cell, dataset=dataset, detector=DetectorSpec(name, dict(parameters)))
        (row,) = to_frame([replace(made, cell=cell)], experiment).itertuples()
        assert (row.detector, row.algorithm) == (label, name)
    (row,) = to_frame([replace(made, cell=cell)]).itertuples()
    assert row.detector == "PLAD(lr=0.1, lam=1.0)"


def test_latest_of_each_run():
    records = [record("a", "P", 0, 0.5), record("a", "P", 1, 0.6)]
    records.append(replace(record("a", "P", 0, 0.7), cell=replace(records[0].cell, max_rows=100)))
    assert to_frame(records)["auroc"].tolist() == [0.7, 0.6]


def test_order_is_that_of_the_experiment():
    experiment = Experiment("own", ["kdd"], specs("LOF", "KNN"), ["unsupervised", "one-class"], [1, 0])
    figures = {name: [0.5, 0.6] for name in ("KNN", "LOF", "ECOD")}
    datasets = {"10_b": figures, "2_a": figures, "kdd": figures}
    records = [*table(datasets), *table(datasets, protocol="unsupervised")]
    found = to_frame(records, experiment)
    assert found["protocol"].unique().tolist() == ["unsupervised", "one-class"]
    assert found["dataset"].unique().tolist() == ["kdd", "2_a", "10_b"]
    assert found["detector"].unique().tolist() == ["LOF", "KNN", "ECOD"]
    assert found["seed"].tolist() == [0, 1] * 18
    assert to_frame(records[::-1], experiment).equals(found)


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("mnist-0", "mnist"),
        ("anorand-synthetic-9", "anorand-synthetic"),
        ("mnist-all", "mnist-all"),
        ("kdd", "kdd"),
        ("CIFAR10_0", "CIFAR10"),
        ("MVTec-AD_metal_nut", "MVTec-AD"),
        ("20news_3", "20news"),
        ("22_magic.gamma", "22_magic.gamma"),
    ],
)
def test_group(dataset, name):
    assert group(dataset) == name
    assert group("mnist-2+3+5") != "mnist"
