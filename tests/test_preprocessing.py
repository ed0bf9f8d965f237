import numpy as np
import pytest

from pyod_synth.preprocessing import Standardizer


def test_tables_are_standardised_per_feature(table):
    out = Standardizer().fit(table).transform(table)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, (table - table.mean(axis=0)) / table.std(axis=0), rtol=1e-4, atol=1e-4)


def test_images_are_standardised_per_channel(images):
    mean, std = images.mean(axis=(0, 2, 3), keepdims=True), images.std(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(
        Standardizer().fit(images).transform(images), (images - mean) / std, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("enabled", [True, False])
def test_inverse(table, images, enabled):
    for X in (table, images):
        scaler = Standardizer(enabled).fit(X)
        np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-5, atol=1e-5)


def test_disabled_only_converts(table):
    np.testing.assert_array_equal(Standardizer(False).fit(table).transform(table), table.astype(np.float32))


def test_min_and_max_of_training_rows_are_0_and_1(table, images):
    for X in (table, images):
        scaler = Standardizer("minmax").fit(X)
        axes = (0, *range(2, X.ndim))
        low, high = X.min(axis=axes, keepdims=True), X.max(axis=axes, keepdims=True)
        beyond = X + (high - low)
        np.testing.assert_allclose(scaler.transform(beyond), (beyond - low) / (high - low), rtol=1e-5)
        np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, rtol=1e-5, atol=1e-5)


def test_constant_features_keep_their_units():
    X = np.column_stack([np.full(10, 3.0), np.arange(10.0)])
    out = Standardizer().fit(X).transform(X + [0.5, 0.0])
    np.testing.assert_allclose(out[:, 0], 0.5)


def test_huge_values_neither_overflow_nor_warn(recwarn):
    X = np.array([[1e160, 1.0], [0.0, 2.0], [-1e160, 4.0]])
    scaler = Standardizer().fit(X)
    out = scaler.transform(X)
    np.testing.assert_allclose(out[:, 0], [np.sqrt(1.5), 0, -np.sqrt(1.5)], rtol=1e-5)
    np.testing.assert_allclose(out[:, 1], (X[:, 1] - X[:, 1].mean()) / X[:, 1].std(), rtol=1e-5)
    assert np.isfinite(scaler.transform([[1e308, 1e308]] * np.ones((1, 2)))).all()
    assert not recwarn.list


@pytest.mark.parametrize("scaling", [True, "minmax"])
@pytest.mark.parametrize("offset", [5e15, -5e15, 1e9])
def test_offsets_cost_no_digits(scaling, offset):
    rows = np.random.default_rng(0).integers(-1000, 1000, size=(50, 2)).astype(float)
    rows[:, 1] = rows[:, 1] > 0  # a flag
    scaler = Standardizer(scaling).fit(rows + offset)
    out = scaler.transform(rows + offset)
    np.testing.assert_array_equal(out, Standardizer(scaling).fit(rows).transform(rows))
    np.testing.assert_allclose(scaler.inverse_transform(out), rows + offset, rtol=0, atol=1e-3)


@pytest.mark.parametrize("scaling", [True, "minmax"])
@pytest.mark.parametrize("exponent", [-1060, -1000, -600, 200, 600, 1010])
def test_numbers_of_any_size_are_scaled_alike(scaling, exponent):
    rows = np.random.default_rng(0).integers(-1000, 1000, size=(50, 2)).astype(float)
    scaler = Standardizer(scaling).fit(np.ldexp(rows, exponent))
    out = scaler.transform(np.ldexp(rows, exponent))
    np.testing.assert_array_equal(out, Standardizer(scaling).fit(rows).transform(rows))
    assert np.isfinite(out).all()
    assert np.ptp(out) > 0.9
    back = np.ldexp(scaler.inverse_transform(out), -exponent)
    np.testing.assert_allclose(back, rows, atol=1e-3)


@pytest.mark.parametrize("scaling", [True, "minmax"])
def test_largest_range(scaling, recwarn):
    X = np.array([[1.0], [-1.0], [0.0]]) * np.finfo(float).max
    scaler = Standardizer(scaling).fit(X)
    out = scaler.transform(X)
    np.testing.assert_allclose(out, Standardizer(scaling).fit(X / 2.0**1023).transform(X / 2.0**1023), rtol=1e-6)
    assert np.isfinite(scaler.inverse_transform(out * 1e4)).all()
    assert not recwarn.list


@pytest.mark.parametrize(("scaling", "limit"), [(True, 100), ("minmax", 100), (False, 1e6)])
def test_far_values_grow_as_their_logarithm(scaling, limit):
    X = np.array([[0.0], [1.0], [-1.0], [0.0]])
    scaler = Standardizer(scaling).fit(X)
    scale = {True: np.sqrt(0.5), "minmax": 2, False: 1}[scaling]
    z = limit * np.array([0.5, 0.999, 1.001, 1.5, 1e3, 1e6, 1e100, 1e300])[:, None]
    low = -1 if scaling == "minmax" else 0
    out = scaler.transform(z * scale + low)
    np.testing.assert_allclose(out, np.where(z > limit, limit * (1 + np.log(z / limit)), z), rtol=1e-5)
    np.testing.assert_allclose(scaler.transform(-z * scale + low), -out, rtol=1e-6)
    assert (np.diff(out[:, 0]) > 0).all()
    np.testing.assert_allclose(scaler.inverse_transform(out[:-1]), z[:-1] * scale + low, rtol=1e-4)
    assert np.isfinite(scaler.inverse_transform(np.float32([[3e38], [-3e38]]))).all()


def test_rows_are_scaled_some_at_a_time(monkeypatch):
    X = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    X[:, 2] *= 1e3
    expected = Standardizer().fit(X).transform(X)
    monkeypatch.setattr("pyod_synth.preprocessing._BLOCK_ELEMENTS", 3 * 64)
    np.testing.assert_allclose(Standardizer().fit(X).transform(X), expected, rtol=1e-5, atol=1e-6)
    images = X[:, :2].reshape(100, 2, 2, 5)
    assert np.abs(Standardizer().fit(images).transform(images).std(axis=(0, 2, 3)) - 1).max() < 1e-5
