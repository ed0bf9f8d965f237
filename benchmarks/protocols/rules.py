"""What a protocol is: who trains, on which labels, and who is tested."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Protocol:
    """Who trains and who is tested.

    Parameters
    ----------
    divide : callable
        (dataset, seed) -> (training indices, test indices). No row is in both; one may be repeated in either.
    labels : callable or None, default=None
        (true labels of the training rows, seed) -> the labels that detectors get. None hands out no labels.
    change : callable or None, default=None
        (dataset, seed) -> dataset, before it is divided.
    """

    divide: Callable
    labels: Callable | None = None
    change: Callable | None = None


@dataclass(frozen=True)
class Range:
    """Numbers that a protocol's name may end with.

    Parameters
    ----------
    text : str
        Them, in words.
    holds : callable
        float -> whether it is one of them.
    """

    text: str
    holds: Callable


@dataclass(frozen=True)
class Numbered:
    """Protocols that differ in one number.

    Parameters
    ----------
    numbers : Range
    make : callable
        float -> Protocol.
    """

    numbers: Range
    make: Callable
