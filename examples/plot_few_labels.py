"""
A few known anomalies
=====================

Some anomalies have been found and confirmed; all other rows are unlabelled. ``use_labels=True`` learns from both.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split

from pyod_synth import GatedKNN

X, y = make_classification(
    6000, n_features=12, n_informative=6, weights=[0.95], class_sep=1.2, flip_y=0, random_state=0
)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
anomalies = np.random.default_rng(0).permutation(np.flatnonzero(y_train == 1))

# %%
# With no known anomaly the labels are not used at all.
precisions = [average_precision_score(y_test, GatedKNN().fit(X_train).decision_function(X_test))]
counts = [0, 2, 5, 10, 20, 50, 100]
for count in counts[1:]:
    known = np.zeros(len(X_train), dtype=int)  # 0: normal, or not labelled
    known[anomalies[:count]] = 1
    clf = GatedKNN(use_labels=True).fit(X_train, known)
    precisions.append(average_precision_score(y_test, clf.decision_function(X_test)))

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(counts, precisions, marker="o")
axes.axhline(y_test.mean(), color="grey", linestyle=":", label="chance")
axes.set(
    xlabel=f"known anomalies, of {len(anomalies)} among {len(X_train)} rows", ylabel="average precision", ylim=(0, 1)
)
axes.legend()
plt.show()
