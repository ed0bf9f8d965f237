"""ADBench's ``.npz`` files of X and y: tables, and embeddings of images and text."""

import math
import zipfile
from functools import partial

import numpy as np

from benchmarks.data.source import Source, reading

_SECOND_EMBEDDINGS = ("CV_by_ViT", "NLP_by_RoBERTa")
_POINTER = b"version https://git-lfs"  # how a file begins that a checkout left out for its size


def find(folder):
    """Find every ``.npz`` that holds X and y, or is broken.

    Parameters
    ----------
    folder : Path
        Searched with its subfolders.

    Returns
    -------
    dict of str to Source
        By the file's stem, in the order of ADBench's numbers; the group is the folder of the file. ADBench's second
        embeddings of the same images and texts are named with their folder: ``CV_by_ViT/SVHN_0``. Of two files with
        the same name, the first by its path counts that is not broken.
    """
    paths = (path for path in folder.rglob("*.npz") if path.is_file())
    paths = sorted(paths, key=lambda path: (path.parent.name, _number(path.stem), path.stem, path))
    found = {}
    for path in paths:
        broken = ""
        try:
            if not {"X.npy", "y.npy"} <= _members(path):
                continue
        except ValueError as error:
            broken = str(error)
        name = _full_name(path.parent.name, path.stem)
        if name not in found or (found[name].broken and not broken):
            found[name] = Source(path.parent.name, str(path), partial(read_npz, path, "X", "y"), (path,), broken)
    return found


def short(stem):
    """Take the number off a stem such as ``38_thyroid``."""
    head, _, tail = stem.partition("_")
    return tail if head.isdigit() and tail else stem


def read_npz(path, *names):
    """Read arrays of an ``.npz`` by their names; objects are refused."""
    what = f"an .npz of the arrays {' and '.join(names)}, without objects"
    with reading(path, what), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return tuple(arrays[name] for name in names)


def read_header(archive, name):
    """Read the shape of an array of an ``.npz``, and nothing of its values.

    Parameters
    ----------
    archive : zipfile.ZipFile
    name : str

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If it holds objects, or not as many bytes as the header says. KeyError or anything else is raised where there
        is no such array, or its bytes are broken.
    """
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        if dtype.hasobject:
            raise ValueError("Object arrays cannot be read")
        n_bytes = math.prod(shape) * dtype.itemsize
        there = archive.getinfo(f"{name}.npy").file_size - member.tell()
    if n_bytes != there:
        raise ValueError(f"{name} of shape {shape} has {n_bytes} bytes, got {there}")
    return shape


def _members(path):
    """Names in an archive; none if it is not there, but a pointer to it is."""
    with reading(path, "an .npz"), path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            return set()
        with zipfile.ZipFile(file) as archive:
            return set(archive.namelist())


def _number(stem):
    head = stem.split("_")[0]
    return int(head) if head.isdigit() else 0


def _full_name(group, stem):
    return f"{group}/{stem}" if group in _SECOND_EMBEDDINGS else stem
