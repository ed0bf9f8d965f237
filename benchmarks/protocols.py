"""Dataset + seed -> :class:`Split`: who trains, on which labels, who is tested, and how the rows are scaled.

To add a protocol, write a function (dataset, seed) -> (training indices, test indices) and enter it in ``PROTOCOLS``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True)
class Split:
    """Scaled training rows, scaled test rows, labels.

    Parameters
    ----------
    X_train, X_test : ndarray of shape (n, d) or (n, C, H, W), float64, or float32 for images stored as bytes
    y_test : ndarray of shape (n,), int
        1 = anomaly, 0 = normal.
    y_train : ndarray of shape (n,), int, or None, default=None
        1 = known anomaly, 0 = normal. None where the protocol hands out no labels.
    classes_test : ndarray of shape (n,), int, or None, default=None
        Classes of the test rows, where the data set has classes.
    """

    X_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    y_train: np.ndarray | None = None
    classes_test: np.ndarray | None = None


@dataclass(frozen=True)
class Protocol:
    """Who trains and who is tested.

    Parameters
    ----------
    divide : callable
        (dataset, seed) -> (training indices, test indices).
    labels : bool, default=False
        Whether detectors are told the labels of the training rows.
    change : callable or None, default=None
        (dataset, seed) -> dataset, before it is divided.
    """

    divide: Callable
    labels: bool = False
    change: Callable | None = None


def one_class(dataset, seed):
    """Train on a random half of the normal rows; test on the other half and all anomalies."""
    y = dataset.y
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    half = len(normal) // 2
    return normal[:half], np.concatenate([normal[half:], np.flatnonzero(y == 1)])


def one_class_official(dataset, seed):
    """Train on the normal rows of the official training part; test on the official test part. The seed has no say."""
    if dataset.train is None:
        raise ValueError(f"{dataset.name} has no official split")
    return np.flatnonzero(dataset.train & (dataset.y == 0)), np.flatnonzero(~dataset.train)


def adbench(dataset, seed):
    """Train on 70% of all rows, anomalies included; test on 30%; both with the same share of anomalies (ADBench's)."""
    return train_test_split(np.arange(len(dataset.y)), test_size=0.3, stratify=dataset.y, random_state=seed)


def semi_supervised(dataset, seed, gamma):
    """Train on the normal rows of a stratified 60% and a few of its anomalies; test on 40% (Deep SAD's, for tables).

    Parameters
    ----------
    dataset : benchmarks.datasets.Dataset
    seed : int
    gamma : float in [0, 1)
        Share of anomalies in the training rows. With the same seed, a larger one keeps the anomalies of a smaller one.

    Returns
    -------
    train, test : ndarray of int

    Raises
    ------
    ValueError
        If the 60% hold fewer anomalies than that.
    """
    y = dataset.y
    train, test = train_test_split(np.arange(len(y)), test_size=0.4, stratify=y, random_state=seed)
    normal, anomalies = train[y[train] == 0], train[y[train] == 1]
    count = round(gamma / (1 - gamma) * len(normal))
    if count > len(anomalies):
        raise ValueError(
            f"gamma = {gamma:g} takes {count} known anomalies beside {len(normal)} normal rows, but there are only "
            f"{len(anomalies)} to train on in {dataset.name}"
        )
    return np.concatenate([normal, np.random.default_rng(seed).permutation(anomalies)[:count]]), test


PROTOCOLS = {
    "one-class": Protocol(one_class),
    "one-class-official": Protocol(one_class_official),
    "unsupervised": Protocol(adbench),
    "supervised": Protocol(adbench, labels=True),
}
NAMES = [*PROTOCOLS, "semi-supervised:GAMMA"]


def named(name):
    """Find a protocol.

    Parameters
    ----------
    name : str
        One of ``NAMES``, with a number in the place of GAMMA; see :func:`semi_supervised`.

    Returns
    -------
    Protocol

    Raises
    ------
    ValueError
        If the name is unknown, or its number is missing or out of range.
    """
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    head, _, number = name.partition(":")
    if head != "semi-supervised":
        raise ValueError(f"unknown protocol {name!r}; there are {', '.join(NAMES)}")
    try:
        gamma = float(number)
    except ValueError:
        gamma = np.nan
    if not 0 <= gamma < 1:
        raise ValueError(f"semi-supervised:GAMMA takes a number in [0, 1) for GAMMA, got {name!r}")
    return Protocol(partial(semi_supervised, gamma=gamma), labels=True)


def split(dataset, protocol, seed, max_rows=None):
    """Divide a data set, and scale it by what its training rows show.

    Features of tables get zero mean and unit variance; images are divided by their largest training value.

    Parameters
    ----------
    dataset : benchmarks.datasets.Dataset
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
        If the protocol is unknown, or cannot divide these rows: a class has too few of them, or there is no official
        split.
    """
    rule = named(protocol)
    if max_rows is not None and len(dataset.y) > max_rows:
        rows = np.arange(len(dataset.y))
        keep, _ = train_test_split(rows, train_size=max_rows, stratify=dataset.y, random_state=seed)
        dataset = dataset.take(keep)
    if rule.change is not None:
        dataset = rule.change(dataset, seed)
    train, test = rule.divide(dataset, seed)
    X_train, X_test = dataset.X[train], dataset.X[test]
    if dataset.kind == "table":
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    else:
        # bytes become float32: half the memory, and nothing is lost
        dtype = np.result_type(X_train, np.float32)
        largest = np.abs(X_train).max().astype(dtype)
        X_train, X_test = X_train.astype(dtype) / largest, X_test.astype(dtype) / largest
    y_train = dataset.y[train] if rule.labels else None
    return Split(X_train, X_test, dataset.y[test], y_train, None if dataset.classes is None else dataset.classes[test])
