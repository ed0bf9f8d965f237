"""Make the kept files of the present format anew: ``python -m tests.kept_models.make``, after the format's number rose.

Files of older formats stay as they are, in folders of their own: they have to keep loading.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from pyod_synth import PLAD, GatedKNN
from pyod_synth.persistence import FORMAT
from tests.detectors import DETECTORS, small

FOLDER = Path(__file__).parent


def make(folder):
    """Fit every detector on a small table, and some on small images and with labels; keep files, rows and scores."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(24, 3)) * [1.0, 100.0, 0.01] + [0.0, 1000.0, 5.0]
    y = (np.arange(24) < 4).astype(int)
    kinds = {
        "table": (pd.DataFrame(table, columns=["a", "b", "c"]), {}),
        "labels": (table, {"use_labels": True}),
        "images": (rng.uniform(size=(24, 1, 2, 2)), {}),
    }
    wanted = [(detector, "table") for detector in DETECTORS]
    wanted += [(GatedKNN, "labels"), (GatedKNN, "images"), (PLAD, "images")]
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for detector, kind in wanted:
        X, parameters = kinds[kind]
        clf = small(detector, memory_size=8, **parameters).fit(X, y)
        name = f"{detector.__name__}_{kind}"
        clf.save(folder / f"{name}.safetensors")
        rows = X[:6] + 3 * np.asarray(X).std(axis=0) * rng.normal(size=X[:6].shape)
        expected[name] = {
            "X": np.asarray(rows).tolist(),
            "scores": clf.decision_function(rows).tolist(),
            "labels": clf.predict(rows).tolist(),
            "threshold": clf.threshold_,
        }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    make(FOLDER / f"format_{FORMAT}")
