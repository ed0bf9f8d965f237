"""Protocols by name, their labels, and how rows are scaled."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import data
from benchmarks.experiments import Experiment
from benchmarks.protocols import PROTOCOLS, named, split
from benchmarks.running.grid import grid
from tests.benchmark.records import specs

GRID = Experiment("grid", ["Classical"], specs("OCSVM", "ECOD"), ["one-class", "unsupervised"], [0, 1])


def test_images_of_files_are_scaled_in_float32(images_folder):
    dataset = data.load("fashion-mnist-5", images_folder)
    parts = split(dataset, "one-class-official", seed=0)
    assert (parts.X_train.shape, parts.X_test.shape) == ((3, 1, 28, 28), (20, 1, 28, 28))
    assert (parts.X_train.dtype, parts.X_test.dtype) == (np.float32, np.float32)
    normal = dataset.X[:30][dataset.y[:30] == 0]
    np.testing.assert_allclose(parts.X_train, normal / normal.max(), rtol=1e-6)
    assert parts.y_test.sum() == 18


@pytest.mark.parametrize("protocol", ["one-class", "unsupervised", "supervised"])
def test_splits(folder, protocol):
    dataset = data.load("10_far", folder)
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


def test_official_split_of_reduced_data(rows):
    reduced = rows.take(np.array([5, 71, 10, 999]))
    np.testing.assert_array_equal(reduced.train, [True, False, True, False])
    np.testing.assert_array_equal(reduced.y, [0, 0, 1, 0])
    assert rows.take(np.arange(3)).name == "rows"
    parts = split(rows, "one-class-official", seed=0, max_rows=200)
    # of 200 rows about 70% are official training rows, and 9 of 10 of those are normal
    assert len(parts.X_train) == pytest.approx(126, abs=12)
    assert len(parts.X_test) == pytest.approx(60, abs=12)


def test_label_errors(rows):
    true = split(rows, "supervised", seed=2)
    few, many = (split(rows, f"label-errors:{share}", seed=2) for share in (0.05, 0.25))
    for part, count in [(few, 35), (many, 175)]:
        np.testing.assert_array_equal(part.X_train, true.X_train)
        np.testing.assert_array_equal(part.y_test, true.y_test)
        assert set(part.y_train) == {0, 1}
        assert (part.y_train != true.y_train).sum() == count
    assert set(np.flatnonzero(few.y_train != true.y_train)) < set(np.flatnonzero(many.y_train != true.y_train))
    assert (many.y_train < true.y_train).any()
    assert (many.y_train > true.y_train).any()
    np.testing.assert_array_equal(split(rows, "label-errors:0", seed=2).y_train, true.y_train)
    assert rows.y.sum() == 100


@pytest.mark.parametrize("head", [name for name in PROTOCOLS if ":" in name and "TIMES" not in name])
@pytest.mark.parametrize("number", ["", ":", ":x", ":-0.1", ":1", ":nan", ":inf", ":0.1:0.2"])
def test_wrong_shares(head, number):
    head, _, parameter = head.partition(":")
    with pytest.raises(ValueError, match=rf"takes a number in \[0, 1\) for {parameter}, got '{head}{number}'"):
        grid(replace(GRID, datasets=["wine"], protocols=[f"{head}{number}"]))


@pytest.mark.parametrize("number", ["", ":", ":x", ":0", ":-1", ":1.5", ":nan", ":inf"])
def test_wrong_times(number):
    with pytest.raises(
        ValueError, match=f"takes a whole number from 1 on for TIMES, got 'duplicated-anomalies{number}'"
    ):
        named(f"duplicated-anomalies{number}")


@pytest.mark.parametrize("name", ["", "nothing", "one-class:0.1", "synthetic-local:5", "synthetic-", "contaminate:0.1"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=f"unknown protocol '{name}'; there are {', '.join(PROTOCOLS)}"):
        named(name)


def test_labels_are_handed_out_by_name_only(rows):
    dataset = replace(rows, X=np.stack([rows.X[:, 0], rows.X[:, 0] % 7], axis=1), classes=rows.y)
    told = {}
    for name in PROTOCOLS:
        number = "2" if "TIMES" in name else "0.01"
        only_normal = replace(dataset, y=np.zeros(1000, dtype=int)) if name == "averaged-pairs" else dataset
        head, colon, _ = name.partition(":")
        told[head] = split(only_normal, f"{head}{colon}{number if colon else ''}", seed=0).y_train is not None
    assert {name for name, labels in told.items() if labels} == {
        "supervised",
        "semi-supervised",
        "known-class",
        "known-anomalies",
        "label-errors",
    }


def test_large_data_is_reduced_and_images_are_scaled_as_a_whole(folder):
    parts = split(data.load("10_far", folder), "one-class", seed=0, max_rows=50)
    assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (22, 28, 5)
    image = split(data.load("digits-3-image"), "one-class", seed=0)
    assert image.X_train.max() == 1
    assert image.X_train.min() == 0


@pytest.mark.parametrize("factor", [2.0**-1000, 2.0**-300, 1e150, 1e200, 2.0**600, 2.0**1018])
def test_values_whose_squares_are_no_numbers_are_scaled(folder, factor):
    plain = data.load("10_far", folder)
    expected = split(plain, "one-class", seed=0)
    with np.errstate(over="raise", invalid="raise"):
        parts = split(replace(plain, X=plain.X * [factor, 1, 1, -factor]), "one-class", seed=0)
    sign = [1, 1, 1, -1]
    np.testing.assert_allclose(parts.X_train * sign, expected.X_train, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.X_test * sign, expected.X_test, rtol=1e-9, atol=1e-12)


def test_offsets_and_test_values_of_any_size_are_scaled(folder):
    plain = data.load("10_far", folder)
    plain = replace(plain, X=np.round(plain.X * 1000))
    expected = split(plain, "one-class", seed=0)
    parts = split(replace(plain, X=plain.X + [5e15, 0, 0, -5e15]), "one-class", seed=0)
    np.testing.assert_allclose(parts.X_train, expected.X_train, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.X_test, expected.X_test, rtol=1e-9, atol=1e-12)
    far = plain.X.copy()
    far[plain.y == 1] = 1.7e308  # in test rows alone
    parts = split(replace(plain, X=far / 1e4), "one-class", seed=0)
    assert np.isfinite(parts.X_test).all()


@pytest.mark.needs_data
def test_every_adbench_table_divides(data_folder):
    names = data.expand(["Classical"], data_folder)
    assert len(names) >= 29
    for name in names:
        dataset = data.load(name, data_folder)
        assert set(np.unique(dataset.y)) == {0, 1}
        for protocol in ("one-class", "unsupervised", "supervised", "semi-supervised:0"):
            parts = split(dataset, protocol, seed=0, max_rows=10_000)
            assert np.isfinite(parts.X_train).all()
            assert len(parts.X_train) + len(parts.X_test) <= 10_000
            assert 0 < parts.y_test.sum() < len(parts.y_test)
