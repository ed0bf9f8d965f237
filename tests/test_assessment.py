"""How good a detector is, without labels."""

import warnings

import numpy as np
import pandas as pd
import pytest
from pyod.models.base import BaseDetector
from pyod.models.iforest import IForest
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pyod_synth import GatedKNN
from pyod_synth.assessment import separation


class Scored(BaseDetector):
    """Scores by a function, and keeps what it was asked for."""

    def __init__(self, function):
        super().__init__()
        self.function, self.asked = function, []

    def fit(self, X, y=None):
        return self

    def decision_function(self, X):
        self.asked.append(X)
        return self.function(np.asarray(X))


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(60, 3))


def test_it_is_the_auroc_of_rows_against_two_kinds_of_invented_ones(rows):
    clf = Scored(lambda X: np.linalg.norm(X, axis=1))
    found = separation(clf, rows, random_state=1)
    given, invented, mixed = clf.asked
    np.testing.assert_array_equal(given, rows)
    # each is on the line through a row and another one, beyond it by .5 to 1.5 of their distance
    for row, moved in zip(rows, invented, strict=True):
        others = rows[(rows != row).any(axis=1)]
        share = ((moved - row) @ (row - others).T) / np.square(row - others).sum(axis=1)
        on_a_line = np.isclose(row + share[:, None] * (row - others), moved).all(axis=1)
        assert on_a_line.sum() == 1
        assert 0.5 <= share[on_a_line][0] <= 1.5
    # each feature is as it was, in another order than the others
    np.testing.assert_array_equal(np.sort(mixed, axis=0), np.sort(rows, axis=0))
    assert (mixed == rows).all(axis=1).mean() < 0.1
    scores = [clf.function(part) for part in clf.asked]
    assert found == pytest.approx(roc_auc_score(np.repeat([0, 1, 1], 60), np.concatenate(scores)))
    assert found > 0.6
    assert separation(Scored(lambda X: -clf.function(X)), rows, random_state=1) == pytest.approx(1 - found)


def test_the_same_number_draws_the_same(rows):
    clf = Scored(lambda X: X[:, 0])
    assert separation(clf, rows) == separation(clf, rows)
    assert separation(clf, rows, random_state=0) != separation(clf, rows, random_state=1)


def test_it_takes_data_frames_images_and_pipelines(rows):
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline = make_pipeline(StandardScaler(), IForest(random_state=0)).fit(frame[:40])
        assert 0 <= separation(pipeline, frame[40:]) <= 1
    images = np.random.default_rng(0).normal(size=(20, 1, 4, 4))
    assert 0 <= separation(GatedKNN().fit(images), images) <= 1


def test_a_detector_that_tells_none_apart_is_warned_of(rows):
    with pytest.warns(UserWarning, match="all 60 rows of X have the same score"):
        assert separation(Scored(lambda X: np.zeros(len(X))), rows) == 0.5


@pytest.mark.parametrize(
    ("X", "function", "message"),
    [
        ([[1.0, 2.0]], lambda X: X[:, 0], "1 sample.*minimum of 2"),
        ([["a"], ["b"]], lambda X: X[:, 0], "not compatible with arrays of bytes/strings"),
        ([[1.0], [np.inf]], lambda X: X[:, 0], "Input X contains infinity"),
        (pd.DataFrame({"town": ["a", "b"]}), lambda X: X[:, 0], r"X must hold numbers.*columns \['town'\]"),
        (np.eye(3), lambda X: np.full(len(X), np.nan), "NaN"),
    ],
)
def test_bad_input(X, function, message):
    with pytest.raises(ValueError, match=message):
        separation(Scored(function), X)


def test_it_prefers_what_finds_true_anomalies():
    X, y = load_breast_cancer(return_X_y=True)
    normal, malignant = X[y == 1], X[y == 0]
    train, held_out = normal[:200], normal[200:]
    found = {}
    for name, clf in {"knn": GatedKNN(), "noise": Scored(lambda X: np.cos(1e6 * X[:, 0]))}.items():
        clf.fit(train)
        y_test = np.repeat([0, 1], [len(held_out), len(malignant)])
        true = roc_auc_score(y_test, clf.decision_function(np.concatenate([held_out, malignant])))
        found[name] = separation(clf, held_out), true
    assert min(found["knn"]) > 0.9
    assert max(found["noise"]) < 0.65
