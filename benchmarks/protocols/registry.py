"""Name -> protocol."""

from functools import partial

import numpy as np

from benchmarks.protocols import synthetic
from benchmarks.protocols.divisions import (
    adbench,
    contaminated,
    duplicated_anomalies,
    known_class,
    one_class,
    one_class_official,
    semi_supervised,
)
from benchmarks.protocols.labels import known_anomalies, label_errors, true_labels
from benchmarks.protocols.pairs import averaged_pairs
from benchmarks.protocols.rules import Numbered, Protocol, Range

_SHARE = Range("a number in [0, 1)", lambda number: 0 <= number < 1)
_TIMES = Range("a whole number from 1 on", lambda number: number >= 1 and number.is_integer())

PROTOCOLS: dict[str, Protocol | Numbered] = {
    "one-class": Protocol(one_class),
    "one-class-official": Protocol(one_class_official),
    "unsupervised": Protocol(adbench),
    "supervised": Protocol(adbench, true_labels),
    "semi-supervised:GAMMA": Numbered(
        _SHARE, lambda gamma: Protocol(partial(semi_supervised, gamma=gamma), true_labels)
    ),
    "known-class:GAMMA": Numbered(_SHARE, lambda gamma: Protocol(partial(known_class, gamma=gamma), true_labels)),
    "contaminated:RHO": Numbered(_SHARE, lambda rho: Protocol(partial(contaminated, rho=rho))),
    "averaged-pairs": Protocol(one_class_official, change=averaged_pairs),
    **{
        f"synthetic-{kind}": Protocol(adbench, change=partial(synthetic.with_anomalies, kind=kind))
        for kind in synthetic.KINDS
    },
    "duplicated-anomalies:TIMES": Numbered(_TIMES, lambda times: Protocol(partial(duplicated_anomalies, times=times))),
    "irrelevant-features:SHARE": Numbered(
        _SHARE,
        lambda share: Protocol(adbench, change=partial(synthetic.with_irrelevant_features, share=share)),
    ),
    "known-anomalies:SHARE": Numbered(_SHARE, lambda share: Protocol(adbench, partial(known_anomalies, share=share))),
    "label-errors:SHARE": Numbered(_SHARE, lambda share: Protocol(adbench, partial(label_errors, share=share))),
}


def named(name: str) -> Protocol:
    """Find a protocol.

    Parameters
    ----------
    name : str
        One of ``PROTOCOLS``, with a number in the place of the word in capitals.

    Returns
    -------
    Protocol

    Raises
    ------
    ValueError
        If the name is unknown, or its number is missing or out of range.
    """
    head, _, text = name.partition(":")
    for full, entry in PROTOCOLS.items():
        start, _, parameter = full.partition(":")
        if isinstance(entry, Protocol):
            if full == name:
                return entry
        elif start == head:
            try:
                number = float(text)
            except ValueError:
                number = np.nan
            if not entry.numbers.holds(number):
                raise ValueError(f"{full} takes {entry.numbers.text} for {parameter}, got {name!r}")
            return entry.make(number)
    raise ValueError(f"unknown protocol {name!r}; there are {', '.join(PROTOCOLS)}")
