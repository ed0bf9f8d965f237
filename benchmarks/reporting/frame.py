"""Records -> one table of numbers."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from benchmarks.detectors import DetectorSpec
from benchmarks.experiments import Experiment
from benchmarks.running.metrics import METRICS
from benchmarks.running.records import Record

COLUMNS = [
    *("dataset", "protocol", "detector", "algorithm", "parameters", "seed", "status", "reason", "versions"),
    *METRICS,
    *("fit_seconds", "score_seconds", "oracle_epoch"),
    *(f"oracle_{metric}" for metric in METRICS),
]


def to_frame(records: Iterable[Record], experiment: Experiment | None = None) -> pd.DataFrame:
    """Put records into one table.

    Parameters
    ----------
    records : iterable of Record
    experiment : Experiment or None, default=None
        That they are of. It gives the order, and the detectors' labels: what it says of all detectors of a name is left
        out of these.

    Returns
    -------
    pandas.DataFrame
        A row for each data set, protocol, detector and seed, the latest record of it. ``detector`` is a label,
        ``algorithm`` the name and ``parameters`` the parameters that the label stands for; figures, those of the
        oracle's epoch and seconds are float, NaN where there are none.
    """
    rows, labels = {}, {}
    for record in records:
        cell = record.cell
        if cell.dataset not in labels:
            labels[cell.dataset] = _listed(experiment, cell.dataset)
        detector = labels[cell.dataset].get(cell.detector) or _without_shared(cell.detector, experiment, cell.dataset)
        row = {
            "dataset": cell.dataset,
            "protocol": cell.protocol,
            "detector": detector.label,
            "algorithm": detector.name,
            "parameters": detector.parameters,
            "seed": cell.seed,
            "status": record.status,
            "reason": record.reason,
            "versions": record.versions,
            "fit_seconds": record.fit_seconds,
            "score_seconds": record.score_seconds,
        }
        oracle = record.oracle_epoch or {}
        row |= record.figures | {f"oracle_{name.removeprefix('oracle_')}": value for name, value in oracle.items()}
        rows[cell.dataset, cell.protocol, detector.label, cell.seed] = row
    ordered = sorted(rows.values(), key=_place(experiment))
    numbers = COLUMNS[COLUMNS.index("versions") + 1 :]
    return pd.DataFrame(ordered, columns=COLUMNS).astype(dict.fromkeys(numbers, np.float64))


def group(dataset: str) -> str:
    """Name the group of a data set that is one of several, by number or as ADBench names them; others are alone.

    Examples
    --------
    >>> group("fashion-mnist-3"), group("MVTec-AD_bottle"), group("6_cardio")
    ('fashion-mnist', 'MVTec-AD', '6_cardio')
    """
    member = re.fullmatch(r"(.+)-\d+|(?!\d+_)([^_]+)_.+", dataset)
    return member[1] or member[2] if member else dataset


def _listed(experiment, dataset):
    """Detectors as the experiment lists them, by what is run of them on a data set."""
    listed = [] if experiment is None else experiment.detectors
    return {experiment.settle(detector, dataset): detector for detector in listed}


def _without_shared(detector, experiment, dataset):
    """Take off the parameters that the experiment gives to every detector of the name."""
    shared = {} if experiment is None else experiment.shared(detector.name, dataset)
    rest = {name: value for name, value in detector.parameters.items() if name not in shared or shared[name] != value}
    return DetectorSpec(detector.name, rest)


def _place(experiment):
    """Make the key that sorts rows as the experiment does; what it does not name by name, numbers as numbers."""
    orders = {"protocol": [], "dataset": [], "detector": []}
    if experiment is not None:
        labels = [detector.label for detector in experiment.detectors]
        orders = {"protocol": experiment.protocols, "dataset": experiment.datasets, "detector": labels}

    def place(name, names):
        natural = [(part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name)]
        return names.index(name) if name in names else len(names), natural

    return lambda row: (*(place(row[entry], names) for entry, names in orders.items()), row["seed"])
