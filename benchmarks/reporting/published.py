"""Records and published figures -> both side by side."""

import pandas as pd

from benchmarks.detectors import parse
from benchmarks.reporting.tables import group, mean_and_std, oracle, oracle_mean_and_std, outcome


def beside(records, settings):
    """Put each measured figure beside the published one.

    Parameters
    ----------
    records : list of dict
    settings : benchmarks.experiments.Settings
        With ``published``.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each protocol that was published a row for each data set and detector that were also run, in the order of
        the published figures. What was published of a group stands beside the mean over those of its data sets where
        every seed succeeded; the name of the data set says how many these are.
    """
    tables = {}
    for protocol, *match in _matches(records, settings.published):
        tables.setdefault(protocol, []).append(_row(*match, settings.metric))
    return {protocol: pd.DataFrame(rows).fillna("") for protocol, rows in tables.items()}


def whole(records, settings):
    """Set out the published figures as their paper does, where methods are among them that were not run.

    Parameters
    ----------
    records : list of dict
    settings : benchmarks.experiments.Settings
        With ``published``.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each such protocol a row for each method and a column for each data set, "mean ± std" or "mean"; empty where
        nothing was published.
    """
    run = {figure.Index for *_, figure in _matches(records, settings.published)}
    tables = {}
    for protocol, published in settings.published.groupby("protocol", sort=False):
        if set(published.index) - run:
            texts = pd.Series({(row.detector, row.dataset): _text(row) for row in published.itertuples()})
            tables[protocol] = texts.unstack(sort=False).fillna("").rename_axis("method")
    return tables


def _matches(records, published):
    """Yield each protocol, data set and detector with its records, how many seeds there are, and what was published."""
    frame = pd.DataFrame(records)
    for protocol, figures in published.groupby("protocol", sort=False):
        runs = frame[frame["protocol"] == protocol]
        for dataset in figures["dataset"].unique():
            for detector, part in _runs_of(dataset, runs).groupby("detector", sort=False):
                figure = _published(dataset, detector, figures)
                if figure is not None:
                    yield protocol, dataset, detector, part, runs["seed"].nunique(), figure


def _runs_of(dataset, runs):
    """Take the runs on a data set, or on those of a group."""
    own = runs[runs["dataset"] == dataset]
    return own if len(own) else runs[runs["dataset"].map(group) == dataset]


def _published(dataset, detector, published):
    """Find what was published: of this detector with just these parameters, or else of its method."""
    for name in (detector, parse(detector)[0]):
        found = published[(published["dataset"] == dataset) & (published["detector"] == name)]
        if len(found):
            return next(found.itertuples())
    return None


def _row(dataset, detector, runs, seeds, figure, metric):
    if (runs["dataset"] == dataset).all():
        name, measured = dataset, outcome(runs, metric, seeds)
        successes = runs[runs["status"] == "ok"]
    else:
        successes = runs[(runs["status"] == "ok").groupby(runs["dataset"]).transform("sum") == seeds]
        name = f"{dataset}, mean over {successes['dataset'].nunique()}"
        measured = (
            mean_and_std(successes, metric) if len(successes) else outcome(runs[runs["status"] != "ok"], metric, seeds)
        )
    row = {"data set": name, "detector": detector, "measured": measured, "published": _text(figure), "difference": ""}
    if len(successes):
        row["difference"] = f"{successes.groupby('dataset')[metric].mean().mean() - figure.mean:+.3f}"
    if "oracle_epoch" in runs and runs["oracle_epoch"].notna().any():
        row[oracle(metric)] = oracle_mean_and_std(successes, metric)
    return row


def _text(figure):
    std = getattr(figure, "std", float("nan"))
    return f"{figure.mean:.3f}" if pd.isna(std) else f"{figure.mean:.3f} ± {std:.3f}"
