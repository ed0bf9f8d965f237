"""PerturbedDenoiser's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pyod_synth import PerturbedDenoiser
from tests.detectors import small
from tests.reference import array, run_mlp
from tests.residual_score import residual_score


@pytest.fixture
def x():
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


def make_core(**parameters):
    torch.manual_seed(0)
    sizes = {"hidden_size": 5, "latent_size": 6, "n_perturbators": 2, "n_filters": 3, "scales": (0.5, 2.0)}
    core = PerturbedDenoiser(**sizes, **parameters).build_core((4,))
    with torch.no_grad():
        core.log_slope += torch.tensor([0.4, -0.1])
        core.intercept += torch.tensor([0.2, 0.5])
    return core


def seeded(core, seed):
    """Let the core draw from a seed; a second generator of that seed."""
    core.generator = torch.Generator().manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def encode(core, rows):
    return run_mlp(core.encoder.net, rows) + rows @ array(core.encoder.linear.weight).T


def restore(core, z, scale):
    z = z + run_mlp(core.scale_embedding, np.log(scale).reshape(-1, 1))
    return run_mlp(core.decoder.net, z) + z @ array(core.decoder.linear.weight).T


def test_linear_maps_give_rows_back_at_first():
    core = PerturbedDenoiser(latent_size=6).build_core((4,))
    into, back = core.encoder.linear.weight, core.decoder.linear.weight
    torch.testing.assert_close(back @ into, torch.eye(4), atol=1e-5, rtol=0)


def test_discriminator_compares_a_latent_vector_with_that_of_the_restored_row(x):
    core = make_core()
    generator = seeded(core, 3)
    logit = core.logit(core.encoder(x))
    index = torch.randint(2, (7,), generator=generator).numpy()
    z = encode(core, array(x))
    residual = z - encode(core, restore(core, z, np.array([0.5, 2.0])[index]))
    slope, intercept = np.exp([0.4, -0.1])[index], np.array([0.2, 0.5])[index]
    expected = slope * np.log((residual**2).mean(axis=1) + 1e-4) + intercept
    np.testing.assert_allclose(array(logit), expected, atol=1e-4)


def test_restoring_loss(x):
    core = make_core()
    perturbation = core.perturbators(x, None)
    generator = seeded(core, 4)
    loss = core.restoring_loss(x, perturbation)
    scale = 0.5 * 4 ** array(torch.rand(7, generator=generator))
    noise = array(torch.randn(7, 4, generator=generator))
    e = array(perturbation)[np.arange(7), torch.randint(2, (7,), generator=generator).numpy()]
    rows = array(x)
    size = np.clip(np.sqrt((e**2).sum(axis=1) / 4), 0.5, 2.0)  # of the four coordinates that rows have
    expected = 0.0
    for z, s in ((encode(core, rows + scale[:, None] * noise), scale), (encode(core, rows) + e, size)):
        error = ((restore(core, z, s) - rows) ** 2).mean(axis=1)
        expected += ((1 + s**2) / s**2 * error).mean() / 2
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_restoring_joins_the_loss_of_encoder_and_decoder_alone(x):
    core, y = make_core(), torch.tensor([0, 1, 0, 0, 0, 1, 0])
    seeded(core, 5)
    loss = core.training_loss(x, y)
    seeded(core, 5)
    perturbators_loss = core.perturbators_loss(x, y)
    seeded(core, 5)
    e = core.perturbators(x[y == 0], core.generator)
    generation = core.generation_loss(x, y, e)
    assert perturbators_loss.item() == pytest.approx(generation.item())
    assert loss.item() == pytest.approx((generation + 10 * core.restoring_loss(x[y == 0], e)).item())


def test_perturbators_learn_from_their_own_loss_alone(x):
    core = make_core()
    others, perturbing = core.players()
    assert (others.lr, perturbing.lr) == (None, 1e-3)
    others.loss(x, None).backward()
    assert all(parameter.grad is None for parameter in core.perturbators.parameters())
    perturbing.loss(x, None).backward()
    assert all(parameter.grad.any() for parameter in core.perturbators.parameters())
    sets = [{id(parameter) for parameter in player.parameters} for player in core.players()]
    assert not sets[0] & sets[1]
    assert sets[0] | sets[1] == {id(parameter) for parameter in core.parameters()}


def test_batches_of_one_label_only(x):
    core = make_core()
    for y in (torch.zeros(7, dtype=int), torch.ones(7, dtype=int)):
        for player in core.players():
            loss = player.loss(x, y)
            loss.backward()
            assert loss.isfinite()


def test_score(table):
    clf = small(PerturbedDenoiser, scales=(0.3, 1.5), epoch_num=10).fit(table)
    core = clf.core_
    new = table[:20] + np.random.default_rng(1).normal(size=(20, 3)) * table.std(axis=0)
    train, test = (clf.standardizer_.transform(rows).astype(np.float64) for rows in (table, new))

    def residuals(rows):
        z = encode(core, rows)
        restored = [restore(core, z, np.full(len(rows), s)) for s in array(core.scales)]
        latent = [z - encode(core, r) for r in restored] + [z - encode(core, train).mean(axis=0)]
        return latent, [rows - r for r in restored] + [rows - train.mean(axis=0)]

    expected = [residual_score(asked, known) for asked, known in zip(residuals(test), residuals(train), strict=True)]
    np.testing.assert_allclose(clf.decision_function(new), np.mean(expected, axis=0), rtol=1e-3, atol=1e-3)


def test_score_after_learning_from_known_anomalies_is_the_discriminator(x):
    core = make_core(use_labels=True).eval()
    z = encode(core, array(x))
    expected = 0.0
    for scale, slope, intercept in ((0.5, 0.4, 0.2), (2.0, -0.1, 0.5)):
        residual = z - encode(core, restore(core, z, np.full(7, scale)))
        expected += (np.exp(slope) * np.log((residual**2).mean(axis=1) + 1e-4) + intercept) / 2
    np.testing.assert_allclose(array(core.anomaly_score(x)), expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["table", "images"])
def test_it_trains_and_scores_grow_with_distance(request, kind):
    X = request.getfixturevalue(kind)
    clf = small(PerturbedDenoiser, hidden_size=16, latent_size=8, epoch_num=20).fit(X)
    assert np.mean(clf.history_[-5:]) < np.mean(clf.history_[:5])
    direction = np.random.default_rng(0).normal(size=X.shape[1:]) * X.std(axis=0)
    along = X.mean(axis=0) + np.geomspace(20, 1e5, 30).reshape(-1, *[1] * (X.ndim - 1)) * direction
    assert (np.diff(clf.decision_function(along)) > 0).all()


def test_known_anomalies_are_recognised(table):
    rng = np.random.default_rng(2)
    odd = table.mean(axis=0) + table.std(axis=0) * (np.array([1.5, -1.5, 1.5]) + 0.1 * rng.normal(size=(60, 3)))
    X, y = np.concatenate([table, odd[:15]]), np.r_[np.zeros(150, dtype=int), np.ones(15, dtype=int)]
    parameters = {"hidden_size": 16, "latent_size": 8, "epoch_num": 40}

    def auroc(clf):
        scores = clf.decision_function(np.concatenate([table, odd[15:]]))
        return roc_auc_score(np.r_[np.zeros(150), np.ones(45)], scores)

    without = auroc(small(PerturbedDenoiser, **parameters).fit(X))
    with_labels = auroc(small(PerturbedDenoiser, use_labels=True, **parameters).fit(X, y))
    assert with_labels > without
    assert with_labels > 0.85


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_perturbators", 0),
        ("n_augmented", 513),
        ("lambda1", -1.0),
        ("lambda2", -1.0),
        ("use_labels", "yes"),
        ("hidden_size", 0),
        ("latent_size", 0),
        ("n_filters", 0),
        ("scales", ()),
        ("scales", (0.4, 0.0)),
        ("scales", (math.inf,)),
        ("restoring_weight", -1.0),
        ("perturbator_lr", 0.0),
    ],
)
def test_parameters_out_of_range(table, name, value):
    with pytest.raises(ValueError, match=name):
        small(PerturbedDenoiser, **{name: value}).fit(table)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "least"), [("6_cardio", 0.93), ("38_thyroid", 0.95), ("42_WBC", 0.95)])
def test_real_tables(data_folder, name, least):
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel()
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    train, test = normal[: len(normal) // 2], np.r_[normal[len(normal) // 2 :], np.flatnonzero(y == 1)]
    scores = PerturbedDenoiser(random_state=0).fit(X[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > least
