"""A user's own file, named by its path: ``.npz``, ``.csv`` or ``.parquet``."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.data.adbench import read_npz
from benchmarks.data.source import Source


def find_path(name):
    """Find a file by its path.

    An ``.npz`` holds ``X``, a table (n, d), sequences (n, C, T) or images (n, C, H, W), and ``y``. In a ``.csv`` with a
    header, or a ``.parquet``, the column ``y`` is the label, and all others are features. Everywhere 1 is an anomaly, 0
    is normal.

    Parameters
    ----------
    name : str
        A path that ends in ``.npz``, ``.csv`` or ``.parquet``.

    Returns
    -------
    Source or None
        None if this is no such path.

    Raises
    ------
    ValueError
        If there is no such file.
    """
    path = Path(name)
    if path.suffix not in _READERS:
        return None
    if not path.is_file():
        raise ValueError(f"no file {name} in {Path.cwd()}")
    return Source(str(path.parent), str(path), partial(_READERS[path.suffix], path), (path,))


def _read_npz(path):
    return read_npz(path, "X", "y")


def _read_table(read, path):
    try:
        table = read(path)
    except ImportError as error:
        raise ValueError(f"to read {path}, install pyarrow: pip install pyarrow") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if "y" not in table.columns:
        raise ValueError(f"{path} must have a column 'y', 1 for an anomaly, 0 for normal; got {_some(table.columns)}")
    texts = table.select_dtypes(exclude=["number", "bool"]).columns
    if len(texts):
        raise ValueError(f"{path}: columns must be numbers, got other types in {_some(texts)}")
    unusable = table.columns[~np.isfinite(table.to_numpy(np.float64, na_value=np.nan)).all(axis=0)]
    if len(unusable):
        raise ValueError(f"{path}: missing or infinite values in {_some(unusable)}; fill them in, or drop these rows")
    return table.drop(columns="y").to_numpy(np.float64), table["y"].to_numpy()


def _some(columns):
    shown = ", ".join(repr(str(column)) for column in columns[:10])
    return shown if len(columns) <= 10 else f"{shown} and {len(columns) - 10} more"


_READERS = {
    ".npz": _read_npz,
    ".csv": partial(_read_table, pd.read_csv),
    ".parquet": partial(_read_table, pd.read_parquet),
}
