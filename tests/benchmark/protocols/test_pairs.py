"""Averages of two rows as anomalies."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.data import Dataset
from benchmarks.protocols import split


def averaged(n, n_train):
    """Normal images of two pixels, the second 255; the first is 0 in training rows and the row's number in others."""
    X = np.full((n, 1, 1, 2), 255, dtype=np.uint8)
    train = np.arange(n) < n_train
    X[:, 0, 0, 0] = np.where(train, 0, np.arange(n) - n_train)
    return Dataset("all", X, np.zeros(n, dtype=int), "", train, np.arange(n) % 10)


def test_averaged_pairs():
    dataset = averaged(250, 50)
    parts = split(dataset, "averaged-pairs", seed=0)
    assert (parts.X_train.shape, parts.X_test.shape) == ((50, 1, 1, 2), (400, 1, 1, 2))
    assert parts.X_train.dtype == parts.X_test.dtype == np.float32
    assert parts.y_train is None
    np.testing.assert_array_equal(parts.y_test, np.repeat([0, 1], 200))
    np.testing.assert_array_equal(parts.X_train[:, 0, 0], np.tile(np.float32([0, 1]), (50, 1)))
    tested, made = parts.X_test[:200, 0, 0] * 255, parts.X_test[200:, 0, 0] * 255
    np.testing.assert_allclose(tested[:, 0], np.arange(200), rtol=1e-6)
    # bytes would overflow: 255 + 255 is 254, whose half is 127; and halves would be cut off
    np.testing.assert_allclose(made[:, 1], 255, rtol=1e-6)
    halves = np.round(2 * made[:, 0]).astype(int)
    np.testing.assert_allclose(2 * made[:, 0], halves, atol=1e-3)
    assert (halves % 2 == 1).any()
    # sums of two of 0 to 199, drawn alike
    assert made[:, 0].mean() == pytest.approx(99.5, abs=12)
    assert made[:, 0].std() == pytest.approx(200 / 24**0.5, rel=0.2)
    again, other = (split(dataset, "averaged-pairs", seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(parts.X_test, again.X_test)
    assert not np.array_equal(parts.X_test, other.X_test)
    assert dataset.X.dtype == np.uint8


def test_averaged_pairs_are_of_different_rows():
    # of two rows there is one pair
    parts = split(averaged(5, 3), "averaged-pairs", seed=0)
    np.testing.assert_allclose(parts.X_test[:, 0, 0, 0] * 255, [0, 1, 0.5, 0.5], rtol=1e-6)


def test_averaged_pairs_train_on_ten_thousand_rows():
    dataset = averaged(12_100, 12_000)
    dataset.X[:12_000, 0, 0, 0] = np.arange(12_000) % 200
    parts = [split(dataset, "averaged-pairs", seed=seed) for seed in (0, 1)]
    for part in parts:
        assert (len(part.X_train), len(part.X_test), part.y_test.sum()) == (10_000, 200, 100)
    # of each of the 200 kinds there are 60, so no row can have been drawn twice
    assert np.unique(parts[0].X_train[:, 0, 0, 0], return_counts=True)[1].max() <= 60
    assert not np.array_equal(parts[0].X_train, parts[1].X_train)


@pytest.mark.parametrize(
    ("n", "change", "message"),
    [
        (20, {"train": None}, "all has no official split"),
        (20, {"y": np.arange(20) % 2}, "takes normal rows only, got 10 anomalies in all"),
        (11, {}, "needs two rows to test, got 1 in all"),
    ],
)
def test_averaged_pairs_need_normal_rows(n, change, message):
    with pytest.raises(ValueError, match=message):
        split(replace(averaged(n, 10), **change), "averaged-pairs", seed=0)
