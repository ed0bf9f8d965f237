"""
Windows of a time series
========================

PyOD's :class:`~pyod.models.ts_od.TimeSeriesOD` cuts a series into windows, scores each, and gives each moment the
scores of its windows. Any detector of this package can do the scoring.
"""

import matplotlib.pyplot as plt
import numpy as np
from pyod.models.ts_od import TimeSeriesOD

from pyod_synth import GatedKNN

rng = np.random.default_rng(0)
moments = np.arange(1500)
series = np.sin(moments / 8) + 0.1 * rng.normal(size=1500)
series[1000:1030] = np.sin(moments[1000:1030] / 2.5)  # another frequency, at ordinary heights

clf = TimeSeriesOD(GatedKNN(), window_size=30, contamination=0.03).fit(series[:, None])
scores = clf.decision_scores_

figure, (above, below) = plt.subplots(2, sharex=True, figsize=(8, 4), layout="constrained")
above.plot(moments, series, linewidth=0.8)
above.axvspan(1000, 1030, color="tab:red", alpha=0.2, label="anomaly")
above.set(ylabel="value")
above.legend(loc="upper left")
below.plot(moments, scores, color="black", linewidth=0.8)
below.axhline(clf.threshold_, color="grey", linestyle=":", label="threshold")
below.set(xlabel="moment", ylabel="score")
below.legend(loc="upper left")
plt.show()
