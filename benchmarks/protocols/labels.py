"""True labels of the training rows + seed -> the labels that detectors get."""

import numpy as np


def true_labels(y, seed):
    """Hand out every label as it is."""
    return y


def label_errors(y, seed, share):
    """Hand out the wrong label of some rows, normal ones and anomalies alike (ADBench's annotation errors).

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
    given = y.copy()
    given[wrong] = 1 - given[wrong]
    return given


def known_anomalies(y, seed, share):
    """Hand out some of the anomalies; every other row is 0 = unlabelled (ADBench's semi-supervised setting).

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
    given = np.zeros_like(y)
    given[anomalies[: int(np.ceil(share * len(anomalies)))]] = 1
    return given
