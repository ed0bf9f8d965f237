"""The benchmark's parts, and the whole on a small grid."""

import gzip
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import savemat
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split

from benchmarks import datasets, detectors, report, runner, settings
from benchmarks.__main__ import main
from benchmarks.datasets import Dataset
from benchmarks.metrics import evaluate, f1_at_true_count
from benchmarks.protocols import PROTOCOLS, named, split
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


def write_idx(path, values):
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, dtype=">i4").tobytes()
    path.write_bytes(gzip.compress(header + values.tobytes()))


@pytest.fixture
def images_folder(tmp_path):
    """A data folder with 30 + 20 images of each kind; the label of an image is its first pixel."""
    rng = np.random.default_rng(0)
    for name in ("fashion-mnist", "mnist"):
        (tmp_path / name).mkdir()
        for part, idx, n in [("train", "train", 30), ("test", "t10k", 20)]:
            labels = np.arange(n, dtype=np.uint8) % 10
            images = rng.integers(0, 256, size=(n, 28, 28), dtype=np.uint8)
            images[:, 0, 0] = labels
            if name == "mnist":
                np.savez(tmp_path / name / f"mnist_{part}.npz", images=images, labels=labels)
            else:
                write_idx(tmp_path / name / f"{idx}-images-idx3-ubyte.gz", images)
                write_idx(tmp_path / name / f"{idx}-labels-idx1-ubyte.gz", labels)
    return tmp_path


@pytest.fixture
def rows():
    """1000 rows, 100 of them anomalies, 700 of them official training rows; the feature is the row's number."""
    y, train = np.arange(1000) % 10 == 0, np.arange(1000) % 100 < 70
    return Dataset("rows", np.arange(1000.0)[:, None], y.astype(np.int64), "", train)


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


def test_files_that_cannot_be_loaded_are_not_listed(folder):
    listed = set(datasets.available(folder))
    assert {"10_far", "2_near", "photo"} <= listed
    np.savez(folder / "other.npz", images=np.zeros(3))
    (folder / "pointer.npz").write_text("version https://git-lfs.github.com/spec/v1")
    savemat(folder / "other.mat", {"X": np.zeros((3, 2)), "y": np.zeros((3, 1))})
    assert set(datasets.available(folder)) == listed


@pytest.mark.parametrize("group", ["fashion-mnist", "mnist"])
def test_images_of_files(images_folder, group, monkeypatch):
    names = [f"{group}-{label}" for label in range(10)]
    assert datasets.expand([group], images_folder) == names
    assert datasets.expand([names[4]], images_folder) == [names[4]]
    lines = datasets.available(images_folder)
    assert set(names) <= set(lines)
    loaded = datasets.load(names[3], images_folder)
    assert (loaded.X.shape, loaded.X.dtype, loaded.kind) == ((50, 1, 28, 28), np.uint8, "image")
    assert loaded.y.dtype == np.int64
    np.testing.assert_array_equal(loaded.y == 0, loaded.X[:, 0, 0, 0] == 3)
    np.testing.assert_array_equal(loaded.train, np.repeat([True, False], [30, 20]))
    assert loaded.provenance == lines[names[3]]
    assert ("dress" if group == "fashion-mnist" else "digit 3") in loaded.provenance
    monkeypatch.chdir(images_folder)
    for path in (".", "../" + images_folder.name):
        assert len(datasets.expand([group], path)) == 10


def test_images_of_files_are_scaled_in_float32(images_folder):
    dataset = datasets.load("fashion-mnist-5", images_folder)
    parts = split(dataset, "one-class-official", seed=0)
    assert (parts.X_train.shape, parts.X_test.shape) == ((3, 1, 28, 28), (20, 1, 28, 28))
    assert (parts.X_train.dtype, parts.X_test.dtype) == (np.float32, np.float32)
    normal = dataset.X[:30][dataset.y[:30] == 0]
    np.testing.assert_allclose(parts.X_train, normal / normal.max(), rtol=1e-6)
    assert parts.y_test.sum() == 18


def test_one_set_of_files_is_not_taken_for_another(images_folder):
    (images_folder / "fashion-mnist").rename(images_folder / "digits")
    with pytest.raises(ValueError, match="unknown data set"):
        datasets.expand(["fashion-mnist"], images_folder)
    (images_folder / "digits").rename(images_folder / "FashionMNIST")
    labels = images_folder / "FashionMNIST" / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(bytes([0, 0, 13, 1])))
    with pytest.raises(ValueError, match="unsigned bytes"):
        datasets.load("fashion-mnist-0", images_folder)
    labels.unlink()
    with pytest.raises(ValueError, match="unknown data set"):
        datasets.expand(["fashion-mnist"], images_folder)


def test_groups_come_before_short_names(images_folder):
    (images_folder / "Classical").mkdir()
    np.savez(images_folder / "Classical" / "24_mnist.npz", X=np.zeros((4, 2)), y=np.zeros(4))
    assert datasets.expand(["mnist"], images_folder) == [f"mnist-{label}" for label in range(10)]
    assert datasets.expand(["24_mnist"], images_folder) == ["24_mnist"]


def test_odds(tmp_path):
    X, y = np.arange(12, dtype=np.int16).reshape(6, 2), np.array([[0], [0], [1], [0], [0], [1]], dtype=np.uint8)
    (tmp_path / "odds").mkdir()
    for name in ("thyroid", "arrhythmia"):
        savemat(tmp_path / "odds" / f"{name}.mat", {"X": X, "y": y, "note": "of no use"})
    assert datasets.expand(["odds"], tmp_path) == ["odds-arrhythmia", "odds-thyroid"]
    loaded = datasets.load("odds-thyroid", tmp_path)
    np.testing.assert_array_equal(loaded.X, X)
    np.testing.assert_array_equal(loaded.y, [0, 0, 1, 0, 0, 1])
    assert (loaded.X.dtype, loaded.y.dtype, loaded.train) == (np.float64, np.int64, None)


@pytest.mark.parametrize("protocol", ["one-class", "unsupervised", "supervised"])
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


def divided(dataset, protocol, seed=0):
    """Indices of the training and of the test rows, which are never the same."""
    train, test = named(protocol).divide(dataset, seed)
    assert len(set(train) | set(test)) == len(train) + len(test)
    return train, test


def test_one_class(rows):
    train, test = divided(rows, "one-class")
    assert (len(train), len(test)) == (450, 550)
    assert rows.y[train].sum() == 0
    # recorded results rest on these rows
    normal = np.random.default_rng(0).permutation(np.flatnonzero(rows.y == 0))
    np.testing.assert_array_equal(train, normal[:450])
    np.testing.assert_array_equal(test[:450], normal[450:])


def test_unsupervised_and_supervised_differ_in_labels_only(rows):
    for protocol in ("unsupervised", "supervised"):
        train, test = divided(rows, protocol)
        assert (len(train), len(test), rows.y[train].sum(), rows.y[test].sum()) == (700, 300, 70, 30)
        # recorded results rest on these rows
        same = train_test_split(np.arange(1000), test_size=0.3, stratify=rows.y, random_state=0)
        np.testing.assert_array_equal(np.concatenate([train, test]), np.concatenate(same))
    blind, told = split(rows, "unsupervised", seed=3), split(rows, "supervised", seed=3)
    np.testing.assert_array_equal(blind.X_train, told.X_train)
    np.testing.assert_array_equal(blind.X_test, told.X_test)
    np.testing.assert_array_equal(told.y_train, rows.y[divided(rows, "supervised", 3)[0]])


def test_one_class_official(rows):
    train, test = divided(rows, "one-class-official")
    np.testing.assert_array_equal(train, np.flatnonzero(rows.train & (rows.y == 0)))
    np.testing.assert_array_equal(test, np.flatnonzero(~rows.train))
    assert (len(train), len(test), rows.y[test].sum()) == (630, 300, 30)
    with pytest.raises(ValueError, match="rows has no official split"):
        split(replace(rows, train=None), "one-class-official", seed=0)


def test_official_split_of_reduced_data(rows):
    reduced = rows.take(np.array([5, 71, 10, 999]))
    np.testing.assert_array_equal(reduced.train, [True, False, True, False])
    np.testing.assert_array_equal(reduced.y, [0, 0, 1, 0])
    assert rows.take(np.arange(3)).name == "rows"
    parts = split(rows, "one-class-official", seed=0, max_rows=200)
    # of 200 rows about 70% are official training rows, and 9 of 10 of those are normal
    assert len(parts.X_train) == pytest.approx(126, abs=12)
    assert len(parts.X_test) == pytest.approx(60, abs=12)


@pytest.mark.parametrize(("gamma", "known"), [("0", 0), ("0.0", 0), ("0.01", 5), ("0.02", 11), ("0.1", 60)])
def test_semi_supervised(rows, gamma, known):
    # 540 normal rows in the training part: known / (known + 540) is gamma, as near as whole rows come to it
    train, test = divided(rows, f"semi-supervised:{gamma}")
    assert (len(train), rows.y[train].sum()) == (540 + known, known)
    assert (len(test), rows.y[test].sum()) == (400, 40)
    parts = split(rows, f"semi-supervised:{gamma}", seed=0)
    np.testing.assert_array_equal(parts.y_train, rows.y[train])
    np.testing.assert_array_equal(parts.y_test, rows.y[test])
    assert abs(parts.y_train.mean() - float(gamma)) <= 0.5 / 540


def test_known_anomalies(rows):
    def known(gamma, seed):
        train, _ = divided(rows, f"semi-supervised:{gamma}", seed)
        return set(train[rows.y[train] == 1])

    assert known(0.02, 0) < known(0.05, 0)
    assert known(0.05, 0) == known(0.05, 0)
    assert known(0.05, 0) != known(0.05, 1)
    with pytest.raises(ValueError, match="takes 135 known anomalies .* only 60"):
        split(rows, "semi-supervised:0.2", seed=0)


@pytest.mark.parametrize("number", ["", ":", ":x", ":-0.1", ":1", ":nan", ":inf", ":0.1:0.2"])
def test_wrong_shares_of_known_anomalies(number):
    with pytest.raises(ValueError, match=r"takes a number in \[0, 1\) for GAMMA, got 'semi-supervised"):
        runner.grid(replace(GRID, datasets=["wine"], protocols=[f"semi-supervised{number}"]))


def test_labels_are_handed_out_by_name_only(rows):
    for protocol in [*PROTOCOLS, "semi-supervised:0.01"]:
        told = split(rows, protocol, seed=0).y_train is not None
        assert told == (protocol in ("supervised", "semi-supervised:0.01")), protocol


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

        def fit(self, X, y=None):
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


_TINY = {"epoch_num": 2, "hidden_size": 8, "latent_size": 2}


@pytest.mark.parametrize("name", ["DHAG", "AnoRand"])
@pytest.mark.parametrize("protocol", ["supervised", "semi-supervised:0.05", "semi-supervised:0"])
def test_labelled_run(folder, name, protocol):
    grid = Settings("grid", ["10_far"], [name], [protocol], [0], parameters={name: _TINY})
    (cell,) = runner.grid(grid, folder)
    record = runner.run_cell(cell, folder)
    assert record["status"] == "ok", record["reason"]
    assert record["parameters"]["use_labels"] is True
    assert record["settings"] == _TINY
    known = {"supervised": 7, "semi-supervised:0.05": 3, "semi-supervised:0": 0}[protocol]
    assert record["sizes"]["known_anomalies"] == known


def test_labels_reach_the_detector(folder, monkeypatch):
    seen = []

    class Listener:
        def __init__(self, use_labels=False, random_state=None):
            self.use_labels = use_labels

        def get_params(self):
            return {"use_labels": self.use_labels}

        def fit(self, X, y=None):
            seen.append((self.use_labels, y))

        def decision_function(self, X):
            return X[:, 0]

    monkeypatch.setitem(detectors.OURS, "Listener", Listener)
    grid = Settings("grid", ["10_far"], ["Listener"], ["supervised", "unsupervised"], [0])
    told, blind = (runner.run_cell(cell, folder) for cell in runner.grid(grid, folder))
    assert told["status"] == blind["status"] == "ok"
    assert [use_labels for use_labels, _ in seen] == [True, False]
    assert (len(seen[0][1]), seen[0][1].sum(), seen[1][1]) == (70, 7, None)


@pytest.mark.parametrize("name", ["PLAD", "KNN"])
def test_detectors_that_do_not_learn_from_labels_fail(folder, name, monkeypatch):
    (cell,) = runner.grid(Settings("grid", ["10_far"], [name], ["supervised"], [0]), folder)
    kind = detectors.OURS.get(name) or type(detectors.build(name, 0, {}))
    monkeypatch.setattr(kind, "fit", lambda *arguments: pytest.fail("was fitted"))
    record = runner.run_cell(cell, folder)
    assert (record["status"], record["reason"]) == ("failed", f"ValueError: {name} does not learn from labels")


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
    assert len(runner.grid(quick)) == 6 * 10 * 2 * 3
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


@pytest.mark.parametrize("name", settings.names())
def test_settings_files_make_a_grid(name):
    own = settings.load(name)
    # their data sets need a folder
    cells = runner.grid(replace(own, datasets=["wine"]))
    assert len(cells) == len(own.detectors) * len(own.protocols) * len(own.seeds) > 0


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
    for word in ("quick", "PLAD", "semi-supervised:GAMMA", "digits-9-image", "10_far"):
        assert word in printed
    assert "mnist" not in printed.partition("Data sets:")[2]


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
        for protocol in ("one-class", "unsupervised", "supervised", "semi-supervised:0"):
            parts = split(dataset, protocol, seed=0, max_rows=10_000)
            assert np.isfinite(parts.X_train).all()
            assert len(parts.X_train) + len(parts.X_test) <= 10_000
            assert 0 < parts.y_test.sum() < len(parts.y_test)


@pytest.mark.needs_data
def test_real_run(data_folder, tmp_path):
    grid = Settings("real", ["42_WBC"], ["PLAD", "KNN", "IForest"], ["one-class", "unsupervised"], [0])
    records = runner.run(grid, RecordsFile(tmp_path / "records.jsonl"), data_folder)
    assert min(record["auroc"] for record in records) > 0.95


@pytest.mark.needs_data
@pytest.mark.parametrize("name", settings.names())
def test_data_of_settings_files_is_there(name, data_folder):
    assert runner.grid(settings.load(name), data_folder)


@pytest.mark.needs_data
def test_real_odds(data_folder):
    thyroid, arrhythmia = (datasets.load(name, data_folder) for name in ("odds-thyroid", "odds-arrhythmia"))
    assert (thyroid.X.shape, thyroid.y.sum()) == ((3772, 6), 93)
    assert (arrhythmia.X.shape, arrhythmia.y.sum()) == ((452, 274), 66)
    # DHAG, section 5.4: 2.5% of the test rows are anomalies
    parts = split(thyroid, "semi-supervised:0.02", seed=0)
    assert (len(parts.X_train), parts.y_train.sum()) == (2252, 45)
    assert (len(parts.X_test), parts.y_test.sum()) == (1509, 37)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "n_train"), [("fashion-mnist-5", 6000), ("mnist-0", 5923)])
def test_real_images(data_folder, name, n_train):
    dataset = datasets.load(name, data_folder)
    assert (dataset.X.shape, dataset.X.dtype, dataset.X.max()) == ((70_000, 1, 28, 28), np.uint8, 255)
    assert (dataset.train.sum(), np.flatnonzero(dataset.train)[-1]) == (60_000, 59_999)
    parts = split(dataset, "one-class-official", seed=0)
    assert (len(parts.X_train), len(parts.X_test)) == (n_train, 10_000)
    assert (parts.X_train.min(), parts.X_train.max()) == (0, 1)
