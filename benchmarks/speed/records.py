"""What came of a comparison, as a JSON file of its own."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.speed.comparisons import COMPARISONS, THREADS
from benchmarks.speed.measuring import Measurement, machine, on_threads


@dataclass(frozen=True)
class Record:
    """What came of a comparison.

    Parameters
    ----------
    comparison : str
        One of ``COMPARISONS``.
    fast : bool
        Whether it is the tiny version, whose figures say nothing.
    threads : int
        That torch, BLAS and OpenMP could use.
    machine : dict
        See :func:`benchmarks.speed.measuring.machine`; the load is that before.
    seconds : float
        That all of it took.
    measurements : list of Measurement
    """

    comparison: str
    fast: bool
    threads: int
    machine: dict
    seconds: float
    measurements: list[Measurement]


def measure(name: str, fast: bool) -> Record:
    """Run a comparison."""
    before, start = machine(), time.perf_counter()
    with on_threads(THREADS):
        measurements = COMPARISONS[name].measure(fast)
    return Record(name, fast, THREADS, before, round(time.perf_counter() - start, 1), measurements)


def write(record: Record, folder: Path) -> None:
    """Write a record to its file, which is there only when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    path = _path(folder, record.comparison)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps(asdict(record), indent=1) + "\n")
    unfinished.replace(path)


def read(folder: Path, name: str) -> Record | None:
    """Read the record of a comparison; None if there is none.

    Raises
    ------
    ValueError
        If its file is no record.
    """
    path = _path(folder, name)
    if not path.exists():
        return None
    try:
        entries = json.loads(path.read_bytes())
        measurements = [Measurement(**entry) for entry in entries.pop("measurements")]
        return Record(measurements=measurements, **entries)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is no record of a comparison ({error}): --again measures anew") from error


def _path(folder, name):
    return folder / f"{name}.json"
