"""What PyOD's users do with a detector: thresholds, confidence, rejection, plots, evaluation."""

import numpy as np
import pytest
from pyod.models import thresholds
from pyod.models.base import BaseDetector
from pyod.models.ecod import ECOD
from pyod.utils.data import evaluate_print, generate_data
from pyod.utils.utility import precision_n_scores, score_to_label
from sklearn.base import clone
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.detectors import DETECTORS, finds_far_rows, small, trains


@pytest.fixture(params=DETECTORS, ids=lambda detector: detector.__name__)
def detector(request):
    return request.param


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_detects_as_pyod_asks_of_its_autoencoder(detector):
    # PyOD's own test of AutoEncoder, with three passes over the rows
    X_train, X_test, y_train, y_test = generate_data(
        n_train=6000, n_test=1000, n_features=300, contamination=0.1, random_state=42
    )
    parameters = {"epoch_num": 3} if trains(detector) else {"memory_size": 1000}
    clf = detector(**parameters, contamination=0.1).fit(X_train)
    assert clf.labels_.sum() == 600
    scores = clf.decision_function(X_test)
    assert np.isfinite(scores).all()
    if finds_far_rows(detector):
        assert roc_auc_score(y_train, clf.decision_scores_) > 0.95
        assert roc_auc_score(y_test, scores) > 0.95


def test_thresholder_as_contamination(detector, labelled):
    X = labelled[0][20:]
    plain = small(detector, epoch_num=20).fit(X)
    clf = small(detector, epoch_num=20, contamination=thresholds.IQR())
    assert clone(clf).fit(X).labels_.sum() == clf.fit(X).labels_.sum()
    np.testing.assert_array_equal(clf.decision_scores_, plain.decision_scores_)
    # CLF keeps no threshold, and labels new scores by itself; OCSVM has no get_params, which set_params asks for
    for name in ("IQR", "CHAU", "CLF", "KARCH", "MAD", "ZSCORE"):
        clf.update_threshold(getattr(thresholds, name)())
        np.testing.assert_array_equal(clf.labels_, clf.contamination.labels_)
        assert set(clf.labels_) == {0, 1} if finds_far_rows(detector) else set(clf.labels_) <= {0, 1}, name
        np.testing.assert_array_equal(clf.predict(X), clf.labels_)
        labels, confidence = clf.predict(X, return_confidence=True)
        assert labels.shape == confidence.shape == (len(X),)
        assert ((confidence >= 0) & (confidence <= 1)).all()
        assert set(clf.predict_with_rejection(X, c_r=0.1)) <= {-2, 0, 1}
        assert clf.predict_proba(X, return_confidence=True)[0].shape == (len(X), 2)


@pytest.mark.xfail(raises=TypeError, reason="PyThresh squeezes a single score, with PyOD's own detectors too")
def test_single_row_with_thresholder(detector, labelled):
    X, _ = labelled
    with pytest.raises(TypeError, match="float64"):
        ECOD(contamination=thresholds.IQR()).fit(X).predict(X[:1])
    small(detector, contamination=thresholds.IQR()).fit(X).predict(X[:1])


@pytest.mark.xfail(
    raises=TypeError, reason="PyOD multiplies the number of rows by contamination, with its own detectors too"
)
def test_rejection_rates_with_thresholder(detector, labelled):
    X, _ = labelled
    with pytest.raises(TypeError, match="unsupported operand"):
        ECOD(contamination=thresholds.IQR()).fit(X).predict_with_rejection(X, c_r=0.1, return_stats=True)
    small(detector, contamination=thresholds.IQR()).fit(X).predict_with_rejection(X, c_r=0.1, return_stats=True)


def test_thresholds_anew_without_fit(detector, labelled):
    X, _ = labelled
    clf = small(detector, contamination=0.1).fit(X)
    core, scores = clf.core_, clf.decision_scores_
    for contamination in (0.25, np.float32(0.25)):
        clf.set_params(contamination=contamination)._process_decision_scores()
        assert clf.core_ is core
        assert clf.decision_scores_ is scores
        assert clf.labels_.sum() == 45
        fitted = small(detector, contamination=0.25).fit(X)
        assert clf.threshold_ == fitted.threshold_
        np.testing.assert_array_equal(clf.predict(X), fitted.labels_)
        np.testing.assert_array_equal(clf.predict_confidence(X), fitted.predict_confidence(X))
    clf.set_params(contamination=thresholds.IQR())._process_decision_scores()
    np.testing.assert_array_equal(clf.predict(X), clf.contamination.labels_)
    for bad in (0.0, 0.7, np.float32(0.7), np.nan, "auto", None):
        with pytest.raises(ValueError, match="contamination"):
            clf.set_params(contamination=bad)._process_decision_scores()


def test_labels_from_scores(detector, labelled):
    X, y = labelled
    clf = small(detector, contamination=0.2).fit(X)
    np.testing.assert_array_equal(score_to_label(clf.decision_scores_, 0.2), clf.labels_)
    assert 0 <= precision_n_scores(y, clf.decision_scores_) <= 1
    ranks = clf._predict_rank(X, normalized=True)
    assert (ranks.min(), ranks.max()) == (0, 1)
    np.testing.assert_array_equal(np.argsort(ranks, kind="stable"), np.argsort(clf.decision_scores_, kind="stable"))


@pytest.mark.parametrize("contamination", [0.1, 0.37, 0.5, "IQR", "CLF"])
def test_confidence_is_that_of_pyod(detector, contamination, labelled):
    X, _ = labelled
    if isinstance(contamination, str):
        contamination = getattr(thresholds, contamination)()
    clf = small(detector, contamination=contamination).fit(X[::2])
    far = X + 20 * X.std(axis=0)
    # PyThresh cannot label a single row
    for rows in (X, far, X[: 1 if isinstance(contamination, float) else 2]):
        expected = BaseDetector.predict_confidence(clf, rows)
        np.testing.assert_array_equal(clf.predict_confidence(rows), expected)
        np.testing.assert_array_equal(clf.predict_proba(rows, return_confidence=True)[1], expected)
    assert clf.predict_confidence(X.tolist()).shape == (len(X),)


def test_rejection(detector, labelled):
    X, _ = labelled
    clf = small(detector).fit(X)
    labels = clf.predict(X)
    every, (expected, rejected, cost) = clf.predict_with_rejection(X, T=5, return_stats=True, c_fp=2, c_fn=3, c_r=0.1)
    assert set(every) <= {-2, 0, 1}
    np.testing.assert_array_equal(every[every != -2], labels[every != -2])
    assert 0 <= expected <= rejected
    assert cost >= 0
    assert (clf.predict_with_rejection(X, T=50, c_r=0.1) == -2).sum() >= (every == -2).sum()
    with pytest.warns(UserWarning, match="cost of rejection"):
        clf.predict_with_rejection(X)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(20, 3), (20, 2, 6, 5)], ids=["table", "images"])
def test_probabilities_where_all_training_rows_score_alike(detector, shape):
    clf = small(detector).fit(np.ones(shape))
    assert np.ptp(clf.decision_scores_) == 0
    rows = np.concatenate([np.ones(shape), np.full(shape, 50.0)])
    for method in ("linear", "unify"):
        probabilities = clf.predict_proba(rows, method=method)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert (probabilities[:20, 1] == 0).all()


@pytest.mark.filterwarnings("ignore:Function fit_predict_score is deprecated:FutureWarning")
def test_evaluation(detector, labelled, capsys):
    X, y = labelled
    clf = small(detector).fit(X)
    evaluate_print(detector.__name__, y, clf.decision_function(X))
    roc = np.round(roc_auc_score(y, clf.decision_scores_), 4)
    assert f"{detector.__name__} ROC:{roc}, precision @ rank n:" in capsys.readouterr().out
    assert clf.fit_predict_score(X, y) == roc_auc_score(y, clf.decision_scores_)


def test_plots(detector, plt, tmp_path, monkeypatch):
    from pyod.utils.example import data_visualize, visualize

    monkeypatch.chdir(tmp_path)
    X_train, X_test, y_train, y_test = generate_data(n_train=100, n_test=50, n_features=2, random_state=0)
    clf = small(detector).fit(X_train)
    name = detector.__name__
    predicted = clf.labels_, clf.predict(X_test)
    visualize(name, X_train, y_train, X_test, y_test, *predicted, show_figure=False, save_figure=True)
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert len(plt.gcf().axes) == 4
    data_visualize([X_train, X_test], list(predicted), show_figure=False)
    assert len(plt.gca().collections) == 4


@pytest.mark.needs_data
def test_true_labels_beat_shuffled_ones(detector, data_folder):
    if "use_labels" not in detector().get_params():
        assert detector.use_labels is False
        return
    with np.load(data_folder / "adbench" / "Classical" / "38_thyroid.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel().astype(int)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(X))
    train, test = order[::2], order[1::2]
    options = {"epoch_num": 20} if trains(detector) else {}
    if detector.__name__ == "AnoRand":
        # its rate is a fiftieth of DHAG's: with few epochs, or rows within [0, 1], it learns little of labels
        options = {"epoch_num": 200, "preprocessing": True}
    clf = detector(use_labels=True, random_state=0, **options)
    labels = {"true": y[train], "shuffled": rng.permutation(y[train])}
    scores = {name: clf.fit(X[train], some).decision_function(X[test]) for name, some in labels.items()}
    precision = {name: average_precision_score(y[test], some) for name, some in scores.items()}
    assert roc_auc_score(y[test], scores["true"]) > 0.98
    assert precision["true"] > 0.75
    assert precision["true"] > precision["shuffled"] + 0.2
