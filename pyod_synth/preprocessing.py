"""Scaling per feature (tables) or per channel (images)."""

from typing import Any

import numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from typing_extensions import Self

Array = np.ndarray[Any, Any]

# Scaled values are clipped here: float32 networks stay finite, and nothing real lies this many deviations out.
LIMIT = 1e6
_ROWS = 2**16  # that are scaled at a time: copies of a million rows would be as large as they are
_LEARNED = ("shrink", "offset", "scale")
_DIVISORS = ("shrink", "scale")


def scaled(x: Any, state: dict[str, Any]) -> Any:
    """Scale float64 arrays or tensors by a :attr:`Standardizer.state`, whose arrays are broadcast against them."""
    return (x * state["shrink"] - state["offset"]) / state["scale"] if state else x


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
        X : ndarray of shape (n, d) or (n, C, H, W), float64
            Finite values.

        Returns
        -------
        Standardizer
        """
        if self.scaling:
            columns = _as_columns(X)
            magnitude = np.abs(columns).max(axis=0).astype(np.float64)  # 1e100 is beyond float32
            self.shrink = np.where(magnitude > 1e100, np.exp2(-np.ceil(np.log2(np.maximum(magnitude, 1.0)))), 1.0)
            if self.scaling == "minmax":
                ranges = MinMaxScaler().fit(columns * self.shrink)
                self.offset, self.scale = ranges.data_min_, 1 / ranges.scale_
            else:
                moments = StandardScaler().fit(columns * self.shrink)
                self.offset, self.scale = moments.mean_, moments.scale_
        return self

    @property
    def state(self) -> dict[str, Array]:
        """What was learned: float64 arrays with a number for each feature or channel; none without scaling."""
        return {name: getattr(self, name) for name in _LEARNED} if self.scaling else {}

    @classmethod
    def from_state(cls, scaling: bool | str, state: dict[str, Array], size: int) -> Self:
        """Make a fitted standardizer of what another one has learned.

        Parameters
        ----------
        scaling : bool or "minmax"
        state : dict of str to ndarray
            As :attr:`state`.
        size : int
            Number of features or channels.

        Returns
        -------
        Standardizer

        Raises
        ------
        ValueError
            If the state is not one of this scaling and size.
        """
        expected = {name: (np.dtype(np.float64), (size,)) for name in _LEARNED} if scaling else {}
        if {name: (array.dtype, array.shape) for name, array in state.items()} != expected:
            raise ValueError(
                f"the arrays of the scaling must be {list(expected)}, one float64 for each of {size} features"
            )
        if not all(np.isfinite(array).all() for array in state.values()) or not all(
            state[name].all() for name in _DIVISORS if scaling
        ):
            raise ValueError("the arrays of the scaling hold values that no scaling has")
        standardizer = cls(scaling)
        vars(standardizer).update(state)
        return standardizer

    def transform(self, X: Array) -> Array:
        """Scale rows.

        Parameters
        ----------
        X : ndarray of shape (n, d) or (n, C, H, W), float64

        Returns
        -------
        ndarray of the same shape, float32
            Clipped to +-1e6.
        """
        result = np.empty(X.shape, dtype=np.float32)
        for start in range(0, len(X), _ROWS):
            rows = X[start : start + _ROWS]
            if self.scaling:
                rows = _from_columns(scaled(_as_columns(rows), self.state), rows.shape)
            result[start : start + _ROWS] = np.clip(rows, -LIMIT, LIMIT)
        return result

    def inverse_transform(self, X: Array) -> Array:
        """Return scaled rows to their original units.

        Parameters
        ----------
        X : ndarray of shape (n, d) or (n, C, H, W), float32

        Returns
        -------
        ndarray of the same shape, float64
        """
        X = X.astype(np.float64)
        if self.scaling:
            X = _from_columns((_as_columns(X) * self.scale + self.offset) / self.shrink, X.shape)
        return X


def _as_columns(X: Array) -> Array:
    """Put features, or channels, in the columns of a matrix: (n, d) or (n * H * W, C)."""
    return np.moveaxis(X, 1, -1).reshape(-1, X.shape[1])


def _from_columns(columns: Array, shape: tuple[int, ...]) -> Array:
    """Undo :func:`_as_columns`."""
    n, channels, *spatial = shape
    return np.moveaxis(columns.reshape(n, *spatial, channels), -1, 1)
