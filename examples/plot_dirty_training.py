"""
Anomalies among the training rows
=================================

Anomalies that lie close together are near to each other, and hide from a detector that asks only for near rows. The
default of :class:`~pyod_synth.GatedKNN` looks at the whole of the training rows too; ``contaminated`` says more, where
more is known.
"""

import matplotlib.pyplot as plt
import numpy as np
from pyod.models.knn import KNN
from sklearn.metrics import roc_auc_score

from pyod_synth import GatedKNN

rng = np.random.default_rng(0)
detectors = {
    "PyOD's KNN": KNN(),
    "contaminated=False": GatedKNN(contaminated=False),
    "GatedKNN(), nothing known": GatedKNN(),
    "contaminated=True": GatedKNN(contaminated=True),
}
shares = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2]

# %%
# 1,000 normal rows, and a share of anomalies in one place, which train unnoticed; new rows of both kinds are scored.
aurocs = {name: [] for name in detectors}
for share in shares:
    count = int(share * 1000)
    X_train = np.concatenate([rng.normal(size=(1000 - count, 10)), rng.normal(2, 0.3, size=(count, 10))])
    X_test = np.concatenate([rng.normal(size=(500, 10)), rng.normal(2, 0.3, size=(50, 10))])
    y_test = np.repeat([0, 1], [500, 50])
    for name, clf in detectors.items():
        aurocs[name].append(roc_auc_score(y_test, clf.fit(X_train).decision_function(X_test)))

# %%
# The higher, the better anomalies are told from normal rows; .5 is chance.
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for name, values in aurocs.items():
    axes.plot(shares, values, marker="o", label=name)
axes.set(xlabel="share of anomalies among the training rows", ylabel="AUROC on new rows")
axes.legend()
plt.show()
