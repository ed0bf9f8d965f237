"""What is run and what came of it, as one JSON line."""

import json
import platform
import sys
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata

from benchmarks import detectors
from benchmarks.detectors import DetectorSpec
from benchmarks.running.metrics import METRICS

_PACKAGES = ("pyod_synth", "pyod", "scikit-learn", "torch", "numpy")
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
_STATUSES = ("ok", "failed", "skipped")


@dataclass(frozen=True)
class Cell:
    """One run: a detector with its parameters on a data set that is divided by a protocol and a seed.

    Cells are equal if these and ``max_rows`` are, whatever else they hold: one that is recorded is done.

    Parameters
    ----------
    dataset, protocol : str
    detector : DetectorSpec
        With every parameter that differs from the defaults, wherever it was set.
    seed : int
    max_rows : int or None, default=None
        See :func:`benchmarks.protocols.split`.
    extensions : list of str
        Python files to run first.
    oracle_metric : str or None, default=None
        By which to find the best epoch on the test rows, if that is asked for.
    """

    dataset: str
    protocol: str
    detector: DetectorSpec
    seed: int
    max_rows: int | None = None
    extensions: list[str] = field(default_factory=list, compare=False)
    oracle_metric: str | None = field(default=None, compare=False)

    def to_dict(self) -> dict:
        """Return what makes the cell what it is, for JSON."""
        detector = {"name": self.detector.name, "parameters": self.detector.parameters}
        return {
            "dataset": self.dataset,
            "protocol": self.protocol,
            "detector": detector,
            "seed": self.seed,
            "max_rows": self.max_rows,
        }


def versions(detector: DetectorSpec) -> dict[str, str | None]:
    """Return the versions of what the figures of a detector depend on, as ``Record.versions``."""
    package, number = holder(detector)
    of_holder = {package: number} if package else {}
    return {name: _version(name) for name in _PACKAGES} | of_holder | {"python": platform.python_version()}


def holder(detector: DetectorSpec) -> tuple[str, str | None]:
    """Return the package that holds a detector, as ``Record.versions`` names it, and its version.

    Parameters
    ----------
    detector : DetectorSpec

    Returns
    -------
    package : str
        Empty if it is in no package: a detector of a user's own is as old as its file.
    version : str or None
        None if that is not installed.
    """
    module = detectors.package(detector.name)
    package = _DISTRIBUTIONS.get(module, module)
    return package, _version(package) if package else None


@cache
def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        # a package may be installed under another name, as xgboost is by xgboost-cpu
        names = metadata.packages_distributions().get(package)
        return metadata.version(names[0]) if names else None


@dataclass(frozen=True)
class Record:
    """What came of a cell.

    Parameters
    ----------
    cell : Cell
    status : str
        "ok"; "failed"; or "skipped", which is what a detector cannot run by its nature: it needs labels that the
        protocol does not hand out, or a package that is not installed.
    reason : str, default=""
        Why it is not ok.
    versions : dict of str to str or None, default=None
        Of the packages that figures depend on, that which holds the detector among them; None if that is not installed.
        By default, those of this process.
    sizes : dict
        Of the training rows and the test rows, the anomalies in both, and the shape of a row.
    parameters : dict
        All constructor arguments of the detector, defaults included.
    figures : dict of str to float
        See :func:`benchmarks.running.metrics.evaluate`; empty unless ok.
    fit_seconds, score_seconds : float or None, default=None
        None where the best epoch was looked for, too: that scores after every epoch.
    oracle_epoch : dict or None, default=None
        See :func:`benchmarks.running.cell.best_epoch`.
    peak_mib : int or None, default=None
        Largest resident memory of its process, as far as that was watched.
    time_limit, memory_limit : float or None, default=None
        The limit that it passed.
    """

    cell: Cell
    status: str
    reason: str = ""
    versions: dict | None = None
    sizes: dict = field(default_factory=dict)
    parameters: dict = field(default_factory=dict)
    figures: dict = field(default_factory=dict)
    fit_seconds: float | None = None
    score_seconds: float | None = None
    oracle_epoch: dict | None = None
    peak_mib: int | None = None
    time_limit: float | None = None
    memory_limit: float | None = None

    def __post_init__(self):
        if self.versions is None:
            object.__setattr__(self, "versions", versions(self.cell.detector))

    def to_json(self) -> str:
        """Write the record as one line.

        Raises
        ------
        ValueError
            If it holds what JSON does not know, as a figure that is not finite.
        """
        entries = {name: value for name, value in asdict(self).items() if name != "cell" and value is not None}
        return json.dumps(self.cell.to_dict() | entries, allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> "Record":
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        ValueError, TypeError
            If it is no record.
        """
        try:
            entries = _parse(line)
            _check(entries)
            detector = DetectorSpec(**entries.pop("detector"))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        cell = Cell(detector=detector, **{name: entries.pop(name) for name in _OF_CELL if name != "detector"})
        return cls(cell, **({"versions": {}} | entries))  # of which nothing is known, not those of this process


def _parse(line):
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"no JSON, got {line[:80]!r}") from error


def _check(entries):
    """Refuse what is no record; unknown entries are left to the constructor."""
    if not isinstance(entries, dict):
        raise ValueError(f"a record is an object, got {type(entries).__name__}")
    missing = [name for name in (*_OF_CELL, "status") if name not in entries]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    detector = entries["detector"]
    is_detector = isinstance(detector, dict) and set(detector) == {"name", "parameters"}
    if not (is_detector and isinstance(detector["name"], str) and isinstance(detector["parameters"], dict)):
        raise ValueError(f"detector must hold a name and parameters, got {detector!r}")
    for name, (is_kind, kind) in _KINDS.items():
        if name in entries and not is_kind(entries[name]):
            raise ValueError(f"{name} must be {kind}, got {entries[name]!r}")


def _is_text(value):
    return isinstance(value, str)


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value):
    """Say whether it is a number that a float can hold; NaN is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_object(value):
    return isinstance(value, dict)


def _are_figures(value):
    return _is_object(value) and all(map(_is_number, value.values()))


_OF_CELL = ("dataset", "protocol", "detector", "seed", "max_rows")
_KINDS = {
    **dict.fromkeys(("dataset", "protocol", "reason"), (_is_text, "text")),
    "seed": (_is_integer, "an integer"),
    "max_rows": (lambda value: value is None or _is_integer(value), "an integer or null"),
    "status": (lambda value: value in _STATUSES, f"one of {', '.join(_STATUSES)}"),
    **dict.fromkeys(("versions", "sizes", "parameters"), (_is_object, "an object")),
    "figures": (lambda value: _are_figures(value) and set(value) <= set(METRICS), f"numbers by {', '.join(METRICS)}"),
    "oracle_epoch": (_are_figures, "an object of numbers"),
    **dict.fromkeys(
        ("fit_seconds", "score_seconds", "peak_mib", "time_limit", "memory_limit"), (_is_number, "a number")
    ),
}
