"""Dataset + seed -> indices of the training rows and of the test rows."""

import numpy as np
from sklearn.model_selection import train_test_split


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
    train, test = official(dataset)
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
    train, test = _sixty_forty(dataset, seed) if dataset.train is None else official(dataset)
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
    train, test = official(dataset)
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


def official(dataset):
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
