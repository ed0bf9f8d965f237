"""Data folders as users have them."""

import gzip

import numpy as np
import pytest


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
def small_disk():
    """No file can grow beyond some bytes until the test lifts this."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(n_bytes):
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))

    def lift():
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    yield limit, lift
    lift()
