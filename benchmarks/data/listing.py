"""What data sets there are: bundled, in the data folder, or to be downloaded."""

import zipfile

import pandas as pd

from benchmarks.data import available, download
from benchmarks.data.adbench import read_header
from benchmarks.data.source import reading


def table(folder=None):
    """List all data sets that have a name; of files no more than their headers are read.

    Parameters
    ----------
    folder : path-like or None, default=None
        See :func:`benchmarks.data.load`.

    Returns
    -------
    pandas.DataFrame
        Columns ``group``, ``name``, ``size`` (rows x features, or megabytes; empty where unknown) and ``where``: first
        those that are "bundled", then "present" or "broken", with the reason, then those to "download", with their
        megabytes where known.
    """
    known = available(folder)
    rows = [(source.group, name, *_size_and_place(source)) for name, source in known.items()]
    groups = {source.group for source in known.values()}
    for (name, group), files in download.registry().groupby(["name", "group"], sort=False):
        # images are one download, and ten data sets
        if name not in known and not (name == group and group in groups):
            rows.append((group, name, _shape_of(files.iloc[0]), _offer(files)))
    return pd.DataFrame(rows, columns=["group", "name", "size", "where"])


def _size_and_place(source):
    if not source.files:
        return _by(source.read()[0].shape), "bundled"
    if source.broken:
        return "", f"broken: {source.broken}"
    try:
        return _size(source.files), "present"
    except ValueError as error:
        return "", f"broken: {error}"


def _size(files):
    if len(files) == 1 and files[0].suffix == ".npz":
        shape = _shape_of_npz(files[0])
        if shape is not None:
            return _by(shape)
    return _megabytes(sum(file.stat().st_size for file in files))


def _shape_of_npz(path):
    with reading(path, "an .npz of arrays"), zipfile.ZipFile(path) as archive:
        if "X.npy" not in archive.namelist():
            return None
        return read_header(archive, "X")


def _shape_of(file):
    return f"{file['rows']} x {file['features']}" if file["rows"] else ""


def _offer(files):
    known = [int(size) for size in files["bytes"] if size]
    return f"download, {_megabytes(sum(known))}" if len(known) == len(files) else "download"


def _by(shape):
    return " x ".join(map(str, shape))


def _megabytes(n_bytes):
    return f"{n_bytes / 1e6:.2g} MB" if n_bytes < 1e7 else f"{n_bytes / 1e6:.0f} MB"
