"""Dataset + seed -> :class:`Split`: who trains, who is tested, and how the rows are scaled.

To add a protocol, write a function (y, seed) -> (training indices, test indices) and enter it in ``PROTOCOLS``.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True)
class Split:
    """Scaled training rows, scaled test rows, test labels.

    Parameters
    ----------
    X_train, X_test : ndarray of shape (n, d) or (n, C, H, W), float64
    y_test : ndarray of shape (n,), int
        1 = anomaly, 0 = normal.
    """

    X_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def one_class(y, seed):
    """Train on a random half of the normal rows; test on the other half and all anomalies."""
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    half = len(normal) // 2
    return normal[:half], np.concatenate([normal[half:], np.flatnonzero(y == 1)])


def unsupervised(y, seed):
    """Train on 70% of all rows, anomalies included; test on 30%; both with the same share of anomalies (ADBench's)."""
    return train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=seed)


PROTOCOLS = {"one-class": one_class, "unsupervised": unsupervised}


def split(dataset, protocol, seed, max_rows=None):
    """Divide a data set, and scale it by what its training rows show.

    Features of tables get zero mean and unit variance; images are divided by their largest training value.

    Parameters
    ----------
    dataset : benchmarks.datasets.Dataset
    protocol : str
        A key of ``PROTOCOLS``.
    seed : int
        Of the rows drawn and of the division.
    max_rows : int or None, default=None
        Larger data sets are first reduced to so many rows, with the same share of anomalies.

    Returns
    -------
    Split

    Raises
    ------
    ValueError
        If a class has too few rows to divide.
    """
    X, y = dataset.X, dataset.y
    if max_rows is not None and len(y) > max_rows:
        keep, _ = train_test_split(np.arange(len(y)), train_size=max_rows, stratify=y, random_state=seed)
        X, y = X[keep], y[keep]
    train, test = PROTOCOLS[protocol](y, seed)
    X_train, X_test = X[train], X[test]
    if dataset.kind == "table":
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    else:
        largest = np.abs(X_train).max()
        X_train, X_test = X_train / largest, X_test / largest
    return Split(X_train, X_test, y[test])
