"""scikit-learn's pipelines and searches around a detector."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone, is_outlier_detector
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from tests.detectors import DETECTORS, finds_far_rows, small

pytestmark = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)


@pytest.fixture
def frame(table):
    names = np.array(["north", "south", "east"])[np.random.default_rng(0).integers(3, size=len(table))]
    return pd.DataFrame(table, columns=["a", "b", "c"]).assign(place=names)


def test_pipeline(detector, labelled):
    X, y = labelled
    pipeline = make_pipeline(StandardScaler(), small(detector))
    assert is_outlier_detector(pipeline)
    assert pipeline.fit(X, y) is pipeline
    scores = pipeline.decision_function(X)
    np.testing.assert_array_equal(scores, small(detector).fit(StandardScaler().fit_transform(X)).decision_scores_)
    np.testing.assert_array_equal(clone(pipeline).fit(X).decision_function(X), scores)  # y changes nothing
    np.testing.assert_array_equal(pipeline.predict(X), pipeline[-1].labels_)
    assert pipeline.predict_proba(X).shape == (len(X), 2)
    labels, confidence = pipeline.predict(X, return_confidence=True)
    np.testing.assert_array_equal(labels, pipeline[-1].labels_)
    np.testing.assert_array_equal(confidence, pipeline[-1].predict_confidence(pipeline[:-1].transform(X)))
    with pytest.warns(FutureWarning, match="fit_predict is deprecated"):
        np.testing.assert_array_equal(pipeline.fit_predict(X), labels)


def test_labels_through_a_pipeline(detector, labelled):
    X, y = labelled
    if "use_labels" not in detector().get_params():
        assert detector.use_labels is False
        return
    pipeline = make_pipeline(StandardScaler(), small(detector, use_labels=True)).fit(X, y)
    expected = small(detector, use_labels=True).fit(StandardScaler().fit_transform(X), y)
    np.testing.assert_array_equal(pipeline[-1].decision_scores_, expected.decision_scores_)
    with pytest.raises(ValueError, match="y is required"):
        pipeline.fit(X)


def test_column_transformer_and_data_frames(detector, frame):
    columns = make_column_transformer(
        (StandardScaler(), ["a", "b"]), (OneHotEncoder(sparse_output=False), ["place"]), remainder="passthrough"
    )
    pipeline = make_pipeline(columns, small(detector)).set_output(transform="pandas").fit(frame)
    assert list(pipeline[-1].feature_names_in_) == list(columns.get_feature_names_out())
    assert pipeline[-1].n_features_in_ == 6
    shuffled = frame[["place", "c", "b", "a"]]
    np.testing.assert_array_equal(pipeline.decision_function(shuffled), pipeline[-1].decision_scores_)
    arrays = clone(pipeline).set_output(transform="default").fit(frame)
    assert not hasattr(arrays[-1], "feature_names_in_")
    np.testing.assert_array_equal(arrays[-1].decision_scores_, pipeline[-1].decision_scores_)


def test_pandas_everywhere(detector, frame, images):
    X = frame[["a", "b", "c"]]
    pipeline = make_pipeline(MinMaxScaler(), small(detector)).fit(X)
    scores, probabilities = pipeline[-1].decision_scores_, pipeline.predict_proba(X)
    with sklearn.config_context(transform_output="pandas"):
        pipeline.fit(X)
        np.testing.assert_array_equal(pipeline.decision_function(X), scores)
        np.testing.assert_array_equal(pipeline.predict_proba(X), probabilities)
        assert np.isfinite(small(detector).fit(images).decision_scores_).all()
    assert list(pipeline[-1].feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(pipeline[-1].decision_scores_, scores)


@pytest.mark.filterwarnings("error:X does not have valid feature names:UserWarning")
def test_search_in_processes(detector, labelled):
    (X, y), step = labelled, detector.__name__.lower()
    search = GridSearchCV(
        make_pipeline(StandardScaler(), small(detector)),
        {f"{step}__random_state": [0, 1], f"{step}__contamination": [0.1, 0.2]},
        scoring={"auroc": "roc_auc", "precision": "average_precision", "f1": "f1"},
        refit="auroc",
        cv=StratifiedKFold(2),
        n_jobs=2,
        error_score="raise",
    ).fit(X, y)
    auroc = search.cv_results_["mean_test_auroc"]
    assert np.isfinite(auroc).all()
    assert auroc[0] == auroc[2]  # the contamination moves the threshold alone
    assert search.best_estimator_.predict(X).shape == y.shape
    assert not finds_far_rows(detector) or search.score(X, y) > 0.5
    alone = GridSearchCV(small(detector), {"random_state": [0]}, scoring="roc_auc", cv=StratifiedKFold(2)).fit(X, y)
    both = cross_val_score(small(detector), X, y, scoring="roc_auc", cv=StratifiedKFold(2), n_jobs=2)
    assert alone.best_score_ == pytest.approx(both.mean(), abs=1e-6)


def test_cross_validated_scores(detector, labelled):
    X, _ = labelled
    # given y, scikit-learn asks for the classes of a classifier, of its own IsolationForest too
    scores = cross_val_predict(small(detector), X, cv=KFold(3, shuffle=True), method="decision_function")
    assert scores.shape == (len(X),)
    assert np.isfinite(scores).all()


def test_images_in_a_search(detector, images):
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), small(detector, image_shape=(2, 6, 5))),
        {f"{detector.__name__.lower()}__random_state": [0, 1]},
        scoring=lambda pipeline, X, y=None: -pipeline.decision_function(X).mean(),
        cv=2,
        error_score="raise",
    ).fit(images.reshape(60, -1))
    assert search.best_estimator_[-1].input_shape_ == (2, 6, 5)


def test_metadata_routing(detector, labelled):
    X, y = labelled
    with sklearn.config_context(enable_metadata_routing=True):
        clf = small(detector).set_predict_request(return_confidence=True)
        pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
        labels, confidence = clone(pipeline).fit(X).predict(X, return_confidence=True)
        np.testing.assert_array_equal(labels, pipeline[-1].labels_)
        assert confidence.shape == y.shape
        with pytest.raises(TypeError, match="sample_weight"):
            make_pipeline(MinMaxScaler(), clf).fit(X, y, sample_weight=np.ones(len(y)))
        search = GridSearchCV(clf, {"random_state": [0]}, scoring="roc_auc", cv=StratifiedKFold(2))
        assert np.isfinite(search.fit(X, y).best_score_)


def test_clone(detector, labelled):
    X, _ = labelled
    clf = small(detector, contamination=0.2, image_shape=None).fit(X)
    copy = clone(clf)
    assert copy.get_params() == clf.get_params()
    assert vars(copy).keys() == clf.get_params().keys()
    nested = clone(make_pipeline(StandardScaler(), clf)).set_params(**{f"{detector.__name__.lower()}__random_state": 5})
    assert (nested[-1].random_state, clf.random_state) == (5, 0)
