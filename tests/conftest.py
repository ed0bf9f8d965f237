import os

# Matrices are small here. Threads that wait for each other take longer than the work, fifty times on a busy machine;
# tests of threads ask for theirs. The libraries read this as they are imported, and processes that tests start too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import numpy as np
import pytest

from tests.detectors import takes_sequences


def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if not _lacks_networks(item)]
    folder = os.environ.get("PYOD_SYNTH_DATA")
    if folder and Path(folder).is_dir():
        return
    for item in items:
        if "needs_data" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs real data: set PYOD_SYNTH_DATA to its folder"))


def _lacks_networks(item):
    """Whether a test is of sequences and of a detector that takes none; what such a one says is tested by itself."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    of_sequences = "sequences" in str(parameters.get("kind"))
    return of_sequences and "detector" in parameters and not takes_sequences(parameters["detector"])


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


@pytest.fixture
def sequences():
    """60 normal sequences of two channels, each in units of its own, and twelve steps: waves of any phase."""
    rng = np.random.default_rng(0)
    wave = np.sin(rng.uniform(0, 6, size=(60, 1, 1)) + np.arange(12) + np.array([[0.0], [1.5]]))
    return (wave + 0.1 * rng.normal(size=(60, 2, 12))) * [[1.0], [100.0]] + [[0.0], [7.0]]


@pytest.fixture(params=["table", "images", "flattened images", "sequences", "flattened sequences"])
def kind(request, table, images, sequences):
    """Rows, rows far from them, and the parameters for them."""
    if request.param == "table":
        return table, table + 20 * table.std(axis=0), {}
    if "images" in request.param:
        X, parameters = images, {"image_shape": (2, 6, 5)} if "flattened" in request.param else {}
    else:
        X, parameters = sequences, {"sequence_shape": (2, 12)}
    far = X + 20 * X.std()
    if "flattened" in request.param:
        X, far = X.reshape(60, -1), far.reshape(60, -1)
    return X, far, parameters


@pytest.fixture
def labelled(table):
    """180 rows, of which the first 30 are anomalies, and their labels."""
    y = np.zeros(180, dtype=int)
    y[:30] = 1
    return np.concatenate([table[:30] + 5 * table.std(axis=0), table]), y
