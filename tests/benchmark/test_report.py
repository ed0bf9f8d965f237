"""Tables and reports of records."""

from benchmarks import report, tables
from benchmarks.settings import Settings


def record(dataset, detector, seed, auroc, status="ok"):
    figures = {"auroc": auroc, "auprc": auroc / 2, "f1": auroc / 4, "fit_seconds": 1.0, "score_seconds": 0.5}
    cell = {"dataset": dataset, "protocol": "one-class", "detector": detector, "seed": seed, "status": status}
    return cell | {"reason": "", "versions": {"x": "1"}} | (figures if status == "ok" else {})


def test_summary():
    records = [
        record("a", "P", 0, 0.9),
        record("a", "P", 1, 0.7),
        record("a", "Q", 0, 0.6),
        record("a", "Q", 1, 0.6),
        record("b", "P", 0, 0.5),
        record("b", "P", 1, 0.5),
        record("b", "Q", 0, 0.9),
        record("b", "Q", 1, 0.7),
        record("c", "P", 0, 0.1),
        record("c", "Q", 0, 0.1, status="failed"),
    ]
    table = tables.summary(records)["one-class"]
    assert table.loc["P", "AUROC"] == "0.650 ± 0.050"  # means 0.7 and 0.6 of the two seeds
    assert table.loc["Q", "AUROC"] == "0.700 ± 0.050"
    assert table["rank AUROC"].tolist() == [1.5, 1.5]
    details = tables.details(records, "auroc")["one-class"]
    assert details.loc["a", "P"] == "0.800 ± 0.100"
    assert details.loc["c", "Q"] == "failed"
    text = report.markdown(records, Settings("grid", [], [], [], [], title="A title"), "the command")
    assert "2 of 3 data sets" in text
    assert "# A title" in text
    assert "the command" in text
