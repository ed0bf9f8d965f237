"""Records -> mean +- std, mean ranks."""

import re

import pandas as pd

METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "f1": "F1"}
_SECONDS = {"fit_seconds": "fit [s]", "score_seconds": "score [s]"}


def complete(records):
    """Keep the data sets on which every detector succeeded with every seed, so that all are averaged over the same.

    Every detector and every seed are those that occur in the records of the protocol, without the detectors that were
    skipped there, be it on one data set.

    Parameters
    ----------
    records : list of dict

    Returns
    -------
    pandas.DataFrame
        The successful records of those data sets, for each protocol by itself.
    """
    frame = _compared(records)
    return frame[_whole(frame)]


def left_out(records):
    """List the data sets that :func:`complete` leaves out.

    Parameters
    ----------
    records : list of dict

    Returns
    -------
    pandas.DataFrame
        Columns ``protocol``, ``dataset`` and ``reason``: who failed there, or how many of the runs there are.
    """
    frame = _compared(records)
    frame["runs"] = _runs(frame)
    rows = []
    for (protocol, dataset), part in frame[~_whole(frame)].groupby(["protocol", "dataset"], sort=False):
        failed = part.loc[part["status"] == "failed", "detector"].unique()
        missing = f"only {len(part)} of {part['runs'].iloc[0]} runs"
        rows.append((protocol, dataset, f"{', '.join(failed)} failed" if len(failed) else missing))
    return pd.DataFrame(rows, columns=["protocol", "dataset", "reason"])


def reasons(records, status):
    """List why there are no results.

    Parameters
    ----------
    records : list of dict
    status : str
        "failed" or "skipped".

    Returns
    -------
    pandas.DataFrame
        Columns ``protocol``, ``detector``, ``data sets``, ``seeds`` and ``reason``, a row for each reason that a
        detector had in a protocol.
    """
    frame = pd.DataFrame(records)
    rows = []
    for (protocol, detector, reason), part in frame[frame["status"] == status].groupby(
        ["protocol", "detector", "reason"], sort=False
    ):
        datasets, seeds = part["dataset"].unique(), sorted(part["seed"].unique())
        everywhere = len(datasets) == frame.loc[frame["protocol"] == protocol, "dataset"].nunique()
        where = "all" if everywhere else ", ".join(datasets)
        rows.append((protocol, detector, where, ", ".join(map(str, seeds)), reason))
    return pd.DataFrame(rows, columns=["protocol", "detector", "data sets", "seeds", "reason"])


def _compared(records):
    """All records but those of detectors that were skipped somewhere in a protocol."""
    frame = pd.DataFrame(records)
    for column in (*METRICS, *_SECONDS):
        if column not in frame:
            frame[column] = float("nan")
    skips = (frame["status"] == "skipped").groupby([frame["protocol"], frame["detector"]]).transform("any")
    return frame[~skips].copy()


def _runs(frame):
    """How many runs a data set has in the protocol of each row."""
    protocols = frame.groupby("protocol")
    return protocols["detector"].transform("nunique") * protocols["seed"].transform("nunique")


def _whole(frame):
    """Mark the rows of data sets with all the runs of their protocol, each a success."""
    successes = (frame["status"] == "ok").groupby([frame["protocol"], frame["dataset"]]).transform("sum")
    return successes == _runs(frame)


def means(records, metric):
    """Average a metric over seeds.

    Parameters
    ----------
    records : list of dict
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each protocol with complete data sets a row for each of these and a column for each detector.
    """
    return {
        protocol: frame.groupby(["dataset", "detector"])[metric].mean().unstack("detector")
        for protocol, frame in complete(records).groupby("protocol", sort=False)
    }


def ranks(records, metric):
    """Rank the detectors within each data set.

    Parameters
    ----------
    records : list of dict
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    dict of str to pandas.DataFrame
        As :func:`means`. 1 is best, ties share.
    """
    return {protocol: table.rank(axis=1, ascending=False) for protocol, table in means(records, metric).items()}


def summary(records, metric="auroc"):
    """Average over data sets.

    Parameters
    ----------
    records : list of dict
    metric : str, default="auroc"
        A key of ``METRICS``: the one by whose rank the rows are sorted.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each protocol a row for each detector. Figures are means over data sets of means over seeds; the std is that
        of the mean over data sets, over seeds. Ranks are over detectors within a data set: 1 is best, ties share. Where
        records hold what the best epoch on the test rows would have given, a column says so.
    """
    return {
        protocol: _summarise(frame, metric) for protocol, frame in complete(records).groupby("protocol", sort=False)
    }


def _summarise(frame, metric):
    by_dataset = frame.groupby(["dataset", "detector"])[list(METRICS)].mean()
    ranks = by_dataset.groupby("dataset").rank(ascending=False).groupby("detector").mean()
    parts = dict(list(frame.groupby("detector")))
    table = pd.DataFrame(
        {
            label: {detector: mean_and_std(part, name) for detector, part in parts.items()}
            for name, label in METRICS.items()
        }
    ).rename_axis("detector")
    if "oracle_epoch" in frame and frame["oracle_epoch"].notna().any():
        table[oracle(metric)] = {detector: oracle_mean_and_std(part, metric) for detector, part in parts.items()}
    for name in dict.fromkeys(["auroc", "auprc", metric]):
        table[f"rank {METRICS[name]}"] = ranks[name]
    seconds = frame.groupby("detector")[list(_SECONDS)].mean()
    return table.join(seconds.rename(columns=_SECONDS)).sort_values(f"rank {METRICS[metric]}")


def mean_and_std(frame, metric):
    """Average the successful records of one detector.

    Parameters
    ----------
    frame : pandas.DataFrame
        Records, all of the same seeds for each data set.
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    str
        "mean ± std": the mean over data sets of means over seeds; the std of the mean over data sets, over seeds.
    """
    mean = frame.groupby("dataset")[metric].mean().mean()
    std = frame.groupby("seed")[metric].mean().std(ddof=0)
    return f"{mean:.3f} ± {std:.3f}"


def oracle(metric):
    """Name the column of what the best epoch on the test rows would have given."""
    return f"oracle-epoch {METRICS[metric]}"


def oracle_mean_and_std(frame, metric):
    """Average over records as :func:`mean_and_std` does, at each one's best epoch on the test rows.

    Parameters
    ----------
    frame : pandas.DataFrame
        Records with a column ``oracle_epoch``.
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    str
        Empty if some records do not hold that epoch: not every detector has epochs.
    """
    known = frame["oracle_epoch"].map(lambda epoch: isinstance(epoch, dict))
    if frame.empty or not known.all():
        return ""
    return mean_and_std(frame.assign(**{metric: frame["oracle_epoch"].map(lambda epoch: epoch[metric])}), metric)


def details(records, metric):
    """Tabulate one metric for each data set.

    Parameters
    ----------
    records : list of dict
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each protocol a row for each data set and a column for each detector, as :func:`outcome` says it; empty
        where nothing was run.
    """
    tables = {}
    for protocol, part in pd.DataFrame(records).groupby("protocol", sort=False):
        seeds = part["seed"].nunique()
        texts = {cell: outcome(runs, metric, seeds) for cell, runs in part.groupby(["dataset", "detector"], sort=False)}
        tables[protocol] = pd.Series(texts).unstack(sort=False).fillna("").rename_axis("dataset")
    return tables


def outcome(runs, metric, seeds):
    """Say what one detector reached on one data set.

    Parameters
    ----------
    runs : pandas.DataFrame
        Its records there.
    metric : str
        A key of ``METRICS``.
    seeds : int
        How many runs there should be.

    Returns
    -------
    str
        "mean ± std" over the seeds that succeeded, and how many these are if they are not all; or "failed", "skipped",
        or "incomplete" of no records.
    """
    successes = runs[runs["status"] == "ok"]
    if len(successes) == 0:
        statuses = set(runs["status"])
        return next((status for status in ("failed", "skipped") if status in statuses), "incomplete")
    text = mean_and_std(successes, metric)
    return text if len(successes) == seeds else f"{text} ({len(successes)} of {seeds} seeds)"


def group(dataset):
    """Name the group of a data set that is one of several with numbers; others are alone.

    Parameters
    ----------
    dataset : str

    Returns
    -------
    str

    Examples
    --------
    >>> group("fashion-mnist-3")
    'fashion-mnist'
    """
    return re.sub(r"-\d+$", "", dataset)
