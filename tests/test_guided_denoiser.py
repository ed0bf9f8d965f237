"""GuidedDenoiser's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pyod_synth import GuidedDenoiser
from tests.detectors import small
from tests.reference import array, run_mlp, sigmoid, silu, softplus
from tests.residual_score import residual_score

SCALES = (0.5, 2.0)


@pytest.fixture
def x():
    return torch.randn(9, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def core():
    torch.manual_seed(0)
    return GuidedDenoiser(hidden_size=6, latent_size=2, scales=SCALES, w=0.3).build_core((4,))


def encode(core, rows, scale):
    """z0 and the latent of rows with noise of a scale each."""
    scale = np.broadcast_to(scale, len(rows))[:, None]
    bounded = np.arcsinh(rows / np.sqrt(1 + scale**2))
    return np.column_stack(
        [silu(run_mlp(core.detection, bounded)), run_mlp(core.encoder, np.column_stack([bounded, np.log(scale) / 2]))]
    )


def restored(core, rows, scale):
    added = run_mlp(core.decoder, encode(core, rows, scale))
    scale = np.broadcast_to(scale, len(rows))[:, None]
    return rows / (1 + scale**2) + scale / np.sqrt(1 + scale**2) * added


def detection_logit(core, rows):
    return run_mlp(core.detection_output, silu(run_mlp(core.detection, rows)))[:, 0]


def residuals(core, rows, train):
    """At each scale, and at the infinite one."""
    return [rows - restored(core, rows, scale) for scale in array(core.scales)] + [rows - train.mean(axis=0)]


def test_loss_restores_clean_rows_from_noisy_copies_and_detects_anomalies(core, x):
    y = torch.tensor([0, 1, 0, 0, 0, 1, 0, 0, 0])
    core.generator = torch.Generator().manual_seed(3)
    loss = core.training_loss(x, y).item()
    generator = torch.Generator().manual_seed(3)
    clean = np.tile(array(x), (4, 1))  # four copies of each row of a table
    scale = 0.5 * 4 ** array(torch.rand(36, generator=generator))
    noisy = clean + scale[:, None] * array(torch.randn(36, 4, generator=generator))
    relative = (clean - restored(core, noisy, scale)) / (scale / np.sqrt(1 + scale**2))[:, None]
    error = (2 * (np.sqrt(1 + relative**2) - 1)).mean(axis=1).reshape(4, 9).mean(axis=0)
    logit, labels = detection_logit(core, array(x)), array(y)
    entropy = softplus(logit) - labels * logit
    assert loss == pytest.approx(np.mean(0.3 * entropy + 0.7 * (1 - labels) * error), rel=1e-4)


def test_scales_of_the_noise_are_log_uniform(core):
    seen = []
    core.encode = lambda x, scale: seen.append(scale) or torch.zeros(len(x), 5)
    core.generator = torch.Generator().manual_seed(0)
    core.training_loss(torch.zeros(5000, 4), torch.zeros(5000))
    assert 0.5 <= seen[0].min() < 0.51
    assert 1.99 < seen[0].max() <= 2
    assert seen[0].median().item() == pytest.approx(1, rel=0.05)


def test_an_image_is_not_copied(images):
    core, seen = GuidedDenoiser().build_core((2, 6, 5)), []
    core.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    core.training_loss(torch.tensor(images, dtype=torch.float32), torch.zeros(60))
    assert seen == [60]


def test_residuals_at_each_scale(core, x):
    core.calibrate(x)
    new = 3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(array(core.residuals(new)), residuals(core, array(new), array(x)), atol=1e-5)


def test_score(table):
    clf = small(GuidedDenoiser, scales=(0.3, 1.2), epoch_num=30).fit(table)
    new = table[:20] + np.random.default_rng(1).normal(size=(20, 3)) * 2 * table.std(axis=0)
    train, test = (clf.standardizer_.transform(rows).astype(np.float64) for rows in (table, new))
    score = residual_score(residuals(clf.core_, test, train), residuals(clf.core_, train, train))
    expected = 0.25 * score + 0.75 * sigmoid(detection_logit(clf.core_, test))
    np.testing.assert_allclose(clf.decision_function(new), expected, rtol=1e-3, atol=1e-3)


def test_anomalies_are_invented_once(core, x):
    core.generator = torch.Generator().manual_seed(0)
    rows, y = core.prepare(x, None)
    assert len(rows) == len(y) == 9
    assert y.sum() == 1


def test_batch_of_anomalies_only_restores_nothing(core, x):
    core.training_loss(x, torch.ones(9)).backward()
    assert all(not parameter.grad.any() for parameter in core.decoder.parameters())


@pytest.mark.parametrize("kind", ["table", "images"])
def test_it_trains_and_scores_grow_with_distance(request, kind):
    X = request.getfixturevalue(kind)
    clf = small(GuidedDenoiser, hidden_size=16, latent_size=4, epoch_num=30).fit(X)
    assert np.mean(clf.history_[-5:]) < np.mean(clf.history_[:5])
    direction = np.random.default_rng(0).normal(size=X.shape[1:]) * X.std(axis=0)
    along = X.mean(axis=0) + np.geomspace(20, 1e5, 30).reshape(-1, *[1] * (X.ndim - 1)) * direction
    assert (np.diff(clf.decision_function(along)) > 0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scales", ()),
        ("scales", (0.4, 0.0)),
        ("scales", (math.inf,)),
        ("scales", ("a",)),
        ("scales", 0.4),
        ("w", 1.1),
        ("anomaly_share", 0.6),
        ("grown_share", 1.0),
        ("noise_level", -1.0),
        ("hidden_size", 0),
        ("latent_size", 0),
    ],
)
def test_parameters_out_of_range(table, name, value):
    with pytest.raises(ValueError, match=name):
        small(GuidedDenoiser, **{name: value}).fit(table)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "least"), [("6_cardio", 0.9), ("38_thyroid", 0.95), ("42_WBC", 0.96)])
def test_real_tables(data_folder, name, least):
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel()
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    train, test = normal[: len(normal) // 2], np.r_[normal[len(normal) // 2 :], np.flatnonzero(y == 1)]
    scores = GuidedDenoiser(random_state=0).fit(X[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > least
