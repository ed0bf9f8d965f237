"""Data sets whose rows can be recognised."""

import numpy as np
import pytest

from benchmarks.data import Dataset


@pytest.fixture
def rows():
    """1000 rows, 100 of them anomalies, 700 of them official training rows; the feature is the row's number."""
    y, train = np.arange(1000) % 10 == 0, np.arange(1000) % 100 < 70
    return Dataset("rows", np.arange(1000.0)[:, None], y.astype(np.int64), "", train)


@pytest.fixture
def images():
    """1000 images of one pixel, their number as a byte over and over; classes 0 to 9, 2, 3 and 5 of them normal."""
    classes = np.arange(1000) % 10
    X = (np.arange(1000) % 256).astype(np.uint8).reshape(-1, 1, 1, 1)
    y = ~np.isin(classes, [2, 3, 5])
    return Dataset("images", X, y.astype(np.int64), "", np.arange(1000) % 100 < 70, classes)
