"""Contributions of features and pixels to scores, normal rows in the place of anomalous ones, and drawings of them."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import IntegratedGradients
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score

from pyod_synth import DHAG, NCAE, PLAD, AnoRand, GatedKNN, NoveltyNormalization
from pyod_synth.explain import integrated_gradients, plot_image, plot_row
from tests.detectors import DETECTORS, finds_far_rows, small, trains

every_detector = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)
RESTORE = [AnoRand, NCAE, NoveltyNormalization]
LEARNING = {"epoch_num": 30, "hidden_size": 16, "latent_size": 4, "batch_size": 64, "memory_size": 1000}
DETECTED = 0.95  # AUROC of planted anomalies from which a detector is said to see them at all


@every_detector
def test_contributions_sum_to_the_score_less_a_constant(detector, kind):
    X, far, parameters = kind
    clf = small(detector, **parameters).fit(X)
    rows = np.concatenate([X[:20], X.mean(axis=0) + 0.2 * (far[:20] - X.mean(axis=0))])
    contributions, scores = clf.explain(rows), clf.decision_function(rows)
    assert contributions.shape == rows.shape
    assert contributions.dtype == np.float64
    left = scores - contributions.reshape(40, -1).sum(axis=1)
    assert np.ptp(left) < 1e-4 * np.abs(scores).max()
    if trains(detector):
        median = np.quantile(X, 0.5, axis=0, method="inverted_cdf", keepdims=True)
        typical = clf.decision_function(median)[0]
        np.testing.assert_allclose(left, typical, atol=1e-4 * np.abs(scores).max())
        assert np.abs(clf.explain(median)).max() < 1e-6 * np.abs(contributions).max()


@every_detector
def test_contributions_depend_on_the_row_alone(detector, kind):
    X, _, parameters = kind
    clf = small(detector, **parameters).fit(X)
    contributions = clf.explain(X)
    order = np.random.default_rng(0).permutation(len(X))
    # to the rounding of the scores, of which they are differences
    rounding = 1e-5 * max(np.abs(contributions).max(), np.abs(clf.decision_scores_).max())
    np.testing.assert_allclose(clf.explain(X[order]), contributions[order], rtol=0, atol=rounding)
    np.testing.assert_allclose(clf.explain(X[3:4]), contributions[3:4], rtol=0, atol=rounding)
    many = clf.explain(np.concatenate([X] * 8))
    np.testing.assert_allclose(many, np.concatenate([contributions] * 8), rtol=0, atol=rounding)


@every_detector
@pytest.mark.parametrize("value", [7.0, 1e160, -1e300])
def test_contributions_are_finite(detector, table, value):
    X = np.column_stack([table, np.ones(len(table))])  # a feature that never varies
    clf = small(detector).fit(X)
    rows = X[:3].copy()
    rows[1, 3] = value
    assert np.isfinite(clf.explain(rows)).all()
    assert np.isfinite(small(detector).fit(np.ones((20, 2))).explain([[1.0, 1.0], [value, 1.0]])).all()
    assert np.isfinite(small(detector).fit(X[:2]).explain(rows)).all()


def test_integrated_gradients_of_a_step_are_nothing():
    x = torch.ones(2, 3)
    found = integrated_gradients(lambda rows: 1e9 * (rows.sum(dim=1) > 1) + 0 * rows.sum(dim=1), x, torch.zeros(1, 3))
    assert torch.equal(found, torch.zeros(2, 3))


@every_detector
@pytest.mark.parametrize("method", ["explain", "nearest_normal"])
def test_input_is_checked_as_by_decision_function(detector, table, method):
    with pytest.raises(NotFittedError, match=detector.__name__):
        getattr(small(detector), method)(table)
    clf = small(detector).fit(pd.DataFrame(table, columns=["a", "b", "c"]))
    with pytest.raises(ValueError, match="NaN"):
        getattr(clf, method)(pd.DataFrame(np.full((2, 3), np.nan), columns=["a", "b", "c"]))
    with pytest.raises(ValueError, match="feature names"):
        getattr(clf, method)(pd.DataFrame(table, columns=["b", "a", "c"]))


@every_detector
def test_usual_values_are_quantiles_in_the_units_of_the_rows(detector, kind):
    X, _, parameters = kind
    clf = small(detector, **parameters).fit(X)
    expected = np.quantile(X, [0.05, 0.5, 0.95], axis=0, method="inverted_cdf")
    np.testing.assert_allclose(clf.usual_.reshape(expected.shape), expected)
    assert clf.usual_.shape == (3, *clf.input_shape_)


def test_usual_values_are_not_those_of_known_anomalies(labelled):
    X, y = labelled
    clf = small(GatedKNN, use_labels=True).fit(X, y)
    np.testing.assert_allclose(clf.usual_[1], np.quantile(X[y == 0], 0.5, axis=0, method="inverted_cdf"))


def test_integrated_gradients_of_polynomials():
    """Of w x^2 from b on they are w (x^2 - b^2), of x y half of each way around the rectangle."""
    rng = np.random.default_rng(0)
    x, b, w = rng.normal(size=(7, 3)), rng.normal(size=(1, 3)), rng.normal(size=3)
    tensors = torch.from_numpy(x), torch.from_numpy(b)
    found = integrated_gradients(lambda rows: (rows.square() * torch.from_numpy(w)).sum(dim=1), *tensors)
    np.testing.assert_allclose(found, w * (x**2 - b**2))
    found = integrated_gradients(lambda rows: rows[:, 0] * rows[:, 1], *tensors)
    half = (x - b) * (x + b)[:, [1, 0, 2]] / 2
    half[:, 2] = 0
    np.testing.assert_allclose(found, half)


@pytest.mark.parametrize("detector", [d for d in DETECTORS if trains(d)], ids=lambda detector: detector.__name__)
def test_integrated_gradients_are_those_of_captum(detector, kind):
    X, far, parameters = kind
    clf = small(detector, **parameters).fit(X)
    rows = np.concatenate([X[:5], X[:5] + 0.2 * (far[:5] - X[:5])])
    x, typical = (
        torch.from_numpy(clf.standardizer_.transform(part.reshape(-1, *clf.input_shape_)))
        for part in (rows, clf.usual_[1:2])
    )
    expected = IntegratedGradients(clf.core_.anomaly_score).attribute(x, typical, n_steps=300, method="riemann_middle")
    found = clf.explain(rows).reshape(x.shape)
    missed = 0.06 if detector is PLAD else 0.02  # by 64 steps: its leaky ReLUs have kinks
    np.testing.assert_allclose(found, expected.numpy(), atol=missed * np.abs(expected.numpy()).max())


def correlated(rng, n, factors):
    return rng.normal(size=(n, len(factors))) @ factors + 0.3 * rng.normal(size=(n, factors.shape[1]))


@pytest.fixture(scope="module")
def planted():
    """Training rows of eight correlated features, known anomalies, and test rows of which 200 deviate in one feature.

    The deviations are six standard deviations, up or down: (X, known, test, planted, column).
    """
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(4, 8))
    X = correlated(rng, 400, factors)

    def plant(rows):
        column = np.arange(len(rows)) % 8
        rows[np.arange(len(rows)), column] += 6 * X.std(axis=0)[column] * rng.choice([-1, 1], size=len(rows))
        return rows, column

    known, _ = plant(correlated(rng, 80, factors))
    rows, column = plant(correlated(rng, 200, factors))
    return X, known, correlated(rng, 200, factors), rows, column


CASES = [(detector, {}) for detector in DETECTORS]
CASES += [(GatedKNN, {"contaminated": False}), (GatedKNN, {"contaminated": True})]
CASES += [(detector, {"use_labels": True, "lr": 1e-2, "preprocessing": True}) for detector in (AnoRand, DHAG, GatedKNN)]


@pytest.mark.parametrize(("detector", "parameters"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_the_deviating_feature_contributes_most(planted, detector, parameters):
    """In nine of ten rows, for every detector that sees the planted rows.

    The published classifiers need not: without labels they learn nothing of rows so far from the training rows.
    """
    X, known, normal, rows, column = planted
    clf = small(detector, **LEARNING | parameters)
    if "use_labels" in parameters:
        clf.fit(np.concatenate([X, known]), np.repeat([0, 1], [len(X), len(known)]))
    else:
        clf.fit(X)
    scores = clf.decision_function(np.concatenate([normal, rows]))
    auroc = roc_auc_score(np.repeat([0, 1], [len(normal), len(rows)]), scores)
    if finds_far_rows(detector) or "use_labels" in parameters:
        assert auroc > DETECTED
    if auroc > DETECTED:
        assert np.mean(clf.explain(rows).argmax(axis=1) == column) >= 0.9
    else:
        assert detector in (AnoRand, DHAG, PLAD)


@pytest.fixture(scope="module")
def planted_images():
    """Smooth images, and such with a bright patch of 4 x 4 pixels: (X, normal, bright, corners of the patches)."""
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:12, :12] / 12

    def smooth(n):
        a, b, c = rng.normal(size=(3, n, 1, 1))
        images = 0.3 * a + np.sin(3 * across + 0.3 * b) + np.cos(3 * down + 0.3 * c)
        return (images + 0.05 * rng.normal(size=images.shape))[:, None]

    bright, corners = smooth(40), rng.integers(0, 9, size=(40, 2))
    for image, (top, left) in zip(bright, corners, strict=True):
        image[0, top : top + 4, left : left + 4] += 3
    return smooth(120), smooth(60), bright, corners


@every_detector
def test_the_bright_patch_contributes_most(planted_images, detector):
    """Of all windows of its size, the one with the largest sum lies on the patch, by half or more."""
    X, normal, bright, corners = planted_images
    clf = small(detector, **LEARNING).fit(X)
    scores = clf.decision_function(np.concatenate([normal, bright]))
    auroc = roc_auc_score(np.repeat([0, 1], [len(normal), len(bright)]), scores)
    if finds_far_rows(detector):
        assert auroc > DETECTED
    if auroc > DETECTED:
        windows = np.lib.stride_tricks.sliding_window_view(clf.explain(bright)[:, 0], (4, 4), axis=(1, 2))
        sums = windows.sum(axis=(-1, -2)).reshape(len(bright), -1)
        found = np.stack(np.unravel_index(sums.argmax(axis=1), windows.shape[1:3]), axis=1)
        assert np.mean((np.abs(found - corners) <= 2).all(axis=1)) >= 0.9
    else:
        assert detector in (AnoRand, DHAG)


@pytest.mark.parametrize("detector", RESTORE, ids=lambda detector: detector.__name__)
def test_restored_rows_are_what_the_score_compares_with(detector, kind):
    X, far, parameters = kind
    clf = small(detector, **parameters).fit(X)
    restored = clf.nearest_normal(far)
    assert restored.shape == far.shape
    assert restored.dtype == np.float64
    scaled = [clf.standardizer_.transform(rows.reshape(-1, *clf.input_shape_)) for rows in (far, restored)]
    squares = np.square(scaled[0] - scaled[1]).reshape(len(far), -1)
    with torch.no_grad():
        if detector is NCAE:
            np.testing.assert_allclose(squares.mean(axis=1), clf.decision_function(far), rtol=1e-4)
        elif detector is AnoRand:
            distance = clf.core_.distance_and_logit(torch.from_numpy(scaled[0]))[0]
            np.testing.assert_allclose(np.sqrt(squares.sum(axis=1)), distance, rtol=1e-4)
        else:
            plain = small(detector, normalization=False, novelty_scoring=False, **parameters).fit(X)
            error = np.square(
                scaled[0] - plain.standardizer_.transform(plain.nearest_normal(far).reshape(scaled[0].shape))
            )
            expected = plain.decision_function(far)
            np.testing.assert_allclose(error.reshape(len(far), -1).mean(axis=1), expected, rtol=1e-4)


@pytest.mark.parametrize("detector", [NCAE, NoveltyNormalization, GatedKNN], ids=lambda detector: detector.__name__)
def test_the_deviating_feature_is_put_right(planted, detector):
    X, _, _, rows, column = planted
    clf = small(detector, **LEARNING).fit(X)
    normal = clf.nearest_normal(rows)
    change = np.abs(normal - rows)[np.arange(len(rows)), column] / X.std(axis=0)[column]
    assert np.mean(change > 2) > 0.9
    assert np.mean(clf.decision_function(normal) < clf.decision_function(rows)) > 0.9


@pytest.mark.parametrize("contaminated", [None, False, True])
def test_nearest_remembered_row_is_a_normal_training_row(contaminated):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) * [1, 100, 0.01] + [0, 1000, 5]
    X[:3] += 8 * X.std(axis=0)  # anomalies among the training rows are no normal rows
    clf = GatedKNN(contaminated=contaminated, random_state=0).fit(X)
    rows = X[:3] + 0.1 * X.std(axis=0)
    nearest = clf.nearest_normal(rows)
    allowed = X[clf.decision_scores_ <= clf.threshold_]
    scaled = np.square((rows[:, None] - allowed) / X.std(axis=0)).sum(axis=2)
    np.testing.assert_allclose(nearest, allowed[scaled.argmin(axis=1)], rtol=1e-4)
    assert (clf.predict(nearest) == 0).all()
    inside = X[clf.decision_scores_ <= clf.threshold_][:5]
    np.testing.assert_allclose(clf.nearest_normal(inside), inside, rtol=1e-4)


@pytest.mark.parametrize("detector", [PLAD, DHAG], ids=lambda detector: detector.__name__)
def test_classifiers_know_no_normal_rows(detector, table):
    with pytest.raises(NotImplementedError, match="neither restores rows nor remembers any; GatedKNN"):
        small(detector).fit(table).nearest_normal(table)


def test_images_are_not_remembered(images):
    with pytest.raises(NotImplementedError, match="histograms of images and no images; NCAE"):
        small(GatedKNN).fit(images).nearest_normal(images)


def test_drawing_of_a_row(table):
    frame = pd.DataFrame(table, columns=["length", "width", "height"])
    clf = small(NCAE).fit(frame)
    row = frame.iloc[:1].copy()
    row["width"] += 30 * table[:, 1].std()
    ax = plot_row(clf, row, n_features=2)
    contributions = clf.explain(row)[0]
    order = np.argsort(-np.abs(contributions))[:2]
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], contributions[order])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    low, high = np.quantile(table[:, 1], [0.05, 0.95], method="inverted_cdf")
    assert labels[0] == f"width = {row['width'].iloc[0]:.4g}\nusually {low:.4g} to {high:.4g}"
    assert len(labels) == 2
    assert ax.yaxis_inverted()  # the largest is on top
    numbered = plot_row(small(NCAE).fit(table), table[0])
    assert {label.get_text().split(" = ")[0] for label in numbered.get_yticklabels()} == {
        "feature 0",
        "feature 1",
        "feature 2",
    }
    assert plot_row(clf, row, ax=ax) is ax


def test_drawing_of_an_image(images):
    clf = small(NCAE).fit(images)
    expected = clf.explain(images[:1])[0].sum(axis=0)
    flat = small(NCAE, image_shape=(2, 6, 5)).fit(images.reshape(60, -1))
    for detector, image in [(clf, images[0]), (clf, images[:1]), (clf, images[0].ravel()), (flat, images[0].ravel())]:
        ax = plot_image(detector, image)
        below, over = ax.images
        np.testing.assert_allclose(below.get_array(), images[0].mean(axis=0))
        np.testing.assert_allclose(over.get_array(), expected, rtol=1e-4, atol=1e-6)
        assert over.norm.vmax == -over.norm.vmin == pytest.approx(np.abs(expected).max())
        assert over.get_alpha().max() == pytest.approx(0.75)


def test_wrong_drawings(table, images):
    on_table, on_images = small(PLAD).fit(table), small(PLAD).fit(images)
    with pytest.raises(ValueError, match=r"one row is drawn at a time, got an array of shape \(150, 3\)"):
        plot_row(on_table, table)
    with pytest.raises(ValueError, match=r"one row is drawn at a time, got an array of shape \(60, 2, 6, 5\)"):
        plot_image(on_images, images)
    with pytest.raises(ValueError, match=r"detector of images \(2, 6, 5\): plot_image"):
        plot_row(on_images, images[0].ravel())
    with pytest.raises(ValueError, match="detector of tables with 3 features: plot_row"):
        plot_image(on_table, table[0])
    with pytest.raises(ValueError, match="names must hold a name for each of 3 features, got 2"):
        plot_row(on_table, table[0], names=["a", "b"])


def test_drawing_without_matplotlib(table, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for plot, X in [(plot_row, table), (plot_image, images)]:
        with pytest.raises(ImportError, match=r'pip install "pyod_synth\[plot\]"'):
            plot(small(PLAD).fit(X), X[0])
