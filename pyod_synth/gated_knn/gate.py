"""Statistics of normal rows and of invented anomalies -> the weights that join the statistics."""

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

_LIMIT = 6.0  # deviations: what lies farther out is told apart anyway
_PULL = 0.01


Floats = np.ndarray[Any, Any]


def weigh(normal: Floats, invented: Floats) -> Floats:
    """Fit a logistic regression of non-negative weights that are pulled towards one another.

    It minimises the mean of the log losses of both classes plus .01 sum_v (w_v - mean(w))^2 over w >= 0. Without the
    bound and the pull, weights follow what tells inventions apart, which is more than what tells anomalies apart.

    Parameters
    ----------
    normal : ndarray of shape (n, v)
        Statistics of training rows, standardised; higher is more anomalous.
    invented : ndarray of shape (m, v)
        The same of invented anomalies.

    Returns
    -------
    ndarray of shape (v,), float64
        Non-negative, with a sum of 1.
    """
    x = np.clip(np.concatenate([normal, invented]), -_LIMIT, _LIMIT).astype(np.float64)
    sign = np.repeat([-1.0, 1.0], [len(normal), len(invented)])
    share = 0.5 / np.repeat([len(normal), len(invented)], [len(normal), len(invented)])

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:-1], parameters[-1]
        margin = sign * (x @ weights + bias)
        off = weights - weights.mean()
        value = share @ np.logaddexp(0, -margin) + _PULL * off @ off
        slope = -share * sign * expit(-margin)
        return value, np.append(slope @ x + 2 * _PULL * off, slope.sum())

    count = x.shape[1]
    start = np.append(np.full(count, 1 / count), 0.0)
    bounds = [(0, None)] * count + [(None, None)]
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x[:-1]
    return weights / weights.sum() if weights.sum() > 0 else np.full(count, 1 / count)
