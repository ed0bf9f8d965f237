"""Name -> detector, ours and the rivals' alike.

To add a rival, enter a callable (seed, **parameters) -> PyOD detector in ``RIVALS``.
"""

import json
from inspect import signature

from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from pyod.models.ocsvm import OCSVM

import pyod_synth


def _unseeded(detector):
    """Adapt a detector without randomness."""
    return lambda seed, **parameters: detector(**parameters)


OURS = {name: getattr(pyod_synth, name) for name in pyod_synth.__all__}
RIVALS = {
    "OCSVM": _unseeded(OCSVM),
    "IForest": lambda seed, **parameters: IForest(random_state=seed, **parameters),
    "LOF": _unseeded(LOF),
    "ECOD": _unseeded(ECOD),
    "KNN": _unseeded(KNN),
}
NAMES = [*OURS, *RIVALS]


def parse(label):
    """Split what settings and the command line call a detector.

    Parameters
    ----------
    label : str
        A name, and parameters after it, as ``"DHAG:n_augmented=0:space=input"``. Values are JSON, or else text.

    Returns
    -------
    name : str
    parameters : dict

    Raises
    ------
    ValueError
        If a part is no assignment.

    Examples
    --------
    >>> parse("DHAG:n_augmented=0:space=input")
    ('DHAG', {'n_augmented': 0, 'space': 'input'})
    """
    name, *assignments = label.split(":")
    parameters = {}
    for assignment in assignments:
        parameter, sign, text = assignment.partition("=")
        if not (parameter and sign and text):
            raise ValueError(f"a detector is NAME or NAME:parameter=value:..., got {label!r}")
        try:
            parameters[parameter] = json.loads(text)
        except json.JSONDecodeError:
            parameters[parameter] = text
    return name, parameters


def build(name, seed, parameters, labels=False):
    """Construct an unfitted detector.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    seed : int
        Random state, where the detector has one.
    parameters : dict
        Constructor arguments that differ from the defaults.
    labels : bool, default=False
        Whether it is to learn from labels; ``parameters`` may still say ``use_labels=False``.

    Returns
    -------
    pyod.models.base.BaseDetector

    Raises
    ------
    ValueError
        If the name is unknown, or if the detector does not learn from labels and should.
    """
    if labels:
        # a rival given labels would ignore them in silence
        if name not in OURS or "use_labels" not in signature(OURS[name]).parameters:
            raise ValueError(f"{name} does not learn from labels")
        parameters = {"use_labels": True} | parameters
    if name in OURS:
        return OURS[name](random_state=seed, **parameters)
    if name in RIVALS:
        return RIVALS[name](seed, **parameters)
    raise ValueError(f"unknown detector {name!r}; there are {', '.join(NAMES)}")


def shape_for(name, X):
    """Return rows as a detector takes them: rivals know tables only, so images come to them flattened."""
    return X if name in OURS else X.reshape(len(X), -1)
