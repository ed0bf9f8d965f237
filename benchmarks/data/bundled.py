"""Data sets that need no file: scikit-learn's own, and generated ones."""

from functools import partial

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification

from benchmarks.data.source import Source, thin


def _breast_cancer():
    return _thinned(*load_breast_cancer(return_X_y=True), 0, 10)


def _wine():
    return _thinned(*load_wine(return_X_y=True), 0, 10)


def _thinned(X, classes, anomalous, count):
    y = classes == anomalous
    rows = thin(y, count)
    return X[rows], y[rows]


def _digits(digit, shape):
    X, classes = load_digits(return_X_y=True)
    y = classes != digit
    rows = thin(y, round(np.sum(classes == digit) / 9))
    return X[rows].reshape(-1, *shape), y[rows]


def _make_classification(n_samples, random_state):
    return make_classification(n_samples=n_samples, weights=[0.95], random_state=random_state)


_GROUP = "scikit-learn"
BUNDLED = {
    "breast-cancer": Source(
        _GROUP, "Breast cancer Wisconsin (diagnostic): malignant thinned to 10 anomalies, as WDBC", _breast_cancer
    ),
    "wine": Source(_GROUP, "Wine: the first cultivar thinned to 10 anomalies, as ADBench's wine", _wine),
    **{
        f"digits-{digit}{suffix}": Source(
            _GROUP,
            f"Digits, {digit} against rest, as {form}: the rest thinned to 10% of the rows",
            partial(_digits, digit, shape),
        )
        for suffix, shape, form in [("", (64,), "tables of 64 pixels"), ("-image", (1, 8, 8), "8x8 images")]
        for digit in range(10)
    },
    "make-classification": Source(
        _GROUP,
        "make_classification with a minority of 5%, the default 20 features (AnoRand, section 6)",
        partial(_make_classification, 4000, 0),
    ),
    **{
        f"anorand-synthetic-{seed}": Source(
            "anorand-synthetic",
            "make_classification, 20,000 rows with a minority of 5% (AnoRand, section 6), the other parameters the "
            f"defaults, random state {seed}",
            partial(_make_classification, 20_000, seed),
        )
        for seed in range(10)
    },
}
