"""The files that Fashion-MNIST, MNIST and CIFAR-10 come in: idx, ``.npz``, pickled batches and an archive of these.

Every ``read_...`` returns training images (n, C, H, W), their labels, test images and their labels.
"""

import gzip
import io
import math
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from benchmarks.data import adbench
from benchmarks.data.source import reading

BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def looks_whole(path):
    """Say whether a file's start, end and size fit together; what is between is not read."""
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                return all(adbench.read_header(archive, name) for name in ("images", "labels"))
        with path.open("rb") as file:
            size = file.seek(-4, os.SEEK_END) + 4
            end = file.read()
        if path.name in BATCHES:
            return end.endswith(pickle.STOP)
        if path.suffix == ".gz":
            size = int.from_bytes(end, "little")  # gzip ends with the size of what it holds
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as archive:
                return archive.next() is not None and size % tarfile.BLOCKSIZE == 0
        with _open_idx(path) as file:
            start, shape = _read_idx_header(file)
        return (start + math.prod(shape)) % 2**32 == size
    except Exception:  # as in `reading`; what is raised there names the file
        return False


def read_idx(files):
    """Read MNIST's four files."""
    X_train, labels_train, X_test, labels_test = map(_read_idx, files)
    return X_train[:, None], labels_train, X_test[:, None], labels_test


def _read_idx(path):
    """Read the format of MNIST's authors: 0, 0, type, number of dimensions, big-endian sizes, values."""
    with reading(path, "unsigned bytes in the idx format"), _open_idx(path) as file:
        _, shape = _read_idx_header(file)
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


def _open_idx(path):
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _read_idx_header(file):
    """Return its length and the shape that it gives."""
    start = file.read(4)
    if start[:3] != b"\0\0\x08":  # 8 is unsigned bytes
        raise ValueError(f"got the first bytes {start!r}")
    n_dimensions = start[3]
    shape = np.frombuffer(file.read(4 * n_dimensions), ">u4", n_dimensions)
    return 4 + 4 * n_dimensions, shape.tolist()


def read_npz(files):
    """Read two files, each of images (n, H, W) or (n, H, W, C) and labels."""
    return [array for file in files for array in _read_npz(file)]


def _read_npz(path):
    X, labels = adbench.read_npz(path, "images", "labels")
    return (X[:, None] if X.ndim == 3 else X.transpose(0, 3, 1, 2)), labels


def read_batches(files):
    """Read CIFAR-10's six files."""
    return _join_batches([_read_batch(file.read_bytes(), file) for file in files])


def read_archive(path):
    """Read the batches inside the archive; nothing is unpacked on the disk."""
    contents = {}
    with reading(path, "an archive of CIFAR-10"), tarfile.open(path) as archive:
        for member in archive:
            name = Path(member.name).name
            if name in BATCHES and member.isfile():
                contents[name] = archive.extractfile(member).read()
    missing = [name for name in BATCHES if name not in contents]
    if missing:
        raise ValueError(f"{path} must hold {', '.join(BATCHES)}; missing are {', '.join(missing)}")
    return _join_batches([_read_batch(contents[name], f"{path}, {name}") for name in BATCHES])


def _join_batches(batches):
    *train, (X_test, labels_test) = batches
    X_train, labels_train = (np.concatenate(parts) for parts in zip(*train, strict=True))
    return X_train, labels_train, X_test, labels_test


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles arrays and plain types; whatever else a pickle names could run code, and is refused."""

    _ALLOWED = {
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    }

    def find_class(self, module, name):
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array")
        return self._ALLOWED[module, name]


def _read_batch(content, where):
    """Read images and labels from the pickle, of Python 2, that CIFAR-10 is distributed as."""
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
        return np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32), np.asarray(batch[b"labels"], np.int64)
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where} is no batch of CIFAR-10: {error}") from error
