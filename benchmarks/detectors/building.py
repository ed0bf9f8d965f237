"""Specification -> unfitted detector, the package's and the rivals' alike."""

import json
from contextlib import suppress
from dataclasses import replace
from inspect import signature

import numpy as np
from pyod.models.base import BaseDetector

import pyod_synth
from benchmarks.detectors.adapters import Adapter, Unsuitable
from benchmarks.detectors.rivals import RIVALS, check_names
from benchmarks.detectors.spec import DetectorSpec
from pyod_synth.detector import CoreDetector
from pyod_synth.validation import check_parameters

# what the number of epochs is called: by ours and AutoEncoder, by DeepSVDD and DeepOD, by LUNAR
_EPOCHS = ("epoch_num", "epochs", "n_epochs")


def ours() -> dict[str, type]:
    """Find the package's detectors, and those of a user's own that are built on it, by their names."""
    return pyod_synth.all_detectors()


def describe() -> dict[str, str]:
    """List names with a line about each: whose it is, what it is, whether it learns from labels, what is missing."""
    lines = {}
    for name, kind in ours().items():
        whose = "paper" if kind.__module__.startswith("pyod_synth.models.") else "ours"
        labels = ", can learn from labels" if can_learn_from_labels(name) else ""
        lines[name] = f"{whose}{labels}: {(kind.__doc__ or name).strip().splitlines()[0]}"
    return lines | {name: f"rival, {rival.line}" for name, rival in RIVALS.items()}


def check(spec: DetectorSpec):
    """Make sure that there is such a detector, whether or not its package is installed and it has labels to learn from.

    Parameters
    ----------
    spec : DetectorSpec
        Parameters are not looked at where the package is missing.

    Raises
    ------
    ValueError
        If the name, or that of a parameter, is unknown, or the detector does not take a value, or a record could not
        hold it.
    """
    try:
        json.dumps(spec.parameters, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{spec.name}: parameters must be what JSON knows, got {spec.parameters}") from error
    with suppress(Unsuitable):
        detector = _construct(spec, 0)
        if isinstance(detector, CoreDetector):  # which looks at its parameters only as it is fitted
            check_parameters(detector)


def limit_epochs(spec: DetectorSpec, largest: int) -> DetectorSpec:
    """Bound the number of epochs, of detectors that count them.

    Parameters
    ----------
    spec : DetectorSpec
    largest : int

    Returns
    -------
    DetectorSpec
        With no more epochs than ``largest``; a smaller number of epochs stays.
    """
    try:
        counts = {entry: n for entry, n in _construct(spec, 0).get_params().items() if entry in _EPOCHS}
    except Unsuitable:
        return spec
    limited = {entry: largest if n is None else min(n, largest) for entry, n in counts.items()}
    return replace(spec, parameters=spec.parameters | limited)


def build(spec: DetectorSpec, seed: int, labels: bool = False) -> BaseDetector | Adapter:
    """Construct an unfitted detector.

    Parameters
    ----------
    spec : DetectorSpec
    seed : int
        Random state, where the detector has one.
    labels : bool, default=False
        Whether it is to learn from labels; the parameters may still say ``use_labels=False``.

    Returns
    -------
    pyod.models.base.BaseDetector or benchmarks.detectors.Adapter

    Raises
    ------
    ValueError
        If the name, or that of a parameter, is unknown, or the detector does not take a value.
    benchmarks.detectors.Unsuitable
        If a package is missing, or if the detector needs labels and gets none or gets labels that it cannot use.
    """
    learns = can_learn_from_labels(spec.name)
    if labels and learns:
        spec = replace(spec, parameters={"use_labels": True} | spec.parameters)
    detector = _construct(spec, seed)
    needs_labels = spec.name in RIVALS and RIVALS[spec.name].labels
    if needs_labels and not labels:
        raise Unsuitable(f"{spec.name} needs labels")
    # it would ignore them in silence
    if labels and not needs_labels and not learns:
        raise Unsuitable(f"{spec.name} does not learn from labels")
    return detector


def _construct(spec, seed):
    own = ours()
    if spec.name not in own and spec.name not in RIVALS:
        raise ValueError(f"unknown detector {spec.name!r}; there are {', '.join([*own, *RIVALS])}")
    if spec.name in own:
        kind = own[spec.name]
        known = [parameter for parameter in signature(kind).parameters if parameter != "random_state"]
        check_names(spec.name, spec.parameters, known)
        return kind(random_state=seed, **spec.parameters)
    try:
        return RIVALS[spec.name](seed, **spec.parameters)
    except TypeError as error:  # PyOD's constructors raise it for values, too
        raise ValueError(f"{spec.name}: {error}") from error


def can_learn_from_labels(name: str) -> bool:
    """Say whether a detector of the package has labels among what it may learn from."""
    own = ours()
    return name in own and "use_labels" in signature(own[name]).parameters


def package(name: str) -> str:
    """Name the package that holds a detector, as it is imported; empty for a name that is unknown.

    One of a user's own that is built on ``pyod_synth`` counts as held by that.
    """
    if name in ours():
        return "pyod_synth"
    return RIVALS[name].path.partition(".")[0] if name in RIVALS else ""


def shape_for(spec: DetectorSpec, X: np.ndarray) -> np.ndarray:
    """Return rows as a detector takes them: flattened for rivals, which know tables only.

    Sequences stay whole for a detector alone that is told their shape.
    """
    whole = spec.name in ours() and (X.ndim != 3 or "sequence_shape" in spec.parameters)
    return X if whole else X.reshape(len(X), -1)
