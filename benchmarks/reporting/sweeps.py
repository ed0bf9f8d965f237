"""Frame -> curves over the values of a detector's parameter, or over the numbers of a protocol."""

import json
import re
from dataclasses import dataclass

import pandas as pd

from benchmarks.detectors import DetectorSpec
from benchmarks.reporting.frame import group
from benchmarks.reporting.tables import complete


@dataclass(frozen=True)
class Panel:
    """Curves over the same data sets.

    Parameters
    ----------
    mean, std : pandas.DataFrame
        A row for each value, a column for each detector: means over data sets of means over seeds, and the std of the
        mean over data sets, over seeds; NaN for one seed.
    datasets : pandas.DataFrame or None
        A row for each value, a column for each data set: means over seeds. None if there are several detectors, or only
        one data set.
    """

    mean: pd.DataFrame
    std: pd.DataFrame
    datasets: pd.DataFrame | None


@dataclass(frozen=True)
class Sweep:
    """Curves of one metric.

    Parameters
    ----------
    title : str
    values : str
        What they are values of: a parameter or a protocol.
    panels : dict of str to Panel
        By their titles.
    """

    title: str
    values: str
    panels: dict

    @property
    def file(self) -> str:
        """Name the file of its figure."""
        return "sweep-" + re.sub(r"[^\w.]+", "-", self.title) + ".png"


def find(frame: pd.DataFrame, metric: str) -> list[Sweep]:
    """Find what was run with several values.

    Parameters
    ----------
    frame : pandas.DataFrame
        See :func:`benchmarks.reporting.frame.to_frame`.
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    list of Sweep
        One for each parameter that has several numbers among the detectors, all else equal, with a panel for each
        protocol and group of data sets; and one for each protocol that has several numbers, with a panel for each
        group. A data set counts where every run over these values succeeded.
    """
    return [*_of_parameters(frame, metric), *_of_protocols(frame, metric)]


def _of_parameters(frame, metric):
    families = {}
    for detector in frame.drop_duplicates("detector").itertuples():
        for parameter, value in detector.parameters.items():
            rest = {other: detector.parameters[other] for other in detector.parameters if other != parameter}
            if _is_number(value):
                family = families.setdefault((parameter, json.dumps([detector.algorithm, rest], sort_keys=True)), {})
                family[detector.detector] = value
    for (parameter, rest), values in families.items():
        if len(set(values.values())) < 2:
            continue
        label = DetectorSpec(*json.loads(rest)).label
        runs = complete(frame[frame["detector"].isin(values)])
        runs = runs.assign(value=runs["detector"].map(values), detector=label)
        panels = {
            f"{protocol}, {title}": _panel(part, metric)
            for protocol, of_protocol in runs.groupby("protocol", sort=False)
            for title, part in _by_group(of_protocol)
        }
        if panels:
            yield Sweep(f"{label}, {parameter}", parameter, panels)


def _of_protocols(frame, metric):
    families = {}
    for protocol in frame["protocol"].unique():
        name, _, number = protocol.partition(":")
        if re.fullmatch(r"[\d.]+", number):
            families.setdefault(name, {})[protocol] = float(number)
    for name, values in families.items():
        if len(values) < 2:
            continue
        runs = frame[frame["protocol"].isin(values)]
        # as one protocol with more seeds, so that all values are of the same detectors on the same data sets
        seeds = list(zip(runs["protocol"], runs["seed"], strict=True))
        runs = complete(runs.assign(value=runs["protocol"].map(values), seed=seeds, protocol=name))
        panels = {title: _panel(part, metric) for title, part in _by_group(runs)}
        if panels:
            yield Sweep(name, name, panels)


def _by_group(frame):
    """Part rows by groups of data sets; those without siblings stay together."""
    sizes = frame.groupby("dataset").size().groupby(group).size()
    groups = frame["dataset"].map(group)
    groups = groups.where(groups.map(sizes) > 1, "")
    for name, part in frame.groupby(groups, sort=False):
        datasets = part["dataset"].unique()
        count = datasets[0] if len(datasets) == 1 else f"{len(datasets)} data sets"
        yield (f"{name}, {count}" if name else count), part


def _panel(frame, metric):
    cells = frame.groupby(["detector", "value", "dataset"])[metric].mean()
    seeds = frame.groupby(["detector", "value", "seed"])[metric].mean().groupby(["detector", "value"])
    mean = cells.groupby(["detector", "value"]).mean().unstack("detector")
    mean = mean[mean.mean().sort_values(ascending=False).index]
    std = seeds.std(ddof=0).where(seeds.count() > 1).unstack("detector")[mean.columns]
    datasets = cells.droplevel("detector").unstack("dataset") if mean.shape[1] == 1 else None
    return Panel(mean, std, None if datasets is None or datasets.shape[1] == 1 else datasets)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
