"""ADBench's synthetic anomalies and irrelevant features."""

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import gaussian_kde, ks_2samp, spearmanr
from sklearn.metrics import roc_auc_score

from benchmarks import data, detectors
from benchmarks.data import Dataset
from benchmarks.detectors import DetectorSpec
from benchmarks.protocols import split, synthetic


@pytest.fixture
def clusters():
    """Two far clusters of correlated normal rows, 3000 and 1000, and 400 anomalies, which nothing may learn from."""
    rng = np.random.default_rng(0)
    shape = np.array([[1.0, 0.9], [0.0, 0.4]])
    near, far = rng.normal(size=(3000, 2)) @ shape + [10, -5], rng.normal(size=(1000, 2)) @ shape + [-20, 5]
    X = np.concatenate([near, far, np.full((400, 2), 1e6)])
    return Dataset("clusters", X, np.repeat([0, 1], [4000, 400]), "", np.arange(4400) % 2 == 0, np.arange(4400) % 3)


@pytest.fixture
def curved():
    """2000 normal rows of skewed features that depend on one another, one falling, one constant; 500 anomalies."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=2000)
    noise = 0.3 * rng.normal(size=(2000, 2))
    X = np.stack([np.exp(common), common + noise[:, 0], -common + noise[:, 1], np.full(2000, 7.0)], axis=1)
    return Dataset("curved", np.concatenate([X, X[:500]]), np.repeat([0, 1], [2000, 500]), "")


def made(dataset, kind, seed=0):
    """The normal rows and the anomalies of a kind."""
    new = synthetic.with_anomalies(dataset, seed, kind)
    return new.X[new.y == 0], new.X[new.y == 1]


@pytest.mark.parametrize("kind", synthetic.KINDS)
def test_rows_are_as_many_as_there_were(clusters, kind):
    new = synthetic.with_anomalies(clusters, 0, kind)
    assert (new.name, new.X.shape, new.y.sum(), new.kind) == ("clusters", (4400, 2), 400, "table")
    assert (new.train, new.classes) == (None, None)
    assert (new.X.dtype, new.y.dtype) == (np.float64, np.int64)
    np.testing.assert_array_equal(new.X, synthetic.with_anomalies(clusters, 0, kind).X)
    assert not np.isin(new.X, clusters.X).any()
    assert not np.isin(new.X, synthetic.with_anomalies(clusters, 1, kind).X).any()
    parts = split(clusters, f"synthetic-{kind}", seed=0)
    assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum(), parts.y_train) == (3080, 1320, 120, None)
    np.testing.assert_allclose(parts.X_train.mean(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("kind", ["local", "cluster", "global"])
def test_normal_rows_are_of_the_mixture(clusters, kind):
    normal, _ = made(clusters, kind)
    is_far = normal[:, 0] < -5
    assert is_far.mean() == pytest.approx(0.25, abs=0.03)
    for rows, first in [(normal[~is_far], clusters.X[:3000]), (normal[is_far], clusters.X[3000:4000])]:
        np.testing.assert_allclose(rows.mean(axis=0), first.mean(axis=0), atol=0.15)
        np.testing.assert_allclose(np.cov(rows.T), np.cov(first.T), atol=0.15)


def test_local_anomalies_are_spread_five_times_as_wide(clusters):
    _, anomalies = made(clusters, "local")
    near, far = anomalies[anomalies[:, 0] > -5], anomalies[anomalies[:, 0] <= -5]
    assert len(far) / 400 == pytest.approx(0.25, abs=0.07)
    np.testing.assert_allclose(near.mean(axis=0), [10, -5], atol=0.5)
    np.testing.assert_allclose(np.cov(near.T), 5 * np.cov(clusters.X[:3000].T), rtol=0.35)


def test_cluster_anomalies_are_five_times_as_far_out(clusters):
    _, anomalies = made(clusters, "cluster")
    near, far = anomalies[anomalies[:, 0] > 0], anomalies[anomalies[:, 0] <= 0]
    np.testing.assert_allclose(near.mean(axis=0), [50, -25], atol=0.4)
    np.testing.assert_allclose(far.mean(axis=0), [-100, 25], atol=0.6)
    np.testing.assert_allclose(np.cov(near.T), np.cov(clusters.X[:3000].T), rtol=0.35)


def test_global_anomalies_are_uniform(clusters):
    normal, anomalies = made(clusters, "global")
    low, high = 1.1 * normal.min(axis=0), 1.1 * normal.max(axis=0)
    position = (anomalies - low) / (high - low)
    for feature in position.T:
        assert ks_2samp(feature, np.linspace(0, 1, 2000)).pvalue > 1e-3
    assert (position.min(), position.max()) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))
    assert abs(spearmanr(*anomalies.T).statistic) < 0.15


def test_dependency_anomalies_differ_in_dependence_only(curved):
    normal, anomalies = made(curved, "dependency")
    kept = spearmanr(curved.X[:2000, :3]).statistic
    assert np.abs(kept).min() > 0.85
    np.testing.assert_allclose(spearmanr(normal[:, :3]).statistic, kept, atol=0.05)
    assert np.abs(spearmanr(anomalies[:, :3]).statistic - np.eye(3)).max() < 0.15
    np.testing.assert_array_equal(np.concatenate([normal, anomalies])[:, 3], 7)
    for feature in range(3):
        smoothed = gaussian_kde(curved.X[:2000, feature]).resample(20_000, seed=0)[0]
        for part in (normal, anomalies):
            assert ks_2samp(part[:, feature], smoothed).pvalue > 1e-3


@pytest.mark.parametrize(("kind", "kept"), [("local", 100), ("cluster", 100), ("global", 100), ("dependency", 50)])
def test_many_features_take_seconds(kind, kept):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 500)) + np.arange(500)
    dataset = Dataset("wide", X, np.repeat([0, 1], [1400, 100]), "")
    start = time.perf_counter()
    normal, anomalies = made(dataset, kind)
    assert time.perf_counter() - start < 60
    assert (normal.shape, anomalies.shape) == ((1400, kept), (100, kept))
    # each feature has its number for its mean, so this tells which ones were kept
    features = np.round(normal.mean(axis=0)).astype(int)
    assert len(set(features)) == kept
    assert features.max() > 400


@pytest.mark.parametrize("kind", synthetic.KINDS)
def test_rows_that_nothing_can_be_fitted_to(clusters, kind):
    images = replace(clusters, X=clusters.X.reshape(-1, 1, 1, 2))
    with pytest.raises(ValueError, match=f"synthetic-{kind} takes tables, got images: clusters"):
        split(images, f"synthetic-{kind}", seed=0)
    for label, counts in [(0, "4400 and 0"), (1, "0 and 4400")]:
        with pytest.raises(ValueError, match=f"synthetic-{kind} needs normal rows and anomalies, got {counts}"):
            split(replace(clusters, y=np.full(4400, label)), f"synthetic-{kind}", seed=0)


def test_dependency_needs_two_features(clusters):
    with pytest.raises(ValueError, match="needs at least two features, got 1"):
        split(replace(clusters, X=clusters.X[:, :1]), "synthetic-dependency", seed=0)


def test_fewer_rows_than_mixtures():
    dataset = Dataset("few", np.random.default_rng(0).normal(size=(9, 2)), np.repeat([0, 1], [5, 4]), "")
    normal, anomalies = made(dataset, "local")
    assert (normal.shape, anomalies.shape) == ((5, 2), (4, 2))


@pytest.mark.parametrize(("share", "added"), [(0, 0), (0.05, 0), (0.25, 1), (0.5, 4), (0.75, 12)])
def test_irrelevant_features(curved, share, added):
    new = synthetic.with_irrelevant_features(curved, 0, share)
    np.testing.assert_array_equal(new.X[:, :4], curved.X)
    np.testing.assert_array_equal(new.y, curved.y)
    assert new.X.shape[1] == 4 + added
    low, high = curved.X.min(axis=0), curved.X.max(axis=0)
    for noise in new.X[:, 4:].T:
        # each fills the range of one feature
        spans = np.maximum(high - low, 1e-9)
        off = np.maximum(np.abs(noise.min() - low), np.abs(noise.max() - high)) / spans
        assert (off < 0.01).any()
        if noise.std() > 0:
            position = (noise - noise.min()) / (noise.max() - noise.min())
            assert ks_2samp(position, np.linspace(0, 1, 2000)).pvalue > 1e-3


def test_irrelevant_features_leave_the_rows_where_they_were(curved):
    plain, noisy = split(curved, "unsupervised", seed=4), split(curved, "irrelevant-features:0.5", seed=4)
    np.testing.assert_array_equal(noisy.X_train[:, :4], plain.X_train)
    np.testing.assert_array_equal(noisy.X_test[:, :4], plain.X_test)
    np.testing.assert_array_equal(noisy.y_test, plain.y_test)
    assert noisy.y_train is None
    assert not np.array_equal(noisy.X_train, split(curved, "irrelevant-features:0.5", seed=5).X_train)
    with pytest.raises(ValueError, match="irrelevant-features takes tables, got images: curved"):
        split(replace(curved, X=curved.X[:, None, None]), "irrelevant-features:0.1", seed=0)


@pytest.mark.needs_data
@pytest.mark.parametrize("name", ["6_cardio", "22_magic.gamma"])
def test_what_adbench_found(name, data_folder):
    # LOF is best at local anomalies and fails at clusters of more anomalies than it has neighbours; global ones are
    # easy; and where only the dependence between features differs, ECOD, which looks at one at a time, sees nothing
    dataset = data.load(name, data_folder)
    splits = {kind: split(dataset, f"synthetic-{kind}", seed=0, max_rows=3000) for kind in synthetic.KINDS}

    def auroc(kind, detector):
        parts = splits[kind]
        scores = detectors.build(DetectorSpec(detector), 0).fit(parts.X_train).decision_function(parts.X_test)
        return roc_auc_score(parts.y_test, scores)

    assert auroc("local", "LOF") > auroc("local", "IForest") + 0.02
    assert auroc("local", "LOF") > 0.85
    assert auroc("cluster", "LOF") < 0.7 < 0.95 < auroc("cluster", "IForest")
    assert auroc("global", "IForest") > 0.98
    assert auroc("dependency", "LOF") > auroc("dependency", "ECOD") + 0.05
    assert auroc("dependency", "ECOD") < 0.65


@pytest.mark.needs_data
@pytest.mark.parametrize("kind", synthetic.KINDS)
@pytest.mark.parametrize("name", ["15_Hepatitis", "17_InternetAds", "32_shuttle", "35_SpamBase"])
def test_real_tables(name, kind, data_folder):
    # few rows; more features than rows; one far larger than the rest; many that mostly are zero
    parts = split(data.load(name, data_folder), f"synthetic-{kind}", seed=0, max_rows=2000)
    assert np.isfinite(parts.X_train).all()
    assert np.isfinite(parts.X_test).all()
    assert 0 < parts.y_test.sum() < len(parts.y_test)
