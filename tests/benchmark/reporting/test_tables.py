"""Means, ranks and what is left out of them."""

import numpy as np
import pytest

from benchmarks.reporting import tables
from benchmarks.reporting.frame import to_frame
from tests.benchmark.records import frame, record, table

RECORDS = [
    *table({"a": {"P": [0.9, 0.7], "Q": [0.6, 0.6]}, "b": {"P": [0.5, 0.5], "Q": [0.9, 0.7]}}),
    record("c", "P", 0, 0.1),
    record("c", "Q", 0, None, "failed"),
]
FRAME = to_frame(RECORDS)


def found(table, *columns):
    """What a table holds, as rows of a list."""
    return table[list(columns)].values.tolist()


def test_summary():
    summary = tables.summary(FRAME)["one-class"]
    assert summary.loc["P", ["auroc", "auroc_std"]].tolist() == pytest.approx([0.65, 0.05])  # seeds: 0.7 and 0.6
    assert summary.loc["Q", ["auroc", "auroc_std"]].tolist() == pytest.approx([0.7, 0.05])
    assert summary.loc["Q", ["f1", "f1_std"]].tolist() == pytest.approx([0.175, 0.0125])
    assert summary["rank_auroc"].tolist() == [1.5, 1.5]
    assert summary.loc["P", ["fit_seconds", "score_seconds"]].tolist() == [1.0, 0.5]
    assert (summary.dtypes == np.float64).all()
    assert summary["oracle_auroc"].isna().all()
    figures = [name for figure in ("auroc", "auprc", "f1", "oracle_auroc") for name in (figure, f"{figure}_std")]
    assert list(summary) == [*figures, "rank_auroc", "rank_auprc", "fit_seconds", "score_seconds"]


def test_summary_is_sorted_by_the_metric():
    records = to_frame([record("a", "P", 0, 0.9, figures={"f1": 0.1}), record("a", "Q", 0, 0.8, figures={"f1": 0.2})])
    assert tables.summary(records)["one-class"].index.tolist() == ["P", "Q"]
    by_f1 = tables.summary(records, "f1")["one-class"]
    assert by_f1.index.tolist() == ["Q", "P"]
    assert by_f1["rank_f1"].tolist() == [1, 2]


def test_outcomes():
    outcomes = tables.outcomes(to_frame([*RECORDS, record("d", "Q", 1, 0.5)]), "auroc")
    assert set(outcomes["protocol"]) == {"one-class"}
    assert found(outcomes, "dataset", "detector", "done", "seeds", "status") == [
        *([dataset, detector, 2, 2, "ok"] for dataset in "ab" for detector in "PQ"),
        ["c", "P", 1, 2, "ok"],
        ["c", "Q", 0, 2, "failed"],
        ["d", "Q", 1, 2, "ok"],
    ]
    assert outcomes["mean"].tolist() == pytest.approx([0.8, 0.6, 0.5, 0.8, 0.1, float("nan"), 0.5], nan_ok=True)
    nan = float("nan")  # one seed has no deviation
    assert outcomes["std"].tolist() == pytest.approx([0.1, 0, 0, 0.1, nan, nan, nan], nan_ok=True)


def test_no_records():
    empty = to_frame([])
    assert (tables.summary(empty), tables.means(empty, "f1"), tables.ranks(empty, "f1")) == ({}, {}, {})
    for made in (tables.outcomes(empty, "f1"), tables.left_out(empty), tables.reasons(empty, "failed")):
        assert len(made) == 0
        assert "protocol" in made


def test_outcomes_without_any_success():
    records = to_frame([record("a", "P", 0, None, "failed"), record("a", "Q", 0, None, "skipped")])
    assert found(tables.outcomes(records, "f1"), "detector", "status") == [["P", "failed"], ["Q", "skipped"]]
    assert tables.summary(records) == {}
    assert tables.means(records, "f1") == {}


def test_ranks():
    ranks = tables.ranks(frame({"a": {"P": [0.9], "Q": [0.5], "R": [0.9]}}), "auroc")["one-class"]
    assert ranks.loc["a"].to_dict() == {"P": 1.5, "Q": 3, "R": 1.5}


def test_data_sets_with_a_failure_are_left_out():
    assert set(tables.complete(FRAME)["dataset"]) == {"a", "b"}
    assert tables.left_out(FRAME).values.tolist() == [["one-class", "c", "Q failed"]]


def test_interrupted_runs_are_averaged_over_whole_data_sets():
    records = table({"a": {"P": [0.9, 0.7], "Q": [0.6, 0.6]}, "b": {"P": [0.1, 0.1]}, "c": {"P": [0.1], "Q": [0.1]}})
    runs = to_frame(records)
    assert tables.summary(runs)["one-class"].loc["P", ["auroc", "auroc_std"]].tolist() == pytest.approx([0.8, 0.1])
    assert tables.left_out(runs)["reason"].tolist() == ["only 2 of 4 runs", "only 2 of 4 runs"]
    # another protocol with fewer seeds is another matter
    records += table({"a": {"P": [0.4]}}, protocol="unsupervised")
    unsupervised = tables.summary(to_frame(records))["unsupervised"]
    assert unsupervised.loc["P", ["auroc", "auroc_std"]].tolist() == pytest.approx([0.4, float("nan")], nan_ok=True)


def test_skipped_detectors_are_not_compared():
    skips = [record("b", "R", seed, None, "skipped", reason="needs labels") for seed in (0, 1)]
    records = [*RECORDS, record("a", "R", 0, 1.0), record("a", "R", 1, 1.0), *skips]
    runs = to_frame(records)
    assert tables.summary(runs)["one-class"].equals(tables.summary(FRAME)["one-class"])
    outcomes = tables.outcomes(runs, "auroc").query("detector == 'R'")
    assert found(outcomes, "dataset", "mean", "status")[0] == ["a", 1.0, "ok"]
    assert found(outcomes, "dataset", "status")[1:] == [["b", "skipped"]]
    assert tables.reasons(runs, "skipped").values.tolist() == [["one-class", "R", "b", "0, 1", "needs labels"]]
    # elsewhere it is
    other = table({"a": {"P": [0.5], "R": [0.6]}}, protocol="supervised")
    assert set(tables.summary(to_frame([*records, *other]))["supervised"].index) == {"P", "R"}


def test_reasons_are_listed_once():
    records = [record(dataset, "P", seed, None, "failed", reason="too few") for dataset in "ab" for seed in (1, 0)]
    records = to_frame([*records, record("a", "Q", 0, None, "failed", reason="other")])
    assert tables.reasons(records, "failed").values.tolist() == [
        ["one-class", "P", "all", "0, 1", "too few"],
        ["one-class", "Q", "a", "0", "other"],
    ]
    assert len(tables.reasons(records, "skipped")) == 0


def test_oracle_epoch_has_a_column_of_its_own():
    def best(auroc):
        return {"epoch": 3, "auroc": auroc, "auprc": 0.0, "f1": 0.0}

    records = [
        record("a", "P", 0, 0.5, oracle_epoch=best(0.8)),
        record("a", "P", 1, 0.5, oracle_epoch=best(0.6)),
        record("a", "Q", 0, 0.7),
        record("a", "Q", 1, 0.7),
    ]
    summary = tables.summary(to_frame(records))["one-class"]
    assert summary.loc["P", ["oracle_auroc", "oracle_auroc_std"]].tolist() == pytest.approx([0.7, 0.1])
    assert summary.loc["Q", ["oracle_auroc", "oracle_auroc_std"]].isna().all()
    assert summary["auroc"].to_dict() == {"P": 0.5, "Q": 0.7}
    assert summary["rank_auroc"].to_dict() == {"Q": 1, "P": 2}
    half = to_frame([*records[1:], record("a", "P", 0, 0.5)])
    assert tables.summary(half)["one-class"]["oracle_auroc"].isna().all()  # the mean over one seed is of something else
