"""Measured figures beside published ones."""

import pandas as pd

from benchmarks.experiments import Settings
from benchmarks.reporting import published
from tests.benchmark.records import record, table


def settings(*rows, metric="auroc"):
    columns = ["dataset", "protocol", "detector", "mean", "std"]
    return Settings("paper", [], [], [], [], metric=metric, published=pd.DataFrame(rows, columns=columns))


def test_difference():
    records = table({"wine": {"PLAD": [0.9, 0.8], "KNN": [0.5, 0.5]}})
    (row,) = published.beside(records, settings(("wine", "one-class", "PLAD", 0.9, 0.02)))["one-class"].values.tolist()
    assert row == ["wine", "PLAD", "0.850 ± 0.050", "0.900 ± 0.020", "-0.050"]
    own = settings(("wine", "one-class", "PLAD", 0.3, None), metric="auprc")
    (row,) = published.beside(records, own)["one-class"].values.tolist()
    assert row == ["wine", "PLAD", "0.425 ± 0.025", "0.300", "+0.125"]


def test_names_stand_for_labels_that_were_not_published_themselves():
    records = table({"wine": {"PLAD": [0.5], "PLAD:classifier=free": [0.6], "PLAD:lam=1": [0.7]}})
    own = settings(("wine", "one-class", "PLAD", 0.9, None), ("wine", "one-class", "PLAD:lam=1", 0.8, None))
    found = published.beside(records, own)["one-class"].set_index("detector")["published"]
    assert found.to_dict() == {"PLAD": "0.900", "PLAD:classifier=free": "0.900", "PLAD:lam=1": "0.800"}
    assert published.whole(records, own) == {}


def test_groups_are_averaged_over_their_members():
    records = table(
        {
            "mnist-0": {"NCAE": [0.9, 0.7], "KNN": [0.4, 0.4]},
            "mnist-1": {"NCAE": [0.5, 0.5], "KNN": [0.6, 0.6]},
            "mnist-2+3+5": {"NCAE": [0.1, 0.1]},
            "mnist-all": {"NCAE": [0.1, 0.1]},
        }
    )
    records.append(record("mnist-2", "NCAE", 0, 0.9))
    records.append(record("mnist-2", "NCAE", 1, None, "failed"))
    own = settings(("mnist", "one-class", "NCAE", 0.6, 0.1), ("mnist", "one-class", "KNN", 0.6, None))
    assert published.beside(records, own)["one-class"].values.tolist() == [
        ["mnist, mean over 2", "NCAE", "0.650 ± 0.050", "0.600 ± 0.100", "+0.050"],
        ["mnist, mean over 2", "KNN", "0.500 ± 0.000", "0.600", "-0.100"],
    ]


def test_what_has_no_figure_here_says_why():
    records = [
        record("a", "P", 0, 0.5),
        record("a", "P", 1, None, "failed"),
        record("a", "Q", 0, None, "failed"),
        record("a", "R", 0, None, "skipped"),
        record("mnist-0", "P", 0, 0.5),
        record("mnist-0", "Q", 1, None, "failed"),
    ]
    names = [(dataset, "one-class", detector, 0.5, None) for dataset in ("a", "mnist") for detector in "PQR"]
    found = published.beside(records, settings(*names))["one-class"]
    assert found[["data set", "measured", "difference"]].values.tolist() == [
        ["a", "0.500 ± 0.000 (1 of 2 seeds)", "+0.000"],
        ["a", "failed", ""],
        ["a", "skipped", ""],
        ["mnist, mean over 0", "incomplete", ""],
        ["mnist, mean over 0", "failed", ""],
    ]


def test_methods_that_were_not_run_stand_in_the_whole_table():
    records = table({"a": {"PLAD": [0.5]}, "b": {"PLAD": [0.5]}})
    own = settings(
        ("b", "one-class", "PLAD", 0.9, 0.01),
        ("b", "one-class", "HRN", 0.8, None),
        ("a", "one-class", "PLAD", 0.7, None),
        ("a", "supervised", "HRN", 0.6, None),
    )
    assert list(published.beside(records, own)) == ["one-class"]
    whole = published.whole(records, own)
    assert whole["one-class"].to_dict("index") == {
        "PLAD": {"b": "0.900 ± 0.010", "a": "0.700"},
        "HRN": {"b": "0.800", "a": ""},
    }
    assert whole["supervised"].to_dict("index") == {"HRN": {"a": "0.600"}}


def test_oracle_epoch():
    best = {"epoch": 1, "auroc": 0.9, "auprc": 0.0, "f1": 0.0}
    records = [record("a", "PLAD", 0, 0.5, oracle_epoch=best), record("a", "KNN", 0, 0.5)]
    own = settings(("a", "one-class", "PLAD", 0.6, None), ("a", "one-class", "KNN", 0.6, None))
    found = published.beside(records, own)["one-class"]
    assert found["oracle-epoch AUROC"].tolist() == ["0.900 ± 0.000", ""]
    assert found["difference"].tolist() == ["-0.100", "-0.100"]
