"""One cell -> one record; walks the grid, leaves out what is done, runs in parallel."""

import platform
import time
from functools import lru_cache
from importlib.metadata import version
from itertools import product

import numpy as np
from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from benchmarks import datasets, detectors, protocols
from benchmarks.metrics import evaluate
from benchmarks.results import key

_PACKAGES = ("pyod_synth", "pyod", "scikit-learn", "torch", "numpy")


def run(settings, records_file, folder=None, jobs=1):
    """Run every cell of an experiment that is not done yet.

    A cell that fails is recorded with its reason, and tried again by the next run.

    Parameters
    ----------
    settings : benchmarks.settings.Settings
    records_file : benchmarks.results.RecordsFile
        Grows by a record as each cell ends.
    folder : path-like or None, default=None
        Where data that is not bundled lies.
    jobs : int, default=1
        Cells run at a time, each on one thread.

    Returns
    -------
    list of dict
        The records of all cells of the experiment, done now or before.

    Raises
    ------
    ValueError
        If the settings name what does not exist; nothing is run then.
    """
    cells = grid(settings, folder)
    known = {key(record): record for record in records_file.read()}
    pending = [cell for cell in cells if known.get(key(cell), {}).get("status") != "ok"]
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        finished = Parallel(return_as="generator_unordered")(delayed(run_cell)(cell, folder) for cell in pending)
        progress = tqdm(finished, total=len(pending), unit="cell", smoothing=0.05)
        failed = 0
        for record in progress:
            records_file.append(record)
            known[key(record)] = record
            failed += record["status"] == "failed"
            progress.set_postfix_str(f"failed {failed}, last {record['dataset']} {record['detector']}", refresh=False)
    return [known[key(cell)] for cell in cells]


def grid(settings, folder=None):
    """List the cells of an experiment, data set by data set.

    Parameters
    ----------
    settings : benchmarks.settings.Settings
    folder : path-like or None, default=None

    Returns
    -------
    list of dict
        With the entries of ``benchmarks.results.KEY``.

    Raises
    ------
    ValueError
        If the settings name what does not exist.
    """
    names = datasets.expand(settings.datasets, folder)
    for protocol in settings.protocols:
        protocols.named(protocol)
    for detector in settings.detectors:
        detectors.build(detector, seed=0, parameters=settings.parameters.get(detector, {}))
    return [
        {
            "dataset": dataset,
            "protocol": protocol,
            "detector": detector,
            "seed": seed,
            "max_rows": settings.max_rows,
            "settings": settings.parameters.get(detector, {}),
        }
        for dataset, protocol, seed, detector in product(names, settings.protocols, settings.seeds, settings.detectors)
    ]


def run_cell(cell, folder=None):
    """Split, fit, score and judge one cell.

    Parameters
    ----------
    cell : dict
        With the entries of ``benchmarks.results.KEY``.
    folder : path-like or None, default=None

    Returns
    -------
    dict
        The cell's entries; ``status`` "ok" or "failed" with ``reason``; if ok, ``auroc``, ``auprc``, ``f1``,
        ``fit_seconds`` and ``score_seconds``; sizes, parameters and versions.
    """
    record = dict(cell) | {"status": "failed", "reason": ""}
    record["versions"] = {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}
    try:
        dataset = _load(cell["dataset"], folder)
        parts = protocols.split(dataset, cell["protocol"], cell["seed"], cell["max_rows"])
        record["sizes"] = {
            "train": len(parts.X_train),
            "test": len(parts.X_test),
            "anomalies": int(parts.y_test.sum()),
            "shape": list(parts.X_train.shape[1:]),
        }
        labels = parts.y_train is not None
        if labels:
            record["sizes"]["known_anomalies"] = int(parts.y_train.sum())
        X_train, X_test = (detectors.shape_for(cell["detector"], X) for X in (parts.X_train, parts.X_test))
        detector = detectors.build(cell["detector"], cell["seed"], cell["settings"], labels)
        record["parameters"] = {name: _plain(value) for name, value in detector.get_params().items()}
        start = time.perf_counter()
        detector.fit(X_train, parts.y_train)
        fitted = time.perf_counter()
        scores = detector.decision_function(X_test)
        record["score_seconds"] = round(time.perf_counter() - fitted, 4)
        record["fit_seconds"] = round(fitted - start, 4)
        record |= evaluate(parts.y_test, np.asarray(scores)) | {"status": "ok"}
    except Exception as error:  # whatever a detector raises is its result, recorded as such
        record["reason"] = f"{type(error).__name__}: {error}"
    return record


@lru_cache(maxsize=1)
def _load(name, folder):
    """Keep the last data set: a worker's cells come data set by data set."""
    return datasets.load(name, folder)


def _plain(value):
    """Make a parameter fit for JSON."""
    return value if isinstance(value, (str, int, float, bool, list, tuple, dict, type(None))) else repr(value)
