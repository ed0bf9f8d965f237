"""ADBench's ``.npz`` files of X and y: tables, and embeddings of images and text."""

import zipfile
from functools import partial

import numpy as np

from benchmarks.datasets.source import Source


def find(folder):
    """Find every ``.npz`` that holds X and y.

    Parameters
    ----------
    folder : Path
        Searched with its subfolders.

    Returns
    -------
    dict of str to Source
        By the file's stem, in the order of ADBench's numbers; the group is the folder of the file.
    """
    paths = sorted(folder.rglob("*.npz"), key=lambda path: (path.parent.name, _number(path.stem), path.stem))
    return {
        path.stem: Source(path.parent.name, str(path), partial(read_npz, path, "X", "y"), path)
        for path in paths
        if {"X.npy", "y.npy"} <= _members(path)
    }


def short(stem):
    """Take the number off a stem such as ``38_thyroid``."""
    head, _, tail = stem.partition("_")
    return tail if head.isdigit() and tail else stem


def read_npz(path, *names):
    """Read arrays of an ``.npz`` by their names; objects are refused."""
    with np.load(path, allow_pickle=False) as arrays:
        return tuple(arrays[name] for name in names)


def _members(path):
    """Names in an archive; none if it is no archive, as where a checkout left out its large files."""
    if not zipfile.is_zipfile(path):
        return set()
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def _number(stem):
    head = stem.split("_")[0]
    return int(head) if head.isdigit() else 0
