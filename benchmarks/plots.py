"""Records -> figures."""

import matplotlib
import numpy as np

from benchmarks.tables import complete

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def auroc(records, path):
    """Draw the AUROC of each detector over the data sets, a panel for each protocol.

    Dots are data sets (means over seeds), boxes their quartiles, diamonds the means; detectors are ordered by mean.

    Parameters
    ----------
    records : list of dict
    path : path-like
        Of the picture; its suffix sets the format.
    """
    frame = complete(records)
    protocols = list(frame["protocol"].unique())
    figure, axes = plt.subplots(
        1,
        max(1, len(protocols)),
        figsize=(5.2 * max(1, len(protocols)), 4),
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, protocol in zip(axes[0], protocols, strict=False):
        part = frame[frame["protocol"] == protocol]
        values = part.groupby(["dataset", "detector"])["auroc"].mean().unstack("detector")
        values = values[values.mean().sort_values().index]
        positions = np.arange(1, values.shape[1] + 1)
        axis.boxplot(
            values.to_numpy(),
            orientation="horizontal",
            tick_labels=values.columns,
            widths=0.6,
            showfliers=False,
            medianprops={"color": "black"},
        )
        jitter = np.random.default_rng(0).uniform(-0.18, 0.18, values.shape)
        axis.scatter(values.to_numpy(), positions + jitter, s=12, alpha=0.45, color="tab:blue", linewidths=0)
        axis.scatter(values.mean(), positions, marker="D", s=32, color="tab:red", zorder=3)
        for position, mean in zip(positions, values.mean(), strict=True):
            axis.annotate(f"{mean:.3f}", (1.01, position), xycoords=("axes fraction", "data"), va="center", fontsize=8)
        axis.axvline(0.5, color="grey", linewidth=0.8, linestyle=":")
        axis.set(title=f"{protocol} ({len(values)} data sets)", xlabel="AUROC")
    figure.savefig(path, dpi=150)
    plt.close(figure)
