"""Name -> :class:`Dataset`: what ships with scikit-learn, and what a folder holds.

A folder is searched with its subfolders. To add a bundled data set, enter it in ``BUNDLED`` (bundled.py); to add a kind
of file, write a function (folder) -> dict of name to :class:`Source` and enter it in ``FINDERS``.
"""

import os
from pathlib import Path

import numpy as np

from benchmarks.datasets import adbench, images, tables
from benchmarks.datasets.bundled import BUNDLED
from benchmarks.datasets.source import Dataset, Source

__all__ = ["BUNDLED", "FINDERS", "Dataset", "Source", "available", "default_folder", "expand", "load"]

FINDERS = [
    tables.find_odds,
    tables.find_dami,
    tables.find_kddcup99,
    images.find_fashion_mnist,
    images.find_mnist,
    adbench.find,  # last, since it takes any table of X and y
]


def load(name, folder=None):
    """Load a data set.

    Parameters
    ----------
    name : str
        One of :func:`available`.
    folder : path-like or None, default=None
        Searched with its subfolders.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If nothing of that name is there.
    """
    source = BUNDLED.get(name) or _found(folder).get(name)
    if source is None:
        raise ValueError(
            f"no data set {name!r}: not bundled ({', '.join(BUNDLED)}), and in {folder} neither an .npz with "
            "arrays X and y nor another known file"
        )
    X, y, *rest = source.read()
    if X.ndim == 2:
        X = np.ascontiguousarray(X, dtype=np.float64)
    return Dataset(name, X, np.ravel(y).astype(np.int64), source.provenance, *rest)


def expand(names, folder=None):
    """Replace each group by its members and each short name by the full one.

    Parameters
    ----------
    names : iterable of str
        Names that :func:`available` lists, ADBench's with or without their number, or names of groups: the folders
        that hold ADBench's files (``Classical``, ``CV_by_ResNet18``, ``NLP_by_BERT``), ``odds``, ``fashion-mnist`` and
        ``mnist``. A group comes before a short name: ``mnist`` is the images, ADBench's table is ``24_mnist``.
    folder : path-like or None, default=None

    Returns
    -------
    list of str
        Without repetitions, in the order given; groups by their members' numbers.

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    known = BUNDLED | _found(folder)
    expanded = []
    for name in names:
        if name in known:
            expanded.append(name)
            continue
        members = [full for full, source in known.items() if name == source.group]
        members = members or [full for full in known if name == adbench.short(full)]
        if not members:
            where = f"in {folder}" if folder else "(no folder: set PYOD_SYNTH_DATA or give --data)"
            raise ValueError(
                f"unknown data set or group {name!r}: not bundled ({', '.join(BUNDLED)}), and no file {where}"
            )
        expanded.extend(members)
    return list(dict.fromkeys(expanded))


def default_folder():
    """Return the folder that the environment variable ``PYOD_SYNTH_DATA`` names, or None."""
    folder = os.environ.get("PYOD_SYNTH_DATA")
    return Path(folder) if folder else None


def available(folder=None):
    """List names with a line about each.

    Parameters
    ----------
    folder : path-like or None, default=None

    Returns
    -------
    dict of str to str
    """
    return {name: source.provenance for name, source in (BUNDLED | _found(folder)).items()}


def _found(folder):
    """Every data set under a folder by its name; none is read. A file that two finders know is the first's."""
    if folder is None:
        return {}
    found, taken = {}, set()
    for find in FINDERS:
        new = {name: source for name, source in find(Path(folder)).items() if source.path not in taken}
        found |= new
        taken |= {source.path for source in new.values()}
    return found
