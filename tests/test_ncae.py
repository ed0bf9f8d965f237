"""NCAE's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from pyod_synth import NCAE
from pyod_synth.models.ncae import (
    PlainCore,
    RestoringCore,
    adversarial_loss,
    least_similar,
    most_similar,
    similarity,
)
from tests.detectors import small
from tests.reference import NumpyDenoiser, array, run_mlp, sigmoid

SHARED = {"tau": 0.3, "sigma": 0.2, "gamma": 0.25, "repulsion": 0.7, "adversarial_weight": 0.4}


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def log_loss(logit, real):
    probability = sigmoid(logit)
    return -np.mean(np.log(probability if real else 1 - probability))


@pytest.fixture
def x():
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def plain():
    torch.manual_seed(0)
    return PlainCore((4,), hidden_size=6, latent_size=3, **SHARED)


@pytest.fixture
def restoring():
    torch.manual_seed(0)
    return RestoringCore((4,), hidden_size=6, latent_size=3, scales=(2.0, 0.5), **SHARED)


def test_similarity_is_eq_6():
    rng = np.random.default_rng(0)
    latent, dictionary = rng.normal(size=(5, 3)), rng.normal(size=(8, 3))
    expected = [np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in dictionary]) for a in latent]
    np.testing.assert_allclose(similarity(torch.tensor(latent), torch.tensor(dictionary)), expected)


def test_the_least_similar_rows_are_the_contaminated_ones():
    similarities = torch.tensor([0.9, -0.2, 0.8, 0.1, 0.7])
    assert least_similar(similarities, 0.2).tolist() == [False, True, False, False, False]
    assert least_similar(similarities, 0.21).tolist() == [False, True, False, True, False]  # rounded up
    assert least_similar(similarities, 0.0).sum() == 0
    assert least_similar(similarities, 0.99).sum() == 4  # one row at least is normal
    assert least_similar(similarities[:1], 0.5).sum() == 0


def test_most_similar_goes_by_angle():
    dictionary = torch.tensor([[9.0, 0.0], [0.1, 0.1], [0.0, 2.0]])
    assert most_similar(torch.tensor([[1.0, 1.2], [0.1, 5.0]]), dictionary).tolist() == [1, 2]


@pytest.mark.parametrize("real", [True, False])
def test_adversarial_loss_is_binary_cross_entropy(real):
    logit = np.array([[-2.0], [0.5], [3.0]])
    assert adversarial_loss(torch.tensor(logit), real).item() == pytest.approx(log_loss(logit, real))


def test_latent_mean_follows_eq_4(plain, x):
    first, second = plain.latent(x[:3]).detach(), plain.latent(x[3:]).detach()
    plain.follow(first)
    mean = array(first).mean(axis=0)
    np.testing.assert_allclose(plain.latent_mean, mean, rtol=1e-5)
    plain.follow(second)
    mean = mean - 0.25 * np.mean([mean - z for z in array(second)], axis=0)
    np.testing.assert_allclose(plain.latent_mean, mean, rtol=1e-5)


def generated_rows(core, noise):
    latent = array(core.latent_mean) + math.sqrt(core.sigma) * noise
    return run_mlp(core.g, latent)


def share_of_eq_7(core, rows, latent_of, restoring_loss, distance, noise):
    """What f and g minimise, in numpy, from the parts that tell the two autoencoders apart."""
    latent, generated = latent_of(rows), generated_rows(core, noise)
    cosines = unit(latent) @ unit(latent_of(generated)).T
    order = np.argsort(cosines.mean(axis=1))
    contaminated, normal = order[: math.ceil(core.tau * len(rows))], np.sort(order[math.ceil(core.tau * len(rows)) :])
    away = np.mean([distance(rows[i], generated[cosines[i].argmax()]) for i in contaminated])
    deception = log_loss(run_mlp(core.latent_discriminator, latent), True)
    deception += log_loss(run_mlp(core.sample_discriminator, generated), True)
    return restoring_loss(rows[normal]) - core.repulsion * away + core.adversarial_weight * deception


def test_loss_of_the_plain_autoencoder(plain, x):
    rows = array(x)
    plain.training_loss(x)
    torch.manual_seed(1)
    loss = plain.training_loss(x)
    torch.manual_seed(1)
    noise = array(torch.randn(7, 3))
    expected = share_of_eq_7(
        plain,
        rows,
        lambda x: run_mlp(plain.f, x),
        lambda x: np.mean(np.sum((x - run_mlp(plain.g, run_mlp(plain.f, x))) ** 2, axis=1)),
        lambda a, b: np.sum((a - b) ** 2),
        noise,
    )
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    errors = np.sum((rows - run_mlp(plain.g, run_mlp(plain.f, rows))) ** 2, axis=1)
    np.testing.assert_allclose(plain.anomaly_score(x).detach(), errors, rtol=1e-5)


def numpy_denoiser(core):
    return NumpyDenoiser(lambda x: run_mlp(core.f, x), lambda z: run_mlp(core.g, z), array(core.denoiser.scales))


def test_loss_of_the_restoring_autoencoder(restoring, x):
    rows, denoiser = array(x), numpy_denoiser(restoring)
    restoring.training_loss(x)
    torch.manual_seed(1)
    loss = restoring.training_loss(x)
    torch.manual_seed(1)
    expected = share_of_eq_7(
        restoring,
        rows,
        lambda x: denoiser.encode(x, 2.0),
        lambda x: np.mean(denoiser.loss(x, 4)),
        lambda a, b: np.log(1 + np.mean((a - b) ** 2)),
        array(torch.randn(7, 3)),
    )
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_losses_of_the_discriminators(plain, x):
    plain.training_loss(x)
    latent = run_mlp(plain.f, array(x))
    torch.manual_seed(1)
    loss = plain.latent_discriminator_loss(x)
    torch.manual_seed(1)
    normal = array(plain.latent_mean) + array(torch.randn(7, 3))
    expected = [log_loss(run_mlp(plain.latent_discriminator, z), real) for z, real in ((normal, True), (latent, False))]
    assert loss.item() == pytest.approx(sum(expected), rel=1e-5)
    torch.manual_seed(1)
    loss = plain.sample_discriminator_loss(x)
    torch.manual_seed(1)
    generated = generated_rows(plain, array(torch.randn(7, 3)))
    rows = ((array(x), True), (generated, False))
    expected = [log_loss(run_mlp(plain.sample_discriminator, row), real) for row, real in rows]
    assert loss.item() == pytest.approx(sum(expected), rel=1e-5)


@pytest.mark.parametrize("form", ["plain", "restoring"])
def test_players_share_out_all_parameters_and_touch_only_their_own(request, form, x):
    core = request.getfixturevalue(form)
    players = [(list(player.parameters), player.loss) for player in core.players()]
    assert sorted(id(p) for parameters, _ in players for p in parameters) == sorted(id(p) for p in core.parameters())
    for parameters, loss in players[1:]:
        core.zero_grad()
        core.training_loss(x)  # sets the latent mean
        loss(x).backward()
        assert all(p.grad is not None for p in parameters)
        assert {id(p) for p in core.parameters() if p.grad is not None} == {id(p) for p in parameters}


@pytest.mark.parametrize("form", ["plain", "restoring"])
def test_opponents_learn_to_tell_and_the_autoencoder_to_deceive(request, form, x):
    core = request.getfixturevalue(form)
    core.training_loss(x)
    (own, _), *opponents = [(list(player.parameters), player.loss) for player in core.players()]
    for parameters, loss in opponents:
        torch.manual_seed(0)
        before = loss(x)
        before.backward()
        with torch.no_grad():
            for p in parameters:
                p -= 0.01 * p.grad
        torch.manual_seed(0)
        assert loss(x) < before
    # what raises D's belief in latents and rows lowers the loss of f and g
    core.adversarial_weight = 100.0
    core.tau = 0.0
    torch.manual_seed(0)
    gradient = torch.autograd.grad(core.training_loss(x), own)
    belief = core.latent_discriminator(core.latent(x)).mean().item()
    with torch.no_grad():
        for p, slope in zip(own, gradient, strict=True):
            p -= 1e-3 * slope
    assert core.latent_discriminator(core.latent(x)).mean().item() > belief


def test_score_of_the_restoring_autoencoder(table):
    clf = small(NCAE, epoch_num=10).fit(table)
    new = table[:20] + np.random.default_rng(1).normal(size=(20, 3)) * table.std(axis=0)
    train, test = (clf.standardizer_.transform(rows).astype(np.float64) for rows in (table, new))
    denoiser = numpy_denoiser(clf.core_)
    np.testing.assert_allclose(clf.decision_scores_, denoiser.oddness(train, train), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(clf.decision_function(new), denoiser.oddness(test, train), rtol=1e-3, atol=1e-3)


def test_score_grows_with_distance(table):
    clf = small(NCAE, epoch_num=10).fit(table)
    direction = np.random.default_rng(0).normal(size=3) * table.std(axis=0)
    along = table.mean(axis=0) + np.geomspace(6, 1e5, 30)[:, None] * direction
    assert (np.diff(clf.decision_function(along)) > 0).all()


def test_contaminated_rows_are_found_and_badly_restored():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(360, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(360, 6))
    odd = 3 + 0.1 * rng.normal(size=(40, 6)) * normal.std(axis=0)
    X, y = np.concatenate([normal, odd]), np.repeat([0, 1], [360, 40])
    clf = NCAE(hidden_size=256, latent_size=128, random_state=0).fit(X)
    rows = torch.tensor(clf.standardizer_.transform(X))
    core = clf.core_
    torch.manual_seed(0)
    with torch.no_grad():
        cosines = similarity(core.latent(rows), core.latent(core.generate(256)))
    assert roc_auc_score(y, -cosines.numpy()) > 0.95
    assert roc_auc_score(y, clf.decision_scores_) > 0.95


@pytest.mark.parametrize("autoencoder", ["restoring", "plain"])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_every_form_trains_and_generates(request, autoencoder, kind):
    X = request.getfixturevalue(kind)
    clf = small(NCAE, autoencoder=autoencoder, tau=0.05, epoch_num=30).fit(X)
    # the history sums the losses of opponents, so what is learned shows beside a core that was not trained
    rows = torch.tensor(clf.standardizer_.transform(X))
    untrained = small(NCAE, autoencoder=autoencoder, lr=1e-12, epoch_num=1).fit(X).core_
    with torch.no_grad():
        assert clf.core_.restoring_loss(rows).mean() < untrained.restoring_loss(rows).mean()
    np.testing.assert_array_equal(clf.decision_function(X[5:6]), clf.decision_scores_[5:6])
    generated = clf.generate(9)
    assert generated.shape == (9, *X.shape[1:])
    # among the rows, in their own units, and not all the same
    axes = (0, *range(2, X.ndim))
    spread = X.std(axis=axes)
    assert (np.abs(generated.mean(axis=axes) - X.mean(axis=axes)) < 2 * spread).all()
    assert (generated.std(axis=0) > 0).all()
    np.testing.assert_array_equal(clf.generate(9), generated)


def test_the_published_form_stays_finite(table):
    published = {"autoencoder": "plain", "repulsion": 1.0, "adversarial_weight": 1.0, "lr": 0.01, "batch_size": 128}
    clf = NCAE(**published, weight_decay=0.0, latent_size=32).fit(table)
    assert np.isfinite(clf.decision_scores_).all()
    assert isinstance(clf.core_, PlainCore)


def test_images_go_through_convolutions(images):
    core = small(NCAE).fit(images).core_
    assert all(any(isinstance(layer, nn.Conv2d) for layer in net) for net in (core.f, core.g))
    assert core.f[0].in_channels == 3  # two, and the scale


@pytest.mark.parametrize("autoencoder", ["restoring", "plain"])
def test_without_contaminated_rows_and_without_noise(table, autoencoder):
    clf = small(NCAE, autoencoder=autoencoder, tau=0.0, sigma=0.0, scales=[0.5]).fit(table)
    assert np.isfinite(clf.decision_scores_).all()
    assert np.ptp(clf.generate(5), axis=0).max() < 1e-6 * np.abs(table).max()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("autoencoder", "deep"),
        ("tau", 1.0),
        ("tau", -0.1),
        ("sigma", 1.1),
        ("gamma", 0.0),
        ("repulsion", -1.0),
        ("adversarial_weight", -1.0),
        ("hidden_size", 0),
        ("latent_size", 0),
        ("scales", ()),
        ("scales", (0.4, 0.0)),
        ("scales", (math.inf,)),
        ("scales", 0.4),
    ],
)
def test_parameters_out_of_range(table, name, value):
    with pytest.raises(ValueError, match=name):
        small(NCAE, **{name: value}).fit(table)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "least"), [("6_cardio", 0.88), ("42_WBC", 0.97)])
def test_real_tables(data_folder, name, least):
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel()
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    train, test = normal[: len(normal) // 2], np.r_[normal[len(normal) // 2 :], np.flatnonzero(y == 1)]
    scores = NCAE(random_state=0).fit(X[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > least
