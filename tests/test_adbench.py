"""The classes for ADBench's runner, called as its ``RunPipeline.model_fit`` calls them."""

import pickle

import numpy as np
import pytest

from pyod_synth import adbench, all_detectors
from tests.detectors import trains

NAMES = [name for name, detector in all_detectors().items() if detector.__module__.startswith("pyod_synth.")]
LABELLED = [name for name in NAMES if "use_labels" in all_detectors()[name]().get_params()]
ADAPTERS = [value for value in vars(adbench).values() if isinstance(value, type) and issubclass(value, adbench.Adapter)]
ADAPTERS.remove(adbench.Adapter)


@pytest.fixture
def data():
    """Rows as ADBench's generator gives them: scaled to [0, 1], a tenth of them anomalies, half of those labelled."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0.0, 0.3, size=(150, 4))
    X[:15] += 0.7
    labels = np.repeat([1, 0], [8, 142])
    return {"X_train": X, "y_train": labels, "X_test": X[::-1].copy(), "y_test": np.repeat([0, 1], [135, 15])}


def model_fit(clf, data, y_train=None, seed=1, **parameters):
    quick = {"epoch_num": 2, "batch_size": 32} if trains(clf.detector) else {}
    clf = type("Quick", (clf,), {"parameters": quick | parameters})
    clf = clf(seed=np.int64(seed), model_name="Customized")
    clf = clf.fit(X_train=data["X_train"], y_train=data["y_train"] if y_train is None else y_train)
    return clf, clf.predict_score(data["X_test"])


def test_one_class_for_each_detector_and_one_more_for_labels():
    found = sorted(adapter.__name__ for adapter in ADAPTERS)
    assert found == sorted([*NAMES, *(f"{name}WithLabels" for name in LABELLED)]), "a class in pyod_synth/adbench.py"
    for name in NAMES:
        assert getattr(adbench, name).detector is all_detectors()[name]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.__name__)
def test_the_runners_calls(adapter, data):
    clf, scores = model_fit(adapter, data)
    assert isinstance(clf.model, adapter.detector)
    assert clf.model.random_state == 1
    parameters = clf.parameters | ({"use_labels": True} if adapter.labels else {})
    direct = adapter.detector(random_state=1, **parameters).fit(data["X_train"], data["y_train"])
    np.testing.assert_array_equal(scores, direct.decision_function(data["X_test"]))


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_not_looked_at_without_the_name_for_it(name, data):
    with_labels = model_fit(getattr(adbench, name), data)[1]
    without = model_fit(getattr(adbench, name), data, y_train=np.zeros(150, dtype=int))[1]
    np.testing.assert_array_equal(with_labels, without)


@pytest.mark.parametrize("name", LABELLED)
def test_labels_are_learned_from_by_name(name, data):
    clf, scores = model_fit(getattr(adbench, name + "WithLabels"), data)
    assert clf.model.use_labels
    assert not np.array_equal(scores, model_fit(getattr(adbench, name), data)[1])


@pytest.mark.parametrize("name", LABELLED)
def test_without_any_label_the_form_without_labels_is_fitted(name, data):
    none = np.zeros(150, dtype=int)
    clf, scores = model_fit(getattr(adbench, name + "WithLabels"), data, y_train=none)
    assert not clf.model.use_labels
    np.testing.assert_array_equal(scores, model_fit(getattr(adbench, name), data, y_train=none)[1])


def test_a_class_and_what_it_builds_can_be_pickled():
    built = pickle.loads(pickle.dumps(adbench.PLAD(seed=3, model_name="PLAD")))
    assert (type(built), built.seed) == (adbench.PLAD, 3)
