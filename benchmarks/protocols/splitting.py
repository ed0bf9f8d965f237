"""Dataset + protocol + seed -> scaled rows."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.data import Dataset
from benchmarks.protocols.registry import named

_SMALL_RANGE = 1e-6  # of the size of a feature's values


@dataclass(frozen=True)
class Split:
    """Scaled training rows, scaled test rows, labels.

    Parameters
    ----------
    X_train, X_test : ndarray of shape (n, d), (n, C, T) or (n, C, H, W), float64, or float32 for images stored as bytes
    y_test : ndarray of shape (n,), int
        1 = anomaly, 0 = normal.
    y_train : ndarray of shape (n,), int, or None, default=None
        1 = known anomaly, 0 = normal, as the protocol hands them out. None where it hands out no labels.
    classes_test : ndarray of shape (n,), int, or None, default=None
        Classes of the test rows, where the data set has classes.
    """

    X_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    y_train: np.ndarray | None = None
    classes_test: np.ndarray | None = None


def split(dataset: Dataset, protocol: str, seed: int, max_rows: int | None = None) -> Split:
    """Divide a data set, and scale it by what its training rows show.

    Features of tables and channels of sequences get zero mean and unit variance; images are divided by their largest
    training value.

    Parameters
    ----------
    dataset : benchmarks.data.Dataset
    protocol : str
        See :func:`named`.
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
        If the protocol is unknown, or cannot divide these rows: a class has too few of them, there is no official
        split, or they are images where it takes tables.
    """
    rule = named(protocol)
    if max_rows is not None and len(dataset.y) > max_rows:
        rows = np.arange(len(dataset.y))
        keep, _ = train_test_split(rows, train_size=max_rows, stratify=dataset.y, random_state=seed)
        dataset = dataset.take(keep)
    if rule.change is not None:
        dataset = rule.change(dataset, seed)
    train, test = rule.divide(dataset, seed)
    X_train, X_test = _SCALES[dataset.kind](dataset.X[train], dataset.X[test])
    y_train = None if rule.labels is None else rule.labels(dataset.y[train], seed)
    classes_test = None if dataset.classes is None else dataset.classes[test]
    return Split(X_train, X_test, dataset.y[test], y_train, classes_test)


def _scale_table(X_train, X_test):
    # the squares of values from 1e154 on overflow, and those below 1e-154 vanish; a power of two changes no digit
    largest = np.abs(X_train).max(axis=0)
    exponents = np.where((largest > 1e100) | (largest < 1e-100), np.frexp(largest)[1], 0)
    X_train, X_test = np.ldexp(X_train, -exponents), np.ldexp(X_test, -exponents)
    # scikit-learn takes a feature of a large offset, as row numbers in a long table have, for constant
    low, high = X_train.min(axis=0), X_train.max(axis=0)
    offset = np.where(high - low < _SMALL_RANGE * np.abs(X_train).max(axis=0), low, 0)
    scaler = StandardScaler().fit(X_train - offset)
    largest = np.finfo(X_train.dtype).max
    with np.errstate(over="ignore", invalid="ignore"):  # of test rows far beyond the training rows
        return tuple(np.clip(scaler.transform(X - offset), -largest, largest) for X in (X_train, X_test))


def _scale_sequences(X_train, X_test):
    def scale(X):
        return scaler.transform(_steps(X)).reshape(len(X), X.shape[2], -1).swapaxes(1, 2)

    scaler = StandardScaler().fit(_steps(X_train))
    return scale(X_train), scale(X_test)


def _steps(X):
    """Put the steps of all sequences one below the other: (n * T, C)."""
    return X.swapaxes(1, 2).reshape(-1, X.shape[1])


def _scale_images(X_train, X_test):
    # bytes become float32: half the memory, and nothing is lost
    dtype = np.result_type(X_train, np.float32)
    largest = np.abs(X_train).max().astype(dtype)
    return X_train.astype(dtype) / largest, X_test.astype(dtype) / largest


_SCALES = {"table": _scale_table, "sequence": _scale_sequences, "image": _scale_images}
