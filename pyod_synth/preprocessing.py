"""Scaling per feature (tables) or per channel (sequences, images)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler
from typing_extensions import Self

Array = np.ndarray[Any, Any]

# Beyond this many deviations, or ranges, scaled values grow as their logarithm does. No training row of a table of up
# to 10,000 rows lies there: of n values, none is more than sqrt(n - 1) deviations from their mean.
_FAR = 100.0
_FAR_UNSCALED = 1e6  # of rows that are not scaled, whose units are not known
_LARGEST = np.finfo(np.float64).max
_BLOCK_ELEMENTS = 2**16  # that are scaled at a time: what the cache holds, in less than half of the time of 2**22
_LEARNED = ("unit_", "offset_", "mean_", "scale_")
_DIVISORS = ("unit_", "scale_")


def scaled(x: Any, state: dict[str, Any]) -> Any:
    """Scale float64 arrays or tensors by a :attr:`Standardizer.state`, whose arrays are broadcast against them."""
    return (x * state["unit_"] - state["offset_"] - state["mean_"]) / state["scale_"]


class Standardizer:
    """Zero mean and unit variance, or a range of [0, 1], learned once and safe for any finite float64 input.

    With m and s a feature's mean and deviation, or minimum and range, a value x becomes z = (x - m) / s. It is computed
    in float64, in units of the feature's range, so that neither a large offset nor the size of the numbers costs
    digits. A feature is constant if all its values are equal; it is centred and keeps its units, so that a small shift
    in it stays small.

    Networks are to see no number that they cannot compute with: a z beyond ``limit`` becomes limit * (1 + log(z /
    limit)), and one below -limit the same with its sign. That goes on smoothly, keeps the order, and reaches some 700
    limits at the largest float64.

    Parameters
    ----------
    scaling : bool or "minmax", default=True
        Whether to standardise; "minmax" scales to [0, 1]. If False, rows pass unchanged up to ``limit``, but for the
        conversion to float32.

    Attributes
    ----------
    limit : float
        100; a million without scaling.
    unit_, offset_, mean_, scale_ : ndarray of shape (d,) or (C,), float64
        z = ((unit_ * x - offset_) - mean_) / scale_, with a power of two for ``unit_`` and the minimum for
        ``offset_``, so that the difference is exact.
    """

    unit_: Array
    offset_: Array
    mean_: Array
    scale_: Array

    def __init__(self, scaling: bool | str = True):
        self.scaling = scaling
        self.limit = _FAR if scaling else _FAR_UNSCALED

    def fit(self, X: Array) -> Self:
        """Learn the mean and the deviation, or the range, of each feature or channel.

        Parameters
        ----------
        X : ndarray of shape (n, d), (n, C, T) or (n, C, H, W), float64 or float32
            Finite values.

        Returns
        -------
        Standardizer
        """
        self.unit_, self.scale_ = np.ones(X.shape[1]), np.ones(X.shape[1])
        self.offset_, self.mean_ = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        if not self.scaling:
            return self
        places = (0, *range(2, X.ndim))
        low, high = (np.asarray(bound(axis=places), dtype=np.float64) for bound in (X.min, X.max))
        varies = high > low
        with np.errstate(over="ignore"):
            _, exponent = np.frexp(np.minimum(high - low, _LARGEST))
        # 2 ** 1023 is the largest power
        self.unit_ = np.where(varies, np.ldexp(1.0, np.minimum(-exponent, 1023)), 1.0)
        self.offset_ = low * self.unit_
        if self.scaling == "minmax":
            self.scale_ = np.where(varies, high * self.unit_ - self.offset_, 1.0)
        else:
            moments = StandardScaler()
            for rows in _blocks(X):
                moments.partial_fit(np.moveaxis(self._scale(rows), 1, -1).reshape(-1, X.shape[1]))
            self.mean_ = moments.mean_
            self.scale_ = np.where(varies, np.sqrt(moments.var_), 1.0)
        return self

    @property
    def state(self) -> dict[str, Array]:
        """What was learned: float64 arrays with a number for each feature or channel."""
        return {name: getattr(self, name) for name in _LEARNED}

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
            If the state is not one of this size.
        """
        expected = {name: (np.dtype(np.float64), (size,)) for name in _LEARNED}
        if {name: (array.dtype, array.shape) for name, array in state.items()} != expected:
            raise ValueError(
                f"the arrays of the scaling must be {list(expected)}, one float64 for each of {size} features"
            )
        if not all(np.isfinite(array).all() for array in state.values()) or not all(
            state[name].all() for name in _DIVISORS
        ):
            raise ValueError("the arrays of the scaling hold values that no scaling has")
        if not scaling and any((state[name] != (name in _DIVISORS)).any() for name in _LEARNED):
            raise ValueError("the arrays of the scaling are not those of no scaling")
        standardizer = cls(scaling)
        vars(standardizer).update(state)
        return standardizer

    def transform(self, X: Array) -> Array:
        """Scale rows.

        Parameters
        ----------
        X : ndarray of shape (n, d), (n, C, T) or (n, C, H, W), float64 or float32

        Returns
        -------
        ndarray of the same shape, float32
            Finite.
        """
        scaled, start = np.empty(X.shape, dtype=np.float32), 0
        for rows in _blocks(X):
            z = self._scale(rows)
            far = np.abs(z) > self.limit
            if far.any():
                size = np.minimum(np.abs(z[far]), _LARGEST)
                z[far] = np.copysign(self.limit * (1 + np.log(size / self.limit)), z[far])
            scaled[start : start + len(rows)] = z
            start += len(rows)
        return scaled

    def inverse_transform(self, X: Array) -> Array:
        """Return scaled rows to their original units.

        Parameters
        ----------
        X : ndarray of shape (n, d), (n, C, T) or (n, C, H, W), float32

        Returns
        -------
        ndarray of the same shape, float64
            Finite: what would be beyond the largest float64 is the largest float64.
        """
        z = X.astype(np.float64)
        far = np.abs(z) > self.limit
        with np.errstate(over="ignore"):
            z[far] = np.copysign(self.limit * np.exp(np.abs(z[far]) / self.limit - 1), z[far])
            z = np.clip(z, -_LARGEST, _LARGEST) * self._beside(self.scale_, z) + self._beside(self.mean_, z)
            return np.clip((z + self._beside(self.offset_, z)) / self._beside(self.unit_, z), -_LARGEST, _LARGEST)

    def _scale(self, X: Array) -> Array:
        """Give z in float64; infinite beyond float64."""
        with np.errstate(over="ignore"):
            return scaled(X, {name: self._beside(array, X) for name, array in self.state.items()})

    @staticmethod
    def _beside(each: Array, X: Array) -> Array:
        """Give numbers of each feature, or channel, a shape in which they go with rows."""
        return each.reshape(-1, *[1] * (X.ndim - 2))


def _blocks(X: Array) -> Iterator[Array]:
    """Divide rows, a few at a time."""
    rows = max(1, _BLOCK_ELEMENTS // max(1, X[0].size))
    for start in range(0, len(X), rows):
        yield X[start : start + rows]
