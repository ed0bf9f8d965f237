"""
Which detector suits your data
==============================

A CSV of numbers with a column ``y``, 1 for an anomaly and 0 for a normal row, is all that the benchmark needs to
compare detectors on it. It is run from a checkout, with ``pip install -e ".[bench]"``.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import pyod_synth

rng = np.random.default_rng(0)
normal = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 8)) + 0.3 * rng.normal(size=(400, 8))
anomalous = rng.permuted(normal[:40], axis=0)  # of usual values, which do not go together
table = pd.DataFrame(np.concatenate([normal, anomalous])).add_prefix("x").assign(y=np.repeat([0, 1], [400, 40]))
folder = tempfile.TemporaryDirectory()
table.to_csv(Path(folder.name) / "mine.csv", index=False)

# %%
# Trained on a random half of the normal rows and tested on the others; two seeds. What is done is kept in ``--out``:
# the same command goes on where it was stopped.
command = (
    f"python -m benchmarks run --datasets {folder.name}/mine.csv --detectors GatedKNN,NCAE,KNN,IForest "
    f"--protocols one-class --seeds 0,1 --out {folder.name}/mine"
)
print("$", command.replace(folder.name + "/", ""))
checkout = Path(pyod_synth.__file__).parent.parent
subprocess.run([sys.executable, *command.split()[1:]], cwd=checkout, capture_output=True, check=True)

# %%
# The report is ``report.md``, and ``report.html`` with all figures; its first table:
report = (Path(folder.name) / "mine" / "report.md").read_text(encoding="utf-8")
print(report[report.index("|") :].partition("\n\n")[0])
folder.cleanup()
