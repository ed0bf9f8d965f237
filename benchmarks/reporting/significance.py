"""Records -> which differences are more than chance."""

import numpy as np
import pandas as pd
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy import stats

ALPHA = 0.05
# Fewer say nothing: Friedman's statistic follows its distribution only with several of both.
_LEAST_DETECTORS, _LEAST_DATASETS = 3, 5


def enough(ranks: pd.DataFrame) -> bool:
    """Say whether there are detectors and data sets enough for :func:`friedman` and :func:`nemenyi`.

    Parameters
    ----------
    ranks : pandas.DataFrame
        A row for each data set, a column for each detector; see :func:`benchmarks.reporting.tables.ranks`.

    Returns
    -------
    bool
    """
    return ranks.shape[0] >= _LEAST_DATASETS and ranks.shape[1] >= _LEAST_DETECTORS


def friedman(ranks: pd.DataFrame) -> float:
    """Test whether any detector differs from the others, by its ranks over the data sets.

    Parameters
    ----------
    ranks : pandas.DataFrame

    Returns
    -------
    float
        p-value; 1 if all ranks are equal.
    """
    if (ranks.nunique(axis=1) == 1).all():
        return 1.0
    return float(stats.friedmanchisquare(*ranks.to_numpy().T).pvalue)


def nemenyi(ranks: pd.DataFrame) -> pd.DataFrame:
    """Compare all detectors with one another by their mean ranks.

    Parameters
    ----------
    ranks : pandas.DataFrame

    Returns
    -------
    pandas.DataFrame
        p-values, rows and columns for the detectors. All are 1 if Friedman's test does not reject: nothing is compared
        then.

    References
    ----------
    J. Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006, section 3.2.2.
    """
    if friedman(ranks) >= ALPHA:
        return pd.DataFrame(1.0, index=ranks.columns, columns=ranks.columns)
    p_values = posthoc_nemenyi_friedman(ranks.to_numpy())
    return p_values.set_axis(ranks.columns, axis=0).set_axis(ranks.columns, axis=1)


def critical_difference(ranks: pd.DataFrame) -> float:
    """Return how far mean ranks must be apart, in Nemenyi's test.

    Parameters
    ----------
    ranks : pandas.DataFrame

    Returns
    -------
    float
    """
    n_datasets, n_detectors = ranks.shape
    quantile = stats.studentized_range.ppf(1 - ALPHA, n_detectors, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(n_detectors * (n_detectors + 1) / (6 * n_datasets)))


def t_tests(frame: pd.DataFrame, detector: str, metric: str) -> dict[str, pd.DataFrame]:
    """Compare one detector with each other one on each data set: Student's t-test over seeds, two-sided.

    Parameters
    ----------
    frame : pandas.DataFrame
        See :func:`benchmarks.reporting.frame.to_frame`.
    detector : str
        Its label.
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    dict of str to pandas.DataFrame
        For each protocol that has any, columns ``dataset``, ``rival``, ``p`` and ``better``, whether the mean of
        ``detector`` is the higher one. Pairs of less than two successful seeds on either side, or without any deviation
        over seeds on both, are not there.
    """
    tables = {}
    for protocol, runs in frame[frame["status"] == "ok"].groupby("protocol", sort=False):
        own = {dataset: part[metric] for dataset, part in runs[runs["detector"] == detector].groupby("dataset")}
        rows = []
        for (dataset, rival), part in runs[runs["detector"] != detector].groupby(["dataset", "detector"], sort=False):
            values, others = own.get(dataset, part[metric].head(0)), part[metric]
            if min(len(values), len(others)) >= 2 and max(np.ptp(values), np.ptp(others)) > 0:
                moments = [moment for one in (values, others) for moment in (one.mean(), one.std(), len(one))]
                p_value = stats.ttest_ind_from_stats(*moments).pvalue
                rows.append((dataset, rival, p_value, values.mean() > others.mean()))
        if rows:
            tables[protocol] = pd.DataFrame(rows, columns=["dataset", "rival", "p", "better"])
    return tables
