import os
from pathlib import Path

import numpy as np
import pytest


def pytest_collection_modifyitems(items):
    folder = os.environ.get("PYOD_SYNTH_DATA")
    if folder and Path(folder).is_dir():
        return
    for item in items:
        if "needs_data" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs real data: set PYOD_SYNTH_DATA to its folder"))


@pytest.fixture(scope="session")
def data_folder():
    """The folder of real data; only tests marked needs_data may ask for it."""
    return Path(os.environ["PYOD_SYNTH_DATA"]).resolve()


@pytest.fixture
def table():
    """150 normal rows of three correlated features, each in units of its own."""
    rng = np.random.default_rng(0)
    mixing = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -0.3], [0.0, 0.0, 1.0]])
    return rng.normal(size=(150, 3)) @ mixing * [1.0, 100.0, 0.01] + [0.0, 1000.0, 5.0]


@pytest.fixture
def images():
    """60 normal images of two channels, 6 x 5."""
    rng = np.random.default_rng(0)
    base = np.sin(np.arange(6)[:, None] + np.arange(5))
    return base * rng.uniform(0.5, 1.5, size=(60, 2, 1, 1)) + 0.1 * rng.normal(size=(60, 2, 6, 5))


@pytest.fixture(params=["table", "images", "flattened"])
def kind(request, table, images):
    """Rows, rows far from them, and the parameters for them."""
    if request.param == "table":
        return table, table + 20 * table.std(axis=0), {}
    far = images + 20 * images.std()
    if request.param == "images":
        return images, far, {}
    return images.reshape(60, -1), far.reshape(60, -1), {"image_shape": (2, 6, 5)}


@pytest.fixture
def labelled(table):
    """180 rows, of which the first 30 are anomalies, and their labels."""
    y = np.zeros(180, dtype=int)
    y[:30] = 1
    return np.concatenate([table[:30] + 5 * table.std(axis=0), table]), y
