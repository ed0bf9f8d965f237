"""Images of several classes: Fashion-MNIST and MNIST."""

import gzip
from functools import partial

import numpy as np

from benchmarks.datasets.adbench import read_npz
from benchmarks.datasets.source import Source

_GARMENTS = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


def find_fashion_mnist(folder):
    """Fashion-MNIST's four files. MNIST's have the same names, so the path must speak of fashion."""
    stems = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for path in sorted(folder.rglob(f"{stems[0]}-ubyte.gz")):
        files = [path.with_name(f"{stem}-ubyte.gz") for stem in stems]
        place = f"{folder.name}/{path.relative_to(folder)}"
        if "fashion" in place.lower() and all(file.is_file() for file in files):
            return _one_against_rest("fashion-mnist", _GARMENTS, path.parent, partial(map, _read_idx, files))
    return {}


def find_mnist(folder):
    """MNIST as two ``.npz`` of images and labels."""
    for path in sorted(folder.rglob("mnist_train.npz")):
        files = [path, path.with_name("mnist_test.npz")]
        if files[1].is_file():
            digits = [f"the digit {digit}" for digit in range(10)]
            return _one_against_rest("mnist", digits, path.parent, partial(_read_mnist, files))
    return {}


def _read_mnist(files):
    return [array for file in files for array in read_npz(file, "images", "labels")]


def _one_against_rest(group, classes, where, read):
    """Make a data set of each class of the images: it is normal, and the other classes are anomalies.

    Parameters
    ----------
    group : str
    classes : list of str
        Their names.
    where : path-like
    read : callable
        Without arguments; returns training images (n, H, W), their labels, test images and their labels.

    Returns
    -------
    dict of str to Source
    """

    def select(label):
        X_train, y_train, X_test, y_test = read()
        X = np.concatenate([X_train, X_test])[:, None]
        classes = np.concatenate([y_train, y_test]).astype(np.int64)
        return X, classes != label, np.arange(len(X)) < len(X_train), classes

    return {
        f"{group}-{label}": Source(group, f"{name} against the rest, {where}", partial(select, label), where)
        for label, name in enumerate(classes)
    }


def _read_idx(path):
    """Read the format of MNIST's authors: 0, 0, type, number of dimensions, big-endian sizes, values."""
    with gzip.open(path) as file:
        content = file.read()
    if content[:3] != b"\0\0\x08":  # 8 is unsigned bytes
        raise ValueError(f"{path} must hold unsigned bytes in the idx format, got the first bytes {content[:4]!r}")
    n_dimensions = content[3]
    shape = np.frombuffer(content, ">i4", n_dimensions, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_dimensions).reshape(shape)
