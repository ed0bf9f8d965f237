"""
Saving and serving
==================

``save`` writes a file that is data: unlike a pickle it cannot run anything when it is opened, and a damaged or foreign
file is a clear error. A service loads it once and scores what it is sent.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

import pyod_synth
from pyod_synth import GatedKNN

X = np.random.default_rng(0).normal(size=(1000, 4))
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "payments.pyod_synth"
GatedKNN(contamination=0.01).fit(X).save(path)

# %%
# In the service: one function from a request to an answer, for whatever framework.
clf = pyod_synth.load(path)


def answer(request):
    """Score the rows of a request, given and returned as JSON."""
    try:
        rows = np.array(json.loads(request)["rows"], dtype=float)
        scores = clf.decision_function(rows)
    except (KeyError, TypeError, ValueError) as error:
        return json.dumps({"error": str(error)})
    return json.dumps({"scores": scores.round(3).tolist(), "anomalies": (scores > clf.threshold_).tolist()})


print(answer('{"rows": [[0, 0, 0, 0], [9, 9, 9, 9]]}'))
print(answer('{"rows": [[0, 0, 0]]}'))

# %%
# What is no file of ``save`` is refused.
path.write_bytes(b"something else")
try:
    pyod_synth.load(path)
except ValueError as error:
    print(str(error).replace(str(path), path.name))
folder.cleanup()
