"""Runs cells in parallel, and leaves out what is done."""

import logging
import math
import threading
from collections import Counter
from collections.abc import Callable
from concurrent import futures
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.running.backends import BACKENDS
from benchmarks.running.progress import Progress
from benchmarks.running.records import Cell, Record, holder
from benchmarks.running.records_file import RecordsFile

_LOG = logging.getLogger(__name__)


def run(
    cells: list[Cell],
    records_file: RecordsFile,
    folder: str | Path | None = None,
    jobs: int | None = 1,
    backend: str = "local",
    scheduler: str | None = None,
    time_limit: float | None = None,
    memory_limit: float | None = None,
    begin: Callable[[], None] | None = None,
) -> list[Record]:
    """Run every cell that is not done yet.

    A cell that fails is recorded with its reason, and tried again by the next run; but one that passed a limit only if
    that limit is larger then. A cell that was recorded with another version of the package that holds the detector is
    run again too: a warning is logged, and the old line stays in the file, where the new one comes after it. Several
    runs may share a file: none runs a cell that another has done or is running.

    Parameters
    ----------
    cells : list of Cell
        See :func:`benchmarks.running.grid.grid`.
    records_file : RecordsFile
        Grows by a record as each cell ends.
    folder : path-like or None, default=None
        Where data that is not bundled lies.
    jobs : int or None, default=1
        Cells run at a time, each on one thread. None takes all cores of this machine or of the cluster.
    backend : str, default="local"
        One of ``benchmarks.running.backends.BACKENDS``.
    scheduler : str or None, default=None
        Address of a Dask or Ray cluster. None starts one on this machine, with ``jobs`` processes.
    time_limit : float or None, default=None
        Seconds that a cell may take.
    memory_limit : float or None, default=None
        GiB that a cell may need.
    begin : callable or None, default=None
        Called when everything is found in order, before cells run.

    Returns
    -------
    list of Record
        Of all cells, done now or before.

    Raises
    ------
    ValueError
        If a limit is not above 0, or the backend is unknown, not installed or not there; nothing is run then.
    KeyboardInterrupt
        When nothing runs any more; :func:`collect` returns what was done.
    """
    limits = {"time_limit": time_limit, "memory_limit": memory_limit}
    _check(limits, jobs, backend)
    records_file.clear_claims()
    before = {record.cell: record for record in records_file.read()}
    pending = [cell for cell in cells if not _is_done(cell, before.get(cell), limits)]
    _warn_of_other_versions([before[cell] for cell in pending if cell in before], records_file.path)
    stopping = threading.Event()

    def attend(cell):
        """Run a cell unless another runner has it, or has done it since this run began; return its record or None."""
        with records_file.claim(cell) as ours:
            record = records_file.find(cell)
            if record != before.get(cell):
                return record
            if not ours or stopping.is_set():
                return None
            with progress.running(cell):
                record = place.run(cell, folder, **limits)
            if stopping.is_set() and record.status == "failed":
                return None  # killed by us
            records_file.append(record)
            return record

    with (
        closing(BACKENDS[backend](jobs, scheduler)) as place,
        futures.ThreadPoolExecutor(place.jobs) as threads,
        closing(Progress(len(cells), len(pending), place.jobs)) as progress,
    ):
        try:
            if begin is not None:
                begin()
            while pending:
                tasks = {threads.submit(attend, cell): cell for cell in pending}
                for task in _as_completed(tasks):
                    if task.result() is not None:
                        progress.count(task.result())
                pending = [cell for task, cell in tasks.items() if task.result() is None]
                # what other runners have: wait for their records, or for their end
                stopping.wait(1 if pending else 0)
        except BaseException:
            stopping.set()
            threads.shutdown(wait=False, cancel_futures=True)
            place.stop()
            raise
    return collect(cells, records_file)


def collect(cells: list[Cell], records_file: RecordsFile) -> list[Record]:
    """Return the latest record of each cell that has one."""
    records = {record.cell: record for record in records_file.read()}
    return [records[cell] for cell in cells if cell in records]


def _as_completed(tasks):
    """Yield tasks as they end; a Ctrl-C that comes just before a wait does not end it, so no wait is long."""
    left = set(tasks)
    while left:
        with suppress(futures.TimeoutError):
            for task in futures.as_completed(left, timeout=1):
                left.remove(task)
                yield task


def _check(limits, jobs, backend):
    for name, limit in limits.items():
        if limit is not None and not limit > 0:
            raise ValueError(f"{name} must be above 0, got {limit!r}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs!r}")
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")


def _is_done(cell, record, limits):
    """Say whether a record leaves nothing to do: no failure, or one that a limit no larger than it was will repeat."""
    if record is None or (record.status == "ok" and cell.oracle_metric and not record.oracle_epoch):
        return False
    if _other_version(record):
        return False
    if record.status != "failed":
        return True
    return any((limits[name] or math.inf) <= (getattr(record, name) or -math.inf) for name in limits)


def _other_version(record):
    """Return the package, the recorded and the present version, if these differ; None if one of them is unknown."""
    package, now = holder(record.cell.detector)
    then = record.versions.get(package, now)
    # what cannot be run now stays as it was
    return None if now is None or then == now else (package, then, now)


def _warn_of_other_versions(records, path):
    changes = Counter(filter(None, map(_other_version, records)))
    if changes:
        listed = "; ".join(
            f"{count} with {package} {then or 'not installed'}, now {now}"
            for (package, then, now), count in changes.items()
        )
        _LOG.warning("cells recorded with other versions run again, their old lines stay in %s: %s", path, listed)
