"""Data sets by name."""

import gzip
import io
import os
import pickle
import sys
import tarfile

import numpy as np
import pandas as pd
import pooch
import pytest
from scipy.io import savemat
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

from benchmarks import data
from benchmarks.__main__ import main
from benchmarks.data import listing
from benchmarks.protocols import split
from tests.benchmark.conftest import write_idx


def test_bundled_data():
    cancer = data.load("breast-cancer")
    assert cancer.X.shape == (367, 30)
    assert cancer.y.sum() == 10
    X, target = load_breast_cancer(return_X_y=True)
    np.testing.assert_array_equal(cancer.X[cancer.y == 0], X[target == 1])
    wine = data.load("wine")
    assert (wine.X.shape, wine.y.sum()) == ((129, 13), 10)
    table, image = data.load("digits-3"), data.load("digits-3-image")
    assert (table.kind, image.kind) == ("table", "image")
    assert image.X.shape == (len(table.X), 1, 8, 8)
    np.testing.assert_array_equal(image.X.reshape(-1, 64), table.X)
    assert table.y.mean() == pytest.approx(0.1, abs=0.01)
    assert data.load("make-classification").y.mean() == pytest.approx(0.05, abs=0.01)


def test_names_of_files(folder):
    assert data.expand(["Classical"], folder) == ["2_near", "10_far"]
    assert data.expand(["far", "photo", "wine", "10_far"], folder) == ["10_far", "photo", "wine"]
    loaded = data.load("10_far", folder)
    assert loaded.X.shape == (100, 4)
    assert loaded.y.dtype == np.int64
    np.savez(folder / "other.npz", images=np.zeros(3))
    for name in ("nothing", "other", "mnist-2+x"):
        with pytest.raises(ValueError, match="unknown data set or group"):
            data.expand([name], folder)
        with pytest.raises(ValueError, match="unknown data set or group"):
            data.load(name, folder)


def test_bundled_names_stay_bundled(folder):
    (folder / "Classical" / "10_far.npz").rename(folder / "Classical" / "wine.npz")
    assert data.load("wine", folder).X.shape == (129, 13)
    assert data.available(folder)["wine"] is data.BUNDLED["wine"]
    assert data.expand(["Classical"], folder) == ["2_near"]


def test_what_can_be_downloaded_says_how(folder):
    for name in ("20_letter", "letter", "NLP_by_BERT", "fashion-mnist-3", "cifar10-all", "kddrev"):
        with pytest.raises(ValueError, match=f"python -m benchmarks download {name}"):
            data.expand([name], folder)


def test_default_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PYOD_SYNTH_DATA", str(folder))
    assert data.expand(["Classical"]) == ["2_near", "10_far"]
    assert data.load("10_far").X.shape == (100, 4)
    monkeypatch.delenv("PYOD_SYNTH_DATA")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    assert set(data.available()) == set(data.BUNDLED)
    (tmp_path / "cache").mkdir()
    (folder / "Classical").rename(tmp_path / "cache" / "pyod_synth")
    assert "10_far" in data.available()


def test_embeddings_of_the_same_name(folder):
    (folder / "CV_by_ViT").mkdir()
    np.savez(folder / "CV_by_ViT" / "photo.npz", X=np.ones((3, 2)), y=[0, 0, 1])
    names = data.expand(["CV_by_ViT", "CV_by_ResNet18"], folder)
    assert names == ["CV_by_ViT/photo", "photo"]
    assert [data.load(name, folder).X.shape for name in names] == [(3, 2), (100, 4)]


def test_files_that_cannot_be_loaded_are_not_listed(folder):
    listed = set(data.available(folder))
    assert {"10_far", "2_near", "photo"} <= listed
    np.savez(folder / "other.npz", images=np.zeros(3))
    (folder / "pointer.npz").write_text("version https://git-lfs.github.com/spec/v1")
    savemat(folder / "other.mat", {"X": np.zeros((3, 2)), "y": np.zeros((3, 1))})
    assert set(data.available(folder)) == listed


@pytest.mark.parametrize("group", ["fashion-mnist", "mnist"])
def test_images_of_files(images_folder, group, monkeypatch):
    names = [f"{group}-{label}" for label in range(10)]
    assert data.expand([group], images_folder) == names
    assert data.expand([names[4]], images_folder) == [names[4]]
    lines = data.available(images_folder)
    assert set(names) <= set(lines)
    loaded = data.load(names[3], images_folder)
    assert (loaded.X.shape, loaded.X.dtype, loaded.kind) == ((50, 1, 28, 28), np.uint8, "image")
    assert loaded.y.dtype == np.int64
    np.testing.assert_array_equal(loaded.y == 0, loaded.X[:, 0, 0, 0] == 3)
    np.testing.assert_array_equal(loaded.train, np.repeat([True, False], [30, 20]))
    np.testing.assert_array_equal(loaded.classes, loaded.X[:, 0, 0, 0])
    assert loaded.provenance == lines[names[3]].provenance
    assert ("dress" if group == "fashion-mnist" else "digit 3") in loaded.provenance
    monkeypatch.chdir(images_folder)
    for path in (".", "../" + images_folder.name):
        assert len(data.expand([group], path)) == 10


def test_one_set_of_files_is_not_taken_for_another(images_folder):
    (images_folder / "fashion-mnist").rename(images_folder / "digits")
    assert len(data.expand(["mnist"], images_folder)) == 10
    with pytest.raises(
        ValueError, match="not in .* yet: 'fashion-mnist'; to get it: python -m benchmarks download fashion-mnist"
    ):
        data.expand(["fashion-mnist"], images_folder)
    (images_folder / "digits").rename(images_folder / "FashionMNIST")
    labels = images_folder / "FashionMNIST" / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(bytes([0, 0, 13, 1])))
    with pytest.raises(ValueError, match="unsigned bytes"):
        data.load("fashion-mnist-0", images_folder)
    labels.unlink()
    with pytest.raises(
        ValueError, match="not in .* yet: 'fashion-mnist'; to get it: python -m benchmarks download fashion-mnist"
    ):
        data.expand(["fashion-mnist"], images_folder)


def test_all_that_is_absent_is_told_at_once(folder):
    with pytest.raises(ValueError, match="download 6_cardio mnist$"):
        data.expand(["far", "6_cardio", "mnist"], folder)
    with pytest.raises(ValueError, match="unknown data set or group 'nothing', 'nor-this'"):
        data.expand(["nothing", "6_cardio", "nor-this"], folder)


@pytest.mark.parametrize("group", ["fashion-mnist", "mnist"])
def test_several_normal_classes(images_folder, group):
    name = f"{group}-2+5"
    assert data.expand([name], images_folder) == [name]
    assert name not in data.expand([group], images_folder)
    loaded = data.load(name, images_folder)
    np.testing.assert_array_equal(loaded.y == 0, np.isin(loaded.X[:, 0, 0, 0], [2, 5]))
    np.testing.assert_array_equal(loaded.classes, loaded.X[:, 0, 0, 0])
    everything = data.load(f"{group}-all", images_folder)
    assert (len(everything.y), everything.y.sum(), everything.train.sum()) == (50, 0, 30)
    np.testing.assert_array_equal(everything.X, loaded.X)


@pytest.mark.parametrize("compressed", [False, True])
def test_torchvision_mnist(images_folder, compressed):
    """MNIST/raw and FashionMNIST/raw, as torchvision leaves them: packed and unpacked files side by side."""
    expected = {group: data.load(f"{group}-3", images_folder) for group in ("mnist", "fashion-mnist")}
    raw = images_folder / "FashionMNIST" / "raw"
    raw.parent.mkdir()
    (images_folder / "fashion-mnist").rename(raw)
    other = images_folder / "MNIST" / "raw"
    other.mkdir(parents=True)
    for part, idx in [("train", "train"), ("test", "t10k")]:
        with np.load(images_folder / "mnist" / f"mnist_{part}.npz") as arrays:
            write_idx(other / f"{idx}-images-idx3-ubyte.gz", arrays["images"])
            write_idx(other / f"{idx}-labels-idx1-ubyte.gz", arrays["labels"])
        (images_folder / "mnist" / f"mnist_{part}.npz").unlink()
    (images_folder / "mnist").rmdir()
    for path in images_folder.rglob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        if not compressed:
            path.unlink()
    (images_folder / "KMNIST").mkdir()
    for path in list(other.iterdir()):  # files of the same names, but other images
        (images_folder / "KMNIST" / path.name).write_bytes(b"not MNIST")
    for group, original in expected.items():
        assert len(data.expand([group], images_folder)) == 10
        loaded = data.load(f"{group}-3", images_folder)
        for part in ("X", "y", "train", "classes"):
            np.testing.assert_array_equal(getattr(loaded, part), getattr(original, part))


class Python2Pickler(pickle._Pickler):
    """Writes bytes and texts as Python 2 did, which made the files of CIFAR-10."""

    def save_string(self, value):
        content = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + len(content).to_bytes(4, "little") + content)

    dispatch = pickle._Pickler.dispatch | {bytes: save_string, str: save_string}


def python2_pickle(value):
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(value)
    return file.getvalue().replace(b"numpy._core", b"numpy.core")


def cifar_batches():
    """Five training batches of 20 images and a test batch; the first value of an image is its label."""
    rng = np.random.default_rng(0)
    batches = {}
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        labels = np.arange(20) % 10
        data = rng.integers(0, 256, size=(20, 3072), dtype=np.uint8)
        data[:, 0] = labels
        batches[name] = {b"data": data, b"labels": labels.tolist(), b"batch_label": b"of a test"}
    return batches


def write_cifar(folder, batches, archive):
    files = {f"cifar-10-batches-py/{name}": python2_pickle(batch) for name, batch in batches.items()}
    if not archive:
        (folder / "cifar-10-batches-py").mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("archive", [False, True])
def test_cifar10_of_torchvision(tmp_path, archive):
    batches = cifar_batches()
    write_cifar(tmp_path, batches, archive)
    assert data.expand(["cifar10"], tmp_path) == [f"cifar10-{label}" for label in range(10)]
    frogs = data.load("cifar10-6", tmp_path)
    assert (frogs.X.shape, frogs.X.dtype, frogs.train.sum()) == ((120, 3, 32, 32), np.uint8, 100)
    np.testing.assert_array_equal(frogs.X.reshape(120, -1), np.concatenate([b[b"data"] for b in batches.values()]))
    np.testing.assert_array_equal(frogs.y == 0, frogs.X[:, 0, 0, 0] == 6)
    np.testing.assert_array_equal(frogs.classes, frogs.X[:, 0, 0, 0])
    assert "frog" in frogs.provenance


@pytest.mark.parametrize("archive", [False, True])
def test_pickles_run_no_code(tmp_path, archive):
    class Malicious:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "broken in"),)

    batches = cifar_batches() | {"test_batch": {b"data": Malicious(), b"labels": [0]}}
    write_cifar(tmp_path, batches, archive)
    with pytest.raises(ValueError, match="test_batch is no batch of CIFAR-10: it names .*, which is no array"):
        data.load("cifar10-0", tmp_path)
    assert not (tmp_path / "broken in").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", python2_pickle({b"data": np.zeros(3)}), python2_pickle([1])])
def test_broken_batches(tmp_path, content):
    write_cifar(tmp_path, cifar_batches(), archive=False)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(content)
    with pytest.raises(ValueError, match="data_batch_3 is no batch of CIFAR-10"):
        data.load("cifar10-0", tmp_path)


def test_archive_lacks_batches(tmp_path):
    batches = cifar_batches()
    del batches["data_batch_2"]
    write_cifar(tmp_path, batches, archive=True)
    with pytest.raises(ValueError, match="missing are data_batch_2"):
        data.load("cifar10-0", tmp_path)


def test_cifar10_of_some_classes(tmp_path):
    """Training images of classes 0, 5 and 6 alone, and the test images of all."""
    rng = np.random.default_rng(0)
    for part, labels in [("train_some", [0, 5, 6] * 4), ("test", list(range(10)) * 2)]:
        images = rng.integers(0, 256, size=(len(labels), 32, 32, 3), dtype=np.uint8)
        np.savez(tmp_path / f"cifar10_{part}.npz", images=images, labels=np.array(labels, dtype=np.uint8))
    assert data.expand(["cifar10"], tmp_path) == ["cifar10-0", "cifar10-5", "cifar10-6"]
    dogs = data.load("cifar10-5", tmp_path)
    assert (dogs.X.shape, dogs.X.flags.c_contiguous, dogs.train.sum()) == ((32, 3, 32, 32), True, 12)
    np.testing.assert_array_equal(dogs.X[-1].transpose(1, 2, 0), images[-1])
    assert (dogs.y == 0).sum() == 4 + 2
    both = data.load("cifar10-0+6", tmp_path)
    np.testing.assert_array_equal(both.y == 0, np.isin(both.classes, [0, 6]))
    everything = data.load("cifar10-all", tmp_path)  # of the classes that can be trained on
    assert (len(everything.y), everything.y.sum(), everything.train.sum()) == (12 + 6, 0, 12)
    assert set(everything.classes) == {0, 5, 6}
    with pytest.raises(ValueError, match=r"training images of the classes \[0, 1\], got \[0, 5, 6\]"):
        data.load("cifar10-0+1", tmp_path)


def test_groups_come_before_short_names(images_folder):
    (images_folder / "Classical").mkdir()
    np.savez(images_folder / "Classical" / "24_mnist.npz", X=np.zeros((4, 2)), y=np.zeros(4))
    assert data.expand(["mnist"], images_folder) == [f"mnist-{label}" for label in range(10)]
    assert data.expand(["24_mnist"], images_folder) == ["24_mnist"]


def test_odds(tmp_path):
    X, y = np.arange(12, dtype=np.int16).reshape(6, 2), np.array([[0], [0], [1], [0], [0], [1]], dtype=np.uint8)
    (tmp_path / "odds").mkdir()
    for name in ("thyroid", "arrhythmia"):
        savemat(tmp_path / "odds" / f"{name}.mat", {"X": X, "y": y, "note": "of no use"})
    assert data.expand(["odds"], tmp_path) == ["odds-arrhythmia", "odds-thyroid"]
    loaded = data.load("odds-thyroid", tmp_path)
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
    assert data.expand(["kddcup99"], kdd_folder) == ["kdd", "kddrev"]
    kdd, reverse = (data.load(name, kdd_folder) for name in ("kdd", "kddrev"))
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
    np.testing.assert_array_equal(data.load("kddrev", kdd_folder).X, reverse.X)


def test_kddcup99_must_be_whole(kdd_folder):
    file = kdd_folder / "kddcup.data_10_percent.gz"
    file.write_bytes(gzip.compress(b"0,tcp,http,SF,181\n"))
    with pytest.raises(ValueError, match="42 columns"):
        data.load("kdd", kdd_folder)


def test_dami(tmp_path):
    rows = "0.5,2,1.0,'no'\n0.25,4,2.0,'yes'\n1.5,6,3.0,'no'\n"
    header = "@RELATION 'x'\n@ATTRIBUTE 'att1' real\n@ATTRIBUTE 'att2' real\n@ATTRIBUTE 'id' real\n"
    for file, values in [
        ("PageBlocks_withoutdupl_09", "{'no','yes'}"),
        ("Shuttle_withoutdupl_norm_v01", "{'yes','no'}"),
    ]:
        (tmp_path / f"{file}.arff").write_text(f"{header}@ATTRIBUTE 'outlier' {values}\n@DATA\n{rows}")
    np.savez(tmp_path / "PageBlocks_5473x10_from_uci.npz", X=np.ones((5, 2)), y=[0, 0, 0, 0, 1])
    names = data.expand(["dami"], tmp_path)
    assert names == ["dami-pageblocks", "dami-pageblocks-without-duplicates", "dami-shuttle"]
    assert set(data.available(tmp_path)) == {*data.BUNDLED, *names}  # none of them twice
    for name in names[1:]:
        loaded = data.load(name, tmp_path)
        np.testing.assert_array_equal(loaded.X, [[0.5, 2], [0.25, 4], [1.5, 6]])
        np.testing.assert_array_equal(loaded.y, [0, 1, 0])
    assert data.load(names[0], tmp_path).y.sum() == 1


def test_synthetic_data():
    names = data.expand(["anorand-synthetic"])
    assert names == [f"anorand-synthetic-{seed}" for seed in range(10)]
    loaded = [data.load(name) for name in names]
    assert {data.X.shape for data in loaded} == {(20_000, 20)}
    # 5%, and 1% of the labels flipped
    assert [data.y.mean() for data in loaded] == pytest.approx([0.05] * 10, abs=0.006)
    assert len({data.X[0, 0] for data in loaded}) == 10


@pytest.fixture
def own():
    """A table as a user has it."""
    return pd.DataFrame({"age": [30, 41, 29], "y": [0, 1, 0], "height": [1.5, 1.7, 1.8], "smokes": [True, False, True]})


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_own_files(own, suffix, tmp_path, monkeypatch):
    X = np.array([[30, 1.5, 1], [41, 1.7, 0], [29, 1.8, 1]])
    path = tmp_path / f"own.{suffix}"
    match suffix:
        case "csv":
            own.to_csv(path, index=False)
        case "parquet":
            own.to_parquet(path)
        case "npz":
            np.savez(path, X=X, y=own["y"])
    assert data.expand([str(path)], tmp_path / "nowhere") == [str(path)]
    loaded = data.load(str(path), tmp_path / "nowhere")
    np.testing.assert_array_equal(loaded.X, X)
    np.testing.assert_array_equal(loaded.y, [0, 1, 0])
    assert (loaded.name, loaded.X.dtype, loaded.y.dtype) == (str(path), np.float64, np.int64)
    monkeypatch.chdir(tmp_path)
    assert data.load(path.name).X.shape == (3, 3)
    path.unlink()
    with pytest.raises(ValueError, match=f"no file own.{suffix} in "):
        data.expand([path.name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"city": ["Oslo", "Bergen", "Moss"], "when": ["a", "b", "c"]}, "numbers, got other types in 'city', 'when'"),
        ({"height": [1.5, None, 1.8]}, "missing or infinite values in 'height'"),
        ({"height": [1.5, np.inf, 1.8]}, "missing or infinite values in 'height'"),
        ({"y": [0, None, 1]}, "missing or infinite values in 'y'"),
        ({"y": [0, 2, 1]}, r"y must hold 0 \(normal\) and 1 \(anomaly\) only, got also \[2\]"),
        ({"y": ["no", "yes", "no"]}, "numbers, got other types in 'y'"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_own_files_with_errors(own, suffix, change, message, tmp_path):
    path = tmp_path / f"own.{suffix}"
    changed = own.assign(**change)
    _ = changed.to_csv(path, index=False) if suffix == "csv" else changed.to_parquet(path)
    with pytest.raises(ValueError, match=message):
        data.load(str(path))


def test_own_files_without_label(own, tmp_path):
    own.drop(columns="y").to_csv(tmp_path / "own.csv", index=False)
    with pytest.raises(ValueError, match="own.csv must have a column 'y', .*; got 'age', 'height', 'smokes'"):
        data.load(str(tmp_path / "own.csv"))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_own_files_that_are_none(suffix, tmp_path):
    path = tmp_path / f"own.{suffix}"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=f"own.{suffix} "):
        data.load(str(path))


def test_own_npz_with_broken_bytes(tmp_path):
    path = tmp_path / "own.npz"
    np.savez_compressed(path, X=np.random.default_rng(0).integers(0, 9, size=(500, 4)), y=np.zeros(500))
    content = bytearray(path.read_bytes())
    content[300:400] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="own.npz must be an .npz of the arrays X and y"):
        data.load(str(path))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.zeros((3, 2))}, "must be an .npz of the arrays X and y"),
        ({"X": np.array([[None]] * 3), "y": np.zeros(3)}, "must be an .npz of the arrays X and y, without objects"),
        ({"X": np.zeros(3), "y": np.zeros(3)}, r"a table \(n, d\) or images \(n, C, H, W\), got shape \(3,\)"),
        ({"X": np.zeros((3, 2)), "y": np.zeros(4)}, "as many rows, got 3 and 4"),
        ({"X": np.full((3, 2), np.nan), "y": np.zeros(3)}, "finite numbers"),
        ({"X": np.array([["a"]] * 3), "y": np.zeros(3)}, "X must hold numbers"),
    ],
)
def test_own_npz_with_errors(arrays, message, tmp_path):
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        data.load(str(tmp_path / "own.npz"))


def test_parquet_without_pyarrow(own, tmp_path, monkeypatch):
    own.to_parquet(tmp_path / "own.parquet")
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match="install pyarrow"):
        data.load(str(tmp_path / "own.parquet"))


def test_list_tells_sizes(folder):
    table = listing.table(folder).set_index("name")
    assert table.loc["10_far", ["group", "size", "where"]].tolist() == ["Classical", "100 x 4", "present"]
    assert table.loc["wine", ["group", "size", "where"]].tolist() == ["scikit-learn", "129 x 13", "bundled"]
    assert table.loc["38_thyroid", ["size", "where"]].tolist() == ["3772 x 6", "download, 0.04 MB"]
    assert table.loc["20_letter", ["size", "where"]].tolist() == ["1600 x 32", "download"]
    assert table.loc["cifar10", ["size", "where"]].tolist() == ["", "download, 170 MB"]
    (folder / "Classical" / "10_far.npz").rename(folder / "Classical" / "38_thyroid.npz")
    assert listing.table(folder).set_index("name").loc["38_thyroid", "where"] == "present"


def test_list(folder, capsys):
    assert main(["list", "--data", str(folder)]) == 0
    printed = capsys.readouterr().out
    for word in ("quick", "PLAD", "semi-supervised:GAMMA", "digits-9-image", "10_far"):
        assert word in printed
    assert "fashion-mnist-0" not in printed
    assert any(line.split() == ["10_far", "100", "x", "4", "present"] for line in printed.splitlines())


@pytest.mark.needs_data
def test_real_odds(data_folder):
    thyroid, arrhythmia = (data.load(name, data_folder) for name in ("odds-thyroid", "odds-arrhythmia"))
    assert (thyroid.X.shape, thyroid.y.sum()) == ((3772, 6), 93)
    assert (arrhythmia.X.shape, arrhythmia.y.sum()) == ((452, 274), 66)
    # DHAG, section 5.4: 2.5% of the test rows are anomalies
    parts = split(thyroid, "semi-supervised:0.02", seed=0)
    assert (len(parts.X_train), parts.y_train.sum()) == (2252, 45)
    assert (len(parts.X_test), parts.y_test.sum()) == (1509, 37)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "n_train"), [("fashion-mnist-5", 6000), ("mnist-0", 5923)])
def test_real_images(data_folder, name, n_train):
    dataset = data.load(name, data_folder)
    assert (dataset.X.shape, dataset.X.dtype, dataset.X.max()) == ((70_000, 1, 28, 28), np.uint8, 255)
    assert (dataset.train.sum(), np.flatnonzero(dataset.train)[-1]) == (60_000, 59_999)
    parts = split(dataset, "one-class-official", seed=0)
    assert (len(parts.X_train), len(parts.X_test)) == (n_train, 10_000)
    assert (parts.X_train.min(), parts.X_train.max()) == (0, 1)


@pytest.mark.needs_data
def test_real_kddcup99(data_folder):
    kdd, reverse = (data.load(name, data_folder) for name in ("kdd", "kddrev"))
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
    reverse = data.load("kddrev", tmp_path)
    assert (reverse.X.shape, reverse.y.sum()) == ((121_597, 118), 24_319)
    np.testing.assert_array_equal(reverse.y, data.load("kddrev", data_folder).y)


@pytest.mark.needs_data
def test_real_dami(data_folder):
    sizes = {"": (5473, 10, 560), "-without-duplicates": (5393, 10, 510)}
    for suffix, size in sizes.items():
        loaded = data.load(f"dami-pageblocks{suffix}", data_folder)
        assert (*loaded.X.shape, loaded.y.sum()) == size
    # without their duplicates they are the same rows
    blocks, unique = (data.load(f"dami-pageblocks{suffix}", data_folder) for suffix in sizes)
    assert {tuple(row) for row in blocks.X} == {tuple(row) for row in unique.X}
    shuttle = data.load("dami-shuttle", data_folder)
    assert (*shuttle.X.shape, shuttle.y.sum()) == (1013, 9, 13)
    assert (shuttle.X.min(), shuttle.X.max()) == (0, 1)


@pytest.mark.needs_data
def test_real_cifar10(data_folder):
    names = data.expand(["cifar10"], data_folder)
    assert {"cifar10-0", "cifar10-5", "cifar10-6"} <= set(names)
    dogs = data.load("cifar10-5", data_folder)
    assert (dogs.X.dtype, dogs.X.shape[1:], (~dogs.train).sum()) == (np.uint8, (3, 32, 32), 10_000)
    assert (dogs.train & (dogs.y == 0)).sum() == 5000
    assert (~dogs.train & (dogs.y == 0)).sum() == 1000
    # the sky above airplanes is bluer than dogs are
    colours = [data.load(name, data_folder) for name in ("cifar10-0", "cifar10-5")]
    red, blue = ([data.X[data.y == 0, channel].mean() for data in colours] for channel in (0, 2))
    assert blue[0] - red[0] > 0
    assert blue[1] - red[1] < 0
