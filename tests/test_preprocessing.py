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
