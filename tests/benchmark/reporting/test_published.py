"""Measured figures beside published ones."""

import pandas as pd
import pytest

from benchmarks.experiments import Experiment
from benchmarks.reporting import markdown, published
from benchmarks.reporting.frame import to_frame
from tests.benchmark.records import record, table

MEASURED = ["dataset", "detector", "mean", "std", "published", "published_std", "difference"]


def paper(*rows, metric="auroc"):
    columns = ["dataset", "protocol", "detector", "mean", "std"]
    table = pd.DataFrame(rows, columns=columns).astype({"mean": float, "std": float})
    return Experiment("paper", [], [], [], [], metric=metric, published=table)


def beside(records, own):
    return published.beside(to_frame(records), own)["one-class"]


def test_difference():
    records = table({"wine": {"PLAD": [0.9, 0.8], "KNN": [0.5, 0.5]}})
    (row,) = beside(records, paper(("wine", "one-class", "PLAD", 0.9, 0.02)))[MEASURED].values.tolist()
    assert row[:2] == ["wine", "PLAD"]
    assert row[2:] == pytest.approx([0.85, 0.05, 0.9, 0.02, -0.05])
    found = beside(records, paper(("wine", "one-class", "PLAD", 0.3, None), metric="auprc"))
    (row,) = found[MEASURED].values.tolist()
    assert row[2:] == pytest.approx([0.425, 0.025, 0.3, float("nan"), 0.125], nan_ok=True)
    assert found[["members", "oracle", "oracle_std"]].isna().all(axis=None)


def test_names_stand_for_labels_that_were_not_published_themselves():
    records = table({"wine": {"PLAD": [0.5], "PLAD:perturbator=deterministic": [0.6], "PLAD:lam=1": [0.7]}})
    own = paper(("wine", "one-class", "PLAD", 0.9, None), ("wine", "one-class", "PLAD(lam=1)", 0.8, None))
    found = beside(records, own).set_index("detector")["published"]
    assert found.to_dict() == {"PLAD": 0.9, "PLAD(perturbator=deterministic)": 0.9, "PLAD(lam=1)": 0.8}
    assert published.whole(to_frame(records), own) == {}


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
    own = paper(("mnist", "one-class", "NCAE", 0.6, 0.1), ("mnist", "one-class", "KNN", 0.6, None))
    knn, ncae = beside(records, own)[["members", *MEASURED]].values.tolist()
    assert ncae[:3] == [2, "mnist", "NCAE"]
    assert ncae[3:] == pytest.approx([0.65, 0.05, 0.6, 0.1, 0.05])
    assert knn[:3] == [2, "mnist", "KNN"]
    assert knn[3:] == pytest.approx([0.5, 0, 0.6, float("nan"), -0.1], nan_ok=True)


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
    found = beside(records, paper(*names))
    columns = ["dataset", "members", "detector", "done", "seeds", "status"]
    assert found.fillna({"members": -1})[columns].values.tolist() == [
        ["a", -1, "P", 1, 2, "ok"],
        ["a", -1, "Q", 0, 2, "failed"],
        ["a", -1, "R", 0, 2, "skipped"],
        ["mnist", 0, "P", 0, 2, "incomplete"],
        ["mnist", 0, "Q", 0, 2, "failed"],
    ]
    assert found["difference"].notna().tolist() == [True, False, False, False, False]
    assert markdown.beside(found, "auroc")[["measured", "difference"]].values.tolist() == [
        ["0.500 (1 of 2 seeds)", "+0.000"],
        ["failed", ""],
        ["skipped", ""],
        ["incomplete", ""],
        ["failed", ""],
    ]


def test_methods_that_were_not_run_stand_in_the_whole_table():
    records = table({"a": {"PLAD": [0.5]}, "b": {"PLAD": [0.5]}})
    own = paper(
        ("b", "one-class", "PLAD", 0.9, 0.01),
        ("b", "one-class", "HRN", 0.8, None),
        ("a", "one-class", "PLAD", 0.7, None),
        ("a", "supervised", "HRN", 0.6, None),
    )
    runs = to_frame(records)
    assert list(published.beside(runs, own)) == ["one-class"]
    whole = published.whole(runs, own)
    assert {protocol: rows["mean"].tolist() for protocol, rows in whole.items()} == {
        "one-class": [0.9, 0.8, 0.7],
        "supervised": [0.6],
    }


def test_oracle_epoch():
    best = {"epoch": 1, "auroc": 0.9, "auprc": 0.0, "f1": 0.0}
    records = [record("a", "PLAD", 0, 0.5, oracle_epoch=best), record("a", "KNN", 0, 0.5)]
    own = paper(("a", "one-class", "PLAD", 0.6, None), ("a", "one-class", "KNN", 0.6, None))
    found = beside(records, own)
    assert found["oracle"].tolist() == pytest.approx([float("nan"), 0.9], nan_ok=True)
    assert found["difference"].tolist() == pytest.approx([-0.1, -0.1])
    assert markdown.beside(found, "auroc")["oracle-epoch AUROC"].tolist() == ["", "0.900"]
