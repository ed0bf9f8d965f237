"""Name -> :class:`Dataset`: what is bundled, what a folder holds with its subfolders, and files by their paths.

To add a data set that needs no file, enter it in ``BUNDLED`` (bundled.py). To add a kind of file, write a function
(folder) -> dict of name to :class:`Source` and enter it in ``FINDERS``. To add a file that can be downloaded, enter it
in downloads.csv; its path there must be one that a finder knows.
"""

import logging
import os
from pathlib import Path

import numpy as np
import pooch

from benchmarks.data import adbench, download, files, images, sequences, tables
from benchmarks.data.bundled import BUNDLED
from benchmarks.data.source import Dataset, Source

_LOG = logging.getLogger(__name__)

__all__ = ["BUNDLED", "FINDERS", "Dataset", "Source", "available", "default_folder", "expand", "load"]

FINDERS = [
    tables.find_odds,
    tables.find_dami,
    tables.find_kddcup99,
    images.find,
    sequences.find,
    adbench.find,  # last, since it takes any table of X and y
]


def load(name, folder=None):
    """Load a data set.

    Parameters
    ----------
    name : str
        One of :func:`available`; or images with several normal classes, ``mnist-2+3+5`` or ``mnist-all``, or of two
        classes, ``mnist-1-with-7``, or of the test part, ``mnist-test-1`` (:func:`benchmarks.data.images.find_subset`);
        or the path of an ``.npz``, ``.csv`` or ``.parquet`` (:func:`benchmarks.data.files.find_path`).
    folder : path-like or None, default=None
        Searched with its subfolders. None takes :func:`default_folder`.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        If nothing of that name is there, or its file is broken, which is named then, or it does not hold finite
        numbers X and labels y of 0 and 1.
    """
    folder = default_folder() if folder is None else Path(folder)
    source = BUNDLED.get(name) or files.find_path(name) or _found(folder).get(name) or images.find_subset(name, folder)
    if source is None:
        raise ValueError(_unknown([name], folder))
    if source.broken:
        raise ValueError(source.broken)
    X, y, *rest = source.read()
    y = np.ravel(y)
    _check(X, y, name)
    X = np.ascontiguousarray(X, dtype=np.float64 if X.ndim < 4 else None)
    return Dataset(name, X, y.astype(np.int64), source.provenance, *rest)


def expand(names, folder=None):
    """Replace each group by its members and each short name by the full one.

    Parameters
    ----------
    names : iterable of str
        What :func:`load` takes; ADBench's names without their number; or names of groups: the folders that hold
        ADBench's files (``Classical``, ``CV_by_ResNet18``, ``NLP_by_BERT`` ...), ``odds``, ``dami``, ``kddcup99``,
        ``fashion-mnist``, ``mnist``, ``cifar10``, ``japanese-vowels``, ``anorand-synthetic`` and ``scikit-learn``. A
        group comes before a short name: ``mnist`` is the images, ADBench's table is ``24_mnist``.
    folder : path-like or None, default=None
        None takes :func:`default_folder`.

    Returns
    -------
    list of str
        Without repetitions, in the order given; groups by their members' numbers. Members of a group whose files are
        broken are left out, and a warning is logged.

    Raises
    ------
    ValueError
        If a name is unknown, or nothing of it is left.
    """
    folder = default_folder() if folder is None else Path(folder)
    known = available(folder)
    expanded, missing = [], []
    for name in names:
        members = [name] if name in known else [full for full, source in known.items() if name == source.group]
        members = members or [full for full in known if name == adbench.short(full)]
        if not members and (source := files.find_path(name) or images.find_subset(name, folder)):
            members, known[name] = [name], source
        missing += [] if members else [name]
        broken = {member: known[member].broken for member in members if known[member].broken}
        if broken and len(broken) == len(members):
            raise ValueError("; ".join(dict.fromkeys(broken.values())))
        for member, reason in broken.items():
            _LOG.warning("%s is left out: %s", member, reason)
        expanded += [member for member in members if member not in broken]
    if missing:
        raise ValueError(_unknown(missing, folder))
    return list(dict.fromkeys(expanded))


def available(folder=None):
    """Find all data sets that have a name, those with broken files among them; none is read.

    Parameters
    ----------
    folder : path-like or None, default=None
        None takes :func:`default_folder`.

    Returns
    -------
    dict of str to Source
    """
    found = _found(default_folder() if folder is None else Path(folder))
    return BUNDLED | found | BUNDLED  # bundled ones come first, and no file takes their names


def default_folder():
    """Return the folder that the environment variable ``PYOD_SYNTH_DATA`` names, or else a cache of the user's."""
    folder = os.environ.get("PYOD_SYNTH_DATA")
    return Path(folder) if folder else Path(pooch.os_cache("pyod_synth"))


def _found(folder):
    """Every data set under a folder by its name. A file that two finders know is the first's."""
    found, taken = {}, set()
    for find in FINDERS:
        new = {name: source for name, source in find(folder).items() if taken.isdisjoint(source.files)}
        found |= new
        taken.update(file for source in new.values() for file in source.files)
    return found


def _unknown(names, folder):
    unknown = [name for name in names if not len(download.find(name))]
    if not unknown:
        listed = ", ".join(map(repr, names))
        return f"not in {folder} yet: {listed}; to get it: python -m benchmarks download {' '.join(names)}"
    return (
        f"unknown data set or group {', '.join(map(repr, unknown))}: not bundled, and no file that can be read in "
        f"{folder} (set PYOD_SYNTH_DATA or give --data); python -m benchmarks list shows what there is"
    )


def _check(X, y, name):
    if X.ndim not in (2, 3, 4) or X.shape[1] == 0:
        raise ValueError(
            f"{name}: X must be a table (n, d), sequences (n, C, T) or images (n, C, H, W), got shape {X.shape}"
        )
    if len(X) != len(y):
        raise ValueError(f"{name}: X and y must have as many rows, got {len(X)} and {len(y)}")
    others = np.setdiff1d(y, [0, 1])
    if len(others):
        raise ValueError(f"{name}: y must hold 0 (normal) and 1 (anomaly) only, got also {others[:5].tolist()}")
    if X.dtype.kind not in "buif":
        raise ValueError(f"{name}: X must hold numbers, got {X.dtype}")
    if not np.isfinite(X).all():
        raise ValueError(f"{name}: X must hold finite numbers only, got missing or infinite ones")
