"""Data sets by name."""

import gzip

import numpy as np
import pytest
from scipy.io import savemat
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

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


@pytest.fixture
def kdd_folder(tmp_path):
    """KDDCup99 as UCI distributes it, in small: 10 'normal.' rows, 8 attacks."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(18):
        numbers = rng.integers(0, 9, size=38).astype(str)
        texts = [["tcp", "udp"][i % 2], ["http", "ftp", "smtp"][i % 3], "SF"]
        rows.append([numbers[0], *texts, *numbers[1:], "normal." if i < 10 else "smurf."])
    text = "\n".join(",".join(row) for row in rows)
    (tmp_path / "kddcup.data_10_percent.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def test_kddcup99(kdd_folder):
    assert datasets.expand(["kddcup99"], kdd_folder) == ["kdd", "kddrev"]
    kdd, reverse = (datasets.load(name, kdd_folder) for name in ("kdd", "kddrev"))
    assert (kdd.X.shape, kdd.X.dtype, kdd.X.flags.c_contiguous) == ((18, 2 + 3 + 1 + 38), np.float64, True)
    np.testing.assert_array_equal(kdd.y, np.repeat([1, 0], [10, 8]))
    np.testing.assert_array_equal(kdd.X[:, 1], np.arange(18) % 2)  # is it udp?
    np.testing.assert_array_equal(kdd.X[:, 4], np.arange(18) % 3 == 2)  # is it smtp?, after ftp and http
    raw = np.genfromtxt(kdd_folder / "kddcup.data_10_percent.gz", delimiter=",")
    np.testing.assert_array_equal(kdd.X[:, 6:], np.delete(raw, [1, 2, 3, 41], axis=1))
    # all 10 normal rows, and a quarter as many attacks
    np.testing.assert_array_equal(reverse.y, np.repeat([0, 1], [10, 2]))
    np.testing.assert_array_equal(reverse.X[:10], kdd.X[:10])
    assert {tuple(row) for row in reverse.X[10:]} < {tuple(row) for row in kdd.X[10:]}
    np.testing.assert_array_equal(datasets.load("kddrev", kdd_folder).X, reverse.X)


def test_kddcup99_must_be_whole(kdd_folder):
    file = kdd_folder / "kddcup.data_10_percent.gz"
    file.write_bytes(gzip.compress(b"0,tcp,http,SF,181\n"))
    with pytest.raises(ValueError, match="42 columns"):
        datasets.load("kdd", kdd_folder)


def test_dami(tmp_path):
    rows = "0.5,2,1.0,'no'\n0.25,4,2.0,'yes'\n1.5,6,3.0,'no'\n"
    header = "@RELATION 'x'\n@ATTRIBUTE 'att1' real\n@ATTRIBUTE 'att2' real\n@ATTRIBUTE 'id' real\n"
    for file, values in [
        ("PageBlocks_withoutdupl_09", "{'no','yes'}"),
        ("Shuttle_withoutdupl_norm_v01", "{'yes','no'}"),
    ]:
        (tmp_path / f"{file}.arff").write_text(f"{header}@ATTRIBUTE 'outlier' {values}\n@DATA\n{rows}")
    np.savez(tmp_path / "PageBlocks_5473x10_from_uci.npz", X=np.ones((5, 2)), y=[0, 0, 0, 0, 1])
    names = datasets.expand(["dami"], tmp_path)
    assert names == ["dami-pageblocks", "dami-pageblocks-without-duplicates", "dami-shuttle"]
    assert set(datasets.available(tmp_path)) == {*datasets.BUNDLED, *names}  # none of them twice
    for name in names[1:]:
        loaded = datasets.load(name, tmp_path)
        np.testing.assert_array_equal(loaded.X, [[0.5, 2], [0.25, 4], [1.5, 6]])
        np.testing.assert_array_equal(loaded.y, [0, 1, 0])
    assert datasets.load(names[0], tmp_path).y.sum() == 1


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


@pytest.mark.needs_data
def test_real_kddcup99(data_folder):
    kdd, reverse = (datasets.load(name, data_folder) for name in ("kdd", "kddrev"))
    assert (kdd.X.shape, kdd.y.sum()) == ((494_021, 118), 97_278)
    assert (reverse.X.shape, reverse.y.sum()) == ((121_597, 118), 24_319)
    # the .npz that others made of it is the same but for a factor, and a shift of two features
    with np.load(data_folder / "kddcup99" / "kdd_cup.npz") as arrays:
        other = arrays["kdd"]
    np.testing.assert_array_equal(kdd.y, other[:, -1])
    rows = np.random.default_rng(0).choice(len(kdd.y), 20_000, replace=False)
    ours, theirs = (StandardScaler().fit_transform(X[rows]) for X in (kdd.X, other[:, :-1]))
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.needs_data
def test_kddcup99_from_npz(data_folder, tmp_path):
    (tmp_path / "kdd_cup.npz").symlink_to(data_folder / "kddcup99" / "kdd_cup.npz")
    reverse = datasets.load("kddrev", tmp_path)
    assert (reverse.X.shape, reverse.y.sum()) == ((121_597, 118), 24_319)
    np.testing.assert_array_equal(reverse.y, datasets.load("kddrev", data_folder).y)


@pytest.mark.needs_data
def test_real_dami(data_folder):
    sizes = {"": (5473, 10, 560), "-without-duplicates": (5393, 10, 510)}
    for suffix, size in sizes.items():
        loaded = datasets.load(f"dami-pageblocks{suffix}", data_folder)
        assert (*loaded.X.shape, loaded.y.sum()) == size
    # without their duplicates they are the same rows
    blocks, unique = (datasets.load(f"dami-pageblocks{suffix}", data_folder) for suffix in sizes)
    assert {tuple(row) for row in blocks.X} == {tuple(row) for row in unique.X}
    shuttle = datasets.load("dami-shuttle", data_folder)
    assert (*shuttle.X.shape, shuttle.y.sum()) == (1013, 9, 13)
    assert (shuttle.X.min(), shuttle.X.max()) == (0, 1)
