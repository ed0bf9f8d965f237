"""Novelty Normalization's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pyod_synth import NoveltyNormalization
from pyod_synth.models.novelty_normalization import (
    DenoisingCore,
    GatedLinear,
    NoveltyScorer,
    VanillaCore,
    batch_bounds,
    normalize,
)
from tests.detectors import small

FORMS = ["denoising", "vanilla"]


def array(tensor):
    return tensor.detach().double().numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def run_mlp(net, x):
    """Two linear layers with SiLU between them, in float64."""
    return silu(x @ array(net[0].weight).T + array(net[0].bias)) @ array(net[2].weight).T + array(net[2].bias)


def run_scorer(scorer, z):
    """The NS module's logit in evaluation, in float64."""
    first, last = (
        array(layer.weight) * np.clip(sigmoid(array(layer.gate_logit)) * 1.2 - 0.1, 0, 1) for layer in scorer.layers
    )
    return (silu(z @ first.T) @ last.T)[..., 0]


@pytest.fixture
def x():
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def scorer():
    torch.manual_seed(3)
    scorer = NoveltyScorer(3, 2)
    with torch.no_grad():
        for layer in scorer.layers:
            layer.gate_logit += torch.randn_like(layer.gate_logit)
    return scorer.eval()


def vanilla(novelty, normalization=True):
    torch.manual_seed(4)
    return VanillaCore((4,), 5, 3, novelty, normalization, lam1=0.4, lam2=0.01)


def denoising(novelty, normalization=True):
    torch.manual_seed(4)
    return DenoisingCore((4,), 5, 3, novelty, normalization, 0.4, 0.01, scales=(0.2, 1.5), batch_size=3)


def expected_count(scorer):
    logits = np.concatenate([array(layer.gate_logit).ravel() for layer in scorer.layers])
    return sigmoid(logits - 2 / 3 * math.log(0.1 / 1.1)).sum()


def min_max(scores):
    low, high = scores.min(axis=-1, keepdims=True), scores.max(axis=-1, keepdims=True)
    return (scores - low) / (high - low)


def test_gates_are_hard_concrete():
    layer = GatedLinear(1, 100_000)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.gate_logit.fill_(-1.0)
    torch.manual_seed(0)
    gates = array(layer(torch.ones(1, 1)))
    assert (gates >= 0).all()
    assert (gates <= 1).all()
    share = layer.expected_count().item() / 100_000
    assert share == pytest.approx(sigmoid(-1 - 2 / 3 * math.log(0.1 / 1.1)), rel=1e-5)
    assert np.mean(gates != 0) == pytest.approx(share, abs=0.01)  # what Eq. 3 counts
    layer.eval()
    np.testing.assert_allclose(array(layer(torch.ones(1, 1))), sigmoid(-1.0) * 1.2 - 0.1, rtol=1e-5)


def test_counting_has_a_gradient_towards_more_weights(scorer):
    assert scorer.expected_count().item() == pytest.approx(expected_count(scorer), rel=1e-5)
    (-scorer.expected_count()).backward()
    assert all((layer.gate_logit.grad < 0).all() for layer in scorer.layers)


def test_scorer_has_no_bias(scorer):
    assert {name.split(".")[-1] for name, _ in scorer.named_parameters()} == {"weight", "gate_logit"}
    np.testing.assert_array_equal(array(scorer(torch.zeros(2, 3))), 0)


def test_normalization_is_min_max():
    scores = torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]], requires_grad=True)
    low, high = batch_bounds(scores)
    assert not low.requires_grad
    assert not high.requires_grad
    np.testing.assert_allclose(array(normalize(scores, low, high)), [[0, 1, 0.5], [0, 0, 0]])


@pytest.mark.parametrize("novelty_scoring", [True, False])
@pytest.mark.parametrize("normalization", [True, False])
def test_loss_of_the_vanilla_form(x, scorer, novelty_scoring, normalization):
    core = vanilla(scorer if novelty_scoring else None, normalization).eval()
    z = run_mlp(core.encoder, array(x))
    scores = ((array(x) - run_mlp(core.decoder, z)) ** 2).mean(axis=1)
    if novelty_scoring:
        scores = 0.6 * scores + 0.4 * sigmoid(run_scorer(scorer, z))
    expected = (min_max(scores) if normalization else scores).mean()
    expected -= 0.01 * expected_count(scorer) if novelty_scoring else 0
    np.testing.assert_allclose(array(core.novelty_scores(x))[0], scores, rtol=1e-4)
    assert core.training_loss(x).item() == pytest.approx(expected, rel=1e-4)


def test_bounds_of_the_vanilla_form_are_averages_over_batches(x, scorer):
    core = vanilla(scorer).eval()
    scores = array(core.novelty_scores(x))[0]
    for rows in (x[:3], x[3:], x[1:5]):
        core.training_loss(rows)
    low, high = (np.mean([f(scores[a:b]) for a, b in ((0, 3), (3, 7), (1, 5))]) for f in (np.min, np.max))
    np.testing.assert_allclose([core.low.item(), core.high.item()], [low, high], rtol=1e-5)
    np.testing.assert_allclose(array(core.anomaly_score(x)), (scores - low) / (high - low), rtol=1e-4, atol=1e-5)


def denoising_parts(core, rows, scales):
    """Latent vectors and restored rows for scales of shape (scales, batch, 1), in numpy."""
    rows = np.broadcast_to(rows, (len(scales), *rows.shape[-2:]))
    scales = np.broadcast_to(scales, (*rows.shape[:2], 1))
    z = run_mlp(core.encoder, np.concatenate([rows / np.sqrt(1 + scales**2), np.log(scales)], axis=2))
    return z, run_mlp(core.decoder, z)


@pytest.mark.parametrize("novelty_scoring", [True, False])
@pytest.mark.parametrize("normalization", [True, False])
def test_loss_of_the_denoising_form(x, scorer, novelty_scoring, normalization):
    core = denoising(scorer if novelty_scoring else None, normalization).eval()
    torch.manual_seed(5)
    loss = core.training_loss(x).item()
    torch.manual_seed(5)
    scales = 0.2 * (1.5 / 0.2) ** array(torch.rand(2, 7, 1))
    noisy = array(x) + scales * array(torch.randn(2, 7, 4))
    z, restored = denoising_parts(core, noisy, scales)
    scores = ((array(x) - restored) ** 2).mean(axis=2)
    if novelty_scoring:
        clean = sigmoid(run_scorer(scorer, denoising_parts(core, array(x), scales)[0]))
        scores = 0.6 * scores + 0.4 * (-np.log(1 - clean) - np.log(sigmoid(run_scorer(scorer, z))))
    scores = scores.mean(axis=0)
    expected = (min_max(scores) if normalization else scores).mean()
    expected -= 0.01 * expected_count(scorer) if novelty_scoring else 0
    assert loss == pytest.approx(expected, rel=1e-4)


def test_score_of_the_denoising_form(x, scorer):
    core = denoising(scorer).eval()
    torch.manual_seed(6)
    core.calibrate(x)
    torch.manual_seed(6)
    batches = np.array_split(np.arange(7)[torch.randperm(7).numpy()], 3)
    z, restored = denoising_parts(core, array(x), np.array([0.2, 1.5])[:, None, None])
    squares = (array(x) - restored) ** 2
    relative = squares / (squares.mean(axis=1, keepdims=True) + 1e-4)
    scores = 0.6 * np.sqrt(relative.mean(axis=2)) + 0.4 * sigmoid(run_scorer(scorer, z))
    low, high = (np.mean([f(scores[:, b], axis=1) for b in batches], axis=0)[:, None] for f in (np.min, np.max))
    np.testing.assert_allclose(array(core.anomaly_score(x)), ((scores - low) / (high - low)).mean(axis=0), rtol=1e-3)


@pytest.mark.parametrize("autoencoder", FORMS)
@pytest.mark.parametrize("novelty_scoring", [True, False])
@pytest.mark.parametrize("normalization", [True, False])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_every_form_trains(request, autoencoder, novelty_scoring, normalization, kind):
    X = request.getfixturevalue(kind)
    parameters = {"autoencoder": autoencoder, "novelty_scoring": novelty_scoring, "normalization": normalization}
    clf = small(NoveltyNormalization, epoch_num=30, lr=1e-2, **parameters).fit(X)
    if not normalization:  # the normalised loss is relative to the batch and need not fall
        assert np.mean(clf.history_[-5:]) < np.mean(clf.history_[:5])
    assert np.isfinite(clf.decision_scores_).all()
    np.testing.assert_array_equal(clf.decision_function(X[5:6]), clf.decision_scores_[5:6])


@pytest.mark.parametrize("autoencoder", FORMS)
def test_normalised_loss_restores_rows_too(table, autoencoder):
    def restoration(epoch_num):
        clf = small(
            NoveltyNormalization, autoencoder=autoencoder, hidden_size=32, latent_size=3, lr=1e-2, epoch_num=epoch_num
        ).fit(table)
        core, x = clf.core_, torch.tensor(clf.standardizer_.transform(table))
        with torch.no_grad():
            if autoencoder == "vanilla":
                return (x - core.decoder(core.encoder(x))).square().mean().item()
            return core.residual(x, core.encode(x, core.scales)).square().mean().item()

    assert restoration(100) < 0.5 * restoration(1)


@pytest.mark.parametrize("kind", ["table", "images"])
def test_score_grows_with_distance(request, kind):
    X = request.getfixturevalue(kind)
    clf = NoveltyNormalization(epoch_num=20, random_state=0).fit(X)
    direction = np.random.default_rng(0).normal(size=X.shape[1:]) * X.std(axis=0)
    along = X.mean(axis=0) + np.geomspace(20, 1e5, 30).reshape(-1, *[1] * (X.ndim - 1)) * direction
    assert (np.diff(clf.decision_function(along)) > 0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("autoencoder", "variational"),
        ("normalization", "yes"),
        ("novelty_scoring", "yes"),
        ("lam1", 1.0),
        ("lam1", -0.1),
        ("lam2", -1.0),
        ("novelty_layers", 0),
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
        small(NoveltyNormalization, **{name: value}).fit(table)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "least"), [("6_cardio", 0.93), ("38_thyroid", 0.97), ("42_WBC", 0.96)])
def test_real_tables(data_folder, name, least):
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel()
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    train, test = normal[: len(normal) // 2], np.r_[normal[len(normal) // 2 :], np.flatnonzero(y == 1)]
    scores = NoveltyNormalization(random_state=0).fit(X[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > least
