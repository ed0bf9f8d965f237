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
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from tests.detectors import DETECTORS, assert_same, offers, small, takes_sequences, trains

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
    if trains(detector):
        assert len(clf.history_) == 2
        assert np.isfinite(clf.history_).all()


def test_training_rows_score_as_new_ones_do(detector, kind):
    X, _, parameters = kind
    clf = small(detector, **parameters).fit(X)
    assert_same(clf.decision_function(X), clf.decision_scores_)


def test_score_depends_on_the_row_alone(detector, kind):
    X, _, parameters = kind
    clf = small(detector, **parameters).fit(X)
    scores = clf.decision_function(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert_same(clf.decision_function(X[order]), scores[order])
    for row in (0, 3, len(X) - 1):
        np.testing.assert_allclose(
            clf.decision_function(X[row : row + 1])[0], scores[row], atol=1e-5 * np.abs(scores).max()
        )
    assert_same(clf.decision_function(np.concatenate([X] * 40)), np.tile(scores, 40))
    assert_same(clf.decision_function(np.asfortranarray(X)), scores)


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


def test_representations(detector, kind):
    X, _, parameters = kind
    clf = small(detector, **parameters).fit(X)
    embedded = clf.embed(X)
    assert embedded.dtype == np.float64
    assert embedded.shape[0] == len(X)
    assert embedded.ndim == 2
    assert np.isfinite(embedded).all()
    assert np.linalg.matrix_rank(embedded - embedded.mean(axis=0)) > 1
    assert_same(clf.embed(X[:5]), embedded[:5])
    assert_same(clf.embed(X[::-1]), embedded[::-1])


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


def test_parameters_are_keywords(detector):
    with pytest.raises(TypeError, match="positional"):
        detector(0.1)


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


@pytest.mark.parametrize("value", [1e7, 1e200])
@pytest.mark.parametrize("cells", [slice(1), slice(None)], ids=["cell", "row"])
def test_one_far_value_in_a_large_table(detector, value, cells):
    X = np.random.default_rng(0).normal(size=(20_000, 3))
    X[7, cells] = value  # 141 deviations
    clf = small(detector, epoch_num=1, batch_size=512, lr=1e-2).fit(X)
    assert np.isfinite(clf.decision_scores_).all()
    assert clf.decision_scores_.argmax() == 7
    assert clf.labels_[7] == 1


def test_one_rare_flag_in_a_large_table(detector):
    X = np.random.default_rng(0).normal(size=(20_000, 3))
    X[:, 2] = np.arange(20_000) == 7
    clf = small(detector, epoch_num=1, batch_size=512, lr=1e-2).fit(X)
    assert clf.decision_scores_.argmax() == 7
    np.testing.assert_allclose(clf.decision_function(X[:10]), clf.decision_scores_[:10], rtol=1e-4, atol=1e-4)


def test_far_rows_rank_by_how_far_they_are(detector, table):
    clf = small(detector).fit(table)
    far = np.repeat(table[:1], 6, axis=0)
    far[:, 1] = [1e6, 1e8, 1e12, 1e50, 1e200, 1e308]  # of a feature of deviation 100
    for sign in (1, -1):
        scores = clf.decision_function(far * [1, sign, 1])
        assert (np.diff(scores) > 0).all()
        assert scores.min() > clf.decision_scores_.max()


def test_scores_of_rows_that_are_not_far_are_those_of_the_networks(detector, kind):
    X, far, parameters = kind
    clf = small(detector, **parameters).fit(X)
    rows = np.concatenate([X, far])
    x = torch.from_numpy(clf.standardizer_.transform(rows.reshape(len(rows), *clf.input_shape_)))
    with torch.no_grad():
        np.testing.assert_array_equal(clf.core_.score(x), clf.core_.anomaly_score(x))


def test_values_that_most_rows_have_are_not_far(detector):
    # each row has a flag of its own, as rare words have in texts: 200 deviations
    x = torch.zeros(40, 3)
    x[:, 0] = 200.0
    x[:2, 0] = 300.0
    core = small(detector).fit(np.random.default_rng(0).normal(size=(40, 3))).core_
    scores = torch.arange(40.0)
    expected = scores.clone()
    expected[:2] = 39 + 1.5 * scores[2:].std(correction=0)
    np.testing.assert_allclose(core.settle(x, scores, 100.0), expected, rtol=1e-5)
    assert core.reach == 200


def test_what_is_made_of_far_rows_is_finite(detector, kind):
    X, _, parameters = kind
    rows = X.copy()
    rows.reshape(len(rows), -1)[:4] = np.array([1e20, 1e160, -1e300, 1e308])[:, None]
    rows.reshape(len(rows), -1)[4, 0] = 1e308
    for fitted_on in (X, rows):
        clf = small(detector, **parameters).fit(fitted_on)
        for name in ("embed", "explain", "invent", "nearest_normal", "perturb", "predict_proba"):
            if offers(clf, name, X):
                assert np.isfinite(getattr(clf, name)(rows)).all()
        assert not hasattr(clf, "generate") or np.isfinite(clf.generate(5)).all()


@pytest.mark.parametrize("offset", [5e15, -5e15])
def test_offset_of_a_feature_changes_no_score(detector, table, offset):
    X = np.column_stack([table, np.random.default_rng(0).permutation(len(table))])
    clf, other = small(detector).fit(X), small(detector).fit(X + [0, 0, 0, offset])
    np.testing.assert_array_equal(other.decision_scores_, clf.decision_scores_)
    np.testing.assert_array_equal(other.decision_function(X + [0, 0, 0, offset]), clf.decision_function(X))


def test_kinds_of_arrays(detector, table):
    clf = small(detector).fit(table)
    expected = clf.decision_function(table)
    assert_same(clf.decision_function(table.tolist()), expected)
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
    assert_same(whole.decision_function(images.reshape(60, -1)), whole.decision_scores_)
    assert_same(flat.decision_function(images), flat.decision_scores_)
    assert whole.n_features_in_ == flat.n_features_in_ == 60
    pixels = np.random.default_rng(0).integers(0, 256, size=(20, 1, 8, 8), dtype=np.uint8)
    assert np.isfinite(small(detector).fit(pixels).decision_scores_).all()


def test_sequences_in_every_form_score_alike(detector, sequences):
    if not takes_sequences(detector):
        with pytest.raises(ValueError, match="got 3-D. Grey images need .*image_shape=") as raised:
            small(detector).fit(sequences)
        assert "sequence" not in str(raised.value)
        return
    whole = small(detector, sequence_shape=(2, 12)).fit(sequences)
    flat = small(detector, sequence_shape=[2, 12]).fit(sequences.reshape(60, -1))
    last = small(detector, sequence_shape=(2, 12), channels_last=True).fit(sequences.swapaxes(1, 2).tolist())
    assert whole.input_shape_ == flat.input_shape_ == last.input_shape_ == (2, 12)
    assert whole.n_features_in_ == flat.n_features_in_ == last.n_features_in_ == 24
    for other in (flat, last):
        np.testing.assert_array_equal(other.decision_scores_, whole.decision_scores_)
    assert_same(whole.decision_function(sequences.reshape(60, -1)), whole.decision_scores_)
    assert_same(flat.decision_function(sequences), whole.decision_scores_)
    assert_same(last.decision_function(sequences.swapaxes(1, 2).reshape(60, -1)), whole.decision_scores_)
    assert_same(last.embed(sequences.swapaxes(1, 2)), whole.embed(sequences))
    assert not np.allclose(last.decision_function(sequences.reshape(60, -1)), whole.decision_scores_)


def test_channels_of_sequences_are_scaled_each_by_its_own(detector, sequences):
    if takes_sequences(detector):
        scaled = (sequences - sequences.mean(axis=(0, 2), keepdims=True)) / sequences.std(axis=(0, 2), keepdims=True)
        on = small(detector, sequence_shape=(2, 12)).fit(sequences)
        off = small(detector, sequence_shape=(2, 12), preprocessing=False).fit(scaled)
        np.testing.assert_allclose(on.decision_scores_, off.decision_scores_, rtol=1e-3, atol=1e-3)


def test_shapes_of_sequences_that_do_not_fit(detector, table, images, sequences):
    if not takes_sequences(detector):
        return
    for clf in (small(detector), small(detector).fit(table)):
        with pytest.raises(ValueError, match=r"X\[:, None\].*image_shape=.*sequence_shape=\(channels, steps\)"):
            clf.fit(sequences)
    with pytest.raises(ValueError, match="got 3-D"):
        small(detector).fit(table).decision_function(sequences)
    clf = small(detector, sequence_shape=(2, 12)).fit(sequences)
    with pytest.raises(ValueError, match=r"sequences of shape \(12, 2\), but .* expects sequences of shape \(2, 12\)"):
        clf.decision_function(sequences.swapaxes(1, 2))
    with pytest.raises(ValueError, match=r"images of shape \(2, 6, 5\), but .* expects sequences of shape \(2, 12\)"):
        clf.decision_function(images)
    with pytest.raises(ValueError, match="X has 23 features, but .* is expecting 24"):
        clf.decision_function(sequences.reshape(60, -1)[:, :23])
    with pytest.raises(ValueError, match=r"X has 24 features, which sequences of shape \(2, 10\) cannot hold: 20"):
        small(detector, sequence_shape=(2, 10)).fit(sequences.reshape(60, -1))
    with pytest.raises(ValueError, match=r"sequences of shape \(2, 12\), but .* expects sequences of shape \(12, 2\)"):
        small(detector, sequence_shape=(2, 12), channels_last=True).fit(sequences)
    with pytest.raises(ValueError, match=r"sequence_shape and image_shape .*\(2, 12\) and \(2, 4, 3\)"):
        small(detector, sequence_shape=(2, 12), image_shape=(2, 4, 3)).fit(sequences)
    with pytest.raises(ValueError, match="channels_last=True .* needs sequence_shape"):
        small(detector, channels_last=True).fit(table)
    for wrong in [(2,), (2, 0), (2, 1.5), (1, 2, 12), 3, "ab"]:
        with pytest.raises(ValueError, match="sequence_shape"):
            small(detector, sequence_shape=wrong).fit(sequences)
    broken = sequences.copy()
    broken[3, 1, 5] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        clf.decision_function(broken)


@pytest.mark.parametrize("shape", [(1, 20), (4, 5), (20, 1)])
def test_sequences_of_one_channel_and_of_one_step(detector, shape):
    if takes_sequences(detector):
        X = np.random.default_rng(0).normal(size=(40, 20))
        clf = small(detector, sequence_shape=shape).fit(X)
        assert clf.input_shape_ == shape
        assert_same(clf.decision_function(X.reshape(40, *shape)), clf.decision_scores_)


def test_data_frame(detector, table):
    frame = pd.DataFrame(table, columns=["a", "b", "c"])
    clf = small(detector).fit(frame)
    assert list(clf.feature_names_in_) == ["a", "b", "c"]
    assert_same(clf.decision_function(frame), clf.decision_scores_)
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


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 4), (1, 3, 5)], ids=str)
def test_images_of_any_size_in_batches_of_one(detector, shape):
    X = np.random.default_rng(0).normal(size=(6, *shape))
    clf = small(detector, batch_size=1).fit(X)
    assert np.isfinite(clf.decision_scores_).all()
    assert_same(np.concatenate([clf.decision_function(X[i : i + 1]) for i in range(6)]), clf.decision_scores_)
    assert len(clf.embed(X[:1])) == 1


def test_pipeline_with_flattened_images(detector, images):
    rows = images.reshape(60, -1)
    pipeline = make_pipeline(MinMaxScaler(), small(detector, image_shape=(2, 6, 5))).fit(rows)
    assert np.isfinite(pipeline.decision_function(rows)).all()
    assert pipeline[-1].input_shape_ == (2, 6, 5)


def test_pipeline_with_flattened_sequences(detector, sequences):
    if takes_sequences(detector):
        rows = sequences.reshape(60, -1)
        pipeline = make_pipeline(MinMaxScaler(), small(detector, sequence_shape=(2, 12))).fit(rows)
        assert np.isfinite(pipeline.decision_function(rows)).all()
        assert pipeline[-1].input_shape_ == (2, 12)


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
        ("optimizer_name", "lbfgs"),
        ("lr_schedule", "linear"),
        ("lr_schedule", 3),
        ("lr_schedule", (0, 2)),
        ("lr_schedule", (4, 2)),
        ("lr_schedule", (2, 2)),
        ("lr_schedule", (1.5,)),
        ("lr_schedule", (True,)),
        ("preprocessing", "yes"),
        ("random_state", "seed"),
        ("image_shape", (1, 2)),
        ("image_shape", (1, 0, 3)),
        ("image_shape", 3),
        ("device", 7),
        ("device", "nonsense"),
        ("device", "cuda:99"),
        ("device", torch.device("meta")),
        ("lr", True),
        ("batch_size", True),
        ("epoch_num", True),
        ("random_state", True),
        ("contamination", 0.7),
    ],
)
def test_parameters_out_of_range(detector, table, name, value):
    if name not in detector().get_params():
        assert not trains(detector)
        return
    clf = small(detector)
    clf.set_params(**{name: value})
    with pytest.raises((ValueError, TypeError), match=name):
        clf.fit(table)
    assert not hasattr(clf, "decision_scores_")


@pytest.mark.parametrize("value", [1e20, 10**20, 1e308])
def test_parameters_beyond_all_sense_name_themselves(detector, table, value):
    for name, default in detector().get_params().items():
        if isinstance(default, (int, float)) and not isinstance(default, bool) and name != "verbose":
            clf = small(detector)
            clf.set_params(**{name: value})
            with pytest.raises(ValueError, match=name):
                clf.fit(table)


def test_divergence_names_the_parameter_that_is_likely_why(detector, table):
    rates = [name for name in ("lr", "perturbator_lr") if name in detector().get_params()]
    assert bool(rates) == trains(detector)
    for name in rates:
        with pytest.raises(FloatingPointError, match=rf"in epoch \d.* a smaller {name} may help: it is 1e\+14"):
            small(detector, **{name: 1e14}, epoch_num=20).fit(table)


def test_no_classes_with_a_clear_sentence(detector, labelled):
    X, y = labelled
    clf = small(detector, epoch_num=1).fit(X)
    assert not hasattr(clf, "classes_")
    with pytest.raises(AttributeError, match="outlier detector and no classifier, and has no classes_"):
        CalibratedClassifierCV(small(detector, epoch_num=1), cv=2).fit(X, y)
    with pytest.raises(AttributeError, match="takes it without y"):
        cross_val_predict(small(detector, epoch_num=1), X, y, cv=2, method="decision_function")


def test_progress_without_a_console(detector, table, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    assert np.isfinite(small(detector, verbose=1).fit(table).decision_scores_).all()


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
    assert ("2/2" in err) == trains(detector)


def test_threshold_anew_without_a_fit(detector, table):
    clf = small(detector, contamination=0.1).fit(table)
    core, scores = clf.core_, clf.decision_scores_
    assert clf.update_threshold(0.3) is clf
    assert clf.contamination == 0.3
    assert clf.labels_.sum() == 45
    np.testing.assert_array_equal(clf.labels_, scores > clf.threshold_)
    assert clf.core_ is core
    assert clf.set_params(contamination=0.2).update_threshold().labels_.sum() == 30
    before = dict(vars(clf))
    with pytest.raises(ValueError, match="contamination"):
        clf.update_threshold(0.7)
    assert vars(clf) == before
    with pytest.raises(NotFittedError):
        small(detector).update_threshold(0.3)


def test_weights_load_into_a_fresh_core(detector, kind):
    X, far, parameters = kind
    clf = small(detector, **parameters).fit(X)
    fresh = small(detector, **parameters | {"random_state": 1}).build_core(clf.input_shape_)
    fresh.load_state_dict(clf.core_.state_dict())
    trained, clf.core_ = clf.core_, fresh.eval()
    np.testing.assert_array_equal(clf.decision_function(far), deepcopy_with(clf, trained).decision_function(far))


def deepcopy_with(clf, core):
    copied = deepcopy(clf)
    copied.core_ = core
    return copied


def test_preprocessing_off_leaves_values(detector, table):
    standardised = (table - table.mean(axis=0)) / table.std(axis=0)
    on = small(detector, preprocessing=True).fit(table)
    off = small(detector, preprocessing=False).fit(standardised)
    np.testing.assert_allclose(on.decision_scores_, off.decision_scores_, rtol=1e-3, atol=1e-3)


def test_masked_values_and_dates_are_no_numbers(detector, table, images):
    for X in (table, images):
        masked = np.ma.masked_array(X, mask=False)
        clf = small(detector).fit(masked)  # nothing of it is masked
        masked[(3, *[0] * (X.ndim - 1))] = np.ma.masked
        for method in (small(detector).fit, clf.decision_function):
            with pytest.raises(ValueError, match="X has masked values"):
                method(masked)
    clf = small(detector).fit(table)
    for kind in ("datetime64[ns]", "timedelta64[s]"):
        times = table.astype(np.int64).astype(kind)
        for method in (small(detector).fit, clf.decision_function):
            with pytest.raises(ValueError, match="X must hold numbers, got dates or times"):
                method(times)


def test_columns_that_are_no_numbers_are_named(detector, table):
    frame = pd.DataFrame(table, columns=[f"f{i}" for i in range(table.shape[1])])
    clf = small(detector).fit(frame)
    as_text = frame.assign(f0=frame["f0"].astype(str))  # text of numbers is read
    np.testing.assert_allclose(clf.decision_function(as_text), clf.decision_scores_, rtol=1e-4, atol=1e-4)
    other = frame.assign(f0="a", f2=pd.Timestamp("2026-01-01"))
    for method in (small(detector).fit, clf.decision_function):
        with pytest.raises(ValueError, match=r"X must hold numbers, got other values in its columns \['f0', 'f2'\]"):
            method(other)
    with pytest.raises(ValueError, match="NaN"):
        clf.decision_function(frame.assign(f0=[None, *frame["f0"][1:]]))


def test_masked_labels_are_no_labels(detector, table):
    if "use_labels" in detector().get_params():
        y = np.ma.masked_array(np.arange(len(table)) % 9 == 0, mask=np.arange(len(table)) == 4).astype(int)
        with pytest.raises(ValueError, match="y has masked values"):
            small(detector, use_labels=True).fit(table, y)
        small(detector, use_labels=True).fit(table, pd.Series(y.filled(0)))


def test_preprocessing_to_a_range_is_that_of_the_training_rows(detector, table):
    scaled = (table - table.min(axis=0)) / np.ptp(table, axis=0)
    clf = small(detector, preprocessing="minmax").fit(table)
    # NCAE's decoder ends in a sigmoid where rows are scaled so, which they are already
    off = small(detector, preprocessing="minmax" if detector.__name__ == "NCAE" else False).fit(scaled)
    np.testing.assert_allclose(clf.decision_scores_, off.decision_scores_, rtol=1e-3, atol=1e-3)


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
