"""The score of residuals in numpy and float64, written from its definition."""

import numpy as np


def log_energy(residual, mean_square, bounded):
    """Log energy of residuals (..., batch, size) as one of the two statistics measures it."""
    relative = residual**2 / mean_square
    return np.log((np.log(1 + relative) if bounded else relative).mean(axis=-1) + 1e-6)


def median(values):
    """The lower one of two middle values."""
    return np.sort(values)[(len(values) - 1) // 2]


def calibration(train, bounded):
    """Usual square, median log energy and its median absolute deviation, of the residuals of one scale."""
    mean_square = (train**2).mean(axis=0) + 1e-6
    energy = log_energy(train, mean_square, bounded)
    middle = median(energy)
    return mean_square, middle, median(np.abs(energy - middle)) + 1e-3


def residual_score(residuals, train):
    """Mean over statistics of the maximum over scales.

    Parameters
    ----------
    residuals, train : sequence of arrays (rows, size)
        Of the rows to score and of the training rows, at each scale.
    """
    statistics = []
    for bounded in (False, True):
        standardised = []
        for residual, usual in zip(residuals, train, strict=True):
            mean_square, middle, deviation = calibration(usual, bounded)
            standardised.append((log_energy(residual, mean_square, bounded) - middle) / deviation)
        statistics.append(np.max(standardised, axis=0))
    return np.mean(statistics, axis=0)
