"""One cell -> one record."""

import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import data, detectors, protocols
from benchmarks.running import extensions
from benchmarks.running.metrics import evaluate
from benchmarks.running.records import Cell, Record


def run_cell(cell: Cell, folder: str | Path | None = None) -> Record:
    """Split, fit, score and evaluate one cell.

    Parameters
    ----------
    cell : Cell
    folder : path-like or None, default=None
        Where data that is not bundled lies.

    Returns
    -------
    Record
        Whatever happens: an error of the detector is its result.
    """
    found: dict[str, Any] = {}
    try:
        for extension in cell.extensions:
            extensions.load(extension)
        parts = protocols.split(_load(cell.dataset, folder), cell.protocol, cell.seed, cell.max_rows)
        found["sizes"] = {
            "train": len(parts.X_train),
            "test": len(parts.X_test),
            "anomalies": int(parts.y_test.sum()),
            "shape": list(parts.X_train.shape[1:]),
        }
        if parts.y_train is not None:
            found["sizes"]["known_anomalies"] = int(parts.y_train.sum())
        X_train, X_test = (detectors.shape_for(cell.detector, X) for X in (parts.X_train, parts.X_test))
        with isolated(cell.seed):
            detector = detectors.build(cell.detector, cell.seed, labels=parts.y_train is not None)
            found["parameters"] = {name: _plain(value) for name, value in detector.get_params().items()}
            if cell.oracle_metric is None:
                start = time.perf_counter()
                detector.fit(X_train, parts.y_train)
                fitted = time.perf_counter()
                scores = np.asarray(detector.decision_function(X_test))
                found["fit_seconds"] = round(fitted - start, 4)
                found["score_seconds"] = round(time.perf_counter() - fitted, 4)
                figures = evaluate(parts.y_test, scores)
            else:  # without seconds, which would be those of scoring after every epoch
                stages = detector.staged_fit(X_train, parts.y_train)
                epochs = [evaluate(parts.y_test, stage.decision_function(X_test)) for stage in stages]
                figures, found["oracle_epoch"] = epochs[-1], best_epoch(epochs, cell.oracle_metric)
        return Record(cell, "ok", figures=figures, **found)
    except detectors.Unsuitable as error:
        return Record(cell, "skipped", str(error), **found)
    except Exception as error:  # whatever a detector raises is its result, recorded as such
        return Record(cell, "failed", f"{type(error).__name__}: {error}", **found)


def best_epoch(epochs: Sequence[dict], metric: str) -> dict:
    """Find the best epoch by the test labels, as an oracle would: what figures of the best epoch are to be held beside.

    Parameters
    ----------
    epochs : sequence of dict
        Figures after each epoch, as :func:`benchmarks.running.metrics.evaluate` gives them.
    metric : str
        One of them.

    Returns
    -------
    dict
        ``epoch``, counted from 1, the first of several equally good ones; ``auroc``, ``auprc`` and ``f1`` after it.
    """
    best = max(range(len(epochs)), key=lambda epoch: epochs[epoch][metric])
    return {"epoch": best + 1} | epochs[best]


@lru_cache(maxsize=1)
def _load(name, folder):
    """Keep the last data set: a worker's cells come data set by data set."""
    return data.load(name, folder)


@contextmanager
def isolated(seed: int) -> Iterator[None]:
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
