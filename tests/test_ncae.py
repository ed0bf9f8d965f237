"""NCAE's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from torch import nn

from pyod_synth import NCAE
from pyod_synth.models.ncae import adversarial_loss, least_similar, most_similar, similarity
from tests.detectors import small
from tests.reference import array, run_mlp, sigmoid

SHARED = {"tau": 0.3, "sigma": 0.2, "gamma": 0.25, "repulsion": 0.7, "adversarial_weight": 0.4, "adversarial_lr": 2e-4}


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def log_loss(logit, real):
    probability = sigmoid(logit)
    return -np.mean(np.log(probability if real else 1 - probability))


@pytest.fixture
def x():
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=["minmax", True])
def core(request):
    torch.manual_seed(0)
    return NCAE(hidden_size=6, latent_size=3, preprocessing=request.param, **SHARED).build_core((4,))


def seeded(core, seed=1):
    """Let the core draw from a seed; a second generator of that seed."""
    core.generator = torch.Generator().manual_seed(seed)
    return torch.Generator().manual_seed(seed)


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


def test_latent_mean_follows_eq_4(core, x):
    first, second = core.f(x[:3]).detach(), core.f(x[3:]).detach()
    core.follow(first)
    mean = array(first).mean(axis=0)
    np.testing.assert_allclose(core.latent_mean, mean, rtol=1e-5)
    core.follow(second)
    mean = mean - 0.25 * np.mean([mean - z for z in array(second)], axis=0)
    np.testing.assert_allclose(core.latent_mean, mean, rtol=1e-5)


def decoded(core, latent):
    return sigmoid(run_mlp(core.g, latent)) if core.in_range else run_mlp(core.g, latent)


def generated_rows(core, noise):
    return decoded(core, array(core.latent_mean) + math.sqrt(core.sigma) * noise)


def test_loss_is_the_share_of_eq_7(core, x):
    rows = array(x)
    core.training_loss(x)
    generator = seeded(core)
    loss = core.training_loss(x)

    def errors(a, b):
        return np.mean((a - b) ** 2, axis=1)

    latent, generated = run_mlp(core.f, rows), generated_rows(core, array(torch.randn(7, 3, generator=generator)))
    cosines = unit(latent) @ unit(run_mlp(core.f, generated)).T
    order = np.argsort(cosines.mean(axis=1))
    contaminated, normal = order[: math.ceil(0.3 * 7)], order[math.ceil(0.3 * 7) :]
    away = np.mean([np.mean((rows[i] - generated[cosines[i].argmax()]) ** 2) for i in contaminated])
    deception = log_loss(run_mlp(core.latent_discriminator, latent), True)
    restored = decoded(core, latent)
    expected = errors(rows[normal], restored[normal]).mean() - 0.7 * away + 0.4 * deception
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(core.anomaly_score(x).detach(), errors(rows, restored), rtol=1e-5)


def test_losses_of_the_discriminators(core, x):
    core.training_loss(x)
    latent = run_mlp(core.f, array(x))
    generator = seeded(core)
    loss = core.latent_discriminator_loss(x)
    normal = array(core.latent_mean) + array(torch.randn(7, 3, generator=generator))
    expected = [log_loss(run_mlp(core.latent_discriminator, z), real) for z, real in ((normal, True), (latent, False))]
    assert loss.item() == pytest.approx(sum(expected), rel=1e-5)
    generator = seeded(core)
    loss = core.sample_discriminator_loss(x)
    generated = generated_rows(core, array(torch.randn(7, 3, generator=generator)))
    rows = ((array(x), True), (generated, False))
    expected = [log_loss(run_mlp(core.sample_discriminator, row), real) for row, real in rows]
    assert loss.item() == pytest.approx(sum(expected), rel=1e-5)


def by_parameters(core):
    """Parameters and loss of each player; those of all but the first are groups with a rate of their own."""
    (own, loss), *opponents = core.players()
    for (group,), _ in opponents:
        assert group["lr"] == 2e-4
    return [(own, loss), *((group["params"], loss) for (group,), loss in opponents)]


def test_players_have_all_parameters_and_discriminators_only_their_own(core, x):
    players = by_parameters(core)
    assert {id(p) for parameters, _ in players for p in parameters} == {id(p) for p in core.parameters()}
    generator = {id(p) for p in players[1][0]}
    assert generator == {id(p) for p in core.g.parameters()} < {id(p) for p in players[0][0]}
    for parameters, loss in players[2:]:
        core.zero_grad()
        core.training_loss(x)  # sets the latent mean
        loss(x).backward()
        assert all(p.grad is not None for p in parameters)
        assert {id(p) for p in core.parameters() if p.grad is not None} == {id(p) for p in parameters}


def test_opponents_learn_to_tell_and_the_autoencoder_to_deceive(core, x):
    core.training_loss(x)
    (own, _), *opponents = by_parameters(core)
    for parameters, loss in opponents:
        seeded(core)
        before = loss(x)
        before.backward()
        with torch.no_grad():
            for p in parameters:
                p -= 0.01 * p.grad
        seeded(core)
        assert loss(x) < before
    # what raises D's belief in latents and rows lowers the loss of f and g
    core.adversarial_weight = 100.0
    core.tau = 0.0
    seeded(core)
    gradient = torch.autograd.grad(core.training_loss(x), own)
    belief = core.latent_discriminator(core.f(x)).mean().item()
    with torch.no_grad():
        for p, slope in zip(own, gradient, strict=True):
            p -= 1e-3 * slope
    assert core.latent_discriminator(core.f(x)).mean().item() > belief


def test_gradient_of_the_autoencoder_is_that_of_eq_7(core, x):
    """Against differences of the loss: what is generated is learned too."""
    core, rows = core.double(), x.double()
    core.training_loss(rows)
    mean = core.latent_mean.clone()

    def loss():
        core.latent_mean.copy_(mean)
        seeded(core)
        return core.training_loss(rows)

    bias = core.g[-1].bias
    (gradient,) = torch.autograd.grad(loss(), [bias])
    differences = []
    for step in 1e-5 * torch.eye(4, dtype=torch.float64):
        with torch.no_grad():
            bias += step
            above = loss().item()
            bias -= 2 * step
            differences.append((above - loss().item()) / 2e-5)
            bias += step
    np.testing.assert_allclose(array(gradient), differences, rtol=1e-5)


@pytest.mark.parametrize(("preprocessing", "least"), [("minmax", 0.8), (True, 0.95)])
def test_contaminated_rows_are_found_and_badly_restored(preprocessing, least):
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(360, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(360, 6))
    anomalies = 3 + 0.1 * rng.normal(size=(40, 6)) * normal.std(axis=0)
    X, y = np.concatenate([normal, anomalies]), np.repeat([0, 1], [360, 40])
    clf = NCAE(preprocessing=preprocessing, random_state=0).fit(X)
    rows = torch.tensor(clf.standardizer_.transform(X))
    core = clf.core_
    with torch.no_grad():
        cosines = similarity(core.f(rows), core.f(core.generate(256, torch.Generator().manual_seed(0))))
    assert roc_auc_score(y, -cosines.numpy()) > least
    assert roc_auc_score(y, clf.decision_scores_) > 0.95


@pytest.mark.parametrize("kind", ["table", "images"])
def test_it_trains_and_generates(request, kind):
    X = request.getfixturevalue(kind)
    clf = small(NCAE, tau=0.05, lr=1e-3, repulsion=0.1, adversarial_weight=0.1, epoch_num=30).fit(X)
    # the history sums the losses of opponents, so what is learned shows beside a core that was not trained
    untrained = small(NCAE, lr=1e-12, epoch_num=1).fit(X)
    assert clf.decision_scores_.mean() < untrained.decision_scores_.mean()
    generated = clf.generate(9)
    assert generated.shape == (9, *X.shape[1:])
    # among the rows, in their own units, and not all the same
    axes = (0, *range(2, X.ndim))
    spread = X.std(axis=axes)
    assert (np.abs(generated.mean(axis=axes) - X.mean(axis=axes)) < 2 * spread).all()
    assert (generated.std(axis=0) > 0).all()
    np.testing.assert_array_equal(clf.generate(9), generated)


def test_the_published_settings_stay_finite(table):
    assert np.isfinite(NCAE(random_state=0).fit(table).decision_scores_).all()


def test_images_go_through_convolutions(images):
    core = small(NCAE).fit(images).core_
    assert all(any(isinstance(layer, nn.Conv2d) for layer in net) for net in (core.f, core.g))
    assert core.f[0].in_channels == 2


def test_without_contaminated_rows_and_without_noise(table):
    clf = small(NCAE, tau=0.0, sigma=0.0).fit(table)
    assert np.isfinite(clf.decision_scores_).all()
    assert np.ptp(clf.generate(5), axis=0).max() < 1e-6 * np.abs(table).max()


def test_images_that_are_mostly_black_are_restored():
    """Black is where a sigmoid has no gradient any more: networks that once restore black images do so for ever."""
    X, y = load_digits(return_X_y=True)
    zeros = np.pad(X[y == 0].reshape(-1, 1, 8, 8) / 16, ((0, 0), (0, 0), (4, 4), (4, 4)))
    clf = small(NCAE, batch_size=32, lr=1e-3, epoch_num=10).fit(zeros)
    assert clf.decision_scores_.mean() < np.square(zeros).mean() / 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tau", 1.0),
        ("tau", -0.1),
        ("sigma", 1.1),
        ("gamma", 0.0),
        ("repulsion", -1.0),
        ("adversarial_weight", -1.0),
        ("hidden_size", 0),
        ("latent_size", 0),
    ],
)
def test_parameters_out_of_range(table, name, value):
    with pytest.raises(ValueError, match=name):
        small(NCAE, **{name: value}).fit(table)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "least"), [("6_cardio", 0.75), ("42_WBC", 0.97)])
def test_real_tables(data_folder, name, least):
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel()
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    train, test = normal[: len(normal) // 2], np.r_[normal[len(normal) // 2 :], np.flatnonzero(y == 1)]
    scores = NCAE(random_state=0).fit(X[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > least
