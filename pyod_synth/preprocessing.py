"""Scaling per feature (tables) or per channel (sequences, images)."""

from typing import Any

import numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from typing_extensions import Self

Array = np.ndarray[Any, Any]

# Scaled values are clipped here: float32 networks stay finite, and nothing real lies this many deviations out.
_LIMIT = 1e6
_ROWS = 2**16  # that are scaled at a time: copies of a million rows would be as large as they are


class Standardizer:
    """Zero mean and unit variance, or a range of [0, 1], learned once and safe for any finite float64 input.

    scikit-learn's :class:`~sklearn.preprocessing.StandardScaler` or :class:`~sklearn.preprocessing.MinMaxScaler` does
    the work; constant features are centred and left unscaled by both. Before it, each feature is divided by the power
    of two above its largest magnitude where that is large enough to overflow a variance. A small shift in a feature
    that was constant in training stays small.

    Parameters
    ----------
    scaling : bool or "minmax", default=True
        Whether to standardise; "minmax" scales to [0, 1]. If False, rows pass unchanged but for the conversion to
        float32.
    """

    def __init__(self, scaling: bool | str = True):
        self.scaling = scaling

    def fit(self, X: Array) -> Self:
        """Learn the mean and the deviation, or the range, of each feature or channel.

        Parameters
        ----------
        X : ndarray of shape (n, d), (n, C, T) or (n, C, H, W), float64
            Finite values.

        Returns
        -------
        Standardizer
        """
        if self.scaling:
            columns = _as_columns(X)
            magnitude = np.abs(columns).max(axis=0).astype(np.float64)  # 1e100 is beyond float32
            self._shrink = np.where(magnitude > 1e100, np.exp2(-np.ceil(np.log2(np.maximum(magnitude, 1.0)))), 1.0)
            # arrays, even where scikit-learn is told to return data frames
            scaler = MinMaxScaler() if self.scaling == "minmax" else StandardScaler()
            self._scaler = scaler.set_output(transform="default").fit(columns * self._shrink)
        return self

    def transform(self, X: Array) -> Array:
        """Scale rows.

        Parameters
        ----------
        X : ndarray of shape (n, d), (n, C, T) or (n, C, H, W), float64

        Returns
        -------
        ndarray of the same shape, float32
            Clipped to +-1e6.
        """
        scaled = np.empty(X.shape, dtype=np.float32)
        for start in range(0, len(X), _ROWS):
            rows = X[start : start + _ROWS]
            if self.scaling:
                rows = _from_columns(self._scaler.transform(_as_columns(rows) * self._shrink), rows.shape)
            scaled[start : start + _ROWS] = np.clip(rows, -_LIMIT, _LIMIT)
        return scaled

    def inverse_transform(self, X: Array) -> Array:
        """Return scaled rows to their original units.

        Parameters
        ----------
        X : ndarray of shape (n, d), (n, C, T) or (n, C, H, W), float32

        Returns
        -------
        ndarray of the same shape, float64
        """
        X = X.astype(np.float64)
        if self.scaling:
            X = _from_columns(self._scaler.inverse_transform(_as_columns(X)) / self._shrink, X.shape)
        return X


def _as_columns(X: Array) -> Array:
    """Put features, or channels, in the columns of a matrix: (n, d), (n * T, C) or (n * H * W, C)."""
    return np.moveaxis(X, 1, -1).reshape(-1, X.shape[1])


def _from_columns(columns: Array, shape: tuple[int, ...]) -> Array:
    """Undo :func:`_as_columns`."""
    n, channels, *spatial = shape
    return np.moveaxis(columns.reshape(n, *spatial, channels), -1, 1)
