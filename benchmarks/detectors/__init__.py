"""Name -> detector, the package's and the rivals' alike; :mod:`benchmarks.detectors.rivals` says how to add a rival."""

from benchmarks.detectors.adapters import Adapter, Classifier, Unsuitable
from benchmarks.detectors.building import (
    build,
    can_learn_from_labels,
    check,
    describe,
    limit_epochs,
    ours,
    package,
    shape_for,
)
from benchmarks.detectors.rivals import RIVALS, Rival
from benchmarks.detectors.spec import DetectorSpec, parse

__all__ = [
    "RIVALS",
    "Adapter",
    "Classifier",
    "DetectorSpec",
    "Rival",
    "Unsuitable",
    "build",
    "can_learn_from_labels",
    "check",
    "describe",
    "limit_epochs",
    "ours",
    "package",
    "parse",
    "shape_for",
]
