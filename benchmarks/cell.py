"""One cell -> one record."""

import time
from functools import lru_cache

import numpy as np

from benchmarks import datasets, detectors, protocols
from benchmarks.metrics import evaluate
from benchmarks.results import failure


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
    record = failure(cell, "")
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
        name, _ = detectors.parse(cell["detector"])
        X_train, X_test = (detectors.shape_for(name, X) for X in (parts.X_train, parts.X_test))
        detector = detectors.build(name, cell["seed"], cell["settings"], labels)
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
