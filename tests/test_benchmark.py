"""The benchmark's parts, and the whole on a small grid."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import f1_score

from benchmarks import datasets, detectors, report, runner, settings
from benchmarks.__main__ import main
from benchmarks.metrics import evaluate, f1_at_true_count
from benchmarks.protocols import PROTOCOLS, split
from benchmarks.results import RecordsFile
from benchmarks.settings import Settings


@pytest.fixture
def folder(tmp_path):
    """A data folder as ADBench lays it out, with two tables and an embedding."""
    rng = np.random.default_rng(0)
    for group, stem, shift in [("Classical", "10_far", 6), ("Classical", "2_near", 2), ("CV_by_ResNet18", "photo", 4)]:
        (tmp_path / group).mkdir(exist_ok=True)
        X = np.concatenate([rng.normal(size=(90, 4)), rng.normal(size=(10, 4)) + shift])
        np.savez(tmp_path / group / f"{stem}.npz", X=X, y=np.repeat([0, 1], [90, 10]))
    return tmp_path


GRID = Settings("grid", ["Classical"], ["OCSVM", "ECOD"], ["one-class", "unsupervised"], [0, 1])


def test_metrics():
    y, scores = np.array([0, 1, 0, 1, 0]), np.array([0.1, 0.9, 0.8, 0.4, 0.2])
    figures = evaluate(y, scores)
    assert figures["auroc"] == pytest.approx(5 / 6)
    assert figures["auprc"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert figures["f1"] == pytest.approx(f1_score(y, scores >= 0.8))


def test_f1_with_ties_is_that_of_a_random_order():
    y, scores = np.array([0, 0, 0, 1, 1, 1]), np.array([0.0, 1.0, 1.0, 1.0, 1.0, 2.0])
    # one anomaly is above the cut; two of the four tied rows are flagged, and half of those are anomalies
    assert f1_at_true_count(y, scores) == pytest.approx((1 + 2 * 0.5) / 3)
    assert f1_at_true_count(y[::-1], scores[::-1]) == f1_at_true_count(y, scores)
    assert f1_at_true_count(y, np.zeros(6)) == pytest.approx(0.5)


def test_scores_that_are_not_finite_have_no_figures():
    with pytest.raises(ValueError, match="1 of 3 scores are not finite"):
        evaluate(np.array([0, 1, 1]), np.array([0.0, np.nan, 1.0]))
    with pytest.raises(ValueError, match="both 0 and 1"):
        evaluate(np.zeros(3, dtype=int), np.zeros(3))


def test_bundled_data():
    cancer = datasets.load("breast-cancer")
    assert cancer.X.shape == (367, 30)
    assert cancer.y.sum() == 10
    X, target = load_breast_cancer(return_X_y=True)
    np.testing.assert_array_equal(cancer.X[cancer.y == 0], X[target == 1])
    wine = datasets.load("wine")
    assert (wine.X.shape, wine.y.sum()) == ((129, 13), 10)
    table, image = datasets.load("digits-3"), datasets.load("digits-3-image")
    assert (table.kind, image.kind) == ("table", "image")
    assert image.X.shape == (len(table.X), 1, 8, 8)
    np.testing.assert_array_equal(image.X.reshape(-1, 64), table.X)
    assert table.y.mean() == pytest.approx(0.1, abs=0.01)
    assert datasets.load("make-classification").y.mean() == pytest.approx(0.05, abs=0.01)


def test_names_of_files(folder):
    assert datasets.expand(["Classical"], folder) == ["2_near", "10_far"]
    assert datasets.expand(["far", "photo", "wine", "10_far"], folder) == ["10_far", "photo", "wine"]
    loaded = datasets.load("10_far", folder)
    assert loaded.X.shape == (100, 4)
    assert loaded.y.dtype == np.int64
    for names, where in [(["nothing"], folder), (["Classical"], None)]:
        with pytest.raises(ValueError, match="unknown data set or group"):
            datasets.expand(names, where)
    np.savez(folder / "other.npz", images=np.zeros(3))
    with pytest.raises(ValueError, match="X and y"):
        datasets.load("other", folder)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_splits(folder, protocol):
    dataset = datasets.load("10_far", folder)
    parts = split(dataset, protocol, seed=0)
    if protocol == "one-class":
        assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (45, 55, 10)
        assert np.abs(parts.X_train).max() < 5  # no anomaly, which lie six deviations out
    else:
        assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (70, 30, 3)
    np.testing.assert_allclose(parts.X_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(parts.X_train.std(axis=0), 1)
    again, other = split(dataset, protocol, seed=0), split(dataset, protocol, seed=1)
    np.testing.assert_array_equal(parts.X_test, again.X_test)
    assert not np.array_equal(parts.X_train, other.X_train)


def test_large_data_is_reduced_and_images_are_scaled_as_a_whole(folder):
    parts = split(datasets.load("10_far", folder), "one-class", seed=0, max_rows=50)
    assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (22, 28, 5)
    image = split(datasets.load("digits-3-image"), "one-class", seed=0)
    assert image.X_train.max() == 1
    assert image.X_train.min() == 0


def test_run_and_resume(folder, tmp_path):
    file = RecordsFile(tmp_path / "out" / "records.jsonl")
    records = runner.run(GRID, file, folder)
    assert len(records) == 2 * 2 * 2 * 2
    assert {record["status"] for record in records} == {"ok"}
    far = [r["auroc"] for r in records if r["dataset"] == "10_far" and r["detector"] == "OCSVM"]
    assert min(far) > 0.95
    record = records[0]
    assert record["sizes"] == {"train": 45, "test": 55, "anomalies": 10, "shape": [4]}
    assert record["parameters"]["nu"] == 0.5
    assert record["versions"]["pyod"]
    before = file.path.read_bytes()
    assert runner.run(GRID, file, folder) == records
    assert file.path.read_bytes() == before


def test_cut_short_line_is_run_again(folder, tmp_path):
    path = tmp_path / "records.jsonl"
    runner.run(GRID, RecordsFile(path), folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    file = RecordsFile(path)
    assert len(file.read()) == 15
    records = runner.run(GRID, file, folder)
    assert len(records) == len(file.read()) == 16
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_failure_is_recorded_and_tried_again(folder, tmp_path, monkeypatch):
    class Broken:
        def get_params(self):
            return {}

        def fit(self, X):
            return self

        def decision_function(self, X):
            return np.full(len(X), np.nan)

    monkeypatch.setitem(detectors.RIVALS, "Broken", lambda seed: Broken())
    grid = Settings("grid", ["10_far", "2_near"], ["ECOD", "Broken"], ["one-class"], [0])
    file = RecordsFile(tmp_path / "records.jsonl")
    records = [runner.run_cell(cell, folder) for cell in runner.grid(grid, folder)]
    for record in records:
        file.append(record)
    broken = [record for record in records if record["detector"] == "Broken"]
    assert [record["status"] for record in broken] == ["failed", "failed"]
    assert "55 of 55 scores are not finite" in broken[0]["reason"]
    assert "auroc" not in broken[0]
    # no data set is complete, so none is averaged, and the report says why
    assert report.summary(records) == {}
    assert "scores are not finite" in report.markdown(records, "title", "command")
    monkeypatch.setitem(detectors.RIVALS, "Broken", detectors.RIVALS["ECOD"])
    again = runner.run(grid, file, folder)
    assert {record["status"] for record in again} == {"ok"}


def test_other_settings_are_other_cells(folder, tmp_path):
    file = RecordsFile(tmp_path / "records.jsonl")
    one = Settings("one", ["10_far"], ["KNN"], ["one-class"], [0])
    other = Settings("other", ["10_far"], ["KNN"], ["one-class"], [0], parameters={"KNN": {"n_neighbors": 20}})
    first, second = runner.run(one, file, folder), runner.run(other, file, folder)
    assert first[0]["parameters"]["n_neighbors"] == 5
    assert second[0]["parameters"]["n_neighbors"] == 20
    assert len(file.read()) == 2


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
    table = report.summary(records)["one-class"]
    assert table.loc["P", "AUROC"] == "0.650 ± 0.050"  # means 0.7 and 0.6 of the two seeds
    assert table.loc["Q", "AUROC"] == "0.700 ± 0.050"
    assert table["rank AUROC"].tolist() == [1.5, 1.5]
    details = report.details(records, "auroc")["one-class"]
    assert details.loc["a", "P"] == "0.800 ± 0.100"
    assert details.loc["c", "Q"] == "failed"
    text = report.markdown(records, "A title", "the command")
    assert "2 of 3 data sets" in text
    assert "the command" in text


def test_settings_files_name_what_exists(tmp_path):
    assert {"quick", "adbench"} <= set(settings.names())
    quick = settings.load("quick")
    assert len(runner.grid(quick)) == 7 * 6 * 2 * 3
    own = tmp_path / "own.toml"
    own.write_text(
        'datasets = ["wine"]\ndetectors = ["PLAD"]\nprotocols = ["one-class"]\nseeds = [3]\n'
        "[parameters.PLAD]\nlam = 2.0\n"
    )
    (cell,) = runner.grid(settings.load(str(own)))
    assert (cell["seed"], cell["settings"]) == (3, {"lam": 2.0})
    with pytest.raises(ValueError, match="no settings 'nothing'"):
        settings.load("nothing")
    own.write_text("datasets = []\ncolour = 1")
    with pytest.raises(ValueError, match="colour"):
        settings.load(str(own))


def test_command_line(folder, tmp_path, capsys):
    out = tmp_path / "results"
    options = ["--data", str(folder), "--datasets", "far", "--detectors", "ECOD,KNN", "--protocols", "one-class"]
    assert main(["run", "adbench", *options, "--seeds", "0,4", "--out", str(out), "--jobs", "1"]) == 0
    printed = capsys.readouterr().out
    assert "one-class" in printed
    assert "KNN" in printed
    records = RecordsFile(out / "records.jsonl").read()
    assert {(r["dataset"], r["detector"], r["seed"]) for r in records} == {
        ("10_far", detector, seed) for detector in ("ECOD", "KNN") for seed in (0, 4)
    }
    assert "python -m benchmarks run adbench" in (out / "report.md").read_text()
    assert (out / "auroc.png").stat().st_size > 10_000
    (out / "report.md").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nothing"], "no settings"),
        (["run", "--datasets", "nothing"], "unknown data set"),
        (["run", "--detectors", "nothing"], "unknown detector"),
        (["run", "--protocols", "nothing"], "unknown protocol"),
        (["report", "nowhere"], "no records"),
    ],
)
def test_wrong_arguments(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_list(folder, capsys):
    assert main(["list", "--data", str(folder)]) == 0
    printed = capsys.readouterr().out
    for word in ("quick", "PLAD", "unsupervised", "digits-9-image", "10_far"):
        assert word in printed


def test_ours_take_images_and_rivals_rows():
    X = np.zeros((5, 1, 8, 8))
    assert detectors.shape_for("PLAD", X).shape == (5, 1, 8, 8)
    assert detectors.shape_for("KNN", X).shape == (5, 64)


def test_module_runs(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "run", "--datasets", "wine", "--detectors", "ECOD", "--seeds", "0"]
    finished = subprocess.run([*command, "--out", tmp_path], capture_output=True, text=True, check=True)
    assert "unsupervised" in finished.stdout
    assert "2/2" in finished.stderr


@pytest.mark.needs_data
def test_every_adbench_table_divides(data_folder):
    names = datasets.expand(["Classical"], data_folder)
    assert len(names) >= 29
    for name in names:
        dataset = datasets.load(name, data_folder)
        assert set(np.unique(dataset.y)) == {0, 1}
        for protocol in PROTOCOLS:
            parts = split(dataset, protocol, seed=0, max_rows=10_000)
            assert np.isfinite(parts.X_train).all()
            assert len(parts.X_train) + len(parts.X_test) <= 10_000
            assert 0 < parts.y_test.sum() < len(parts.y_test)


@pytest.mark.needs_data
def test_real_run(data_folder, tmp_path):
    grid = Settings("real", ["42_WBC"], ["PLAD", "KNN", "IForest"], ["one-class", "unsupervised"], [0])
    records = runner.run(grid, RecordsFile(tmp_path / "records.jsonl"), data_folder)
    assert min(record["auroc"] for record in records) > 0.95
