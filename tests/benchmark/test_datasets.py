"""Data sets by name."""

import gzip

import numpy as np
import pytest
from scipy.io import savemat
from sklearn.datasets import load_breast_cancer

from benchmarks import datasets
from benchmarks.__main__ import main
from benchmarks.protocols import split


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


def test_list(folder, capsys):
    assert main(["list", "--data", str(folder)]) == 0
    printed = capsys.readouterr().out
    for word in ("quick", "PLAD", "semi-supervised:GAMMA", "digits-9-image", "10_far"):
        assert word in printed
    assert "mnist" not in printed.partition("Data sets:")[2]


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
