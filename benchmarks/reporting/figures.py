"""Tables of numbers -> figures."""

from collections.abc import Collection
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from scikit_posthocs import critical_difference_diagram

from benchmarks.reporting import significance
from benchmarks.reporting.sweeps import Sweep

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

_OURS, _OTHERS = "tab:orange", "tab:blue"
_COLUMNS = 2  # of panels
_MOST_NAMED = 12  # data sets in a legend
_LEAST_DISTANCE = 0.03  # of two values, as a share of an axis
_DASHES, _MARKERS = ("-", "--", "-.", ":"), "osD^v"


def boxes(
    tables: dict[str, pd.DataFrame],
    label: str,
    path: str | Path,
    ours: Collection[str] = (),
    low_is_best: bool = False,
):
    """Draw the figures of each detector over the data sets, a panel for each protocol.

    Dots are data sets, boxes their quartiles, diamonds the means, which are also written.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        For each protocol a row for each data set and a column for each detector, the first of which is on top.
    label : str
        What the figures are.
    path : path-like
        Of the picture; its suffix sets the format.
    ours : collection of str, default=()
        Detectors that are orange, not blue.
    low_is_best : bool, default=False
    """
    figure, axes = _panels([0.3 * table.shape[1] + 1.2 for table in tables.values()], sharex=not low_is_best)
    for axis, (protocol, values) in zip(axes, tables.items(), strict=True):
        values = values[values.columns[::-1]]
        positions = np.arange(1, values.shape[1] + 1)
        artists = axis.boxplot(
            values.to_numpy(),
            orientation="horizontal",
            tick_labels=values.columns,
            widths=0.6,
            showfliers=False,
            patch_artist=True,
            medianprops={"color": "black"},
        )
        jitter = np.random.default_rng(0).uniform(-0.18, 0.18, values.shape)
        for column, (detector, box) in enumerate(zip(values.columns, artists["boxes"], strict=True)):
            box.set(facecolor=_colour(detector, ours), alpha=0.25)
            heights = positions[column] + jitter[:, column]
            axis.scatter(values[detector], heights, s=11, alpha=0.5, color=_colour(detector, ours), linewidths=0)
        axis.scatter(values.mean(), positions, marker="D", s=28, color="black", zorder=3)
        for position, mean in zip(positions, values.mean(), strict=True):
            text = f"{mean:.2f}" if low_is_best else f"{mean:.3f}"
            axis.annotate(text, (1.01, position), xycoords=("axes fraction", "data"), va="center", fontsize=8)
        axis.set(title=f"{protocol} ({_count(len(values), 'data set')})", xlabel=label)
        axis.tick_params(labelbottom=True)
        axis.grid(axis="x", alpha=0.3)
    kinds = {"pyod_synth": _OURS, "others": _OTHERS} if ours else {}
    keys = [Patch(facecolor=colour, alpha=0.25, edgecolor="black", label=kind) for kind, colour in kinds.items()]
    keys += [
        Line2D([], [], marker="D", color="black", linestyle="", markersize=5, label="mean"),
        Line2D([], [], marker="o", color="grey", linestyle="", markersize=3, label="data set"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), fontsize=8)
    _save(figure, path)


def critical_differences(ranks: dict[str, pd.DataFrame], path: str | Path, ours: Collection[str] = ()):
    """Draw mean ranks, and bars that join what Nemenyi's test finds no difference between, a panel for each protocol.

    Parameters
    ----------
    ranks : dict of str to pandas.DataFrame
        For each protocol a row for each data set and a column for each detector.
    path : path-like
        Of the picture; its suffix sets the format.
    ours : collection of str, default=()
        Detectors that are orange, not blue.

    References
    ----------
    J. Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7, 2006, figure 1.
    """
    heights = [0.26 * (table.shape[1] / 2 + 6) for table in ranks.values()]
    figure, axes = plt.subplots(
        len(ranks), 1, figsize=(8, sum(heights)), height_ratios=heights, squeeze=False, layout="constrained"
    )
    for axis, (protocol, table) in zip(axes[:, 0], ranks.items(), strict=True):
        mean, difference = table.mean(), significance.critical_difference(table)
        drawn = critical_difference_diagram(
            mean,
            significance.nemenyi(table),
            ax=axis,
            label_fmt_left="{label}  {rank:.2f} ",
            label_fmt_right=" {rank:.2f}  {label}",
            label_props={"fontsize": 9},
            text_h_margin=0.03 * np.ptp(mean),
            color_palette={detector: _colour(detector, ours) for detector in table.columns},
        )
        for (bar,) in drawn["crossbars"]:
            # its points come from a set: the same picture in every process needs them sorted
            bar.set_xdata(sorted(bar.get_xdata()))
        axis.errorbar(mean.min() + difference / 2, 1.8, xerr=difference / 2, color="black", capsize=4)
        axis.text(mean.min() + difference / 2, 2.1, f"CD = {difference:.2f}", ha="center", fontsize=9)
        axis.set_ylim(top=3.5)
        axis.set_title(f"{protocol} ({_count(len(table), 'data set')})")
    _save(figure, path)


def curves(sweep: Sweep, label: str, path: str | Path):
    """Draw a metric against the values of a parameter or of a protocol.

    Thick lines are means over data sets, bands their std over seeds; with one detector a thin line is a data set.

    Parameters
    ----------
    sweep : benchmarks.reporting.sweeps.Sweep
    label : str
        What the metric is.
    path : path-like
        Of the picture; its suffix sets the format.
    """
    figure, axes = _panels([4.2] * len(sweep.panels))
    for axis, (title, panel) in zip(axes, sweep.panels.items(), strict=True):
        if panel.datasets is not None:
            few = panel.datasets.shape[1] <= _MOST_NAMED
            axis.plot(panel.datasets, linewidth=0.9, alpha=0.6, label=panel.datasets.columns if few else None)
        colours = plt.colormaps["tab10" if panel.mean.shape[1] <= 10 else "tab20"].colors
        for column, (detector, mean) in enumerate(panel.mean.items()):
            colour = "black" if panel.datasets is not None else colours[column % len(colours)]
            # dashes and markers that get smaller show each of several lines that coincide
            line = {"linestyle": _DASHES[column % len(_DASHES)], "marker": _MARKERS[column % len(_MARKERS)]}
            line |= {"linewidth": 2.2, "markersize": max(4, 9 - column), "color": colour}
            axis.plot(mean, **line, label="mean" if colour == "black" else detector)
            std = panel.std[detector]
            axis.fill_between(mean.index, mean - std, mean + std, color=colour, alpha=0.15, linewidth=0)
        _scale(axis, panel.mean.index.to_numpy(dtype=float))
        axis.set(title=title, xlabel=sweep.values, ylabel=label)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))
    figure.suptitle(sweep.title)
    _save(figure, path)


def _scale(axis, values):
    """Choose a logarithmic axis where labels would touch on a linear one; zero is on it, too."""
    values = np.sort(values)
    if len(values) > 1 and values[0] >= 0 and np.diff(values).min() < _LEAST_DISTANCE * np.ptp(values):
        least = values[values > 0].min()
        axis.set_xscale("symlog", linthresh=least) if values[0] == 0 else axis.set_xscale("log")
    axis.set_xticks(values, [f"{value:g}" for value in values], rotation=45)
    axis.minorticks_off()


def _panels(heights, **shared):
    """Make a figure with a panel of at least each height, in inches."""
    columns = min(len(heights), _COLUMNS)
    rows = [max(heights[start : start + columns]) for start in range(0, len(heights), columns)]
    size = (5.6 * columns, sum(rows))
    layout = {"height_ratios": rows, "squeeze": False, "layout": "constrained"}
    figure, axes = plt.subplots(len(rows), columns, figsize=size, **layout, **shared)
    for axis in axes.flat[len(heights) :]:
        axis.remove()
    return figure, axes.flat[: len(heights)]


def _colour(detector, ours):
    return _OURS if detector in ours else _OTHERS


def _count(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _save(figure, path):
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)
