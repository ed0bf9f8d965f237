"""Anomaly detectors that learn what is normal by inventing anomalies, as drop-in PyOD detectors."""

from inspect import isabstract

from pyod_synth.adengine import register
from pyod_synth.base import CoreDetector
from pyod_synth.gated_knn import GatedKNN
from pyod_synth.models.anorand import AnoRand
from pyod_synth.models.dhag import DHAG
from pyod_synth.models.ncae import NCAE
from pyod_synth.models.novelty_normalization import NoveltyNormalization
from pyod_synth.models.plad import PLAD
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
