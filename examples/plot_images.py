"""
Images
======

One class of handwritten digits is normal; the others are anomalies. Images are arrays (n, channels, height, width), or
flat rows with ``image_shape``. Files are read by a function of one's own, at the head of a pipeline.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from pyod_synth import GatedKNN

images, digits = load_digits(return_X_y=True)
images = images.reshape(-1, 1, 8, 8)  # one channel
X_train, X_test = images[digits == 3][:100], np.concatenate([images[digits == 3][100:], images[digits != 3]])
y_test = np.repeat([0, 1], [(digits == 3).sum() - 100, (digits != 3).sum()])

scores = GatedKNN().fit(X_train).decision_function(X_test)
print(f"AUROC {roc_auc_score(y_test, scores):.3f}")

# %%
# The least and the most anomalous ones.
order = np.argsort(scores)
figure, axes = plt.subplots(2, 8, figsize=(8, 2.6), layout="constrained")
for row, chosen, title in zip(axes, (order[:8], order[-8:]), ("lowest scores", "highest scores"), strict=True):
    row[0].set_title(title, loc="left")
    for place, index in zip(row, chosen, strict=True):
        place.imshow(X_test[index, 0], cmap="gray_r")
        place.set_axis_off()
plt.show()


# %%
# Files: a list of paths goes in, and scores come out.
def read(paths):
    """Read grey images of one size as (n, 1, height, width)."""
    return np.stack([np.asarray(Image.open(path).convert("L")) for path in paths])[:, None]


with tempfile.TemporaryDirectory() as folder:
    paths = [Path(folder) / f"{number}.png" for number in range(30)]
    for path, image in zip(paths, X_train, strict=False):
        Image.fromarray((image[0] * 15).astype(np.uint8)).save(path)
    pipeline = make_pipeline(FunctionTransformer(read), GatedKNN()).fit(paths)
    print(pipeline.decision_function(paths[:3]).round(2))
