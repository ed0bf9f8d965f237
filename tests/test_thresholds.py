"""The stated false-alarm rate holds, for any detector, and the rest of PyOD's interface with it."""

import pickle

import numpy as np
import pandas as pd
import pytest
from pyod.models.base import BaseDetector
from pyod.models.hbos import HBOS
from pyod.models.knn import KNN
from scipy.stats import betabinom, binom, rankdata
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pyod_synth import PLAD, ConformalDetector, GatedKNN
from tests.detectors import small

# a correct implementation fails a test once in ten thousand times
UNLIKELY = 1e-4


class Norm(BaseDetector):
    """The distance from the origin, whose distribution is known; it learns nothing."""

    def __init__(self, contamination=0.1):
        super().__init__(contamination)

    def fit(self, X, y=None):
        self.decision_scores_ = self.decision_function(X)
        return self

    def decision_function(self, X):
        return np.linalg.norm(X, axis=1)


def normal(seed, n, d=4):
    return np.random.default_rng(seed).normal(size=(n, d))


def held_out(clf, X):
    """The calibration rows of a fit on a share: those whose scores were kept."""
    scores = clf.detectors_[0].decision_function(X)
    return np.isin(scores, clf.calibration_scores_[0])


def test_p_values_count_the_calibration_rows_that_score_as_high():
    X, new = normal(0, 200), normal(1, 50) * 1.5
    clf = ConformalDetector(Norm(), calibration=0.4).fit(X)
    usual = np.linalg.norm(X[held_out(clf, X)], axis=1)
    assert len(usual) == 80
    expected = (1 + (usual >= np.linalg.norm(new, axis=1)[:, None]).sum(axis=1)) / 81
    np.testing.assert_allclose(clf.p_values(new), expected)
    # a row that ties with a calibration row counts it
    np.testing.assert_allclose(clf.p_values(X[held_out(clf, X)]), rankdata(-usual) / 81 + 1 / 81)


def test_p_values_of_folds_count_each_fold_by_the_detector_that_did_not_see_it():
    X, new = normal(0, 103), normal(1, 20) * 1.5
    clf = ConformalDetector(KNN(), calibration=4).fit(X)
    assert [len(scores) for scores in clf.calibration_scores_] == [26, 26, 26, 25]
    counts = np.ones(20)
    for detector, usual in zip(clf.detectors_, clf.calibration_scores_, strict=True):
        assert len(detector.decision_scores_) == 103 - len(usual)
        counts += (usual >= detector.decision_function(new)[:, None]).sum(axis=1)
    np.testing.assert_allclose(clf.p_values(new), counts / 104)


@pytest.mark.parametrize("calibration", [0.5, 5])
@pytest.mark.parametrize("rate", [0.05, 0.1, 1 / 3])
def test_labels_scores_and_p_values_agree(calibration, rate):
    X, new = np.round(normal(0, 300), 1), np.round(normal(1, 400) * 2, 1)
    clf = ConformalDetector(KNN(), false_alarm_rate=rate, calibration=calibration).fit(X)
    scores, p_values = clf.decision_function(new), clf.p_values(new)
    n = 300 if calibration == 5 else 150
    np.testing.assert_array_equal(clf.predict(new), p_values <= rate + 1e-12)
    np.testing.assert_array_equal(clf.predict(new), scores > clf.threshold_)
    np.testing.assert_array_equal(clf.labels_, clf.predict(X))
    np.testing.assert_array_equal(clf.decision_scores_, clf.decision_function(X))
    assert ((scores > 1 - p_values) & (scores < 1 - p_values + 1 / (n + 1))).all()
    assert scores.min() > 0
    assert scores.max() < 1


def test_scores_order_rows_as_the_detector_does():
    X, new = normal(0, 300), np.concatenate([normal(1, 100), normal(2, 100) * 30])
    clf = ConformalDetector(Norm()).fit(X)
    np.testing.assert_array_equal(rankdata(clf.decision_function(new)), rankdata(np.linalg.norm(new, axis=1)))


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_the_rate_of_a_share_is_exact(rate):
    """Alarms among N new normal rows, with n to calibrate: beta-binomial, with mean N floor(rate (n + 1)) / (n + 1)."""
    n, alarms, repetitions = 149, [], 400
    for seed in range(repetitions):
        rows = normal(seed, 300, d=2)
        clf = ConformalDetector(Norm(), false_alarm_rate=rate, random_state=seed, calibration=n / 200).fit(rows[:200])
        assert clf._n_calibration() == n
        alarms.append(clf.predict(rows[200:]).sum())
    k = round(rate * 150 - 0.49999)
    each = betabinom(100, k, n + 1 - k)
    assert each.mean() == pytest.approx(100 * k / 150)
    deviation = each.std() / np.sqrt(repetitions)
    assert np.mean(alarms) == pytest.approx(each.mean(), abs=4 * deviation)
    assert np.std(alarms) == pytest.approx(each.std(), rel=0.25)


@pytest.mark.parametrize("calibration", [0.5, 5], ids=["share", "folds"])
@pytest.mark.parametrize(
    "detector",
    [
        GatedKNN(random_state=0),
        small(PLAD),
        KNN(),
        HBOS(),
        IsolationForest(n_estimators=20, random_state=0),
        make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True)),
        make_pipeline(StandardScaler(), KNN()),
    ],
    ids=["GatedKNN", "PLAD", "KNN", "HBOS", "IsolationForest", "pipeline of scikit-learn's", "pipeline of PyOD's"],
)
def test_the_rate_holds_for_any_detector(detector, calibration):
    rate, alarms, repetitions = 0.1, 0, 20
    for seed in range(repetitions):
        rows = normal(seed, 300)
        clf = ConformalDetector(detector, false_alarm_rate=rate, calibration=calibration, random_state=seed)
        assert clf.fit(rows[:199]).predict(rows[199:200].repeat(2, axis=0)).shape == (2,)
        alarms += clf.predict(rows[199:]).sum()
    each = betabinom(101, 10, 90)  # 99 rows calibrate; those of all folds do it more steadily
    deviation = each.std() / np.sqrt(repetitions)
    assert alarms / repetitions < each.mean() + 4 * deviation
    assert alarms / repetitions > each.mean() - 4 * deviation - 0.02 * 101
    assert clone(clf).detector is not detector
    assert not hasattr(detector, "decision_scores_")


@pytest.mark.parametrize("calibration", [0.5, 5], ids=["share", "folds"])
def test_anomalies_are_found(calibration):
    X, anomalies = normal(0, 500), normal(1, 100) + 5
    for detector in (GatedKNN(), IsolationForest(random_state=0), make_pipeline(StandardScaler(), KNN())):
        clf = ConformalDetector(detector, false_alarm_rate=0.05, calibration=calibration).fit(X)
        assert clf.predict(anomalies).mean() > 0.95
        scores = clf.decision_function(np.concatenate([normal(2, 100), anomalies]))
        assert roc_auc_score(np.repeat([0, 1], 100), scores) > 0.99


def test_the_false_discovery_rate_holds():
    shares, found = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        new, truth = rng.normal(size=(200, 3)), np.repeat([0, 1], [180, 20])
        new[truth == 1] *= 4
        clf = ConformalDetector(Norm(), random_state=seed).fit(rng.normal(size=(1000, 3)))
        labels = clf.predict(new, fdr=0.2)
        shares.append(((labels == 1) & (truth == 0)).sum() / max(1, labels.sum()))
        found.append(labels[truth == 1].mean())
    # expected: at most .9 of .2, the share of normal rows times the rate
    assert np.mean(shares) < 0.18 + 4 * np.std(shares) / 10
    assert np.mean(shares) > 0.18 - 4 * np.std(shares) / 10 - 0.03
    assert np.mean(found) > 0.5


def test_procedure_of_benjamini_and_hochberg():
    clf = ConformalDetector(Norm()).fit(normal(0, 1000))
    new = np.concatenate([normal(1, 90), normal(2, 10) * 5])
    ordered = np.sort(clf.p_values(new))
    largest = np.flatnonzero(ordered <= 0.1 * np.arange(1, 101) / 100).max()
    np.testing.assert_array_equal(clf.predict(new, fdr=0.1), clf.p_values(new) <= ordered[largest])
    labels, confidence = clf.predict(new, True, fdr=0.1)
    np.testing.assert_array_equal(labels, clf.predict(new, fdr=0.1))
    assert confidence.shape == (100,)


def test_too_few_calibration_rows_for_the_rate():
    X = normal(0, 100)
    message = r"false_alarm_rate=0.01 needs at least 99 calibration rows, got 50 of 100 rows with calibration=0.5"
    with pytest.raises(ValueError, match=message):
        ConformalDetector(Norm(), false_alarm_rate=0.01).fit(X)
    clf = ConformalDetector(Norm(), false_alarm_rate=0.01, calibration=5).fit(X)
    assert clf.predict([[9.0] * 4]) == [1]
    least = ConformalDetector(Norm(), false_alarm_rate=0.02, calibration=0.49).fit(X)
    assert least.predict([[9.0] * 4]) == [1]
    with pytest.raises(ValueError, match="calibration=5 folds need as many rows at least, got 4"):
        ConformalDetector(Norm(), calibration=5).fit(X[:4])
    with pytest.raises(ValueError, match="needs at least 1 calibration rows, got 0 of 1"):
        ConformalDetector(Norm(), false_alarm_rate=0.5, calibration=0.1).fit(X[:1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("false_alarm_rate", 0.0),
        ("false_alarm_rate", 0.6),
        ("false_alarm_rate", "low"),
        ("calibration", 1),
        ("calibration", 0.0),
        ("calibration", 1.5),
        ("calibration", True),
        ("random_state", "seed"),
        ("detector", None),
        ("detector", LocalOutlierFactor()),  # scores no new rows without novelty=True
    ],
)
def test_parameters_out_of_range(name, value):
    with pytest.raises(ValueError, match=name):
        ConformalDetector(**{"detector": Norm(), name: value}).fit(normal(0, 100))


@pytest.mark.parametrize("fdr", [0.0, 1.0, -0.1, "low"])
def test_false_discovery_rates_out_of_range(fdr):
    clf = ConformalDetector(Norm()).fit(normal(0, 100))
    with pytest.raises(ValueError, match=r"fdr must be a number in \(0, 1\) or None"):
        clf.predict(normal(1, 5), fdr=fdr)


@pytest.mark.parametrize("method", ["decision_function", "p_values", "predict", "predict_proba"])
def test_unfitted_use(method):
    with pytest.raises(NotFittedError, match="ConformalDetector"):
        getattr(ConformalDetector(Norm()), method)(normal(0, 5))


def test_a_fit_that_fails_changes_nothing():
    clf = ConformalDetector(KNN()).fit(normal(0, 100))
    before = dict(vars(clf))
    with pytest.raises(ValueError, match="NaN"):
        clf.fit(np.full((100, 4), np.nan))
    with pytest.raises(ValueError, match="false_alarm_rate"):
        clf.fit(normal(0, 10))
    assert vars(clf) == before


def test_interface_of_pyod():
    X, new = normal(0, 300), normal(1, 60) * 2
    clf = ConformalDetector(KNN(), false_alarm_rate=0.1)
    assert isinstance(clf, BaseDetector)
    assert clf.contamination == 0.1
    assert clf.get_params(deep=False).keys() == {"detector", "false_alarm_rate", "calibration", "random_state"}
    assert clf.set_params(detector__n_neighbors=3).fit(X) is clf
    assert clf.detectors_[0].n_neighbors == 3
    assert clf.n_features_in_ == 4
    for method in ("linear", "unify"):
        np.testing.assert_allclose(clf.predict_proba(new, method=method).sum(axis=1), 1)
    labels, confidence = clf.predict(new, return_confidence=True)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert set(labels) == {0, 1}
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).p_values(new), clf.p_values(new))
    again = clone(clf).fit(X)
    np.testing.assert_array_equal(again.p_values(new), clf.p_values(new))
    other = clone(clf).set_params(random_state=1).fit(X)
    assert not np.array_equal(other.p_values(new), clf.p_values(new))
    frame = pd.DataFrame(X, columns=list("abcd"))
    of_frame = ConformalDetector(GatedKNN()).fit(frame)
    assert list(of_frame.detectors_[0].feature_names_in_) == list("abcd")
    assert of_frame.p_values(pd.DataFrame(new, columns=list("abcd"))).shape == (60,)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_global_generators_are_left_alone(random_state):
    np.random.seed(0)  # noqa: NPY002 - the global one is meant
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    clf = ConformalDetector(Norm(), random_state=random_state).fit(normal(0, 100))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    first = clf.calibration_scores_[0]
    assert not np.array_equal(clf.fit(normal(0, 100)).calibration_scores_[0], first)


def test_images():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(120, 1, 8, 8))
    clf = ConformalDetector(GatedKNN(), false_alarm_rate=0.1).fit(X)
    assert clf.n_features_in_ == 64
    assert clf.p_values(rng.uniform(size=(5, 1, 8, 8)) * 5).max() < 0.1


@pytest.mark.needs_data
@pytest.mark.parametrize("calibration", [0.5, 5], ids=["share", "folds"])
@pytest.mark.parametrize("name", ["6_cardio", "38_thyroid", "7_Cardiotocography", "42_WBC", "31_satimage-2"])
def test_coverage_on_real_tables(data_folder, name, calibration):
    """Normal rows divided at random, ten times: no more alarms than the promise allows, and not many fewer.

    Each division's alarms are beta-binomial, where no scores tie; divisions of one table are not independent, and so
    each is held to its own bounds, and their mean to those of a single one.
    """
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X = arrays["X"][arrays["y"].ravel() == 0][:1200]
    rate, repetitions, shares = 0.1, 10, []
    for seed in range(repetitions):
        order = np.random.default_rng(seed).permutation(len(X))
        train, test = X[order[: len(X) // 2]], X[order[len(X) // 2 :]]
        clf = ConformalDetector(GatedKNN(), false_alarm_rate=rate, calibration=calibration, random_state=seed)
        alarms = clf.fit(train).predict(test).sum()
        n = round(len(train) / 2)
        k = int(rate * (n + 1))
        each = betabinom(len(test), k, n + 1 - k)
        assert alarms <= each.ppf(1 - UNLIKELY / repetitions)
        shares.append(alarms / len(test))
    assert np.mean(shares) == pytest.approx(rate, abs=0.05)


def test_binomial_is_the_limit_of_many_calibration_rows():
    X, new = normal(0, 20000, d=2), normal(1, 5000, d=2)
    alarms = ConformalDetector(Norm(), false_alarm_rate=0.01).fit(X).predict(new).sum()
    spread = betabinom(5000, 100, 9901)
    assert spread.ppf(UNLIKELY) <= alarms <= spread.ppf(1 - UNLIKELY)
    assert spread.std() == pytest.approx(binom(5000, 0.01).std(), rel=0.3)
