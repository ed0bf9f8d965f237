"""The classes for ADBench's runner, called as its ``RunPipeline.model_fit`` calls them."""

import pickle

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import pyod_synth
from benchmarks import adbench

BY_NAME = {adapter.__name__: adapter for adapter in adbench.CLASSES}
QUICK = {"epoch_num": 2, "batch_size": 32}


@pytest.fixture
def data():
    """Rows as ADBench's generator gives them: scaled to [0, 1], a tenth of them anomalies, half of those labelled."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0.0, 0.3, size=(150, 4))
    X[:15] += 0.7
    labels = np.repeat([1, 0], [8, 142])
    return {"X_train": X, "y_train": labels, "X_test": X[::-1].copy(), "y_test": np.repeat([0, 1], [135, 15])}


def model_fit(clf, data, y_train=None, seed=1, **parameters):
    clf = type("Quick", (clf,), {"parameters": QUICK | parameters})
    clf = clf(seed=np.int64(seed), model_name="Customized")
    clf = clf.fit(X_train=data["X_train"], y_train=data["y_train"] if y_train is None else y_train)
    return clf, clf.predict_score(data["X_test"])


def test_one_class_for_each_detector_and_one_more_for_labels():
    assert sorted(BY_NAME) == sorted([*pyod_synth.__all__, "AnoRandWithLabels", "DHAGWithLabels"])
    for name, adapter in BY_NAME.items():
        assert getattr(adbench, name) is adapter


@pytest.mark.parametrize("adapter", adbench.CLASSES, ids=lambda adapter: adapter.__name__)
def test_the_runners_calls(adapter, data):
    clf, scores = model_fit(adapter, data)
    assert isinstance(clf.model, getattr(pyod_synth, adapter.detector))
    assert clf.model.random_state == 1
    assert scores.shape == (150,)
    assert roc_auc_score(data["y_test"], scores) > 0.9


@pytest.mark.parametrize("name", pyod_synth.__all__)
def test_labels_are_not_looked_at_without_the_name_for_it(name, data):
    with_labels = model_fit(BY_NAME[name], data)[1]
    without = model_fit(BY_NAME[name], data, y_train=np.zeros(150, dtype=int))[1]
    np.testing.assert_array_equal(with_labels, without)


@pytest.mark.parametrize("name", ["AnoRand", "DHAG"])
def test_labels_are_learned_from_by_name(name, data):
    clf, scores = model_fit(BY_NAME[name + "WithLabels"], data)
    assert clf.model.use_labels
    assert not np.array_equal(scores, model_fit(BY_NAME[name], data)[1])


@pytest.mark.parametrize("name", ["AnoRand", "DHAG"])
def test_without_any_label_the_form_without_labels_is_fitted(name, data):
    none = np.zeros(150, dtype=int)
    clf, scores = model_fit(BY_NAME[name + "WithLabels"], data, y_train=none)
    assert not clf.model.use_labels
    np.testing.assert_array_equal(scores, model_fit(BY_NAME[name], data, y_train=none)[1])


def test_a_class_and_what_it_builds_can_be_pickled():
    built = pickle.loads(pickle.dumps(adbench.PLAD(seed=3, model_name="PLAD")))
    assert (type(built), built.seed) == (adbench.PLAD, 3)
