"""Dataset + seed -> :class:`Split`: who trains, on which labels, who is tested, and how the rows are scaled.

To add a protocol, write a function (dataset, seed) -> (training indices, test indices), without a row in both, and
enter it in ``PROTOCOLS`` as a :class:`Protocol`. One with a number, as ``semi-supervised:GAMMA``, is entered as a
:class:`Numbered`, which makes the protocol of a number and says which numbers there may be.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from benchmarks.protocols import synthetic


@dataclass(frozen=True)
class Split:
    """Scaled training rows, scaled test rows, labels.

    Parameters
    ----------
    X_train, X_test : ndarray of shape (n, d) or (n, C, H, W), float64, or float32 for images stored as bytes
    y_test : ndarray of shape (n,), int
        1 = anomaly, 0 = normal.
    y_train : ndarray of shape (n,), int, or None, default=None
        1 = known anomaly, 0 = normal, as the protocol tells it. None where it hands out no labels.
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
        (dataset, seed) -> (training indices, test indices). No row is in both; one may be repeated in either.
    labels : callable or None, default=None
        (true labels of the training rows, seed) -> the labels that detectors are told. None tells them nothing.
    change : callable or None, default=None
        (dataset, seed) -> dataset, before it is divided.
    """

    divide: Callable
    labels: Callable | None = None
    change: Callable | None = None


@dataclass(frozen=True)
class Range:
    """Numbers that a protocol's name may end with.

    Parameters
    ----------
    text : str
        Them, in words.
    holds : callable
        float -> whether it is one of them.
    """

    text: str
    holds: Callable


@dataclass(frozen=True)
class Numbered:
    """Protocols that differ in one number.

    Parameters
    ----------
    numbers : Range
    make : callable
        float -> Protocol.
    """

    numbers: Range
    make: Callable


def one_class(dataset, seed):
    """Train on a random half of the normal rows; test on the other half and all anomalies."""
    y = dataset.y
    normal = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
    half = len(normal) // 2
    return normal[:half], np.concatenate([normal[half:], np.flatnonzero(y == 1)])


def one_class_official(dataset, seed):
    """Train on the normal rows of the official training part; test on the official test part. The seed has no say.

    Raises
    ------
    ValueError
        If there is no official split.
    """
    train, test = _official(dataset)
    return train[dataset.y[train] == 0], test


def adbench(dataset, seed):
    """Train on 70% of all rows, anomalies included; test on 30%; both with the same share of anomalies (ADBench's)."""
    return train_test_split(np.arange(len(dataset.y)), test_size=0.3, stratify=dataset.y, random_state=seed)


def semi_supervised(dataset, seed, gamma):
    """Train on the normal rows of a stratified 60% and a few of its anomalies; test on 40% (Deep SAD's, for tables).

    Parameters
    ----------
    dataset : benchmarks.data.Dataset
    seed : int
        Of the 60% and the anomalies. With the same seed, a larger gamma keeps the anomalies of a smaller one.
    gamma : float in [0, 1)
        Share of anomalies in the training rows.

    Returns
    -------
    train, test : ndarray of int

    Raises
    ------
    ValueError
        If the 60% hold fewer anomalies than that.
    """
    train, test = _sixty_forty(dataset, seed)
    return _with_anomalies(dataset, train, train[dataset.y[train] == 1], gamma, seed), test


def contaminated(dataset, seed, rho):
    """Train on normal rows and, unmarked among them, anomalies of all kinds (NCAE, section 3.1; Ruff et al., 2019).

    All normal rows of the official training part train, with anomalies of that part, whatever their class; the official
    test part is tested. Without an official split, as in tables, a stratified 60% and 40% take their place.

    Parameters
    ----------
    dataset : benchmarks.data.Dataset
    seed : int
        Of the anomalies, and of the 60%. With the same seed, a larger rho keeps the anomalies of a smaller one.
    rho : float in [0, 1)
        Share of anomalies in the training rows.

    Returns
    -------
    train, test : ndarray of int

    Raises
    ------
    ValueError
        If the training part holds fewer anomalies than that.
    """
    train, test = _sixty_forty(dataset, seed) if dataset.train is None else _official(dataset)
    return _with_anomalies(dataset, train, train[dataset.y[train] == 1], rho, seed), test


def known_class(dataset, seed, gamma):
    """Train on normal rows and known anomalies of one class; test on anomalies of all classes (DHAG, section 5.4).

    All normal rows of the official training part train, with anomalies of that part; the official test part is tested.

    Parameters
    ----------
    dataset : benchmarks.data.Dataset
    seed : int
        Of the class, which is the one of this number, counted from 0 in the order of the classes that are anomalies,
        and over again after the last; and of its rows. With the same seed, a larger gamma keeps the anomalies of a
        smaller one. Where ten classes are one against the rest, seeds 0 to 8 are the nine scenarios.
    gamma : float in [0, 1)
        Share of anomalies in the training rows.

    Returns
    -------
    train, test : ndarray of int

    Raises
    ------
    ValueError
        If there is no official split, there are no classes or no anomalies, or fewer training rows of the class than
        that.
    """
    train, test = _official(dataset)
    if dataset.classes is None:
        raise ValueError(f"{dataset.name} has no classes")
    classes = np.unique(dataset.classes[dataset.y == 1])
    if len(classes) == 0:
        raise ValueError(f"{dataset.name} has no anomalies")
    known = classes[seed % len(classes)]
    return _with_anomalies(
        dataset, train, train[dataset.classes[train] == known], gamma, seed, f" of class {known}"
    ), test


def duplicated_anomalies(dataset, seed, times):
    """Divide as :func:`adbench`, and draw in each part that many times its anomalies, with repetitions (ADBench's).

    Parameters
    ----------
    dataset : benchmarks.data.Dataset
    seed : int
        Of the division and the draws.
    times : float
        A whole number; 1 changes nothing.

    Returns
    -------
    train, test : ndarray of int
        Anomalies repeat within them.
    """
    train, test = adbench(dataset, seed)
    if times == 1:
        return train, test
    rng = np.random.default_rng(seed)

    def repeat(rows):
        anomalies = rows[dataset.y[rows] == 1]
        return np.concatenate([rows[dataset.y[rows] == 0], rng.choice(anomalies, int(times) * len(anomalies))])

    return repeat(train), repeat(test)


def averaged_pairs(dataset, seed):
    """Make anomalies of rows that all are normal: averages of two, as of two images pixel by pixel (PLAD, section 4.5).

    Parameters
    ----------
    dataset : benchmarks.data.Dataset
    seed : int
        Of the training rows and the pairs.

    Returns
    -------
    benchmarks.data.Dataset
        10,000 rows of the official training part, or all where there are fewer; the official test part; and as many
        averages of two different rows of the test part, which are anomalies and to be tested. Bytes become float32,
        which holds their halves.

    Raises
    ------
    ValueError
        If there is no official split, there are anomalies already, or fewer than two rows to test.
    """
    train, test = _official(dataset)
    if dataset.y.any():
        raise ValueError(f"averaged-pairs takes normal rows only, got {dataset.y.sum()} anomalies in {dataset.name}")
    if len(test) < 2:
        raise ValueError(f"averaged-pairs needs two rows to test, got {len(test)} in {dataset.name}")
    rng = np.random.default_rng(seed)
    kept = dataset.take(np.concatenate([rng.permutation(train)[:10_000], test]))
    X = kept.X.astype(np.result_type(kept.X, np.float32))
    tested = X[-len(test) :]
    first = rng.integers(len(test), size=len(test))
    second = (first + rng.integers(1, len(test), size=len(test))) % len(test)
    X = np.concatenate([X, (tested[first] + tested[second]) / 2])
    y = np.arange(len(X)) >= len(kept.y)
    train = np.concatenate([kept.train, np.zeros(len(test), dtype=bool)])
    return replace(kept, X=X, y=y.astype(np.int64), train=train, classes=None)


def true_labels(y, seed):
    """Tell detectors the truth."""
    return y


def label_errors(y, seed, share):
    """Tell detectors the wrong label of some rows, normal ones and anomalies alike (ADBench's annotation errors).

    Parameters
    ----------
    y : ndarray of shape (n,), int
    seed : int
        Of the rows. With the same seed, a larger share keeps the errors of a smaller one.
    share : float in [0, 1)
        Of the rows, rounded down to whole ones.

    Returns
    -------
    ndarray of shape (n,), int
    """
    wrong = np.random.default_rng(seed).permutation(len(y))[: int(share * len(y))]
    told = y.copy()
    told[wrong] = 1 - told[wrong]
    return told


def known_anomalies(y, seed, share):
    """Tell detectors some of the anomalies; every other row is 0 = unlabelled (ADBench's semi-supervised setting).

    Parameters
    ----------
    y : ndarray of shape (n,), int
    seed : int
        Of the anomalies. With the same seed, a larger share keeps those of a smaller one.
    share : float in [0, 1)
        Of the anomalies, rounded up to whole ones, as ADBench does where at least one is to be labelled.

    Returns
    -------
    ndarray of shape (n,), int
    """
    anomalies = np.random.default_rng(seed).permutation(np.flatnonzero(y == 1))
    told = np.zeros_like(y)
    told[anomalies[: int(np.ceil(share * len(anomalies)))]] = 1
    return told


def _official(dataset):
    """Return the indices of the official training part and of the official test part."""
    if dataset.train is None:
        raise ValueError(f"{dataset.name} has no official split")
    return np.flatnonzero(dataset.train), np.flatnonzero(~dataset.train)


def _sixty_forty(dataset, seed):
    return train_test_split(np.arange(len(dataset.y)), test_size=0.4, stratify=dataset.y, random_state=seed)


def _with_anomalies(dataset, train, anomalies, share, seed, source=""):
    """Put anomalies, drawn at random, beside the normal ones of the training rows, so that they are a share of all."""
    normal = train[dataset.y[train] == 0]
    count = round(share / (1 - share) * len(normal))
    if count > len(anomalies):
        raise ValueError(
            f"a share of {share:g} takes {count} anomalies beside {len(normal)} normal rows, but there are only "
            f"{len(anomalies)}{source} to train on in {dataset.name}"
        )
    return np.concatenate([normal, np.random.default_rng(seed).permutation(anomalies)[:count]])


_SHARE = Range("a number in [0, 1)", lambda number: 0 <= number < 1)
_TIMES = Range("a whole number from 1 on", lambda number: number >= 1 and number.is_integer())

PROTOCOLS = {
    "one-class": Protocol(one_class),
    "one-class-official": Protocol(one_class_official),
    "unsupervised": Protocol(adbench),
    "supervised": Protocol(adbench, true_labels),
    "semi-supervised:GAMMA": Numbered(
        _SHARE, lambda gamma: Protocol(partial(semi_supervised, gamma=gamma), true_labels)
    ),
    "known-class:GAMMA": Numbered(_SHARE, lambda gamma: Protocol(partial(known_class, gamma=gamma), true_labels)),
    "contaminated:RHO": Numbered(_SHARE, lambda rho: Protocol(partial(contaminated, rho=rho))),
    "averaged-pairs": Protocol(one_class_official, change=averaged_pairs),
    **{
        f"synthetic-{kind}": Protocol(adbench, change=partial(synthetic.with_anomalies, kind=kind))
        for kind in synthetic.KINDS
    },
    "duplicated-anomalies:TIMES": Numbered(_TIMES, lambda times: Protocol(partial(duplicated_anomalies, times=times))),
    "irrelevant-features:SHARE": Numbered(
        _SHARE, lambda share: Protocol(adbench, change=partial(synthetic.with_irrelevant_features, share=share))
    ),
    "known-anomalies:SHARE": Numbered(_SHARE, lambda share: Protocol(adbench, partial(known_anomalies, share=share))),
    "label-errors:SHARE": Numbered(_SHARE, lambda share: Protocol(adbench, partial(label_errors, share=share))),
}


def named(name):
    """Find a protocol.

    Parameters
    ----------
    name : str
        One of ``PROTOCOLS``, with a number in the place of the word in capitals.

    Returns
    -------
    Protocol

    Raises
    ------
    ValueError
        If the name is unknown, or its number is missing or out of range.
    """
    head, _, text = name.partition(":")
    for full, entry in PROTOCOLS.items():
        start, _, parameter = full.partition(":")
        if full == name and not parameter:
            return entry
        if start == head and parameter:
            try:
                number = float(text)
            except ValueError:
                number = np.nan
            if not entry.numbers.holds(number):
                raise ValueError(f"{full} takes {entry.numbers.text} for {parameter}, got {name!r}")
            return entry.make(number)
    raise ValueError(f"unknown protocol {name!r}; there are {', '.join(PROTOCOLS)}")


def split(dataset, protocol, seed, max_rows=None):
    """Divide a data set, and scale it by what its training rows show.

    Features of tables get zero mean and unit variance; images are divided by their largest training value.

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
    X_train, X_test = dataset.X[train], dataset.X[test]
    if dataset.kind == "table":
        scaler = StandardScaler().fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    else:
        # bytes become float32: half the memory, and nothing is lost
        dtype = np.result_type(X_train, np.float32)
        largest = np.abs(X_train).max().astype(dtype)
        X_train, X_test = X_train.astype(dtype) / largest, X_test.astype(dtype) / largest
    told = None if rule.labels is None else rule.labels(dataset.y[train], seed)
    classes_test = None if dataset.classes is None else dataset.classes[test]
    return Split(X_train, X_test, dataset.y[test], told, classes_test)
