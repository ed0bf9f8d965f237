"""One contract for every exported detector, on every kind of input."""

import json
import os
import pickle
import random
from copy import deepcopy
from fractions import Fraction

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from pyod.models.base import BaseDetector
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from tests.detectors import DETECTORS, small

pytestmark = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)
METHODS = ["decision_function", "predict", "predict_proba", "predict_confidence", "predict_with_rejection", "embed"]


def test_fitted_attributes(detector, kind):
    X, _, parameters = kind
    clf = small(detector, contamination=0.2, **parameters)
    assert isinstance(clf, BaseDetector)
    assert clf.fit(X) is clf
    assert clf.decision_scores_.shape == (len(X),)
    assert clf.decision_scores_.dtype == np.float64
    assert np.isfinite(clf.decision_scores_).all()
    assert clf.labels_.dtype.kind == "i"
    assert clf.labels_.sum() == round(0.2 * len(X))
    np.testing.assert_array_equal(clf.labels_, clf.decision_scores_ > clf.threshold_)
    assert np.ndim(clf.threshold_) == 0
    # what PyOD's predict_proba rests on
    assert clf._classes == 2
    assert clf._mu == pytest.approx(clf.decision_scores_.mean())
    assert clf._sigma == pytest.approx(clf.decision_scores_.std())
    assert clf.n_features_in_ == np.prod(X.shape[1:])
    assert len(clf.history_) == 2
    assert np.isfinite(clf.history_).all()


def test_training_rows_score_as_new_ones_do(detector, kind):
    X, _, parameters = kind
    clf = small(detector, **parameters).fit(X)
    np.testing.assert_array_equal(clf.decision_function(X), clf.decision_scores_)


def test_score_depends_on_the_row_alone(detector, kind):
    X, _, parameters = kind
    clf = small(detector, **parameters).fit(X)
    scores = clf.decision_function(X)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_array_equal(clf.decision_function(X[order]), scores[order])
    np.testing.assert_array_equal(clf.decision_function(X[3:4]), scores[3:4])
    np.testing.assert_array_equal(clf.decision_function(np.concatenate([X] * 40)), np.tile(scores, 40))
    np.testing.assert_array_equal(clf.decision_function(np.asfortranarray(X)), scores)


@pytest.mark.filterwarnings("ignore:Function fit_predict is deprecated:FutureWarning")
def test_methods_of_pyod(detector, kind):
    X, far, parameters = kind
    clf = small(detector, **parameters).fit(X)
    rows = np.concatenate([X[:5], far[:5]])
    assert set(clf.predict(rows)) <= {0, 1}
    for method in ("linear", "unify"):
        probabilities = clf.predict_proba(rows, method=method)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
    confidence = clf.predict_confidence(rows)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert set(clf.predict_with_rejection(rows, c_r=0.1)) <= {-2, 0, 1}
    np.testing.assert_array_equal(clf.fit_predict(X), clf.labels_)


def test_same_seed_same_scores(detector, kind):
    X, _, parameters = kind
    clf = small(detector, **parameters)
    scores = clf.fit(X).decision_scores_
    np.testing.assert_array_equal(clf.fit(X).decision_scores_, scores)
    np.testing.assert_array_equal(clone(clf).fit(X).decision_scores_, scores)
    np.testing.assert_array_equal(clone(clf).set_params(random_state=np.int64(0)).fit(X).decision_scores_, scores)
    assert not np.array_equal(clone(clf).set_params(random_state=1).fit(X).decision_scores_, scores)


def assert_same_fit(one, other, X):
    """Check that two detectors hold and say the same, to the bit."""
    weights, others = one.core_.state_dict(), other.core_.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert not one.core_.training
    assert not other.core_.training
    assert (one.history_, one.threshold_) == (other.history_, other.threshold_)
    np.testing.assert_array_equal(one.decision_scores_, other.decision_scores_)
    np.testing.assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_array_equal(one.decision_function(X), other.decision_function(X))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_last_stage_is_what_fit_gives(detector, kind):
    X, far, parameters = kind
    clf, staged = small(detector, epoch_num=3, **parameters).fit(X), small(detector, epoch_num=3, **parameters)
    stages = []
    for stage in staged.staged_fit(X):
        assert stage is staged
        assert np.isfinite(staged.decision_function(far)).all()
        np.testing.assert_array_equal(staged.decision_function(X), staged.decision_scores_)
        stages.append(staged.history_)
        torch.manual_seed(0)  # whatever a user does between stages
        torch.rand(7)
    assert stages == [clf.history_[:epoch] for epoch in (1, 2, 3)]
    assert_same_fit(staged, clf, far)


def test_leaving_early_keeps_the_stage(detector, table):
    clf = small(detector, epoch_num=4)
    copies = [deepcopy(stage) for stage in clf.staged_fit(table)]
    assert not np.array_equal(copies[0].decision_scores_, copies[1].decision_scores_)
    for number, _ in enumerate(clf.staged_fit(table), start=1):
        if number == 2:
            break
    assert_same_fit(clf, copies[1], table)


def test_generators_are_the_users_between_stages(detector, table):
    def draws():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002 - the global one is meant

    def seed():
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)

    seed()
    expected = [draws() for _ in range(3)]
    seed()
    stages = small(detector).staged_fit(table)
    assert [draws() for _ in stages] == expected[:2]
    assert draws() == expected[2]


def test_stages_check_what_fit_checks(detector, table):
    with pytest.raises(ValueError, match="NaN"):
        next(small(detector).staged_fit(np.full((10, 3), np.nan)))
    with pytest.raises(ValueError, match="lr"):
        next(small(detector, lr=0.0).staged_fit(table))


def test_stages_learn_from_labels(detector, table):
    if "use_labels" not in detector().get_params():
        return
    y = (np.arange(len(table)) < 20).astype(int)
    *_, staged = small(detector, use_labels=True).staged_fit(table, y)
    assert_same_fit(staged, small(detector, use_labels=True).fit(table, y), table)


def test_representations(detector, kind):
    X, _, parameters = kind
    clf = small(detector, **parameters).fit(X)
    embedded = clf.embed(X)
    assert embedded.dtype == np.float64
    assert embedded.shape[0] == len(X)
    assert embedded.ndim == 2
    assert np.isfinite(embedded).all()
    assert np.linalg.matrix_rank(embedded - embedded.mean(axis=0)) > 1
    np.testing.assert_array_equal(clf.embed(X[3:4]), embedded[3:4])
    np.testing.assert_array_equal(clf.embed(X[::-1]), embedded[::-1])


def test_generator_as_random_state(detector, table):
    scores = [small(detector, random_state=np.random.RandomState(3)).fit(table).decision_scores_ for _ in range(2)]
    np.testing.assert_array_equal(*scores)
    assert np.isfinite(small(detector, random_state=None).fit(table).decision_scores_).all()


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_generators_are_left_alone(detector, table, random_state):
    def draws():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002 - the global one is meant

    def seed():
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)

    seed()
    expected = draws()
    seed()
    small(detector, random_state=random_state).fit(table).decision_function(table)
    assert draws() == expected


def test_constructor_only_stores(detector):
    parameters = detector().get_params()
    json.dumps(parameters)
    assert set(vars(detector())) == set(parameters)
    assert detector().get_params() == parameters
    environment = dict(os.environ)
    detector()
    assert dict(os.environ) == environment
    for name, value in parameters.items():
        assert detector(**{name: value}).get_params()[name] is value


@pytest.mark.parametrize("n", [2, 5, 31, 33])
def test_fewer_rows_than_a_batch(detector, table, n):
    clf = small(detector).fit(table[:n])
    assert np.isfinite(clf.decision_scores_).all()
    assert np.isfinite(clf.decision_function(table)).all()


@pytest.mark.parametrize("batch_size", [1, 149, 150, 151])
def test_uneven_batches(detector, table, batch_size):
    clf = small(detector, batch_size=batch_size, epoch_num=1).fit(table)
    assert np.isfinite(clf.decision_scores_).all()


def test_single_column(detector, table):
    clf = small(detector).fit(table[:, :1])
    assert np.isfinite(clf.decision_function(table[:, :1])).all()


def test_constant_column_moved_a_little_explodes_nothing(detector, table):
    X = np.column_stack([table, np.full(len(table), 7.0)])
    clf = small(detector).fit(X)
    moved = X + [0, 0, 0, 0.001]
    spread = np.ptp(clf.decision_scores_)
    assert np.abs(clf.decision_function(moved) - clf.decision_scores_).max() < 5 * spread
    assert np.isfinite(small(detector).fit(np.ones((20, 2))).decision_scores_).all()


def test_identical_rows(detector):
    clf = small(detector).fit(np.ones((20, 3)))
    assert np.isfinite(clf.decision_function([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]])).all()


@pytest.mark.parametrize("value", [1e160, -1e300])
def test_huge_values(detector, table, value):
    clf = small(detector).fit(table)
    rows = table[:3].copy()
    rows[1, 1] = value
    assert np.isfinite(clf.decision_function(rows)).all()
    X = table.copy()
    X[5, 0] = value
    clf = small(detector).fit(X)
    assert np.isfinite(clf.decision_function(X)).all()
    assert np.isfinite(clf.decision_function(table)).all()


def test_kinds_of_arrays(detector, table):
    clf = small(detector).fit(table)
    expected = clf.decision_function(table)
    np.testing.assert_array_equal(clf.decision_function(table.tolist()), expected)
    np.testing.assert_allclose(clf.decision_function(table.astype(np.float32)), expected, rtol=1e-2, atol=1e-2)
    integers = np.arange(60).reshape(30, 2) % 7
    assert np.isfinite(small(detector).fit(integers).decision_scores_).all()
    assert clf.predict_proba(table.tolist()).shape == (len(table), 2)
    frozen = table.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(small(detector).fit(frozen).decision_scores_, clf.decision_scores_)
    np.testing.assert_array_equal(small(detector).fit(np.asfortranarray(table)).decision_scores_, clf.decision_scores_)


def test_images_and_flattened_images_score_alike(detector, images):
    whole = small(detector).fit(images)
    flat = small(detector, image_shape=(2, 6, 5)).fit(images.reshape(60, -1))
    np.testing.assert_array_equal(whole.decision_scores_, flat.decision_scores_)
    np.testing.assert_array_equal(whole.decision_function(images.reshape(60, -1)), whole.decision_scores_)
    np.testing.assert_array_equal(flat.decision_function(images), flat.decision_scores_)
    assert whole.n_features_in_ == flat.n_features_in_ == 60
    pixels = np.random.default_rng(0).integers(0, 256, size=(20, 1, 8, 8), dtype=np.uint8)
    assert np.isfinite(small(detector).fit(pixels).decision_scores_).all()


def test_data_frame(detector, table):
    frame = pd.DataFrame(table, columns=["a", "b", "c"])
    clf = small(detector).fit(frame)
    assert list(clf.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(clf.decision_function(frame), clf.decision_scores_)
    with pytest.raises(ValueError, match="feature names"):
        clf.decision_function(frame[["b", "a", "c"]])


def test_labels_are_ignored(detector, table):
    y = np.zeros(len(table), dtype=int)
    y[:20] = 1
    clf = small(detector).fit(table)
    scores = clf.decision_scores_
    np.testing.assert_array_equal(clf.fit(table, y).decision_scores_, scores)
    clf.fit(table, np.zeros_like(y))
    assert clf.predict_proba(table).shape == (len(table), 2)


def test_pipeline_with_flattened_images(detector, images):
    rows = images.reshape(60, -1)
    pipeline = make_pipeline(MinMaxScaler(), small(detector, image_shape=(2, 6, 5))).fit(rows)
    assert np.isfinite(pipeline.decision_function(rows)).all()
    assert pipeline[-1].input_shape_ == (2, 6, 5)


@pytest.mark.parametrize("method", METHODS)
def test_unfitted_use(detector, table, method):
    with pytest.raises(NotFittedError, match=detector.__name__):
        getattr(small(detector), method)(table)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(detector, table, images, bad):
    for X in (table, images):
        broken = X.copy()
        broken[(4,) + (1,) * (X.ndim - 1)] = bad
        with pytest.raises(ValueError, match="NaN|infinity"):
            small(detector).fit(broken)
        with pytest.raises(ValueError, match="NaN|infinity"):
            small(detector).fit(X).decision_function(broken)


def test_shapes_that_do_not_fit(detector, table, images):
    clf = small(detector).fit(table)
    with pytest.raises(ValueError, match="X has 2 features, but .* is expecting 3 features"):
        clf.decision_function(table[:, :2])
    with pytest.raises(ValueError, match="expects a table"):
        clf.decision_function(images)
    on_images = small(detector).fit(images)
    with pytest.raises(ValueError, match=r"shape \(2, 5, 6\), but .* expects images of shape \(2, 6, 5\)"):
        on_images.decision_function(images.transpose(0, 1, 3, 2))
    with pytest.raises(ValueError, match="features"):
        on_images.decision_function(images.reshape(60, -1)[:, :59])
    with pytest.raises(ValueError, match="3-D"):
        small(detector).fit(images[0])
    with pytest.raises(ValueError, match="1-D"):
        small(detector).fit(table[0])
    with pytest.raises(ValueError, match=r"image_shape=\(2, 6, 6\)"):
        small(detector, image_shape=(2, 6, 6)).fit(images.reshape(60, -1))
    with pytest.raises(ValueError, match="images of shape"):
        small(detector, image_shape=(2, 6, 6)).fit(images)
    with pytest.raises(ValueError, match="0 sample"):
        small(detector).fit(table[:0])
    with pytest.raises(ValueError, match="1 sample"):
        small(detector).fit(table[:1])
    with pytest.raises(ValueError, match="0 sample"):
        clf.decision_function(table[:0])
    with pytest.raises(TypeError, match="[Ss]parse"):
        small(detector).fit(csr_matrix(table))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", 0.0),
        ("lr", "fast"),
        ("epoch_num", 0),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("weight_decay", -1.0),
        ("preprocessing", "yes"),
        ("random_state", "seed"),
        ("image_shape", (1, 2)),
        ("image_shape", (1, 0, 3)),
        ("image_shape", 3),
        ("device", 7),
        ("contamination", 0.7),
    ],
)
def test_parameters_out_of_range(detector, table, name, value):
    clf = small(detector)
    clf.set_params(**{name: value})
    with pytest.raises((ValueError, TypeError), match=name):
        clf.fit(table)
    assert not hasattr(clf, "decision_scores_")


def test_contamination_is_checked_by_the_constructor_too(detector):
    with pytest.raises(ValueError, match="contamination"):
        detector(contamination=0.6)


@pytest.mark.parametrize("contamination", [np.float32(0.2), np.float16(0.2), Fraction(1, 5)])
def test_numbers_that_pyod_takes_for_a_thresholder(detector, table, contamination):
    clf = small(detector, contamination=contamination)
    assert clf.get_params()["contamination"] == float(contamination)
    assert clone(clf).fit(table).labels_.sum() == 30
    clf.fit(table)
    assert clf.predict(table, return_confidence=True)[0].sum() == 30
    assert np.isfinite(clf.predict_with_rejection(table, c_r=0.1, return_stats=True)[1]).all()
    assert deepcopy(clf).contamination == float(contamination)


def test_failed_refit_leaves_the_detector_usable(detector, table):
    clf = small(detector).fit(table)
    scores = clf.decision_function(table)
    with pytest.raises(ValueError, match="NaN"):
        clf.fit(np.full((10, 3), np.nan))
    np.testing.assert_array_equal(clf.decision_function(table), scores)


@pytest.mark.parametrize("copy", [lambda clf: pickle.loads(pickle.dumps(clf)), deepcopy], ids=["pickle", "deepcopy"])
def test_copies_score_alike(detector, kind, copy):
    X, _, parameters = kind
    clf = small(detector, **parameters).fit(X)
    np.testing.assert_array_equal(copy(clf).decision_function(X), clf.decision_scores_)


def test_joblib_round_trip(detector, table, tmp_path):
    clf = small(detector).fit(table)
    joblib.dump(clf, tmp_path / "clf.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "clf.joblib").decision_function(table), clf.decision_scores_)


def test_silent_unless_asked(detector, table, capfd):
    small(detector, verbose=0).fit(table)
    assert capfd.readouterr() == ("", "")
    small(detector, verbose=1).fit(table)
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/2" in err


def test_far_rows_are_found_with_default_parameters(detector, kind):
    X, far, parameters = kind
    if far.shape[1:] != (3,):
        parameters = parameters | {"epoch_num": 60}  # images take longer, and need less
    clf = detector(random_state=0, **parameters).fit(X)
    assert clf.predict(far).all()
    assert clf.decision_function(far).min() > clf.decision_scores_.max()


def test_preprocessing_off_leaves_values(detector, table):
    standardised = (table - table.mean(axis=0)) / table.std(axis=0)
    on = small(detector).fit(table)
    off = small(detector, preprocessing=False).fit(standardised)
    np.testing.assert_allclose(on.decision_scores_, off.decision_scores_, rtol=1e-3, atol=1e-3)


def test_labels_are_required_and_checked_when_they_are_used(detector, table):
    if "use_labels" not in detector().get_params():
        assert detector.use_labels is False
        return
    y = np.zeros(len(table), dtype=int)
    y[:20] = 1
    clf = small(detector, use_labels=True)
    unlabelled = small(detector).fit(table).decision_scores_
    assert not np.array_equal(clf.fit(table, y).decision_scores_, unlabelled)
    np.testing.assert_array_equal(clf.fit(table, y.astype(bool)).decision_scores_, clf.fit(table, y).decision_scores_)
    for bad, message in [(None, "y is required"), (y[:-1], "inconsistent"), (y * 2, "y must hold 0")]:
        with pytest.raises(ValueError, match=message):
            clf.fit(table, bad)
