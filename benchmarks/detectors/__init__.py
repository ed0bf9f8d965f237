"""Name -> detector, ours and the rivals' alike; :mod:`benchmarks.detectors.rivals` says how to add one."""

import json
from contextlib import suppress
from inspect import signature

import pyod_synth
from benchmarks.detectors.rivals import RIVALS, Unsuitable, check_names

OURS = {name: getattr(pyod_synth, name) for name in pyod_synth.__all__}
# what the number of epochs is called: by ours and AutoEncoder, by DeepSVDD and DeepOD, by LUNAR
_EPOCHS = ("epoch_num", "epochs", "n_epochs")


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


def describe():
    """List names with a line about each.

    Returns
    -------
    dict of str to str
        Whose it is, whether it learns from labels, and what is missing to run it.
    """
    ours = {name: "ours, can learn from labels" if _can_learn_from_labels(name) else "ours" for name in OURS}
    return ours | {name: rival.line for name, rival in RIVALS.items()}


def check(name, parameters):
    """Make sure that there is such a detector, whether or not its package is installed and it has labels to learn from.

    Parameters
    ----------
    name : str
    parameters : dict
        Constructor arguments; not looked at where the package is missing.

    Raises
    ------
    ValueError
        If the name, or that of a parameter, is unknown, or the detector does not take a value.
    """
    with suppress(Unsuitable):
        _construct(name, 0, parameters)


def limit_epochs(name, parameters, largest):
    """Bound the number of epochs, of detectors that count them.

    Parameters
    ----------
    name : str
    parameters : dict
        Constructor arguments that differ from the defaults.
    largest : int

    Returns
    -------
    dict
        ``parameters``, and no more epochs than ``largest``; a smaller number of epochs stays.
    """
    try:
        counts = {entry: n for entry, n in _construct(name, 0, parameters).get_params().items() if entry in _EPOCHS}
    except Unsuitable:
        return parameters
    return parameters | {entry: largest if n is None else min(n, largest) for entry, n in counts.items()}


def build(name, seed, parameters, labels=False):
    """Construct an unfitted detector.

    Parameters
    ----------
    name : str
        One of :func:`describe`.
    seed : int
        Random state, where the detector has one.
    parameters : dict
        Constructor arguments that differ from the defaults.
    labels : bool, default=False
        Whether it is to learn from labels; ``parameters`` may still say ``use_labels=False``.

    Returns
    -------
    pyod.models.base.BaseDetector or benchmarks.detectors.rivals.Adapter

    Raises
    ------
    ValueError
        If the name, or that of a parameter, is unknown, or the detector does not take a value.
    benchmarks.detectors.rivals.Unsuitable
        If a package is missing, or if the detector needs labels and gets none or gets labels that it cannot use.
    """
    if labels and _can_learn_from_labels(name):
        parameters = {"use_labels": True} | parameters
    detector = _construct(name, seed, parameters)
    needs_labels = name in RIVALS and RIVALS[name].labels
    if needs_labels and not labels:
        raise Unsuitable(f"{name} needs labels")
    # it would ignore them in silence
    if labels and not needs_labels and not _can_learn_from_labels(name):
        raise Unsuitable(f"{name} does not learn from labels")
    return detector


def _construct(name, seed, parameters):
    if name not in OURS and name not in RIVALS:
        raise ValueError(f"unknown detector {name!r}; there are {', '.join([*OURS, *RIVALS])}")
    if name in OURS:
        known = [parameter for parameter in signature(OURS[name]).parameters if parameter != "random_state"]
        check_names(name, parameters, known)
        return OURS[name](random_state=seed, **parameters)
    try:
        return RIVALS[name](seed, **parameters)
    except TypeError as error:  # PyOD's constructors raise it for values, too
        raise ValueError(f"{name}: {error}") from error


def _can_learn_from_labels(name):
    return name in OURS and "use_labels" in signature(OURS[name]).parameters


def shape_for(name, X):
    """Return rows as a detector takes them: rivals know tables only, so images come to them flattened."""
    return X if name in OURS else X.reshape(len(X), -1)
