"""Properties that hold for any table, on tables that hypothesis makes up: the same ones at every run."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.detectors import DETECTORS, assert_same, small

pytestmark = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)
SIZES = st.tuples(st.integers(2, 12), st.integers(1, 4))
# whole numbers, which keep their digits whatever is added to them or multiplied by
TABLES = SIZES.flatmap(lambda shape: arrays(np.int16, shape, elements=st.integers(-300, 300)))
some = settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def fit(detector, X):
    return small(detector, epoch_num=1).fit(X)


@some
@given(TABLES, st.randoms(use_true_random=False))
def test_order(detector, X, random):
    clf, order = fit(detector, X), random.sample(range(len(X)), len(X))
    assert_same(clf.decision_function(X[order]), clf.decision_scores_[order])
    assert_same(clf.embed(X[order]), clf.embed(X)[order])


@some
@given(TABLES, TABLES)
def test_company(detector, X, others):
    clf = fit(detector, X)
    others = np.resize(others, (len(others), X.shape[1]))
    scores = clf.decision_function(np.concatenate([X, others]))
    assert np.isfinite(scores).all()
    largest = np.abs(scores).max()
    np.testing.assert_allclose(clf.decision_function(others), scores[len(X) :], rtol=0, atol=1e-5 * largest)
    np.testing.assert_allclose(clf.decision_function(X[:1]), scores[:1], rtol=0, atol=1e-5 * largest)


@some
@given(TABLES, st.integers(-900, 900))
@example(np.arange(12).reshape(4, 3), -1060)
def test_scale_of_features(detector, X, exponent):
    clf, other = fit(detector, X), fit(detector, np.ldexp(1.0 * X, exponent))
    np.testing.assert_array_equal(other.decision_scores_, clf.decision_scores_)
    np.testing.assert_array_equal(other.predict(np.ldexp(1.0 * X, exponent)), clf.predict(X))


@some
@given(TABLES, st.integers(-(2**52), 2**52))
@example(np.arange(12).reshape(4, 3), 5 * 10**15)
def test_shift_of_features(detector, X, offset):
    clf, other = fit(detector, X), fit(detector, X.astype(np.int64) + offset)
    np.testing.assert_array_equal(other.decision_scores_, clf.decision_scores_)
    np.testing.assert_array_equal(other.decision_function(X.astype(np.int64) + offset), clf.decision_function(X))


@some
@given(TABLES, st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.float16, object]))
def test_types_of_numbers(detector, X, dtype):
    np.testing.assert_array_equal(fit(detector, X.astype(dtype)).decision_scores_, fit(detector, X).decision_scores_)
    flags = X > 0
    np.testing.assert_array_equal(fit(detector, flags).decision_scores_, fit(detector, 1 * flags).decision_scores_)


@some
@given(TABLES, st.integers(2, 5))
def test_duplicates(detector, X, times):
    clf = fit(detector, np.concatenate([X] * times))
    assert np.isfinite(clf.decision_scores_).all()
    scores = clf.decision_function(X)
    assert_same(clf.decision_function(np.repeat(X, times, axis=0)), np.repeat(scores, times))


@some
@given(TABLES, st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e6, 1e6))
def test_constant_features(detector, X, value, other):
    scores = [
        fit(detector, np.column_stack([X, np.full(len(X), constant)])).decision_scores_ for constant in (value, other)
    ]
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(*scores)


@some
@given(arrays(np.float64, (2, 3), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_any_two_rows(detector, X):
    clf = fit(detector, X)
    assert np.isfinite(clf.decision_scores_).all()
    assert np.isfinite(clf.decision_function(X[::-1])).all()
    assert np.isfinite(clf.predict_proba(X)).all()
