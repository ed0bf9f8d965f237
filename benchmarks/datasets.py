"""Name -> :class:`Dataset`: what ships with scikit-learn, and ADBench's ``.npz`` files in a folder.

To add a bundled data set, write a function that returns it and enter it in ``BUNDLED``.
"""

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification


@dataclass(frozen=True)
class Dataset:
    """Rows with labels.

    Parameters
    ----------
    name : str
    X : ndarray of shape (n, d) or (n, C, H, W), float64
    y : ndarray of shape (n,), int64
        1 = anomaly, 0 = normal.
    provenance : str
        Where the rows come from and what was done to them.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    provenance: str

    @property
    def kind(self):
        """Tell "table" from "image"."""
        return "table" if self.X.ndim == 2 else "image"


def load(name, folder=None):
    """Load a data set.

    Parameters
    ----------
    name : str
        A bundled data set's name, or the stem of an ``.npz`` file in ``folder``, with or without ADBench's number.
    folder : path-like or None, default=None
        Searched with its subfolders.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If nothing of that name is there, or if the file is not of ADBench's form.
    """
    if name in BUNDLED:
        X, y, provenance = BUNDLED[name]()
    else:
        path = _files(folder).get(name)
        if path is None:
            raise ValueError(f"no data set {name!r}: neither bundled ({', '.join(BUNDLED)}) nor an .npz in {folder}")
        X, y, provenance = _read_npz(path)
    return Dataset(name, np.asarray(X, dtype=np.float64), np.asarray(y).ravel().astype(np.int64), provenance)


def expand(names, folder=None):
    """Replace each group by its members and each short name by the file's full stem.

    Parameters
    ----------
    names : iterable of str
        Bundled names, names of files in ``folder``, or names of the folders that hold them (ADBench's ``Classical``,
        ``CV_by_ResNet18`` and ``NLP_by_BERT``).
    folder : path-like or None, default=None

    Returns
    -------
    list of str
        Without repetitions, in the order given; groups by ADBench's numbers.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    files = _files(folder)
    expanded = []
    for name in names:
        if name in BUNDLED:
            expanded.append(name)
            continue
        members = [stem for stem, path in files.items() if name in (stem, _short(stem), path.parent.name)]
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
    return bundled | {stem: str(path) for stem, path in _files(folder).items()}


def _files(folder):
    """Every ``.npz`` under a folder by its stem, in the order of ADBench's numbers."""
    if folder is None:
        return {}
    paths = sorted(Path(folder).rglob("*.npz"), key=lambda path: (path.parent.name, _number(path.stem), path.stem))
    return {path.stem: path for path in paths}


def _number(stem):
    head = stem.split("_")[0]
    return int(head) if head.isdigit() else 0


def _short(stem):
    head, _, tail = stem.partition("_")
    return tail if head.isdigit() and tail else stem


def _read_npz(path):
    with np.load(path, allow_pickle=False) as arrays:
        if not {"X", "y"} <= set(arrays):
            raise ValueError(f"{path} must hold the arrays X and y as ADBench's files do, got {sorted(arrays)}")
        return arrays["X"], arrays["y"], str(path)


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
