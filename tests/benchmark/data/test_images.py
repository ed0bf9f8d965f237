"""Images of several collections."""

import gzip
import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from benchmarks import data
from benchmarks.data import listing
from benchmarks.protocols import split
from tests.benchmark.conftest import write_idx


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


def test_a_batch_that_is_cut_short_is_listed_as_broken(tmp_path):
    write_cifar(tmp_path, cifar_batches(), archive=False)
    places = listing.table(tmp_path).set_index("name")["where"]
    assert places["cifar10-3"] == "present"
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-1])
    places = listing.table(tmp_path).set_index("name")["where"]
    assert places["cifar10-3"].startswith(f"broken: {path} is no batch of CIFAR-10")


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
    cars = data.load("cifar10-test-1", tmp_path)
    assert cars.train is None
    np.testing.assert_array_equal(cars.X, images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(cars.y == 0, cars.classes == 1)
    with pytest.raises(ValueError, match="python -m benchmarks download mnist-test-1"):
        data.load("mnist-test-1", tmp_path)


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


def test_two_classes_of_which_one_is_rare(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in [("train", 300), ("test", 180)]:
        labels = rng.permutation(np.arange(n) % 3 + 5)
        np.savez(tmp_path / f"mnist_{part}.npz", images=np.tile(labels[:, None, None], (1, 4, 4)), labels=labels)
    loaded = data.load("mnist-5-with-7", tmp_path)
    assert (np.sum(loaded.y == 0), loaded.y.sum()) == (160, 8)  # 5% of all
    np.testing.assert_array_equal(loaded.classes, np.where(loaded.y, 7, 5))
    np.testing.assert_array_equal(loaded.X[:, 0, 0, 0], loaded.classes)
    assert (loaded.train.sum(), np.sum(~loaded.train)) == (
        100 + loaded.y[loaded.train].sum(),
        60 + loaded.y[~loaded.train].sum(),
    )
    assert "the digit 5, and 5% of the digit 7" in loaded.provenance
    again = data.load("mnist-5-with-7", tmp_path)
    np.testing.assert_array_equal(again.train, loaded.train)
    assert data.expand(["mnist-5-with-7"], tmp_path) == ["mnist-5-with-7"]
    assert "mnist-5-with-7" not in data.expand(["mnist"], tmp_path)
    with pytest.raises(ValueError, match="python -m benchmarks download fashion-mnist-5-with-7"):
        data.load("fashion-mnist-5-with-7", tmp_path)
