"""Anomaly detectors that learn what is normal by inventing anomalies, as drop-in PyOD detectors."""

import os
from inspect import isabstract

from pyod_synth.adengine import register
from pyod_synth.detector import CoreDetector
from pyod_synth.gated_knn import GatedKNN
from pyod_synth.models.anorand import AnoRand
from pyod_synth.models.dhag import DHAG
from pyod_synth.models.ncae import NCAE
from pyod_synth.models.novelty_normalization import NoveltyNormalization
from pyod_synth.models.plad import PLAD
from pyod_synth.persistence import load_detector
from pyod_synth.thresholds import ConformalDetector

__all__ = [
    "DHAG",
    "NCAE",
    "PLAD",
    "AnoRand",
    "ConformalDetector",
    "GatedKNN",
    "NoveltyNormalization",
    "all_detectors",
    "load",
    "register",
]


def all_detectors() -> dict[str, type[CoreDetector]]:
    """Find all detectors: the package's, and those of any imported module that subclass its base classes.

    Returns
    -------
    dict of str to type
        By the name of the class, in alphabetical order; abstract classes and names that begin with an underscore are
        left out.

    Examples
    --------
    >>> from pyod_synth import all_detectors
    >>> "PLAD" in all_detectors()
    True
    """
    found: dict[str, type[CoreDetector]] = {}
    pending = CoreDetector.__subclasses__()
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if not isabstract(kind) and not kind.__name__.startswith("_"):
            found[kind.__name__] = kind
    return dict(sorted(found.items()))


def load(path: str | os.PathLike[str]) -> CoreDetector:
    """Read a detector that :meth:`CoreDetector.save` wrote. Nothing in the file is run.

    Its scores, labels, probabilities and threshold are, on the same machine and with the same versions, those of the
    detector that was saved, to the bit. It is on the device it was fitted on, or on the CPU where there is no such one.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    CoreDetector
        Of one of the classes that :func:`all_detectors` finds. A list among its parameters has become a tuple.

    Raises
    ------
    ValueError
        If the file was not written by ``save``, is damaged, of a newer format, of a class that is not known here, or
        holds what does not fit together. A checksum finds what happens to files by accident; it is no signature.
    OSError
        If there is no such file, or it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import pyod_synth
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyod_synth.PLAD(epoch_num=5).fit(X).save(Path(folder) / "clf.safetensors")
    ...     clf = pyod_synth.load(Path(folder) / "clf.safetensors")
    >>> clf.predict(X).shape
    (200,)
    """
    return load_detector(path, all_detectors())
