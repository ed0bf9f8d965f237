"""Checked downloads of what downloads.csv names. Nothing is downloaded unless it is asked for.

downloads.csv has a line for each file: the name and the group of its data set, where it belongs in the data folder, its
size and hash where they are known, the shape of X where ADBench's list of data sets says it, and its URL.
"""

import re
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pooch

RETRIES = 2
_REGISTRY = Path(__file__).with_name("downloads.csv")


def registry():
    """Read downloads.csv.

    Returns
    -------
    pandas.DataFrame of str
        Columns ``name``, ``group``, ``path``, ``bytes``, ``hash``, ``rows``, ``features`` and ``url``; empty where
        unknown.
    """
    return pd.read_csv(_REGISTRY, dtype=str, keep_default_na=False)


def find(name):
    """Find the files of a data set or group.

    Parameters
    ----------
    name : str
        ADBench's with or without their number. Images come whole: ``mnist-3`` takes ``mnist``.

    Returns
    -------
    pandas.DataFrame
        Lines of :func:`registry`; empty if the name is unknown.
    """
    files = registry()
    images = re.sub(r"-(all|\d(\+\d)*|\d-with-\d)$", "", name)
    short = files["name"].str.replace(r"^\d+_", "", regex=True)
    for matches in (files["name"] == name, files["group"] == name, short == name, files["name"] == images):
        if matches.any():
            return files[matches]
    return files[:0]


def fetch(file, folder, mirror=None):
    """Download a file, unless the right one is there already.

    It gets its name only when it is whole and checked. A file of unknown hash must be an ``.npz`` that holds X and y.

    Parameters
    ----------
    file : mapping
        A line of :func:`registry`.
    folder : path-like
        The data folder.
    mirror : str or None, default=None
        URL of a copy of a data folder that is asked instead.

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If the file cannot be had or written, or is not the right one. The message names the URL.
    """
    url = f"{mirror.rstrip('/')}/{file['path']}" if mirror else file["url"]
    path = Path(folder) / file["path"]
    try:
        if not file["hash"] and path.exists() and not _is_table(path):
            path.unlink()  # pooch would keep it, since it has no hash to compare
        store = pooch.create(folder, base_url="", retry_if_failed=RETRIES)
        store.registry[file["path"]] = file["hash"] or None
        store.urls[file["path"]] = url
        # pooch writes to a file of another name, compares the hash, and renames it; it tries again what fails
        store.fetch(file["path"], downloader=_download if file["hash"] else _download_table)
    except (OSError, ValueError) as error:  # those of requests are OSErrors
        raise OSError(f"{url}: {error}") from error
    return path


def _download(url, path, store):
    pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**16)(url, path, store)
    Path(path).chmod(0o644)  # a temporary file is its owner's alone, but data folders are shared


def _download_table(url, path, store):
    _download(url, path, store)
    _check_table(path)


def _check_table(path):
    if not zipfile.is_zipfile(path):
        raise ValueError("what came is no .npz, or not all of one")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            n_rows, n_labels = len(arrays["X"]), len(arrays["y"])
    except (EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"what came is no .npz of X and y: {error}") from error
    if n_rows != n_labels:
        raise ValueError(f"what came has {n_rows} rows in X and {n_labels} in y")


def _is_table(path):
    try:
        _check_table(path)
    except ValueError:
        return False
    return True
