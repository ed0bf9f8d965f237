"""
Numbers, categories and gaps in one table
=========================================

Detectors take numbers. A scikit-learn pipeline makes them of a table as it comes: gaps are filled, categories become
columns of 0 and 1. The pipeline scores and predicts as the detector does.
"""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pyod_synth import GatedKNN

rng = np.random.default_rng(0)
payments = pd.DataFrame(
    {
        "amount": rng.lognormal(3, 1, size=1000),
        "hour": rng.normal(14, 3, size=1000),
        "country": rng.choice(["DE", "FR", "PT"], size=1000, p=[0.6, 0.3, 0.1]),
        "card": rng.choice(["debit", "credit"], size=1000),
    }
)
payments.loc[rng.choice(1000, 50, replace=False), "hour"] = np.nan

# %%
# Gaps are filled by the mean, and a category that comes later without having been seen is 0 in all columns.
numbers = make_pipeline(SimpleImputer(), StandardScaler())
categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
prepare = make_column_transformer(
    (numbers, make_column_selector(dtype_include="number")),
    (categories, make_column_selector(dtype_exclude="number")),
)
pipeline = make_pipeline(prepare, GatedKNN(contamination=0.01)).fit(payments)

# %%
# A payment of nine thousand at four in the morning, beside an ordinary one.
new = pd.DataFrame(
    {"amount": [9000.0, 25.0], "hour": [4.0, 15.0], "country": ["PT", "DE"], "card": ["credit", "debit"]}
)
print(new.assign(score=pipeline.decision_function(new).round(2), anomaly=pipeline.predict(new)))
