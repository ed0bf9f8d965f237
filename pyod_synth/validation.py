"""What a user hands over -> checked arrays, or one clear error.

The only module that uses scikit-learn's private checks of parameters.
"""

import math
from numbers import Integral
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
    "check_device",
    "check_image_shape",
    "check_labels",
    "check_lr_schedule",
    "check_parameters",
    "check_rows",
    "check_sequence_shape",
]

Shape = tuple[int, ...]
_KINDS = {1: "a table", 2: "sequences", 3: "images"}  # of rows, by the length of their shape


def check_parameters(detector: Any) -> None:
    """Check the parameters of a detector against its ``_parameter_constraints``.

    Raises
    ------
    ValueError
        Naming the parameter, what was got and what is allowed.
    """
    parameters = detector.get_params(deep=False)
    for name, allowed in detector._parameter_constraints.items():
        # booleans are integers to Python, and would be taken for 0 and 1
        if isinstance(value := parameters.get(name), (bool, np.bool_)) and not any(
            kind in ("boolean", "verbose") for kind in allowed if isinstance(kind, str)
        ):
            raise ValueError(f"The {name!r} parameter of {type(detector).__name__} must be no boolean, got {value!r}")
    validate_parameter_constraints(detector._parameter_constraints, parameters, type(detector).__name__)


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
        If there are too few rows, values that are masked, no numbers or not finite, or rows of another shape.
    """
    _check_numbers(X, "X")
    if not hasattr(X, "ndim"):
        X = np.asarray(X)
    if X.ndim not in (2, 4) and not (X.ndim == 3 and shape is not None and len(shape) == 2):
        hint = {
            1: " Reshape your data with X.reshape(-1, 1) or X.reshape(1, -1).",
            3: " Grey images need an axis for their one channel: X[:, None]; flattened, image_shape=(1, H, W).",
        }.get(X.ndim, "")
        if X.ndim == 3 and hasattr(estimator, "sequence_shape"):
            hint += " Sequences need sequence_shape=(channels, steps)."
        raise ValueError(f"X must have shape (n, features) or (n, channels, height, width), got {X.ndim}-D.{hint}")
    if X.ndim > 2:
        X = check_array(X, dtype=[np.float64, np.float32], allow_nd=True, estimator=estimator, input_name="X")
        got = X.shape[1:]
        if shape is not None and got != shape:
            expected = _KINDS[len(shape)] + (f" of shape {shape}" if len(shape) > 1 else "")
            raise ValueError(
                f"X holds {_KINDS[len(got)]} of shape {got}, but {type(estimator).__name__} expects {expected}"
            )
        shape = got
        X = X.reshape(len(X), -1)
    # sums round by the order in memory, which differs between arrays and data frames
    X = validate_data(
        estimator, X, reset=fitting, dtype=[np.float64, np.float32], order="C", ensure_min_samples=2 if fitting else 1
    )
    if shape is None:
        shape = X.shape[1:]
    elif X.shape[1] != math.prod(shape):
        holder = f"image_shape={shape}" if len(shape) == 3 else f"sequences of shape {shape}"
        raise ValueError(f"X has {X.shape[1]} features, which {holder} cannot hold: {math.prod(shape)}")
    return X.reshape(len(X), *shape)


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
    _check_numbers(y, "y")
    if y is None:
        raise ValueError("y is required with use_labels=True: 1 = known anomaly, 0 = normal or unlabelled; got None")
    y = column_or_1d(y)
    check_consistent_length(X, y)
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"y must hold 0 (normal or unlabelled) and 1 (known anomaly) only, got {np.unique(y)[:5]}")
    return y.astype(np.int64)


def _check_numbers(values: Any, name: str) -> None:
    """Refuse what would pass for numbers, or be refused without naming the columns."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values, of which nothing is known: fill them, as {name}.filled does")
    if hasattr(values, "columns") and hasattr(values, "items"):  # a data frame
        wrong = [str(column) for column, entries in values.items() if not _is_numeric(entries)]
        if wrong:
            raise ValueError(
                f"{name} must hold numbers, got other values in its columns {wrong}: encode or drop them first, as "
                "scikit-learn's ColumnTransformer does"
            )
    elif getattr(getattr(values, "dtype", None), "kind", None) in ("m", "M"):
        raise ValueError(f"{name} must hold numbers, got dates or times ({values.dtype})")


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
