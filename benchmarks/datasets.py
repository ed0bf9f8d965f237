"""Name -> :class:`Dataset`: what ships with scikit-learn, and what a folder holds.

A folder is searched with its subfolders for ADBench's ``.npz`` tables and embeddings, ODDS's ``.mat`` tables, and the
images of Fashion-MNIST and MNIST. To add a bundled data set, write a function that returns it and enter it in
``BUNDLED``; to add a kind of file, write a function (folder) -> dict of name to :class:`Found` and enter it in
``FINDERS``.
"""

import gzip
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification


@dataclass(frozen=True)
class Dataset:
    """Rows with labels.

    Parameters
    ----------
    name : str
    X : ndarray of shape (n, d), float64, or (n, C, H, W), float64 or uint8
        Images from files stay as they are stored: 70,000 of them are 55 MB as uint8, and 440 MB as float64.
    y : ndarray of shape (n,), int64
        1 = anomaly, 0 = normal.
    provenance : str
        Where the rows come from and what was done to them.
    train : ndarray of shape (n,), bool, or None, default=None
        Which rows are of the official training part; the others are of the official test part. None where there is no
        official split.
    classes : ndarray of shape (n,), int64, or None, default=None
        The classes from which ``y`` was made, where there were several.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    provenance: str
    train: np.ndarray | None = None
    classes: np.ndarray | None = None

    @property
    def kind(self):
        """Tell "table" from "image"."""
        return "table" if self.X.ndim == 2 else "image"

    def take(self, rows):
        """Keep some rows.

        Parameters
        ----------
        rows : ndarray of int
            Their indices.

        Returns
        -------
        Dataset
        """
        parts = {"X": self.X, "y": self.y, "train": self.train, "classes": self.classes}
        return replace(self, **{name: None if part is None else part[rows] for name, part in parts.items()})


@dataclass(frozen=True)
class Found:
    """A data set that a folder holds, not read yet.

    Parameters
    ----------
    group : str
        The name that stands for this data set and its siblings.
    provenance : str
    read : callable
        Without arguments; returns X, y and, where they are known, train and classes.
    """

    group: str
    provenance: str
    read: Callable


def load(name, folder=None):
    """Load a data set.

    Parameters
    ----------
    name : str
        One of :func:`available`.
    folder : path-like or None, default=None
        Searched with its subfolders.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If nothing of that name is there.
    """
    rest = ()
    if name in BUNDLED:
        X, y, provenance = BUNDLED[name]()
    else:
        found = _found(folder).get(name)
        if found is None:
            raise ValueError(
                f"no data set {name!r}: not bundled ({', '.join(BUNDLED)}), and in {folder} neither an .npz with "
                "arrays X and y nor another known file"
            )
        X, y, *rest = found.read()
        provenance = found.provenance
    if X.ndim == 2:
        X = X.astype(np.float64, copy=False)
    return Dataset(name, X, y.ravel().astype(np.int64), provenance, *rest)


def expand(names, folder=None):
    """Replace each group by its members and each short name by the full one.

    Parameters
    ----------
    names : iterable of str
        Names that :func:`available` lists, ADBench's with or without their number, or names of groups: the folders
        that hold ADBench's files (``Classical``, ``CV_by_ResNet18``, ``NLP_by_BERT``), ``odds``, ``fashion-mnist`` and
        ``mnist``. A group comes before a short name: ``mnist`` is the images, ADBench's table is ``24_mnist``.
    folder : path-like or None, default=None

    Returns
    -------
    list of str
        Without repetitions, in the order given; groups by their members' numbers.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    found = _found(folder)
    expanded = []
    for name in names:
        if name in BUNDLED or name in found:
            expanded.append(name)
            continue
        members = [full for full, data in found.items() if name == data.group]
        members = members or [full for full in found if name == _short(full)]
        if not members:
            where = f"in {folder}" if folder else "(no folder: set PYOD_SYNTH_DATA or give --data)"
            raise ValueError(
                f"unknown data set or group {name!r}: not bundled ({', '.join(BUNDLED)}), and no file {where}"
            )
        expanded.extend(members)
    return list(dict.fromkeys(expanded))


def default_folder():
    """Return the folder that the environment variable ``PYOD_SYNTH_DATA`` names, or None."""
    folder = os.environ.get("PYOD_SYNTH_DATA")
    return Path(folder) if folder else None


def available(folder=None):
    """List names with a line about each.

    Parameters
    ----------
    folder : path-like or None, default=None

    Returns
    -------
    dict of str to str
    """
    bundled = {name: load(name).provenance for name in BUNDLED}
    return bundled | {name: data.provenance for name, data in _found(folder).items()}


def _found(folder):
    """Every data set under a folder by its name; none is read."""
    if folder is None:
        return {}
    return {name: data for find in FINDERS for name, data in find(Path(folder)).items()}


def _adbench(folder):
    """Every ``.npz`` that holds X and y by its stem, in the order of ADBench's numbers."""
    paths = sorted(folder.rglob("*.npz"), key=lambda path: (path.parent.name, _number(path.stem), path.stem))
    return {
        path.stem: Found(path.parent.name, str(path), partial(_read_npz, path, "X", "y"))
        for path in paths
        if {"X.npy", "y.npy"} <= _members(path)
    }


def _members(path):
    """Names in an archive; none if it is no archive, as where a checkout left out its large files."""
    if not zipfile.is_zipfile(path):
        return set()
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def _number(stem):
    head = stem.split("_")[0]
    return int(head) if head.isdigit() else 0


def _short(stem):
    head, _, tail = stem.partition("_")
    return tail if head.isdigit() and tail else stem


def _read_npz(path, *names):
    with np.load(path, allow_pickle=False) as arrays:
        return tuple(arrays[name] for name in names)


def _odds(folder):
    """ODDS's tables; not every ``.mat`` is one."""
    return {
        f"odds-{name}": Found("odds", f"ODDS, {path}", partial(_read_mat, path))
        for name in ("arrhythmia", "thyroid")
        for path in sorted(folder.rglob(f"{name}.mat"))
    }


def _read_mat(path):
    arrays = loadmat(path, variable_names=("X", "y"))
    return arrays["X"], arrays["y"]


def _fashion_mnist(folder):
    """Fashion-MNIST's four files. MNIST's have the same names, so the path must speak of fashion."""
    stems = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for path in sorted(folder.rglob(f"{stems[0]}-ubyte.gz")):
        files = [path.with_name(f"{stem}-ubyte.gz") for stem in stems]
        place = f"{folder.name}/{path.relative_to(folder)}"
        if "fashion" in place.lower() and all(file.is_file() for file in files):
            return _one_against_rest("fashion-mnist", _GARMENTS, path.parent, partial(map, _read_idx, files))
    return {}


def _mnist(folder):
    """MNIST as two ``.npz`` of images and labels."""
    for path in sorted(folder.rglob("mnist_train.npz")):
        files = [path, path.with_name("mnist_test.npz")]
        if files[1].is_file():
            digits = [f"the digit {digit}" for digit in range(10)]
            return _one_against_rest("mnist", digits, path.parent, partial(_read_mnist, files))
    return {}


def _read_mnist(files):
    return [array for file in files for array in _read_npz(file, "images", "labels")]


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
    dict of str to Found
    """

    def select(label):
        X_train, y_train, X_test, y_test = read()
        X = np.concatenate([X_train, X_test])[:, None]
        classes = np.concatenate([y_train, y_test]).astype(np.int64)
        return X, classes != label, np.arange(len(X)) < len(X_train), classes

    return {
        f"{group}-{label}": Found(group, f"{name} against the rest, {where}", partial(select, label))
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


def _thin(X, is_anomaly, count):
    """Keep all normal rows and ``count`` anomalies, drawn with a fixed seed."""
    anomalies = np.random.default_rng(0).choice(np.flatnonzero(is_anomaly), count, replace=False)
    keep = np.sort(np.concatenate([np.flatnonzero(~is_anomaly), anomalies]))
    return X[keep], is_anomaly[keep].astype(int)


def _breast_cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return *_thin(X, y == 0, 10), "Breast cancer Wisconsin (diagnostic): malignant thinned to 10 anomalies, as WDBC"


def _wine():
    X, y = load_wine(return_X_y=True)
    return *_thin(X, y == 0, 10), "Wine: the first cultivar thinned to 10 anomalies, as ADBench's wine"


def _digits(digit, image):
    X, y = load_digits(return_X_y=True)
    X, y = _thin(X, y != digit, round(np.sum(y == digit) / 9))
    shape = (-1, 1, 8, 8) if image else (-1, 64)
    form = "8x8 images" if image else "tables of 64 pixels"
    return X.reshape(shape), y, f"Digits, {digit} against rest, as {form}: the rest thinned to 10% of the rows"


def _make_classification():
    X, y = make_classification(n_samples=4000, weights=[0.95], random_state=0)
    return X, y, "make_classification with a minority of 5%, the default 20 features (AnoRand, section 6)"


BUNDLED = {
    "breast-cancer": _breast_cancer,
    "wine": _wine,
    **{f"digits-{digit}": partial(_digits, digit, False) for digit in range(10)},
    **{f"digits-{digit}-image": partial(_digits, digit, True) for digit in range(10)},
    "make-classification": _make_classification,
}
FINDERS = [_adbench, _odds, _fashion_mnist, _mnist]
_GARMENTS = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
