"""Walks the grid of an experiment, leaves out what is done, runs in parallel."""

import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from itertools import accumulate, product

from benchmarks import data, detectors, protocols
from benchmarks.running import extensions
from benchmarks.running.backends import BACKENDS
from benchmarks.running.progress import Progress
from benchmarks.running.records import key


def run(settings, records_file, folder=None, jobs=1, backend="local", scheduler=None, begin=None):
    """Run every cell of an experiment that is not done yet.

    A cell that fails is recorded with its reason, and tried again by the next run; but one that passed a limit only if
    that limit is larger then. Several runs may share a file: none runs a cell that another has done or is running.

    Parameters
    ----------
    settings : benchmarks.experiments.Settings
    records_file : benchmarks.running.records.RecordsFile
        Grows by a record as each cell ends.
    folder : path-like or None, default=None
        Where data that is not bundled lies.
    jobs : int or None, default=1
        Cells run at a time, each on one thread. None takes all cores of this machine or of the cluster.
    backend : str, default="local"
        One of ``benchmarks.running.backends.BACKENDS``.
    scheduler : str or None, default=None
        Address of a Dask or Ray cluster. None starts one on this machine, with ``jobs`` processes.
    begin : callable or None, default=None
        Called when everything is found in order, before cells run.

    Returns
    -------
    list of dict
        The records of all cells of the experiment, done now or before.

    Raises
    ------
    ValueError
        If the settings name what does not exist, a limit is not above 0, or the backend is unknown, not installed or
        not there; nothing is run then.
    KeyboardInterrupt
        When nothing runs any more; :func:`collect` returns what was done.
    """
    cells = grid(settings, folder)
    _check(settings, jobs, backend)
    limits = (folder, settings.time_limit, settings.memory_limit)
    before = {key(record): record for record in records_file.read()}
    pending = [cell for cell in cells if not _is_done(cell, before.get(key(cell)), settings)]
    stopping = threading.Event()

    def attend(cell):
        """Run a cell unless another runner has it, or has done it since this run began; return its record or None."""
        with records_file.claim(cell) as ours:
            record = records_file.find(cell)
            if record != before.get(key(cell)):
                return record
            if not ours or stopping.is_set():
                return None
            with progress.running():
                record = place.run(cell, *limits)
            if stopping.is_set() and record["status"] == "failed":
                return None  # killed by us
            records_file.append(record)
            return record

    with (
        closing(BACKENDS[backend](jobs, scheduler)) as place,
        ThreadPoolExecutor(place.jobs) as threads,
        closing(Progress(len(cells), len(pending), place.jobs)) as progress,
    ):
        try:
            if begin is not None:
                begin()
            while pending:
                tasks = {threads.submit(attend, cell): cell for cell in pending}
                for task in as_completed(tasks):
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
    return collect(settings, records_file, folder)


def collect(settings, records_file, folder=None):
    """Return what there is of an experiment.

    Parameters
    ----------
    settings : benchmarks.experiments.Settings
    records_file : benchmarks.running.records.RecordsFile
    folder : path-like or None, default=None

    Returns
    -------
    list of dict
        The latest record of each cell that has one.
    """
    records = {key(record): record for record in records_file.read()}
    keys = [key(cell) for cell in grid(settings, folder)]
    return [records[name] for name in keys if name in records]


def grid(settings, folder=None):
    """List the cells of an experiment, data set by data set.

    Parameters
    ----------
    settings : benchmarks.experiments.Settings
    folder : path-like or None, default=None

    Returns
    -------
    list of dict
        With the entries of ``benchmarks.running.records.KEY``, and ``extensions``; with ``oracle_epoch``, those of the
        package's detectors also with ``oracle_metric``.

    Raises
    ------
    ValueError
        If the settings name what does not exist.
    """
    for extension in settings.extensions:
        extensions.load(extension)
    places = {name: place for place in settings.datasets for name in data.expand([place], folder)}
    special = {name: settings.special.get(name, settings.special.get(place, {})) for name, place in places.items()}
    for protocol in settings.protocols:
        protocols.named(protocol)
    axes = (special, settings.protocols, settings.seeds, settings.detectors)
    cells = [
        {
            "dataset": dataset,
            "protocol": protocol,
            "detector": detector,
            "seed": seed,
            "max_rows": settings.max_rows,
            "settings": _parameters(settings, detector, special[dataset]),
            "extensions": settings.extensions,
        }
        for dataset, protocol, seed, detector in product(*axes)
    ]
    if settings.oracle_epoch:
        for cell in cells:
            if detectors.parse(cell["detector"])[0] in detectors.OURS:
                cell["oracle_metric"] = settings.metric
    for name, parameters in {(cell["detector"], json.dumps(cell["settings"])) for cell in cells}:
        detectors.check(detectors.parse(name)[0], json.loads(parameters))
    return cells


def _parameters(settings, label, special):
    """Join what the settings say of a detector: the more particular a place, the more it has to say."""
    name, own = detectors.parse(label)
    parameters = {}
    for place in (settings.parameters, special):
        for entry in accumulate(label.split(":"), "{}:{}".format):
            parameters |= place.get(entry, {})
    parameters |= own
    return parameters if settings.epoch_num is None else detectors.limit_epochs(name, parameters, settings.epoch_num)


def _check(settings, jobs, backend):
    for name in ("time_limit", "memory_limit"):
        limit = getattr(settings, name)
        if limit is not None and not limit > 0:
            raise ValueError(f"{name} must be above 0, got {limit!r}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs!r}")
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; there are {', '.join(BACKENDS)}")


def _is_done(cell, record, settings):
    """Tell whether a record leaves nothing to do: no failure, or one that a limit no larger than it was will repeat."""
    if record is None or (record["status"] == "ok" and "oracle_metric" in cell and "oracle_epoch" not in record):
        return False
    if record["status"] != "failed":
        return True
    limits = [name for name in ("time_limit", "memory_limit") if name in record]
    return any((getattr(settings, name) or math.inf) <= record[name] for name in limits)
