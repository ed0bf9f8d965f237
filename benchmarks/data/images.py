"""Images of ten classes: Fashion-MNIST, MNIST and CIFAR-10, with one or several of the classes normal."""

import gzip
import io
import math
import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.data.adbench import read_header, read_npz
from benchmarks.data.source import Source, reading, thin

_DIGITS = [f"the digit {digit}" for digit in range(10)]
_GARMENTS = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
_THINGS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
_SUBSETS = re.compile(r"(fashion-mnist|mnist|cifar10)-(all|test-\d|\d(?:\+\d)+|\d-with-\d)")


@dataclass(frozen=True)
class Images:
    """Images of several classes that a folder holds, not read yet.

    Parameters
    ----------
    group : str
    class_names : list of str
        In the order of the labels.
    files : tuple of Path
    read : callable
        Without arguments; returns training images (n, C, H, W), their labels, test images and their labels.
    trained : frozenset of int
        Labels of which there are training images.
    broken : str, default=""
        See :class:`benchmarks.data.source.Source`.
    """

    group: str
    class_names: list
    files: tuple
    read: Callable
    trained: frozenset = frozenset(range(10))
    broken: str = ""

    def with_normal(self, labels):
        """Make a data set in which some classes are normal, and the others anomalies.

        Parameters
        ----------
        labels : set of int

        Returns
        -------
        Source
        """
        names = " and ".join(self.class_names[label] for label in sorted(labels))
        return self._source(f"{names} against the rest", partial(self._select, labels))

    def all_normal(self):
        """Make a data set without anomalies, of all classes of which there are training images.

        Returns
        -------
        Source
        """
        return self._source("all classes normal", self._select_all)

    def of_test_part(self, normal):
        """Make a data set of the official test part alone, in which one class is normal; it has no official split.

        Parameters
        ----------
        normal : int

        Returns
        -------
        Source
        """
        return self._source(f"{self.class_names[normal]} against the rest", partial(self._select_test, normal))

    def with_few(self, normal, anomalous):
        """Make a data set of two classes, one of them normal, the other thinned to 5% of the rows, its anomalies.

        Parameters
        ----------
        normal, anomalous : int

        Returns
        -------
        Source
        """
        what = f"{self.class_names[normal]}, and 5% of {self.class_names[anomalous]}"
        return self._source(what, partial(self._select_two, normal, anomalous))

    def _source(self, what, read):
        return Source(self.group, f"{what}, {self.files[0].parent}", read, self.files, self.broken)

    def _select(self, normal):
        X_train, labels_train, X_test, labels_test = self.read()
        with reading(self.files[0].parent, "a folder of images of one size, each with a label"):
            X = np.concatenate([X_train, X_test])
            classes = np.concatenate([labels_train, labels_test]).astype(np.int64)
            if (len(X_train), len(X_test)) != (len(labels_train), len(labels_test)):
                raise ValueError(f"got {len(X)} images and {len(classes)} labels")
        train = np.arange(len(classes)) < len(labels_train)
        return X, ~np.isin(classes, list(normal)), train, classes

    def _select_test(self, normal):
        X, y, train, classes = self._select({normal})
        return X[~train], y[~train], None, classes[~train]

    def _select_two(self, normal, anomalous):
        X, y, train, classes = self._select({normal})
        two = np.flatnonzero(np.isin(classes, [normal, anomalous]))
        rows = two[thin(y[two], round(np.sum(~y) / 19))]
        return X[rows], y[rows], train[rows], classes[rows]

    def _select_all(self):
        X, y, train, classes = self._select(self.trained)
        return X[~y], y[~y], train[~y], classes[~y]


def find(folder):
    """Find images, and make a data set of each class: it is normal, and the other classes are anomalies.

    Parameters
    ----------
    folder : Path
        Searched with its subfolders.

    Returns
    -------
    dict of str to Source
        ``fashion-mnist-0`` to ``-9``, ``mnist-0`` to ``-9``, ``cifar10-0`` to ``-9``; only classes of which there are
        training images.
    """
    return {
        f"{images.group}-{label}": images.with_normal({label})
        for images in _collections(folder)
        for label in sorted(images.trained)
    }


def find_subset(name, folder):
    """Find images of which several classes, or all, are normal, or of two classes only, or of the test part only.

    Parameters
    ----------
    name : str
        ``mnist-2+3+5``; ``mnist-all``; ``mnist-1-with-7``, where no other classes are, and 5% of the rows are of the
        second one, the anomalies; or ``mnist-test-1``, of the official test images alone, which is how a class without
        training images can be normal; and so for the other groups.
    folder : Path
        Searched with its subfolders.

    Returns
    -------
    Source or None
        None if this is no such name, or there are no such images.

    Raises
    ------
    ValueError
        If there are no training images of a class that shall be normal.
    """
    match = _SUBSETS.fullmatch(name)
    if match is None:
        return None
    group, classes = match.groups()
    for images in _collections(folder):
        if images.group != group:
            continue
        if classes == "all":
            return images.all_normal()
        if classes.startswith("test"):
            return images.of_test_part(int(classes[-1]))
        labels = {int(label) for label in re.findall(r"\d", classes)}
        if not labels <= images.trained:
            raise ValueError(
                f"{name} needs training images of the classes {sorted(labels)}, got {sorted(images.trained)} in "
                f"{images.files[0].parent}"
            )
        return images.with_few(*map(int, classes.split("-with-"))) if "with" in classes else images.with_normal(labels)
    return None


def _collections(folder):
    finders = (_fashion_mnist, _mnist, _cifar10)
    found = [images for images in (find(folder) for find in finders) if images is not None]
    return [replace(images, broken=images.broken or _why_broken(images)) for images in found]


def _why_broken(images):
    """Say why the files cannot be read; empty if nothing shows.

    Whoever looks for a data set, whichever it is, passes here, and reading all of the files takes seconds: they are
    read only if one looks broken, which may be no more than an uncommon form.
    """
    if all(map(_looks_whole, images.files)):
        return ""
    try:
        images.read()
    except ValueError as error:
        return str(error)
    return ""


def _looks_whole(path):
    """Say whether a file's start, end and size fit together; what is between is not read."""
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                return all(read_header(archive, name) for name in ("images", "labels"))
        with path.open("rb") as file:
            size = file.seek(-4, os.SEEK_END) + 4
            end = file.read()
        if path.name in _BATCHES:
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


def _fashion_mnist(folder):
    """Its four files. MNIST's have the same names, so the path must speak of fashion."""
    for files in _idx_files(folder):
        if any("fashion" in part.lower() for part in _places(files[0], folder)):
            return Images("fashion-mnist", _GARMENTS, files, partial(_read_idx_files, files))
    return None


def _mnist(folder):
    """Four files in a folder 'mnist', or two ``.npz``; those of KMNIST, EMNIST ... have the same names."""
    for files in _idx_files(folder):
        if any(part.lower() == "mnist" for part in _places(files[0], folder)):
            return Images("mnist", _DIGITS, files, partial(_read_idx_files, files))
    for path in sorted(folder.rglob("mnist_train.npz")):
        files = (path, path.with_name("mnist_test.npz"))
        if files[1].is_file():
            return Images("mnist", _DIGITS, files, partial(_read_npz_files, files))
    return None


def _places(path, folder):
    """Names of the folders that a file lies in, from the data folder down."""
    return folder.resolve().name, *path.relative_to(folder).parent.parts


def _cifar10(folder):
    """As torchvision keeps it, a folder or an archive of batches; or ``.npz``, where training images may be fewer."""
    for path in sorted(folder.rglob("cifar-10-batches-py")):
        files = tuple(path / name for name in _BATCHES)
        if all(file.is_file() for file in files):
            return Images("cifar10", _THINGS, files, partial(_read_batches, files))
    for path in sorted(folder.rglob("cifar-10-python.tar.gz")):
        return Images("cifar10", _THINGS, (path,), partial(_read_archive, path))
    for path in sorted(folder.rglob("cifar10_train*.npz")):
        files = (path, path.with_name("cifar10_test.npz"))
        if files[1].is_file():
            images = Images("cifar10", _THINGS, files, partial(_read_npz_files, files))
            try:
                (labels,) = read_npz(path, "labels")
            except ValueError as error:
                return replace(images, broken=str(error))
            return replace(images, trained=frozenset(np.unique(labels).tolist()))
    return None


_IDX_STEMS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def _idx_files(folder):
    """Quadruples of MNIST's files, compressed or not."""
    for parent in sorted({path.parent for path in folder.rglob(f"{_IDX_STEMS[0]}-ubyte*")}):
        choices = [[parent / f"{stem}-ubyte{suffix}" for suffix in ("", ".gz")] for stem in _IDX_STEMS]
        files = tuple(file for choice in choices for file in [f for f in choice if f.is_file()][:1])
        if len(files) == len(_IDX_STEMS):
            yield files


def _read_idx_files(files):
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


def _read_npz_files(files):
    """Read images (n, H, W) or (n, H, W, C)."""
    return [array for file in files for array in _read_npz_images(file)]


def _read_npz_images(path):
    X, labels = read_npz(path, "images", "labels")
    return (X[:, None] if X.ndim == 3 else X.transpose(0, 3, 1, 2)), labels


_BATCHES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def _read_batches(files):
    return _join_batches([_read_batch(file.read_bytes(), file) for file in files])


def _read_archive(path):
    """Read the batches inside the archive; nothing is unpacked on the disk."""
    contents = {}
    with reading(path, "an archive of CIFAR-10"), tarfile.open(path) as archive:
        for member in archive:
            name = Path(member.name).name
            if name in _BATCHES and member.isfile():
                contents[name] = archive.extractfile(member).read()
    missing = [name for name in _BATCHES if name not in contents]
    if missing:
        raise ValueError(f"{path} must hold {', '.join(_BATCHES)}; missing are {', '.join(missing)}")
    return _join_batches([_read_batch(contents[name], f"{path}, {name}") for name in _BATCHES])


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
