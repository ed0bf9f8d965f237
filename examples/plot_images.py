"""
Images
======

One class of handwritten digits is normal; the others are anomalies. Images are arrays (n, channels, height, width), or
flat rows with ``image_shape``.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from pyod_synth import DHAG, GatedKNN

images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 1, 8, 8)  # one channel
X_train, X_test = images[digits == 3][:100], np.concatenate([images[digits == 3][100:], images[digits != 3]])
y_test = np.repeat([0, 1], [(digits == 3).sum() - 100, (digits != 3).sum()])

clf = GatedKNN().fit(X_train)
scores = clf.decision_function(X_test)
print(f"AUROC {roc_auc_score(y_test, scores):.3f}")

# %%
# What is most and least normal, where the highest scores come from, and what DHAG, a paper, makes of normal images to
# learn from.
order = np.argsort(scores)
lowest, highest = X_test[order[:8]], X_test[order[-8:]]
perturbed = DHAG(space="input", random_state=0).fit(X_train).invent(X_train[:8])
rows = {
    "lowest scores": lowest,
    "highest scores": highest,
    "where these come from: red pixels raise the score": clf.explain(highest),
    "threes, perturbed by DHAG": perturbed,
}
figure = plt.figure(figsize=(7, 4.6), layout="constrained")
for part, (title, shown) in zip(figure.subfigures(4, 1), rows.items(), strict=True):
    part.suptitle(title, x=0.01, ha="left", fontsize=9)
    most = np.abs(shown).max()
    looks = {"cmap": "RdBu_r", "vmin": -most, "vmax": most} if "red" in title else {"cmap": "gray_r"}
    for place, image in zip(part.subplots(1, 8), shown, strict=True):
        place.imshow(image[0], **looks)
        place.set_axis_off()
plt.show()
