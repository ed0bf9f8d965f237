"""PyOD's ensembles, and its detectors that are built on another detector."""

import numpy as np
import pytest
from pyod.models import combination
from pyod.models.embedding import EmbeddingOD, MultiModalOD
from pyod.models.feature_bagging import FeatureBagging
from pyod.models.iforest import IForest
from pyod.models.lscp import LSCP
from pyod.models.suod import SUOD
from pyod.models.ts_od import TimeSeriesOD
from pyod.models.xgbod import XGBOD
from pyod.utils.utility import standardizer
from sklearn.metrics import roc_auc_score

from tests.detectors import DETECTORS, assert_same, finds_far_rows, small

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pyod"),
    pytest.mark.filterwarnings("ignore::UserWarning:suod"),
    pytest.mark.filterwarnings("ignore::UserWarning:xgboost"),
]


@pytest.fixture(params=DETECTORS, ids=lambda detector: detector.__name__)
def detector(request):
    return request.param


def suod(detectors):
    # without balanced scheduling, for which SUOD trains a predictor of run times in every fit and in every score
    return SUOD(detectors, bps_flag=False)


def lscp(detectors):
    return LSCP(detectors, random_state=0)


ENSEMBLES = pytest.mark.parametrize("ensemble", [suod, lscp])


def check(clf, X, far, finds_far):
    """Check what every PyOD detector does, and that far rows get high scores where its members give them such."""
    assert clf.decision_scores_.shape == (len(X),)
    assert np.isfinite(clf.decision_scores_).all()
    assert clf.labels_.sum() == pytest.approx(0.1 * len(X), abs=1)
    assert set(clf.predict(far)) <= {0, 1}
    assert clf.predict_proba(X).shape == (len(X), 2)
    scores = clf.decision_function(far)
    assert np.isfinite(scores).all()
    assert not finds_far or np.median(scores) > np.median(clf.decision_function(X))


@ENSEMBLES
def test_two_of_a_kind(detector, ensemble, table):
    far = table + 20 * table.std(axis=0)
    clf = ensemble([small(detector, random_state=seed) for seed in (0, 1)]).fit(table)
    check(clf, table, far, finds_far_rows(detector))
    again = ensemble([small(detector, random_state=seed) for seed in (0, 1)]).fit(table)
    np.testing.assert_array_equal(again.decision_function(far), clf.decision_function(far))


@ENSEMBLES
def test_beside_a_detector_of_pyod(detector, ensemble, table):
    clf = ensemble([small(detector), IForest(n_estimators=10, random_state=0)]).fit(table)
    check(clf, table, table + 20 * table.std(axis=0), finds_far_rows(detector))


def test_all_detectors_in_suod_as_it_comes(table):
    clf = SUOD([small(detector) for detector in DETECTORS]).fit(table)
    check(clf, table, table + 20 * table.std(axis=0), finds_far=False)


def test_suod_in_processes(detector, table):
    alone = suod([small(detector), small(detector, random_state=1)]).fit(table)
    clf = SUOD([small(detector), small(detector, random_state=1)], bps_flag=False, n_jobs=2).fit(table)
    np.testing.assert_array_equal(clf.decision_scores_, alone.decision_scores_)
    assert_same(clf.decision_function(table[:9]), alone.decision_function(table[:9]))


def test_suod_with_projection_and_approximation(detector, table):
    clf = SUOD(
        [small(detector), small(detector, random_state=1)],
        rp_clf_list=["UNK"],  # SUOD's name for detectors that it does not know
        approx_clf_list=["UNK"],
        target_dim_frac=0.7,
        bps_flag=False,
    ).fit(table)
    assert {base.n_features_in_ for base in clf.model_.base_estimators} == {2}
    check(clf, table, table + 20 * table.std(axis=0), finds_far_rows(detector))


def test_feature_bagging(detector, table):
    clf = FeatureBagging(small(detector), n_estimators=3, random_state=0).fit(table)
    check(clf, table, table + 20 * table.std(axis=0), finds_far_rows(detector))
    assert len({base.random_state for base in clf.estimators_}) == 3
    assert [base.n_features_in_ for base in clf.estimators_] == [len(names) for names in clf.estimators_features_]
    maximum = FeatureBagging(small(detector), n_estimators=2, combination="max", random_state=0).fit(table)
    assert np.isfinite(maximum.decision_function(table)).all()


def test_xgbod(detector, labelled):
    X, y = labelled
    detectors = [small(detector), small(detector, random_state=1)]
    clf = XGBOD(detectors, n_estimators=10, standardization_flag_list=[True, False]).fit(X, y)
    assert roc_auc_score(y, clf.decision_function(X)) > 0.95
    assert clf.X_train_add_.shape == (len(X), 2)
    np.testing.assert_array_equal(clf.X_train_add_[:, 1], detectors[1].decision_scores_)
    assert roc_auc_score(y, clf.predict_proba(X)) > 0.95


def test_combinations(detector, table):
    fitted = [small(detector, random_state=seed).fit(table) for seed in range(4)]
    rows = np.concatenate([table, table + 20 * table.std(axis=0)])
    train, test = standardizer(
        np.column_stack([clf.decision_scores_ for clf in fitted]),
        np.column_stack([clf.decision_function(rows) for clf in fitted]),
    )
    assert np.abs(train.mean(axis=0)).max() < 1e-6
    for combine, columns in (
        (combination.average, np.mean),
        (combination.maximization, np.max),
        (combination.median, np.median),
    ):
        np.testing.assert_allclose(combine(test), columns(test, axis=1))
    for combine in (combination.aom, combination.moa):
        assert np.isfinite(combine(test, n_buckets=2)).all()
        assert np.isfinite(combine(np.tile(test, 3), n_buckets=2, method="dynamic", random_state=0)).all()
    votes = combination.majority_vote(np.column_stack([clf.predict(rows) for clf in fitted]))
    assert set(votes) <= {0, 1}


@pytest.mark.parametrize("parameters", [{}, {"standardize": False}, {"reduce_dim": 2}], ids=str)
def test_embedding_od(detector, parameters):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abc"), size=rng.integers(5, 9))) for _ in range(80)]
    strange = ["x" * 40, "zzzz" * 20]

    def encode(texts):
        return np.array([[len(text), *(text.count(letter) for letter in "abcxz")] for text in texts], dtype=np.float32)

    clf = EmbeddingOD(encode, detector=small(detector, epoch_num=20), **parameters).fit(texts)
    assert isinstance(clf.detector_, detector)
    np.testing.assert_allclose(clf.decision_function(texts), clf.decision_scores_)
    assert clf.predict_proba(strange).shape == (2, 2)
    assert clf.predict_confidence(strange).shape == (2,)
    # principal components of the training texts do not see other letters
    if finds_far_rows(detector) and parameters != {"reduce_dim": 2}:
        assert clf.decision_function(strange).min() > np.median(clf.decision_scores_)


def test_multi_modal_od(detector, table):
    modalities = {"rows": small(detector), "embedded": EmbeddingOD(np.asarray, detector=small(detector))}
    clf = MultiModalOD(modalities).fit({"rows": table, "embedded": table})
    far = table + 20 * table.std(axis=0)
    scores = clf.decision_function({"rows": far, "embedded": far})
    assert np.isfinite(scores).all()
    assert not finds_far_rows(detector) or np.median(scores) > np.median(clf.decision_scores_)


@pytest.mark.parametrize("aggregation", ["max", "mean"])
def test_time_series_od(detector, aggregation):
    rng = np.random.default_rng(0)
    series = np.sin(np.arange(200) / 3)[:, None] * [1, 10] + 0.05 * rng.normal(size=(200, 2))
    clf = TimeSeriesOD(small(detector, epoch_num=20), window_size=8, score_aggregation=aggregation).fit(series)
    assert clf.detector_.n_features_in_ == 16
    assert_same(clf.decision_function(series), clf.decision_scores_)
    broken = series.copy()
    broken[100:104] += 100
    changed = np.flatnonzero(np.abs(clf.decision_function(broken) - clf.decision_scores_) > 1e-3)
    assert 93 <= changed.min() <= changed.max() <= 110
    if finds_far_rows(detector):
        assert 93 <= clf.decision_function(broken).argmax() <= 110
        assert clf.predict(broken)[100:104].all()


@ENSEMBLES
def test_images(detector, ensemble, images):
    rows, far = images.reshape(60, -1), (images + 20 * images.std()).reshape(60, -1)
    clf = ensemble([small(detector, image_shape=(2, 6, 5), random_state=seed) for seed in (0, 1)]).fit(rows)
    check(clf, rows, far, finds_far_rows(detector))


def test_xgbod_on_images(detector, images):
    rows = np.concatenate([images, images[:20] + 5 * images.std()]).reshape(80, -1)
    y = (np.arange(80) >= 60).astype(int)
    clf = XGBOD([small(detector, image_shape=(2, 6, 5))], n_estimators=10).fit(rows, y)
    assert clf.estimator_list_[0].input_shape_ == (2, 6, 5)
    assert roc_auc_score(y, clf.decision_function(rows)) > 0.95


def test_embedding_od_on_images(detector, images):
    def flatten(images):
        return images.reshape(len(images), -1)

    clf = EmbeddingOD(flatten, detector=small(detector, image_shape=(2, 6, 5))).fit(images)
    assert clf.detector_.input_shape_ == (2, 6, 5)
    assert clf.predict(images + 20 * images.std()).shape == (60,)


def test_random_features_make_no_image(detector, images):
    rows = images.reshape(60, -1)
    clf = FeatureBagging(small(detector, image_shape=(2, 6, 5)), n_estimators=3, random_state=0)
    with pytest.raises(ValueError, match=r"X has \d\d features, which image_shape=\(2, 6, 5\) cannot hold: 60"):
        clf.fit(rows)
    # as a table they go
    assert np.isfinite(FeatureBagging(small(detector), n_estimators=2, random_state=0).fit(rows).decision_scores_).all()
    projected = SUOD([small(detector, image_shape=(2, 6, 5))] * 2, rp_clf_list=["UNK"], bps_flag=False)
    with pytest.raises(ValueError, match=r"X has 30 features, which image_shape=\(2, 6, 5\) cannot hold: 60"):
        projected.fit(rows)
