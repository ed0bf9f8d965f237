"""Which detector, with which parameters."""

import json
from dataclasses import dataclass, field

_PYTHON = {"True": True, "False": False, "None": None}


@dataclass(frozen=True)
class DetectorSpec:
    """A detector by its name and its parameters.

    Parameters
    ----------
    name : str
        One of :func:`benchmarks.detectors.describe`.
    parameters : dict
        Constructor arguments that differ from the defaults, as JSON knows them.
    label : str, default=""
        What people call it; empty for one made of the name and the parameters. It is no part of what the detector is:
        two specifications that differ in it alone are equal.

    Examples
    --------
    >>> DetectorSpec("DHAG", {"n_augmented": 0, "space": "input"}).label
    'DHAG(n_augmented=0, space=input)'
    """

    name: str
    parameters: dict = field(default_factory=dict, hash=False)
    label: str = field(default="", compare=False)

    def __post_init__(self):
        if not self.label:
            assignments = ", ".join(f"{parameter}={value}" for parameter, value in self.parameters.items())
            object.__setattr__(self, "label", f"{self.name}({assignments})" if assignments else self.name)

    def __str__(self):
        return self.label


def parse(text: str) -> DetectorSpec:
    """Read a detector as a person types it.

    Parameters
    ----------
    text : str
        A name, and parameters after it, as ``"DHAG:n_augmented=0:space=input"``. Values are JSON or Python's
        ``True``, ``False`` and ``None``, or else text; ``'"None"'``, in JSON's quotes, is text too.

    Returns
    -------
    DetectorSpec

    Raises
    ------
    ValueError
        If a part is no assignment.

    Examples
    --------
    >>> parse("DHAG:n_augmented=0:space=input")
    DetectorSpec(name='DHAG', parameters={'n_augmented': 0, 'space': 'input'}, label='DHAG(n_augmented=0, space=input)')
    """
    name, *assignments = text.split(":")
    parameters = {}
    for assignment in assignments:
        parameter, sign, value = assignment.partition("=")
        if not (parameter and sign and value):
            raise ValueError(f"a detector is NAME or NAME:parameter=value:..., got {text!r}")
        try:
            parameters[parameter] = json.loads(value)
        except json.JSONDecodeError:
            parameters[parameter] = _PYTHON.get(value, value)
    return DetectorSpec(name, parameters)
