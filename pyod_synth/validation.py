"""What a user hands over -> checked arrays, or one clear error.

The only module that uses scikit-learn's private checks of parameters.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_parameter_constraints
from sklearn.utils.validation import validate_data

__all__ = [
    "HasMethods",
    "Interval",
    "Shape",
    "StrOptions",
    "as_array",
    "check_device",
    "check_image_shape",
    "check_labels",
    "check_lr_schedule",
    "check_parameters",
    "check_rows",
    "check_sequence_shape",
    "real_parameters",
]

Shape = tuple[int, ...]
_KINDS = {1: "a table", 2: "sequences", 3: "images"}  # of rows, by the length of their shape

_CHANNELS = (1, 3, 4)  # of images, as a last axis that is no width
# The largest parameters: sizes that torch can count, and weights and rates whose squares float32 can hold.
_LARGEST_INTEGER, _LARGEST_REAL = 2**31 - 1, 1e15


def check_parameters(detector: Any) -> None:
    """Check the parameters of a detector against its ``_parameter_constraints``.

    Raises
    ------
    ValueError
        Naming the parameter, what was got and what is allowed.
    """
    parameters = detector.get_params(deep=False)
    reals = real_parameters(detector)
    for name, allowed in detector._parameter_constraints.items():
        # booleans are integers to Python, and would be taken for 0 and 1
        if isinstance(value := parameters.get(name), (bool, np.bool_)) and not any(
            kind in ("boolean", "verbose") for kind in allowed if isinstance(kind, str)
        ):
            raise ValueError(f"The {name!r} parameter of {type(detector).__name__} must be no boolean, got {value!r}")
        bounded = all(kind.right is not None for kind in allowed if isinstance(kind, Interval))
        largest = _LARGEST_REAL if name in reals else _LARGEST_INTEGER
        if not bounded and isinstance(value, Real) and float(value) > largest:
            raise ValueError(
                f"The {name!r} parameter of {type(detector).__name__} must be at most {largest:.4g}, got {value!r}"
            )
    validate_parameter_constraints(detector._parameter_constraints, parameters, type(detector).__name__)


def real_parameters(detector: Any) -> list[str]:
    """Name the parameters that are numbers without an upper bound of their own: weights and rates."""
    return [
        name
        for name, allowed in detector._parameter_constraints.items()
        if any(isinstance(kind, Interval) and kind.type is Real and kind.right is None for kind in allowed)
    ]


def check_rows(
    estimator: BaseEstimator, X: Any, *, shape: Shape | None, fitting: bool
) -> np.ndarray[Any, np.dtype[np.floating]]:
    """Check rows, and shape them as (n, *shape).

    Images and sequences are checked flattened, so that ``n_features_in_`` is C * H * W or C * T however they come.

    Parameters
    ----------
    estimator : sklearn.base.BaseEstimator
        ``n_features_in_`` and ``feature_names_in_`` are set on it when fitting, and else compared with.
    X : array-like of shape (n, d), (n, C, T) or (n, C, H, W)
    shape : tuple of int or None
        (d,), (C, T) or (C, H, W) that rows must have; (n, C, T) is taken with a (C, T) only. None takes the rows' own.
    fitting : bool

    Returns
    -------
    ndarray of shape (n, *shape), float64 or float32

    Raises
    ------
    ValueError
        If there are too few rows, values that are masked, no numbers or not finite, images whose channels come last, or
        rows of another shape.
    TypeError
        If they are sparse, or values cannot be read as numbers.
    """
    X = as_array(X, "X")
    if X.ndim == 3 and shape is not None and (1, *X.shape[1:]) == shape:  # grey images without their one channel
        X = X[:, None]
    if X.ndim not in (2, 4) and not (X.ndim == 3 and shape is not None and len(shape) == 2):
        hint = {
            1: " Reshape your data with X.reshape(-1, 1) or X.reshape(1, -1).",
            3: " Grey images need an axis for their one channel: X[:, None], or image_shape=(1, H, W).",
        }.get(X.ndim, "")
        if X.ndim == 3 and hasattr(estimator, "sequence_shape"):
            hint += " Sequences need sequence_shape=(channels, steps)."
        raise ValueError(f"X must have shape (n, features) or (n, channels, height, width), got {X.ndim}-D.{hint}")
    with _naming("X"):
        if X.ndim > 2:
            X = check_array(X, dtype=[np.float64, np.float32], allow_nd=True, estimator=estimator, input_name="X")
            _check_axes(X.shape[1:], shape, type(estimator).__name__)
            shape = X.shape[1:]
            X = X.reshape(len(X), -1)
        # sums round by the order in memory, which differs between arrays and data frames
        least = 2 if fitting else 1
        X = validate_data(
            estimator, X, reset=fitting, dtype=[np.float64, np.float32], order="C", ensure_min_samples=least
        )
    if shape is None:
        shape = X.shape[1:]
    elif X.shape[1] != math.prod(shape):
        holder = f"image_shape={shape}" if len(shape) == 3 else f"sequences of shape {shape}"
        raise ValueError(f"X has {X.shape[1]} features, which {holder} cannot hold: {math.prod(shape)}")
    return X.reshape(len(X), *shape)


def _check_axes(got: Shape, shape: Shape | None, detector: str) -> None:
    """Check the shape of images or sequences against the one they must have, and for channels that came last."""
    transpose = "X.transpose(0, 3, 1, 2), which is np.moveaxis(X, -1, 1), puts channels first"
    if shape is None:
        height, _, channels = got
        if channels in _CHANNELS and height not in _CHANNELS and height > channels:
            raise ValueError(
                f"X holds images of shape {got}, whose channels seem to come last, and must have shape (n, channels, "
                f"height, width): {transpose}. If they do come first, image_shape={got} says so"
            )
    elif got != shape:
        expected = _KINDS[len(shape)] + (f" of shape {shape}" if len(shape) > 1 else "")
        hint = f": {transpose}" if len(got) == 3 and (got[2], *got[:2]) == shape else ""
        raise ValueError(f"X holds {_KINDS[len(got)]} of shape {got}, but {detector} expects {expected}{hint}")


def check_labels(y: Any, X: np.ndarray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Check labels against rows.

    Parameters
    ----------
    y : array-like of shape (n,) or None
        1 = known anomaly, 0 = normal or unlabelled.
    X : ndarray of shape (n, ...)

    Returns
    -------
    ndarray of shape (n,), int64

    Raises
    ------
    ValueError
        If there are none, another number than there are rows, or values that are masked or other than 0 and 1.
    """
    if y is None:
        raise ValueError("y is required with use_labels=True: 1 = known anomaly, 0 = normal or unlabelled; got None")
    with _naming("y"):
        y = column_or_1d(as_array(y, "y"))
        check_consistent_length(X, y)
        allowed = np.isin(y, (0, 1))
    if not allowed.all():
        wrong = [str(label) for label in y[~allowed][:5]]
        raise ValueError(f"y must hold 0 (normal or unlabelled) and 1 (known anomaly) only, got {wrong}")
    return y.astype(np.int64)


def as_array(values: Any, name: str) -> Any:
    """Give what a user hands over a shape and a type of numbers: an array, or a data frame as it is.

    Parameters
    ----------
    values : array-like
    name : str
        Of the argument.

    Returns
    -------
    ndarray, data frame or sparse matrix

    Raises
    ------
    ValueError
        If it is no array, has masked values, or holds something else than numbers; the message names the argument, and
        the columns of a data frame.
    """
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values, of which nothing is known: fill them, as {name}.filled does")
    if hasattr(values, "columns") and hasattr(values, "items"):
        _check_columns(values, name)
        return values
    with _naming(name):
        if isinstance(values, torch.Tensor):
            values = values.detach().cpu()
            values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
        if not hasattr(values, "ndim") or isinstance(values, np.matrix):
            values = np.asarray(values)
    dtype: Any = getattr(values, "dtype", None)
    if getattr(dtype, "names", None):
        raise ValueError(f"{name} must hold numbers, got records with the fields {list(dtype.names)}")
    if getattr(dtype, "kind", None) in ("m", "M"):
        raise ValueError(f"{name} must hold numbers, got dates or times ({dtype})")
    return values


def _check_columns(frame: Any, name: str) -> None:
    """Refuse a data frame for what would pass for numbers, or be refused without naming the columns."""
    columns = [str(column) for column in frame.columns]
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise ValueError(f"{name} must have columns of different names, got {repeated} more than once")
    sparse = [str(column) for column, entries in frame.items() if str(entries.dtype).startswith("Sparse")]
    if sparse:
        raise ValueError(f"{name} has sparse columns {sparse}: {name}.sparse.to_dense() makes them dense")
    wrong = [str(column) for column, entries in frame.items() if not _is_numeric(entries)]
    if wrong:
        raise ValueError(
            f"{name} must hold numbers, got other values in its columns {wrong}: encode or drop them first, as "
            "scikit-learn's ColumnTransformer does"
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Have errors of scikit-learn and numpy name the argument."""
    try:
        yield
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        if re.search(rf"\b{name}\b", reason):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: {reason}") from error


def _is_numeric(column: Any) -> bool:
    """Tell whether the entries are numbers, or can be read as such."""
    if column.dtype.kind in "biufc":
        return True
    try:
        column.astype(float)
    except (ValueError, TypeError):
        return False
    return column.dtype.kind not in "mM"


def check_device(device: str | torch.device | None) -> torch.device:
    """Find the device of the parameter; None takes a CUDA device if there is one, else the CPU.

    Raises
    ------
    ValueError
        If there is no such device here; the message lists those there are.
    """
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    there += ["mps"] if torch.backends.mps.is_available() else []
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        found = None
    if found is None or not {found.type, f"{found.type}:{found.index or 0}"}.intersection(there):
        raise ValueError(f"device must be None or one of {there} on this machine, got {str(device)!r}")
    return found


def check_image_shape(image_shape: Any) -> Shape | None:
    """Return the parameter as a tuple, or None.

    Raises
    ------
    ValueError
        If it is not three positive integers.
    """
    if image_shape is not None and not _are_sizes(image_shape, 3):
        raise ValueError(f"image_shape must be three positive integers (C, H, W), got {image_shape!r}")
    return None if image_shape is None else tuple(image_shape)


def check_sequence_shape(sequence_shape: Any) -> Shape:
    """Return the parameter as a tuple.

    Raises
    ------
    ValueError
        If it is not two positive integers.
    """
    if not _are_sizes(sequence_shape, 2):
        raise ValueError(f"sequence_shape must be two positive integers (channels, steps), got {sequence_shape!r}")
    return tuple(sequence_shape)


def _are_sizes(shape: Any, count: int) -> bool:
    return len(shape) == count and all(isinstance(size, Integral) and int(size) > 0 for size in shape)


def check_lr_schedule(lr_schedule: Any) -> Any:
    """Return the parameter, epochs as a tuple.

    Raises
    ------
    ValueError
        If it holds epochs that are not positive integers in rising order.
    """
    if isinstance(lr_schedule, str):
        return lr_schedule
    epochs = tuple(lr_schedule)
    positive = all(isinstance(epoch, Integral) and not isinstance(epoch, bool) and int(epoch) > 0 for epoch in epochs)
    if not positive or list(epochs) != sorted(set(epochs)):
        raise ValueError(
            "lr_schedule must be 'cosine', 'constant' or epochs, positive integers in rising order, after which the "
            f"learning rate is divided by ten, got {lr_schedule!r}"
        )
    return epochs
