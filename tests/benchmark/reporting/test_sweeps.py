"""Curves over values."""

from dataclasses import replace

import pytest

from benchmarks.reporting import sweeps
from benchmarks.reporting.frame import to_frame
from tests.benchmark.records import frame, record, table


def test_sweep_of_a_parameter():
    records = table(
        {
            "wine-0": {"DHAG:n_augmented=30": [0.8, 0.9], "DHAG:n_augmented=0": [0.4, 0.6], "DHAG": [0.1, 0.1]},
            "wine-1": {"DHAG:n_augmented=30": [0.6, 0.7], "DHAG:n_augmented=0": [0.5, 0.5], "DHAG": [0.1, 0.1]},
            "wine-2": {"DHAG:n_augmented=30": [0.6, 0.7], "DHAG": [0.1, 0.1]},
        }
    )
    (sweep,) = sweeps.find(to_frame(records), "auroc")
    assert (sweep.title, sweep.values, sweep.file) == ("DHAG, n_augmented", "n_augmented", "sweep-DHAG-n_augmented.png")
    (panel,) = sweep.panels.values()
    assert list(sweep.panels) == ["one-class, wine, 2 data sets"]
    assert panel.mean["DHAG"].to_dict() == pytest.approx({0: 0.5, 30: 0.75})
    assert panel.std["DHAG"].to_dict() == pytest.approx({0: 0.05, 30: 0.05})  # seeds: 0.45, 0.55 and 0.7, 0.8
    assert panel.datasets["wine-0"].to_dict() == pytest.approx({0: 0.5, 30: 0.85})


def test_only_what_differs_in_one_number_is_a_sweep():
    labels = ["PLAD:lam=1:perturbator=vae", "PLAD:lam=3", "PLAD:perturbator=vae", "PLAD:perturbator=deterministic"]
    labels += ["DHAG:space=input:n_augmented=0", "DHAG:n_augmented=9:space=input", "AnoRand:use_labels=true"]
    (sweep,) = sweeps.find(frame({"a": {label: [0.5] for label in labels}}), "auroc")
    assert sweep.title == "DHAG(space=input), n_augmented"
    assert sweep.panels["one-class, a"].datasets is None
    assert sweep.panels["one-class, a"].std.isna().all(axis=None)  # one seed has no deviation
    assert sweep.file == "sweep-DHAG-space-input-n_augmented.png"


def test_sweep_of_a_protocol():
    records = []
    for share, auroc in [("0", 0.9), ("0.05", 0.8), ("0.2", 0.6)]:
        figures = {"NCAE": [auroc, auroc], "KNN": [auroc - 0.2, auroc - 0.1], "ICL": [0.5, 0.5]}
        images = {"mnist-0": figures, "mnist-1": figures}
        records += table({**images, "kdd": figures, "wine": figures}, protocol=f"contaminated:{share}")
    fails = [r.cell.dataset == "wine" and r.cell.detector.name == "KNN" for r in records]
    broken = [replace(r, status="failed") if fail else r for r, fail in zip(records, fails, strict=True)]
    broken[4:6] = [replace(r, status="skipped") for r in broken[4:6]]  # ICL, at the first share alone
    assert {r.cell.detector.name for r in broken[4:6]} == {"ICL"}
    (sweep,) = sweeps.find(to_frame([*broken, record("wine", "KNN", 0, 0.1, protocol="one-class")]), "auroc")
    assert (sweep.title, sweep.file) == ("contaminated", "sweep-contaminated.png")
    assert list(sweep.panels) == ["kdd", "mnist, 2 data sets"]
    panel = sweep.panels["mnist, 2 data sets"]
    assert panel.mean.to_dict() == {
        "NCAE": pytest.approx({0: 0.9, 0.05: 0.8, 0.2: 0.6}),
        "KNN": pytest.approx({0: 0.75, 0.05: 0.65, 0.2: 0.45}),
    }
    assert panel.std["KNN"].tolist() == pytest.approx([0.05] * 3)
    assert panel.datasets is None


def test_no_sweep():
    assert sweeps.find(frame({"a": {"PLAD": [0.5], "PLAD:lam=3": [0.5]}}, "contaminated:0.1"), "auroc") == []
    failed = [record("a", f"PLAD:lam={lam}", 0, None, "failed") for lam in (1, 2)]
    assert sweeps.find(to_frame(failed), "auroc") == []
