"""Walks the grid of an experiment, leaves out what is done, runs in parallel."""

import json
from itertools import accumulate, product

from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from benchmarks import datasets, detectors, protocols
from benchmarks.cell import run_cell
from benchmarks.results import key


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
    pending = [cell for cell in cells if not _is_done(cell, known.get(key(cell), {}))]
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


def _is_done(cell, record):
    return record.get("status") == "ok" and ("oracle_metric" not in cell or "oracle_epoch" in record)


def grid(settings, folder=None):
    """List the cells of an experiment, data set by data set.

    Parameters
    ----------
    settings : benchmarks.settings.Settings
    folder : path-like or None, default=None

    Returns
    -------
    list of dict
        With the entries of ``benchmarks.results.KEY``; with ``oracle_epoch``, those of the package's detectors also
        with ``oracle_metric``.

    Raises
    ------
    ValueError
        If the settings name what does not exist.
    """
    places = {name: place for place in settings.datasets for name in datasets.expand([place], folder)}
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
