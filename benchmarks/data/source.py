"""What all data sets are: rows with labels, and the promise of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """Rows with labels.

    Parameters
    ----------
    name : str
    X : ndarray of shape (n, d) or (n, C, T), float64, or (n, C, H, W), float64 or uint8
        Images from files stay as they are stored: 70,000 of them are 55 MB as uint8, and 440 MB as float64.
    y : ndarray of shape (n,), int64
        1 = anomaly, 0 = normal.
    provenance : str
        Where the rows come from and what was done to them.
    train : ndarray of shape (n,), bool, or None, default=None
        Which rows are of the official training part; the others are of the official test part. None where there is no
        official split.
    classes : ndarray of shape (n,), int64, or None, default=None
        The classes from which ``y`` was made, where there were several.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    provenance: str
    train: np.ndarray | None = None
    classes: np.ndarray | None = None

    @property
    def kind(self):
        """One of "table", "sequence" and "image"."""
        return {2: "table", 3: "sequence", 4: "image"}[self.X.ndim]

    def take(self, rows):
        """Keep some rows.

        Parameters
        ----------
        rows : ndarray of int
            Their indices.

        Returns
        -------
        Dataset
        """
        parts = {"X": self.X, "y": self.y, "train": self.train, "classes": self.classes}
        return replace(self, **{name: None if part is None else part[rows] for name, part in parts.items()})


@dataclass(frozen=True)
class Source:
    """A data set that is there, not read yet.

    Parameters
    ----------
    group : str
        The name that stands for this data set and its siblings.
    provenance : str
    read : callable
        Without arguments; returns X, y and, where they are known, train and classes.
    files : tuple of Path, default=()
        What is read. Empty for what needs no file.
    broken : str, default=""
        Why the files cannot be read, if that showed as they were found. Such a data set is named and left out.
    """

    group: str
    provenance: str
    read: Callable
    files: tuple = ()
    broken: str = ""


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Name the file in whatever is raised as it is read.

    Parameters
    ----------
    path : Path
    what : str
        That the file must be.

    Raises
    ------
    ValueError
        If anything is raised in the block.
    """
    try:
        yield
    except Exception as error:  # broken bytes make zipfile, zlib, tarfile, numpy and scipy raise nearly anything
        raise ValueError(f"{path} must be {what}: {error or type(error).__name__}") from error


def thin(is_anomaly, count):
    """Choose all normal rows and some anomalies, drawn with a fixed seed.

    Parameters
    ----------
    is_anomaly : ndarray of shape (n,), bool
    count : int
        How many anomalies.

    Returns
    -------
    ndarray of int
        Rows in their order.
    """
    anomalies = np.random.default_rng(0).choice(np.flatnonzero(is_anomaly), count, replace=False)
    return np.sort(np.concatenate([np.flatnonzero(~is_anomaly), anomalies]))
