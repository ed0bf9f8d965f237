"""Who trains and who is tested."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from benchmarks import datasets, runner
from benchmarks.datasets import Dataset
from benchmarks.protocols import PROTOCOLS, named, split
from benchmarks.settings import Settings

GRID = Settings("grid", ["Classical"], ["OCSVM", "ECOD"], ["one-class", "unsupervised"], [0, 1])


@pytest.fixture
def rows():
    """1000 rows, 100 of them anomalies, 700 of them official training rows; the feature is the row's number."""
    y, train = np.arange(1000) % 10 == 0, np.arange(1000) % 100 < 70
    return Dataset("rows", np.arange(1000.0)[:, None], y.astype(np.int64), "", train)


def test_images_of_files_are_scaled_in_float32(images_folder):
    dataset = datasets.load("fashion-mnist-5", images_folder)
    parts = split(dataset, "one-class-official", seed=0)
    assert (parts.X_train.shape, parts.X_test.shape) == ((3, 1, 28, 28), (20, 1, 28, 28))
    assert (parts.X_train.dtype, parts.X_test.dtype) == (np.float32, np.float32)
    normal = dataset.X[:30][dataset.y[:30] == 0]
    np.testing.assert_allclose(parts.X_train, normal / normal.max(), rtol=1e-6)
    assert parts.y_test.sum() == 18


@pytest.mark.parametrize("protocol", ["one-class", "unsupervised", "supervised"])
def test_splits(folder, protocol):
    dataset = datasets.load("10_far", folder)
    parts = split(dataset, protocol, seed=0)
    if protocol == "one-class":
        assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (45, 55, 10)
        assert np.abs(parts.X_train).max() < 5  # no anomaly, which lie six deviations out
    else:
        assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (70, 30, 3)
    np.testing.assert_allclose(parts.X_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(parts.X_train.std(axis=0), 1)
    again, other = split(dataset, protocol, seed=0), split(dataset, protocol, seed=1)
    np.testing.assert_array_equal(parts.X_test, again.X_test)
    assert not np.array_equal(parts.X_train, other.X_train)


def divided(dataset, protocol, seed=0):
    """Indices of the training and of the test rows, which are never the same."""
    train, test = named(protocol).divide(dataset, seed)
    assert len(set(train) | set(test)) == len(train) + len(test)
    return train, test


def test_one_class(rows):
    train, test = divided(rows, "one-class")
    assert (len(train), len(test)) == (450, 550)
    assert rows.y[train].sum() == 0
    # recorded results rest on these rows
    normal = np.random.default_rng(0).permutation(np.flatnonzero(rows.y == 0))
    np.testing.assert_array_equal(train, normal[:450])
    np.testing.assert_array_equal(test[:450], normal[450:])


def test_unsupervised_and_supervised_differ_in_labels_only(rows):
    for protocol in ("unsupervised", "supervised"):
        train, test = divided(rows, protocol)
        assert (len(train), len(test), rows.y[train].sum(), rows.y[test].sum()) == (700, 300, 70, 30)
        # recorded results rest on these rows
        same = train_test_split(np.arange(1000), test_size=0.3, stratify=rows.y, random_state=0)
        np.testing.assert_array_equal(np.concatenate([train, test]), np.concatenate(same))
    blind, told = split(rows, "unsupervised", seed=3), split(rows, "supervised", seed=3)
    np.testing.assert_array_equal(blind.X_train, told.X_train)
    np.testing.assert_array_equal(blind.X_test, told.X_test)
    np.testing.assert_array_equal(told.y_train, rows.y[divided(rows, "supervised", 3)[0]])


def test_one_class_official(rows):
    train, test = divided(rows, "one-class-official")
    np.testing.assert_array_equal(train, np.flatnonzero(rows.train & (rows.y == 0)))
    np.testing.assert_array_equal(test, np.flatnonzero(~rows.train))
    assert (len(train), len(test), rows.y[test].sum()) == (630, 300, 30)
    with pytest.raises(ValueError, match="rows has no official split"):
        split(replace(rows, train=None), "one-class-official", seed=0)


def test_official_split_of_reduced_data(rows):
    reduced = rows.take(np.array([5, 71, 10, 999]))
    np.testing.assert_array_equal(reduced.train, [True, False, True, False])
    np.testing.assert_array_equal(reduced.y, [0, 0, 1, 0])
    assert rows.take(np.arange(3)).name == "rows"
    parts = split(rows, "one-class-official", seed=0, max_rows=200)
    # of 200 rows about 70% are official training rows, and 9 of 10 of those are normal
    assert len(parts.X_train) == pytest.approx(126, abs=12)
    assert len(parts.X_test) == pytest.approx(60, abs=12)


@pytest.mark.parametrize(("gamma", "known"), [("0", 0), ("0.0", 0), ("0.01", 5), ("0.02", 11), ("0.1", 60)])
def test_semi_supervised(rows, gamma, known):
    # 540 normal rows in the training part: known / (known + 540) is gamma, as near as whole rows come to it
    train, test = divided(rows, f"semi-supervised:{gamma}")
    assert (len(train), rows.y[train].sum()) == (540 + known, known)
    assert (len(test), rows.y[test].sum()) == (400, 40)
    parts = split(rows, f"semi-supervised:{gamma}", seed=0)
    np.testing.assert_array_equal(parts.y_train, rows.y[train])
    np.testing.assert_array_equal(parts.y_test, rows.y[test])
    assert abs(parts.y_train.mean() - float(gamma)) <= 0.5 / 540


def test_known_anomalies(rows):
    def known(gamma, seed):
        train, _ = divided(rows, f"semi-supervised:{gamma}", seed)
        return set(train[rows.y[train] == 1])

    assert known(0.02, 0) < known(0.05, 0)
    assert known(0.05, 0) == known(0.05, 0)
    assert known(0.05, 0) != known(0.05, 1)
    with pytest.raises(ValueError, match="takes 135 known anomalies .* only 60"):
        split(rows, "semi-supervised:0.2", seed=0)


@pytest.mark.parametrize("number", ["", ":", ":x", ":-0.1", ":1", ":nan", ":inf", ":0.1:0.2"])
def test_wrong_shares_of_known_anomalies(number):
    with pytest.raises(ValueError, match=r"takes a number in \[0, 1\) for GAMMA, got 'semi-supervised"):
        runner.grid(replace(GRID, datasets=["wine"], protocols=[f"semi-supervised{number}"]))


def test_labels_are_handed_out_by_name_only(rows):
    for protocol in [*PROTOCOLS, "semi-supervised:0.01"]:
        told = split(rows, protocol, seed=0).y_train is not None
        assert told == (protocol in ("supervised", "semi-supervised:0.01")), protocol


def test_large_data_is_reduced_and_images_are_scaled_as_a_whole(folder):
    parts = split(datasets.load("10_far", folder), "one-class", seed=0, max_rows=50)
    assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (22, 28, 5)
    image = split(datasets.load("digits-3-image"), "one-class", seed=0)
    assert image.X_train.max() == 1
    assert image.X_train.min() == 0


@pytest.mark.needs_data
def test_every_adbench_table_divides(data_folder):
    names = datasets.expand(["Classical"], data_folder)
    assert len(names) >= 29
    for name in names:
        dataset = datasets.load(name, data_folder)
        assert set(np.unique(dataset.y)) == {0, 1}
        for protocol in ("one-class", "unsupervised", "supervised", "semi-supervised:0"):
            parts = split(dataset, protocol, seed=0, max_rows=10_000)
            assert np.isfinite(parts.X_train).all()
            assert len(parts.X_train) + len(parts.X_test) <= 10_000
            assert 0 < parts.y_test.sum() < len(parts.y_test)
