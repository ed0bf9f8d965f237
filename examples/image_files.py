"""
Image files
===========

Files are read by a function of one's own, at the head of a pipeline: a list of paths goes in, and scores come out.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from pyod_synth import GatedKNN


def read(paths):
    """Read grey images of one size as (n, 1, height, width)."""
    return np.stack([np.asarray(Image.open(path).convert("L")) for path in paths])[:, None]


# %%
# Thirty threes and an eight, as files.
images, digits = load_digits(return_X_y=True)
chosen = np.concatenate([images[digits == 3][:30], images[digits == 8][:1]]).reshape(-1, 8, 8)
with tempfile.TemporaryDirectory() as folder:
    paths = [Path(folder) / f"{number}.png" for number in range(31)]
    for path, image in zip(paths, chosen, strict=True):
        Image.fromarray((image * 15).astype(np.uint8)).save(path)
    pipeline = make_pipeline(FunctionTransformer(read), GatedKNN()).fit(paths[:30])
    scores = pipeline.decision_function(paths)

print("threes", scores[:30].max().round(2), "at most")
print("the eight", scores[30].round(2))
