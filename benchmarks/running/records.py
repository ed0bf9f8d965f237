"""What is run and what came of it, as one JSON line."""

import json
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

from benchmarks.detectors import DetectorSpec

_PACKAGES = ("pyod_synth", "pyod", "scikit-learn", "torch", "numpy")


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


def versions() -> dict[str, str]:
    """Return the versions of what figures depend on."""
    return {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}


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
    versions : dict of str to str
    sizes : dict
        Of the training rows and the test rows, the anomalies in both, and the shape of a row.
    parameters : dict
        All constructor arguments of the detector, defaults included.
    figures : dict of str to float
        See :func:`benchmarks.running.metrics.evaluate`; empty unless ok.
    fit_seconds, score_seconds : float or None, default=None
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
    versions: dict = field(default_factory=versions)
    sizes: dict = field(default_factory=dict)
    parameters: dict = field(default_factory=dict)
    figures: dict = field(default_factory=dict)
    fit_seconds: float | None = None
    score_seconds: float | None = None
    oracle_epoch: dict | None = None
    peak_mib: int | None = None
    time_limit: float | None = None
    memory_limit: float | None = None

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
        ValueError, KeyError, TypeError
            If it is no record.
        """
        entries = dict(json.loads(line))
        names = ("dataset", "protocol", "detector", "seed", "max_rows")
        dataset, protocol, detector, seed, max_rows = (entries.pop(name) for name in names)
        return cls(Cell(dataset, protocol, DetectorSpec(**detector), seed, max_rows), **entries)
