"""Means, ranks and what is left out of them."""

import pytest

from benchmarks.reporting import tables
from tests.benchmark.records import record, table

RECORDS = [
    *table({"a": {"P": [0.9, 0.7], "Q": [0.6, 0.6]}, "b": {"P": [0.5, 0.5], "Q": [0.9, 0.7]}}),
    record("c", "P", 0, 0.1),
    record("c", "Q", 0, None, "failed"),
]


def test_summary():
    found = tables.summary(RECORDS)["one-class"]
    assert found.loc["P", "AUROC"] == "0.650 ± 0.050"  # means 0.7 and 0.6 of the two seeds
    assert found.loc["Q", "AUROC"] == "0.700 ± 0.050"
    assert found["rank AUROC"].tolist() == [1.5, 1.5]
    assert list(found.columns) == ["AUROC", "AUPRC", "F1", "rank AUROC", "rank AUPRC", "fit [s]", "score [s]"]


def test_summary_is_sorted_by_the_metric():
    records = [record("a", "P", 0, 0.9, f1=0.1), record("a", "Q", 0, 0.8, f1=0.2)]
    assert tables.summary(records)["one-class"].index.tolist() == ["P", "Q"]
    by_f1 = tables.summary(records, "f1")["one-class"]
    assert by_f1.index.tolist() == ["Q", "P"]
    assert by_f1["rank F1"].tolist() == [1, 2]


def test_details():
    found = tables.details([*RECORDS, record("d", "Q", 1, 0.5)], "auroc")["one-class"]
    assert found.loc["a", "P"] == "0.800 ± 0.100"
    assert found.loc["c"].tolist() == ["0.100 ± 0.000 (1 of 2 seeds)", "failed"]
    assert found.loc["d"].tolist() == ["", "0.500 ± 0.000 (1 of 2 seeds)"]


def test_details_without_any_success():
    records = [record("a", "P", 0, None, "failed"), record("a", "Q", 0, None, "skipped")]
    assert tables.details(records, "f1")["one-class"].loc["a"].tolist() == ["failed", "skipped"]
    assert tables.summary(records) == {}
    assert tables.means(records, "f1") == {}


def test_ranks():
    found = tables.ranks(table({"a": {"P": [0.9], "Q": [0.5], "R": [0.9]}}), "auroc")["one-class"]
    assert found.loc["a"].to_dict() == {"P": 1.5, "Q": 3, "R": 1.5}


def test_data_sets_with_a_failure_are_left_out():
    assert set(tables.complete(RECORDS)["dataset"]) == {"a", "b"}
    assert tables.left_out(RECORDS).values.tolist() == [["one-class", "c", "Q failed"]]


def test_interrupted_runs_are_averaged_over_whole_data_sets():
    records = table({"a": {"P": [0.9, 0.7], "Q": [0.6, 0.6]}, "b": {"P": [0.1, 0.1]}, "c": {"P": [0.1], "Q": [0.1]}})
    assert tables.summary(records)["one-class"].loc["P", "AUROC"] == "0.800 ± 0.100"
    assert tables.left_out(records)["reason"].tolist() == ["only 2 of 4 runs", "only 2 of 4 runs"]
    # another protocol with fewer seeds is another matter
    records += table({"a": {"P": [0.4]}}, protocol="unsupervised")
    assert tables.summary(records)["unsupervised"].loc["P", "AUROC"] == "0.400 ± 0.000"


def test_skipped_detectors_are_not_compared():
    skips = [record("b", "R", seed, None, "skipped", reason="needs labels") for seed in (0, 1)]
    records = [*RECORDS, record("a", "R", 0, 1.0), record("a", "R", 1, 1.0), *skips]
    assert tables.summary(records)["one-class"].equals(tables.summary(RECORDS)["one-class"])
    details = tables.details(records, "auroc")["one-class"]
    assert details["R"].tolist() == ["1.000 ± 0.000", "skipped", ""]
    assert tables.reasons(records, "skipped").values.tolist() == [["one-class", "R", "b", "0, 1", "needs labels"]]
    # elsewhere it is
    other = table({"a": {"P": [0.5], "R": [0.6]}}, protocol="supervised")
    assert set(tables.summary([*records, *other])["supervised"].index) == {"P", "R"}


def test_reasons_are_listed_once():
    records = [record(dataset, "P", seed, None, "failed", reason="too few") for dataset in "ab" for seed in (1, 0)]
    records += [record("a", "Q", 0, None, "failed", reason="other")]
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
    found = tables.summary(records)["one-class"]
    assert found["oracle-epoch AUROC"].to_dict() == {"P": "0.700 ± 0.100", "Q": ""}
    assert found["AUROC"].to_dict() == {"P": "0.500 ± 0.000", "Q": "0.700 ± 0.000"}
    assert found["rank AUROC"].to_dict() == {"Q": 1, "P": 2}


@pytest.mark.parametrize(
    ("dataset", "group"),
    [("mnist-0", "mnist"), ("anorand-synthetic-9", "anorand-synthetic"), ("mnist-all", "mnist-all"), ("kdd", "kdd")],
)
def test_group(dataset, group):
    assert tables.group(dataset) == group
    assert tables.group("mnist-2+3+5") != "mnist"
