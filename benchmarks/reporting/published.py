"""Frame and published figures -> both side by side, as numbers."""

import pandas as pd

from benchmarks.experiments import Experiment
from benchmarks.reporting.frame import group
from benchmarks.reporting.tables import mean_and_std, outcome


def beside(frame: pd.DataFrame, experiment: Experiment) -> dict[str, pd.DataFrame]:
    """Put each measured figure beside the published one.

    Parameters
    ----------
    frame : pandas.DataFrame
        See :func:`benchmarks.reporting.frame.to_frame`.
    experiment : Experiment
        With ``published``.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each protocol that was published a row for each data set and detector that were also run, in the order of
        the published figures. Columns ``dataset`` and ``detector``; ``members``, what was published of a group stands
        beside the mean over those of its data sets where every seed succeeded, and these are so many, NaN for one data
        set; those of :func:`benchmarks.reporting.tables.outcome`; ``published`` and ``published_std``; ``difference``;
        ``oracle`` and ``oracle_std``, NaN where records do not hold the best epoch.
    """
    tables: dict[str, list[dict]] = {}
    for protocol, dataset, detector, *match in _matches(frame, experiment.published):
        tables.setdefault(protocol, []).append(_row(dataset, detector, *match, experiment.metric))
    return {protocol: pd.DataFrame(rows) for protocol, rows in tables.items()}


def whole(frame: pd.DataFrame, experiment: Experiment) -> dict[str, pd.DataFrame]:
    """Set out the published figures of protocols where methods are among them that were not run.

    Parameters
    ----------
    frame : pandas.DataFrame
    experiment : Experiment
        With ``published``.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each such protocol its rows of ``experiment.published``.
    """
    run = {figure.Index for *_, figure in _matches(frame, experiment.published)}
    parts = experiment.published.groupby("protocol", sort=False)
    return {protocol: part for protocol, part in parts if set(part.index) - run}


def _matches(frame, published):
    """Yield each protocol, data set and detector with its rows, how many seeds there are, and what was published."""
    for protocol, figures in published.groupby("protocol", sort=False):
        runs = frame[frame["protocol"] == protocol]
        for dataset in figures["dataset"].unique():
            own = runs[runs["dataset"] == dataset]
            own = own if len(own) else runs[runs["dataset"].map(group) == dataset]
            for (detector, algorithm), part in own.groupby(["detector", "algorithm"], sort=False):
                # of this detector with just these parameters, or else of its method
                for name in (detector, algorithm):
                    found = figures[(figures["dataset"] == dataset) & (figures["detector"] == name)]
                    if len(found):
                        yield protocol, dataset, detector, part, runs["seed"].nunique(), next(found.itertuples())
                        break


def _row(dataset, detector, runs, seeds, figure, metric):
    members = float("nan")
    if (runs["dataset"] != dataset).any():
        whole = runs[(runs["status"] == "ok").groupby(runs["dataset"]).transform("sum") == seeds]
        members = whole["dataset"].nunique()
        runs = whole if len(whole) else runs[runs["status"] != "ok"]
    successes = runs[runs["status"] == "ok"]
    found = outcome(runs, metric, seeds)
    row = {"dataset": dataset, "members": members, "detector": detector} | found
    row |= {"published": figure.mean, "published_std": getattr(figure, "std", float("nan"))}
    row["difference"] = found["mean"] - figure.mean
    known = len(successes) and successes[f"oracle_{metric}"].notna().all()
    row["oracle"], row["oracle_std"] = mean_and_std(successes, f"oracle_{metric}") if known else (float("nan"),) * 2
    return row
