"""Experiment -> its cells."""

from itertools import product
from pathlib import Path

from benchmarks import data, detectors, protocols
from benchmarks.data import files
from benchmarks.experiments import Experiment
from benchmarks.running import extensions
from benchmarks.running.records import Cell


def grid(experiment: Experiment, folder: str | Path | None = None) -> list[Cell]:
    """List the cells of an experiment, data set by data set.

    Parameters
    ----------
    experiment : Experiment
        With ``oracle_epoch``, cells of the package's detectors that have epochs have an ``oracle_metric``.
    folder : path-like or None, default=None
        Where data that is not bundled lies.

    Returns
    -------
    list of Cell

    Raises
    ------
    ValueError
        If the experiment names what does not exist, or a file of a user's own that cannot be used.
    """
    for extension in experiment.extensions:
        extensions.load(extension)
    names = data.expand(experiment.datasets, folder)
    for name in names:
        if files.find_path(name):
            data.load(name, folder)  # once here, where a mistake in it is said before cells fail of it
    for name in experiment.special:
        if name in experiment.datasets and name not in names:
            raise ValueError(f"special is by full names of data sets, got {name!r}")
    for protocol in experiment.protocols:
        protocols.named(protocol)
    staged = {name for name, kind in detectors.ours().items() if hasattr(kind, "staged_fit")}
    settled = {name: [experiment.settle(detector, name) for detector in experiment.detectors] for name in names}
    for detector in {detector for several in settled.values() for detector in several}:
        detectors.check(detector)
    return [
        Cell(
            name,
            protocol,
            detector,
            seed,
            experiment.max_rows,
            experiment.extensions,
            experiment.metric if experiment.oracle_epoch and detector.name in staged else None,
        )
        for name in names
        for protocol, seed, detector in product(experiment.protocols, experiment.seeds, settled[name])
    ]
