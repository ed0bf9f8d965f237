"""
A first look
============

Normal rows lie on two moons; the detector has seen nothing else. Its score rises with the distance from them, also in
the gap between the moons, and the threshold follows their shape.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from pyod_synth import GatedKNN

X_train, _ = make_moons(600, noise=0.07, random_state=0)
X_new = np.random.default_rng(0).uniform([-1.6, -1.1], [2.6, 1.6], size=(40, 2))

clf = GatedKNN(contamination=0.02).fit(X_train)
labels = clf.predict(X_new)  # 1 is an anomaly

# %%
# The score at each point of the plane, and the threshold as a line.
across, up = np.meshgrid(np.linspace(-1.8, 2.8, 200), np.linspace(-1.3, 1.8, 200))
scores = clf.decision_function(np.column_stack([across.ravel(), up.ravel()])).reshape(across.shape)

figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
shades = axes.contourf(across, up, scores, levels=20, cmap="Blues_r")
axes.contour(across, up, scores, levels=[clf.threshold_], colors="black", linewidths=1)
axes.scatter(*X_train.T, s=6, color="white", edgecolor="grey", linewidth=0.3, label="training rows")
axes.scatter(*X_new[labels == 0].T, s=40, color="tab:green", edgecolor="black", label="new, normal")
axes.scatter(*X_new[labels == 1].T, s=40, color="tab:red", edgecolor="black", marker="X", label="new, anomalies")
figure.colorbar(shades, label="score, higher is more anomalous")
axes.set(xlabel="first feature", ylabel="second feature", title="GatedKNN on two moons")
axes.legend(loc="lower left", framealpha=0.9)
plt.show()
