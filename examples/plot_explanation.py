"""
Why is a row anomalous?
=======================

``explain`` divides a row's score among its features, in the units of the score: what each of them adds to the score of
a typical row.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

from pyod_synth import GatedKNN
from pyod_synth.explain import plot_row

X, _ = load_wine(return_X_y=True, as_frame=True)
clf = GatedKNN(contamination=0.02).fit(X)

# %%
# A wine with twice its magnesium, and beside its contributions the value and the usual range of each feature.
wine = X.iloc[[40]].copy()
wine["magnesium"] *= 2
plot_row(clf, wine, n_features=5, ax=plt.figure(figsize=(8, 3.5), layout="constrained").subplots())
plt.show()

# %%
# The nearest wine among the training rows that is not anomalous: what it would be if it were normal.
nearest = pd.DataFrame(clf.nearest_normal(wine), columns=X.columns)
print(pd.concat([wine, nearest]).iloc[:, :5].set_index(np.array(["this wine", "nearest normal one"])).round(2))
