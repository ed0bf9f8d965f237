"""export_onnx: scaling, score and threshold in one graph, run by onnxruntime."""

import sys

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession
from sklearn.exceptions import NotFittedError

from pyod_synth import DHAG, NCAE, PLAD, GatedKNN
from tests.detectors import DETECTORS, assert_same, small


@pytest.fixture
def path(tmp_path):
    return tmp_path / "clf.onnx"


def exported(clf, path, **options):
    clf.export_onnx(path, **options)
    session = InferenceSession(path)
    assert [entry.name for entry in session.get_inputs()] == ["X"]
    assert [(entry.name, entry.type) for entry in session.get_outputs()] == [
        ("score", "tensor(double)"),
        ("label", "tensor(int64)"),
    ]
    return lambda X: session.run(None, {"X": X})


def assert_same_answers(graph, clf, X):
    """Check scores to 1e-5 of their size, and labels but for rows that are as near to the threshold."""
    score, label = graph(X)
    expected = clf.decision_function(X)
    assert score.shape == label.shape == (len(X),)
    assert_same(score, expected)
    assert label.tolist() == (score > clf.threshold_).astype(int).tolist()
    clear = np.abs(expected - clf.threshold_) > 1e-5 * np.abs(expected).max()
    np.testing.assert_array_equal(label[clear], clf.predict(X)[clear])
    assert clear.sum() > 0.9 * len(X)


@pytest.mark.parametrize("kind", ["table", "images"])
@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)
def test_graph_answers_as_the_detector(detector, kind, request, path):
    X = request.getfixturevalue(kind)
    clf = small(detector).fit(X)
    graph = exported(clf, path)
    largest = np.finfo(np.float64).max * np.sign(X)  # and, as 1e12 * X, clipped by scaling
    for rows in (X[:1], X[:7], X, X + 20 * X.std(axis=0), 1e12 * X, largest):
        assert_same_answers(graph, clf, rows)
    assert set(graph(X)[1]) == {0, 1}


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)
def test_rows_that_are_not_finite(detector, table, path):
    graph = exported(small(detector).fit(table), path)
    rows = table[:3].copy()
    rows[0, 1], rows[1, 1] = np.nan, np.inf
    score, label = graph(rows)
    assert np.isnan(score).tolist() == [True, False, False]
    assert label[:2].tolist() == [0, 1]
    assert score[2] == pytest.approx(graph(rows[2:])[0][0], rel=1e-4)  # whatever stands beside it
    rows[1, 1] = np.finfo(np.float64).max
    assert score[1] == pytest.approx(graph(rows[1:2])[0][0], rel=0.02)


@pytest.mark.parametrize("contaminated", [True, False])
def test_parts_of_the_evidence(contaminated, table, path):
    clf = small(GatedKNN, contaminated=contaminated).fit(table)
    assert_same_answers(exported(clf, path), clf, np.concatenate([table, 5 * table]))


def test_known_anomalies(labelled, path):
    X, y = labelled
    clf = small(GatedKNN, use_labels=True).fit(X, y)
    graph = exported(clf, path)
    assert_same_answers(graph, clf, X)
    assert graph(X)[0][y == 1].min() > graph(X)[0][y == 0].mean()


def test_many_remembered_rows(path):
    X = np.random.default_rng(0).normal(size=(1500, 3))  # so many that they are searched in groups
    clf = GatedKNN(contaminated=False).fit(X)
    assert_same_answers(exported(clf, path), clf, X + 0.5)


@pytest.mark.parametrize("preprocessing", [False, "minmax"])
def test_scaling(preprocessing, table, path):
    clf = small(NCAE, preprocessing=preprocessing).fit(table)
    assert_same_answers(exported(clf, path), clf, table)


def test_rows_of_float32(table, path):
    clf = small(PLAD).fit(table)
    rows = table.astype(np.float32)
    graph = exported(clf, path, dtype="float32")
    assert_same_answers(graph, clf, rows)
    with pytest.raises(ValueError, match=r"dtype must be one of \['float64', 'float32'\], got 'float16'"):
        clf.export_onnx(path, dtype="float16")


def test_threshold_is_that_of_the_moment(table, path):
    clf = small(PLAD).fit(table).update_threshold(0.4)
    _, label = exported(clf, path)(table)
    assert label.sum() == clf.labels_.sum() == 60
    core = clf.core_
    assert not core.training
    assert_same(clf.decision_function(table), clf.decision_scores_)


def test_encoder(images, path):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(60, 4))
    clf = small(GatedKNN, encoder=encoder, contaminated=False).fit(images)
    assert_same_answers(exported(clf, path), clf, images)


def test_what_is_no_graph_is_refused(images, path):
    clf = small(GatedKNN, encoder=lambda x: torch.from_numpy(x.mean(dim=(2, 3)).numpy())).fit(images)
    with pytest.raises(
        NotImplementedError, match="The score of this GatedKNN is no graph of ONNX's operations .*numpy"
    ):
        clf.export_onnx(path)
    assert list(path.parent.iterdir()) == []


def test_before_a_fit(path):
    with pytest.raises(NotFittedError):
        PLAD().export_onnx(path)
    assert not path.exists()


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_without_the_extra(package, table, path, monkeypatch):
    clf = small(DHAG).fit(table)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"export_onnx needs {package}: pip install pyod_synth\[onnx\]"):
        clf.export_onnx(path)
    assert not path.exists()


class Halves:
    """A thresholder as PyThresh has them."""

    def fit(self, scores):
        self.labels_, self.thresh_ = (scores > np.median(scores)).astype(int), float(np.median(scores))

    def predict(self, scores):
        return (scores > self.thresh_).astype(int)


def test_labels_of_a_thresholder_are_no_threshold(table, path):
    clf = small(PLAD, contamination=Halves()).fit(table)
    with pytest.raises(ValueError, match="The 'contamination' parameter of PLAD is .*set_params"):
        clf.export_onnx(path)
    assert not path.exists()
    assert exported(clf.set_params(contamination=0.1), path)(table)[1].sum() == 75
