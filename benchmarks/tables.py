"""Records -> mean +- std, mean ranks."""

import pandas as pd

METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "f1": "F1"}


def complete(records):
    """Keep the data sets on which every detector succeeded with every seed, so that all are averaged over the same.

    Parameters
    ----------
    records : list of dict

    Returns
    -------
    pandas.DataFrame
        The successful records of those data sets, for each protocol by itself.
    """
    frame = pd.DataFrame(records)
    whole = frame.groupby(["protocol", "dataset"])["status"].transform(lambda status: (status == "ok").all())
    return frame[whole]


def summary(records):
    """Average over data sets.

    Parameters
    ----------
    records : list of dict

    Returns
    -------
    dict of str to pandas.DataFrame
        For each protocol a row for each detector, best mean AUROC rank first. Figures are means over data sets of means
        over seeds; the std is that of the mean over data sets, over seeds. Ranks are over detectors within a data set:
        1 is best, ties share.
    """
    return {
        protocol: _summarise(frame)
        for protocol, frame in complete(records).groupby("protocol", sort=False)
        if len(frame)
    }


def _summarise(frame):
    by_dataset = frame.groupby(["dataset", "detector"])[list(METRICS)].mean()
    by_seed = frame.groupby(["seed", "detector"])[list(METRICS)].mean()
    mean = by_dataset.groupby("detector").mean()
    std = by_seed.groupby("detector").std(ddof=0)
    ranks = by_dataset.groupby("dataset").rank(ascending=False).groupby("detector").mean()
    seconds = frame.groupby("detector")[["fit_seconds", "score_seconds"]].mean()
    table = pd.DataFrame(
        {
            label: [f"{m:.3f} ± {s:.3f}" for m, s in zip(mean[name], std[name], strict=True)]
            for name, label in METRICS.items()
        },
        index=mean.index,
    )
    table["rank AUROC"] = ranks["auroc"]
    table["rank AUPRC"] = ranks["auprc"]
    table["fit [s]"] = seconds["fit_seconds"]
    table["score [s]"] = seconds["score_seconds"]
    return table.sort_values("rank AUROC")


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
        For each protocol a row for each data set and a column for each detector, "mean ± std" over seeds; "failed"
        where no seed succeeded.
    """
    frame = pd.DataFrame(records)
    if metric not in frame:
        frame[metric] = float("nan")
    tables = {}
    for protocol, part in frame.groupby("protocol", sort=False):
        cells = part.groupby(["dataset", "detector"], sort=False)[metric].agg(
            ["mean", lambda values: values.std(ddof=0)]
        )
        text = [f"{m:.3f} ± {s:.3f}" if m == m else "failed" for m, s in cells.to_numpy()]
        tables[protocol] = pd.Series(text, index=cells.index).unstack("detector", sort=False)
    return tables
