"""
Which rows of a CSV are anomalous
=================================

From the command line, without labels and without Python: texts and gaps are taken as they come, and ``--explain``
names the columns that make a row anomalous. ``pip install "pyod_synth[cli]"`` brings what it needs.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
orders = pd.DataFrame(
    {
        "order": [f"A{number:04}" for number in range(1000)],
        "price": rng.lognormal(3, 0.6, size=1000).round(2),
        "weight": rng.gamma(4.0, 0.5, size=1000).round(2),
        "country": rng.choice(["DE", "FR", "PT"], size=1000, p=[0.6, 0.3, 0.1]),
    }
)
orders.loc[rng.choice(1000, 50, replace=False), "weight"] = np.nan
orders.loc[123, "price"] = 4999.0  # for two kilograms, as others
orders.loc[456, ["weight", "country"]] = [40.0, "XX"]
folder = tempfile.TemporaryDirectory()
orders[:800].to_csv(Path(folder.name) / "orders.csv", index=False)
orders[800:].to_csv(Path(folder.name) / "new_orders.csv", index=False)


def run(command):
    """Run a command as a shell in this folder does."""
    print("$", command)
    words = [sys.executable, *command.split()[1:]]
    done = subprocess.run(words, cwd=folder.name, capture_output=True, text=True, check=True)
    print(done.stderr + done.stdout)


# %%
# The five most anomalous, the most anomalous first. The output is a CSV again.
run("python -m pyod_synth score orders.csv --top 5 --explain")

# %%
# Others are scored by what these taught, and ``anomaly`` is 1 above the score that a hundredth of these exceeds.
run("python -m pyod_synth score new_orders.csv --train orders.csv --contamination 0.01 --out scored.csv")
print(pd.read_csv(Path(folder.name) / "scored.csv")["anomaly"].value_counts())
folder.cleanup()
