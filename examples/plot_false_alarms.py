"""
A false-alarm rate instead of a guess
=====================================

``contamination`` is a guess of how many training rows are anomalies. Where the training rows are normal,
:class:`~pyod_synth.ConformalDetector` promises how many normal rows will be called anomalies.
"""

import matplotlib.pyplot as plt
import numpy as np

from pyod_synth import ConformalDetector, GatedKNN

rng = np.random.default_rng(0)
X_train = rng.standard_t(5, size=(2000, 6))
normal = rng.standard_t(5, size=(5000, 6))
anomalous = rng.standard_t(5, size=(100, 6)) + 4

# %%
# Of new normal rows, about the promised share is called anomalous.
rates = [0.005, 0.01, 0.02, 0.05, 0.1]
detectors = [ConformalDetector(GatedKNN(), false_alarm_rate=rate, random_state=0).fit(X_train) for rate in rates]
alarms = [clf.predict(normal).mean() for clf in detectors]
found = [clf.predict(anomalous).mean() for clf in detectors]

figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.plot(rates, alarms, marker="o", label="normal rows called anomalous")
axes.plot(rates, found, marker="s", label="anomalies found")
axes.plot(rates, rates, color="grey", linestyle=":", label="promised")
axes.set(xlabel="promised false-alarm rate", ylabel="share of new rows", xscale="log", yscale="log")
axes.legend()
plt.show()

# %%
# Among many rows, Benjamini and Hochberg's procedure bounds the expected share of false ones among all alarms.
rows = np.concatenate([normal, anomalous])
alarm = detectors[1].predict(rows, fdr=0.1).astype(bool)
print(f"{alarm.sum()} alarms, of which {np.mean(np.flatnonzero(alarm) < len(normal)):.1%} are false")
