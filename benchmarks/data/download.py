"""Checked downloads of what downloads.csv names. Nothing is downloaded unless it is asked for.

downloads.csv has a line for each file: the name and the group of its data set, where it belongs in the data folder, its
size and hash where they are known, the shape of X where ADBench's list of data sets says it, and its URL. 148 of
ADBench's files were never at hand and are without a hash: of these it is checked that they are whole, and no more.
"""

import re
import sys
import threading
import time
import zipfile
from functools import partial
from pathlib import Path

import pandas as pd
import pooch

from benchmarks.data.adbench import read_header

RETRIES = 2
TIME_LIMIT = 1800.0
_MOST_BYTES = 2**30  # of a file of unknown size; the largest that is known has 0.17 GB
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
    images = re.sub(r"-(all|test-\d|\d(\+\d)*|\d-with-\d)$", "", name)
    short = files["name"].str.replace(r"^\d+_", "", regex=True)
    for matches in (files["name"] == name, files["group"] == name, short == name, files["name"] == images):
        if matches.any():
            return files[matches]
    return files[:0]


def fetch(file, folder, mirror=None, time_limit=TIME_LIMIT):
    """Download a file, unless the right one is there already.

    It gets its name only when it is whole and checked. A file of unknown hash must be an ``.npz`` that holds X and y.
    No more bytes are taken than it has, or a GiB where that is unknown.

    Parameters
    ----------
    file : mapping
        A line of :func:`registry`.
    folder : path-like
        The data folder.
    mirror : str or None, default=None
        URL of a copy of a data folder that is asked instead.
    time_limit : float, default=1800
        Seconds that it may take, all tries together.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If ``time_limit`` is not above 0.
    OSError
        If the file cannot be had or written, or is not the right one. The message names the URL.
    """
    if not time_limit > 0:
        raise ValueError(f"time_limit must be above 0, got {time_limit!r}")
    url = f"{mirror.rstrip('/')}/{file['path']}" if mirror else file["url"]
    path = Path(folder) / file["path"]
    download = partial(
        _download,
        end=time.monotonic() + time_limit,
        most=int(file["bytes"] or _MOST_BYTES),
        check=None if file["hash"] else _check_table,
    )
    try:
        if not file["hash"] and path.exists() and not _is_table(path):
            path.unlink()  # pooch would keep it, since it has no hash to compare
        store = pooch.create(folder, base_url="", retry_if_failed=RETRIES)
        store.registry[file["path"]] = file["hash"] or None
        store.urls[file["path"]] = url
        # pooch writes to a file of another name, compares the hash, and renames it; it tries again what fails, but not
        # what is late or too large
        store.fetch(file["path"], downloader=download)
    except _Late as error:
        raise OSError(f"{url}: took longer than {time_limit:g} s") from error
    except Exception as error:  # a server may send anything, and requests does not foresee all of it
        raise OSError(f"{url}: {error or type(error).__name__}") from error
    return path


class _Late(OSError):
    """The time is over."""


def _download(url, path, store, end, most, check):
    """Download into a file, from a thread that is left alone when the time is over.

    Nothing else ends the wait for a server that sends a byte now and then, in its headers too.
    """
    failures = []
    with open(path, "wb") as file:
        get = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**14)

        def transfer():
            try:
                get(url, _Bounded(file, most), store)
            except Exception as error:  # goes on in the thread that waits
                failures.append(error)

        thread = threading.Thread(target=transfer, daemon=True)
        thread.start()
        thread.join(min(max(0, end - time.monotonic()), threading.TIMEOUT_MAX))
        if thread.is_alive():
            raise _Late  # the file is closed then, so that the thread ends as soon as something comes
    if failures:
        raise failures[0]
    if check is not None:
        check(path)
    Path(path).chmod(0o644)  # a temporary file is its owner's alone, but data folders are shared


class _Bounded:
    """A file that takes so many bytes and no more."""

    def __init__(self, file, most):
        self._file = file
        self._left = most
        self._most = most

    def write(self, content):
        self._left -= len(content)
        if self._left < 0:
            raise OSError(f"what came is larger than {self._most} bytes")
        self._file.write(content)

    def flush(self):
        self._file.flush()


def _check_table(path):
    """Check that a file is a whole ``.npz`` of X and y, without holding them in memory."""
    if not zipfile.is_zipfile(path):
        raise ValueError("what came is no .npz, or not all of one")
    try:
        with zipfile.ZipFile(path) as archive:
            shapes = {name: read_header(archive, name) for name in ("X", "y")}
            damaged = archive.testzip()
            if damaged:
                raise ValueError(f"Bad CRC-32 of {damaged}")
            scalars = [name for name, shape in shapes.items() if not shape]
            if scalars:
                raise ValueError(f"{scalars[0]} is a single number")
    except Exception as error:  # broken bytes make zipfile, zlib and numpy raise nearly anything
        raise ValueError(f"what came is no .npz of X and y: {error or type(error).__name__}") from error
    n_rows, n_labels = shapes["X"][0], shapes["y"][0]
    if n_rows != n_labels:
        raise ValueError(f"what came has {n_rows} rows in X and {n_labels} in y")


def _is_table(path):
    try:
        _check_table(path)
    except ValueError:
        return False
    return True
