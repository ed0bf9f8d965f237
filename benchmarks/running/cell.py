"""One cell -> one record."""

import json
import random
import time
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch

from benchmarks import data, detectors, protocols
from benchmarks.detectors.rivals import Unsuitable
from benchmarks.running import extensions
from benchmarks.running.metrics import evaluate
from benchmarks.running.records import failure


def run_cell(cell, folder=None):
    """Split, fit, score and judge one cell.

    Parameters
    ----------
    cell : dict
        With the entries of ``benchmarks.running.records.KEY``; ``extensions``, if there are any; ``oracle_metric``, if
        the oracle's epoch is asked for.
    folder : path-like or None, default=None

    Returns
    -------
    dict
        The cell's entries; ``status`` "ok", or "failed" or "skipped" with ``reason`` (skipped is what a detector cannot
        run by its nature: it needs labels that the protocol does not hand out, or a package that is not installed); if
        ok, ``auroc``, ``auprc``, ``f1``, ``fit_seconds``, ``score_seconds`` and, if asked for, ``oracle_epoch``, what
        :func:`best_epoch` returns; sizes, parameters and versions.
    """
    record = failure(cell, "")
    try:
        for extension in cell.get("extensions", []):
            extensions.load(extension)
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
        with isolated(cell["seed"]):
            detector = detectors.build(name, cell["seed"], cell["settings"], labels)
            record["parameters"] = {name: _plain(value) for name, value in detector.get_params().items()}
            start = time.perf_counter()
            detector.fit(X_train, parts.y_train)
            fitted = time.perf_counter()
            scores = detector.decision_function(X_test)
            record["score_seconds"] = round(time.perf_counter() - fitted, 4)
            record["fit_seconds"] = round(fitted - start, 4)
        record |= evaluate(parts.y_test, np.asarray(scores))
        if "oracle_metric" in cell:
            # trained anew, so that the seconds above are those of a plain fit
            stages = detector.staged_fit(X_train, parts.y_train)
            record["oracle_epoch"] = best_epoch(stages, X_test, parts.y_test, cell["oracle_metric"])
        record["status"] = "ok"
    except Unsuitable as error:
        record |= {"status": "skipped", "reason": str(error)}
    except Exception as error:  # whatever a detector raises is its result, recorded as such
        record["reason"] = f"{type(error).__name__}: {error}"
    return record


def best_epoch(stages, X, y, metric):
    """Find the best epoch by the test labels, as an oracle would: what figures of the best epoch are to be held beside.

    Parameters
    ----------
    stages : iterable of pyod_synth.base.DeepDetector
        The detector after each epoch.
    X : ndarray of shape (n, d) or (n, C, H, W)
        Test rows.
    y : ndarray of shape (n,), int
        1 = anomaly, 0 = normal.
    metric : str
        One of :func:`benchmarks.running.metrics.evaluate`.

    Returns
    -------
    dict
        ``epoch``, counted from 1, the first of several equally good ones; ``auroc``, ``auprc`` and ``f1`` after it.
    """
    judged = [{"epoch": e} | evaluate(y, stage.decision_function(X)) for e, stage in enumerate(stages, start=1)]
    return max(judged, key=lambda figures: figures[metric])


@lru_cache(maxsize=1)
def _load(name, folder):
    """Keep the last data set: a worker's cells come data set by data set."""
    return data.load(name, folder)


@contextmanager
def isolated(seed):
    """Seed the global generators, from which rivals draw, and put them and torch's threads back as they were.

    Parameters
    ----------
    seed : int
    """
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    # SOD's compiled loops let torch run on all cores from then on, which on small batches takes many times as long
    threads = torch.get_num_threads()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002
            torch.set_num_threads(threads)


def _plain(value):
    """Make a parameter fit for JSON."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return value
