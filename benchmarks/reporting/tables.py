"""Frame -> means, deviations and ranks, as numbers."""

import numpy as np
import pandas as pd

from benchmarks.running.metrics import METRICS

_SECONDS = ["fit_seconds", "score_seconds"]


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the data sets on which every detector succeeded with every seed, so that all are averaged over the same.

    Every detector and every seed are those that occur in the protocol, without the detectors that were skipped there,
    be it on one data set.

    Parameters
    ----------
    frame : pandas.DataFrame
        See :func:`benchmarks.reporting.frame.to_frame`; so everywhere here.

    Returns
    -------
    pandas.DataFrame
        The rows of those data sets, for each protocol by itself.
    """
    compared = _compared(frame)
    return compared[_whole(compared)]


def left_out(frame: pd.DataFrame) -> pd.DataFrame:
    """List the data sets that :func:`complete` leaves out.

    Returns
    -------
    pandas.DataFrame
        Columns ``protocol``, ``dataset`` and ``reason``: who failed there, or how many of the runs there are.
    """
    compared = _compared(frame)
    expected = _runs(compared)
    rows = []
    for (protocol, dataset), part in compared[~_whole(compared)].groupby(["protocol", "dataset"], sort=False):
        failed = part.loc[part["status"] == "failed", "detector"].unique()
        missing = f"only {len(part)} of {expected[part.index[0]]} runs"
        rows.append((protocol, dataset, f"{', '.join(failed)} failed" if len(failed) else missing))
    return pd.DataFrame(rows, columns=["protocol", "dataset", "reason"])


def reasons(frame: pd.DataFrame, status: str) -> pd.DataFrame:
    """List why there are no results.

    Parameters
    ----------
    frame : pandas.DataFrame
    status : str
        "failed" or "skipped".

    Returns
    -------
    pandas.DataFrame
        Columns ``protocol``, ``detector``, ``data sets``, ``seeds`` and ``reason``, a row for each reason that a
        detector had in a protocol.
    """
    rows = []
    for (protocol, detector, reason), part in frame[frame["status"] == status].groupby(
        ["protocol", "detector", "reason"], sort=False
    ):
        datasets, seeds = part["dataset"].unique(), sorted(part["seed"].unique())
        everywhere = len(datasets) == frame.loc[frame["protocol"] == protocol, "dataset"].nunique()
        where = "all" if everywhere else ", ".join(datasets)
        rows.append((protocol, detector, where, ", ".join(map(str, seeds)), reason))
    return pd.DataFrame(rows, columns=["protocol", "detector", "data sets", "seeds", "reason"])


def _compared(frame):
    """All rows but those of detectors that were skipped somewhere in a protocol."""
    skips = (frame["status"] == "skipped").groupby([frame["protocol"], frame["detector"]]).transform("any")
    return frame[~skips.astype(bool)]


def _runs(frame):
    """How many runs a data set has in the protocol of each row."""
    protocols = frame.groupby("protocol")
    return protocols["detector"].transform("nunique") * protocols["seed"].transform("nunique")


def _whole(frame):
    """Mark the rows of data sets with all the runs of their protocol, each a success."""
    successes = (frame["status"] == "ok").groupby([frame["protocol"], frame["dataset"]]).transform("sum")
    return successes == _runs(frame)


def means(frame: pd.DataFrame, metric: str) -> dict[str, pd.DataFrame]:
    """Average a metric over seeds.

    Parameters
    ----------
    frame : pandas.DataFrame
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each protocol with complete data sets a row for each of these and a column for each detector.
    """
    return {
        protocol: part.groupby(["dataset", "detector"])[metric].mean().unstack("detector")
        for protocol, part in complete(frame).groupby("protocol", sort=False)
    }


def ranks(frame: pd.DataFrame, metric: str) -> dict[str, pd.DataFrame]:
    """Rank the detectors within each data set.

    Returns
    -------
    dict of str to pandas.DataFrame
        As :func:`means`. 1 is best, ties share.
    """
    return {protocol: table.rank(axis=1, ascending=False) for protocol, table in means(frame, metric).items()}


def summary(frame: pd.DataFrame, metric: str = "auroc") -> dict[str, pd.DataFrame]:
    """Average over data sets.

    Parameters
    ----------
    frame : pandas.DataFrame
    metric : str, default="auroc"
        A key of ``METRICS``: the one by whose rank the rows are sorted.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each protocol a row for each detector. Columns ``auroc``, ``auprc`` and ``f1`` are means over data sets of
        means over seeds; ``auroc_std`` and so on the deviation over seeds of the mean over data sets, NaN for one seed;
        ``oracle_auroc`` and ``oracle_auroc_std`` (of ``metric``) what the best epoch on the test rows would have given,
        NaN for a detector without; ``rank_auroc`` and so on mean ranks within a data set: 1 is best, ties share; then
        ``fit_seconds`` and ``score_seconds``.
    """
    return {protocol: _summarise(part, metric) for protocol, part in complete(frame).groupby("protocol", sort=False)}


def _summarise(frame, metric):
    figures = [*METRICS, f"oracle_{metric}"]
    # a detector has all its epochs or none: the mean over fewer runs would be of something else
    known = frame[figures].notna().groupby(frame["detector"]).all()
    by_dataset = frame.groupby(["dataset", "detector"])[figures].mean()
    mean = by_dataset.groupby("detector").mean().where(known)
    by_seed = frame.groupby(["seed", "detector"])[figures].mean().groupby("detector")
    std = by_seed.std(ddof=0).where(known & (by_seed.count() > 1))
    ranked = by_dataset.groupby("dataset").rank(ascending=False).groupby("detector").mean()
    chosen = list(dict.fromkeys(["auroc", "auprc", metric]))
    table = mean.join(std.add_suffix("_std"))[[name for figure in figures for name in (figure, f"{figure}_std")]]
    table = table.join(ranked[chosen].add_prefix("rank_")).join(frame.groupby("detector")[_SECONDS].mean())
    return table.sort_values(f"rank_{metric}", kind="stable")


def mean_and_std(frame: pd.DataFrame, metric: str) -> tuple[float, float]:
    """Average the rows of one detector, all of the same seeds for each data set.

    Returns
    -------
    mean : float
        Over data sets, of means over seeds.
    std : float
        Of the mean over data sets, over seeds; NaN if there is but one.
    """
    mean, by_seed = frame.groupby("dataset")[metric].mean().mean(), frame.groupby("seed")[metric].mean()
    return float(mean), float(by_seed.std(ddof=0)) if len(by_seed) > 1 else float("nan")


def outcomes(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Say what each detector reached on each data set.

    Parameters
    ----------
    frame : pandas.DataFrame
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    pandas.DataFrame
        Columns ``protocol``, ``dataset`` and ``detector``, and those of :func:`outcome`, in the order of the frame.
    """
    seeds = frame.groupby("protocol")["seed"].nunique()
    rows = [
        {"protocol": protocol, "dataset": dataset, "detector": detector} | outcome(part, metric, seeds[protocol])
        for (protocol, dataset, detector), part in frame.groupby(["protocol", "dataset", "detector"], sort=False)
    ]
    columns = ["protocol", "dataset", "detector", "mean", "std", "done", "seeds", "status"]
    return pd.DataFrame(rows, columns=columns)


def outcome(runs: pd.DataFrame, metric: str, seeds: int) -> dict:
    """Say what one detector reached.

    Parameters
    ----------
    runs : pandas.DataFrame
        Its rows, of one data set or of several with the same seeds.
    metric : str
        A key of ``METRICS``.
    seeds : int
        How many there should be.

    Returns
    -------
    dict
        ``mean`` and ``std`` over the seeds that succeeded (see :func:`mean_and_std`; NaN if none did), ``done``, how
        many these are, ``seeds``, and ``status``: "ok" if any succeeded, or else "failed", "skipped" or "incomplete".
    """
    successes = runs[runs["status"] == "ok"]
    found = [status for status in ("ok", "failed", "skipped") if (runs["status"] == status).any()]
    mean, std = mean_and_std(successes, metric) if len(successes) else (np.nan, np.nan)
    status = next(iter(found), "incomplete")
    return {"mean": mean, "std": std, "done": successes["seed"].nunique(), "seeds": int(seeds), "status": status}
