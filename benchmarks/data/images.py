"""Images of ten classes: Fashion-MNIST, MNIST and CIFAR-10, with one or several of the classes normal."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks.data import image_files
from benchmarks.data.adbench import read_npz
from benchmarks.data.source import Source, reading, thin

_DIGITS = [f"the digit {digit}" for digit in range(10)]
_GARMENTS = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
_THINGS = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
_IDX_STEMS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
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
    if all(map(image_files.looks_whole, images.files)):
        return ""
    try:
        images.read()
    except ValueError as error:
        return str(error)
    return ""


def _fashion_mnist(folder):
    """Its four files. MNIST's have the same names, so the path must speak of fashion."""
    for files in _idx_files(folder):
        if any("fashion" in part.lower() for part in _places(files[0], folder)):
            return Images("fashion-mnist", _GARMENTS, files, partial(image_files.read_idx, files))
    return None


def _mnist(folder):
    """Four files in a folder 'mnist', or two ``.npz``; those of KMNIST, EMNIST ... have the same names."""
    for files in _idx_files(folder):
        if any(part.lower() == "mnist" for part in _places(files[0], folder)):
            return Images("mnist", _DIGITS, files, partial(image_files.read_idx, files))
    for path in sorted(folder.rglob("mnist_train.npz")):
        files = (path, path.with_name("mnist_test.npz"))
        if files[1].is_file():
            return Images("mnist", _DIGITS, files, partial(image_files.read_npz, files))
    return None


def _places(path, folder):
    """Names of the folders that a file lies in, from the data folder down."""
    return folder.resolve().name, *path.relative_to(folder).parent.parts


def _cifar10(folder):
    """As torchvision keeps it, a folder or an archive of batches; or ``.npz``, where training images may be fewer."""
    for path in sorted(folder.rglob("cifar-10-batches-py")):
        files = tuple(path / name for name in image_files.BATCHES)
        if all(file.is_file() for file in files):
            return Images("cifar10", _THINGS, files, partial(image_files.read_batches, files))
    for path in sorted(folder.rglob("cifar-10-python.tar.gz")):
        return Images("cifar10", _THINGS, (path,), partial(image_files.read_archive, path))
    for path in sorted(folder.rglob("cifar10_train*.npz")):
        files = (path, path.with_name("cifar10_test.npz"))
        if files[1].is_file():
            images = Images("cifar10", _THINGS, files, partial(image_files.read_npz, files))
            try:
                (labels,) = read_npz(path, "labels")
            except ValueError as error:
                return replace(images, broken=str(error))
            return replace(images, trained=frozenset(np.unique(labels).tolist()))
    return None


def _idx_files(folder):
    """Quadruples of MNIST's files, compressed or not."""
    for parent in sorted({path.parent for path in folder.rglob(f"{_IDX_STEMS[0]}-ubyte*")}):
        choices = [[parent / f"{stem}-ubyte{suffix}" for suffix in ("", ".gz")] for stem in _IDX_STEMS]
        files = tuple(file for choice in choices for file in [f for f in choice if f.is_file()][:1])
        if len(files) == len(_IDX_STEMS):
            yield files
