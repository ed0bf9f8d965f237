"""Novelty Normalization's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pyod_synth import NoveltyNormalization
from pyod_synth.models.novelty_normalization import GatedLinear, NoveltyScorer, batch_bounds, normalize
from tests.detectors import small
from tests.reference import array, run_mlp, sigmoid, silu


def layers(scorer):
    return [layer for layer in scorer.modules() if isinstance(layer, GatedLinear)]


def run_scorer(scorer, z):
    """The NS module's logit in evaluation, in float64."""
    first, last = (
        array(layer.weight) * np.clip(sigmoid(array(layer.gate_logit)) * 1.2 - 0.1, 0, 1) for layer in layers(scorer)
    )
    return (silu(z @ first.T) @ last.T)[..., 0]


@pytest.fixture
def x():
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


def disturb(scorer):
    """Move the gates, so that they differ."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for layer in layers(scorer):
            layer.gate_logit += torch.randn(layer.gate_logit.shape, generator=generator)
    return scorer.eval()


@pytest.fixture
def scorer():
    torch.manual_seed(3)
    return disturb(NoveltyScorer(3, 2))


def make_core(novelty_scoring=True, normalization=True):
    torch.manual_seed(4)
    sizes = {"hidden_size": 5, "latent_size": 3, "lam1": 0.4, "lam2": 0.01}
    clf = NoveltyNormalization(novelty_scoring=novelty_scoring, normalization=normalization, **sizes)
    core = clf.build_core((4,)).eval()
    if novelty_scoring:
        disturb(core.novelty)
    return core


def expected_count(scorer):
    logits = np.concatenate([array(layer.gate_logit).ravel() for layer in layers(scorer)])
    return sigmoid(logits - 2 / 3 * math.log(0.1 / 1.1)).sum()


def min_max(scores):
    return (scores - scores.min()) / (scores.max() - scores.min())


def test_gates_are_hard_concrete():
    layer = GatedLinear(1, 100_000)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.gate_logit.fill_(-1.0)
    gates = array(layer(torch.ones(1, 1), torch.Generator().manual_seed(0)))
    assert (gates >= 0).all()
    assert (gates <= 1).all()
    share = layer.expected_count().item() / 100_000
    assert share == pytest.approx(sigmoid(-1 - 2 / 3 * math.log(0.1 / 1.1)), rel=1e-5)
    assert np.mean(gates != 0) == pytest.approx(share, abs=0.01)  # what Eq. 3 counts
    layer.eval()
    np.testing.assert_allclose(array(layer(torch.ones(1, 1), None)), sigmoid(-1.0) * 1.2 - 0.1, rtol=1e-5)


def test_counting_has_a_gradient_towards_more_weights(scorer):
    assert scorer.expected_count().item() == pytest.approx(expected_count(scorer), rel=1e-5)
    (-scorer.expected_count()).backward()
    assert all((layer.gate_logit.grad < 0).all() for layer in layers(scorer))


def test_scorer_has_no_bias(scorer):
    assert {name.split(".")[-1] for name, _ in scorer.named_parameters()} == {"weight", "gate_logit"}
    np.testing.assert_array_equal(array(scorer(torch.zeros(2, 3), None)), 0)


@pytest.mark.parametrize(("scores", "expected"), [([1.0, 3.0, 2.0], [0, 1, 0.5]), ([5.0, 5.0], [0, 0]), ([7.0], [0])])
def test_normalization_is_min_max(scores, expected):
    scores = torch.tensor(scores, requires_grad=True)
    low, high = batch_bounds(scores)
    assert (low.item(), high.item()) == (min(scores), max(scores))
    assert not low.requires_grad
    assert not high.requires_grad
    np.testing.assert_allclose(array(normalize(scores, low, high)), expected)


@pytest.mark.parametrize("novelty_scoring", [True, False])
@pytest.mark.parametrize("normalization", [True, False])
def test_loss(x, novelty_scoring, normalization):
    core = make_core(novelty_scoring, normalization)
    z = run_mlp(core.encoder, array(x))
    scores = ((array(x) - run_mlp(core.decoder, z)) ** 2).mean(axis=1)
    if novelty_scoring:
        scores = 0.6 * scores + 0.4 * sigmoid(run_scorer(core.novelty, z))
    expected = (min_max(scores) if normalization else scores).mean()
    expected -= 0.01 * expected_count(core.novelty) if novelty_scoring else 0
    np.testing.assert_allclose(array(core.novelty_scores(x)), scores, rtol=1e-4)
    assert core.training_loss(x).item() == pytest.approx(expected, rel=1e-4)


def test_bounds_are_averages_over_batches(x):
    core = make_core()
    scores = array(core.novelty_scores(x))
    for rows in (x[:3], x[3:], x[1:5]):
        core.training_loss(rows)
    low, high = (np.mean([f(scores[a:b]) for a, b in ((0, 3), (3, 7), (1, 5))]) for f in (np.min, np.max))
    np.testing.assert_allclose([core.low.item(), core.high.item()], [low, high], rtol=1e-5)
    np.testing.assert_allclose(array(core.anomaly_score(x)), (scores - low) / (high - low), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("novelty_scoring", [True, False])
@pytest.mark.parametrize("normalization", [True, False])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_every_form_trains(request, novelty_scoring, normalization, kind):
    X = request.getfixturevalue(kind)
    parameters = {"novelty_scoring": novelty_scoring, "normalization": normalization}
    clf = small(NoveltyNormalization, epoch_num=30, lr=1e-2, **parameters).fit(X)
    if not normalization:  # the normalised loss is relative to the batch and need not fall
        assert np.mean(clf.history_[-5:]) < np.mean(clf.history_[:5])
    assert np.isfinite(clf.decision_scores_).all()


def test_normalised_loss_restores_rows_too():
    # features that tell of each other
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 1)) * [1, -1, 1, -1, 1, 1] + 0.05 * rng.normal(size=(150, 6))

    def restoration(epoch_num):
        parameters = {"hidden_size": 32, "latent_size": 8, "lr": 1e-2}
        clf = small(NoveltyNormalization, epoch_num=epoch_num, **parameters).fit(X)
        core, x = clf.core_, torch.tensor(clf.standardizer_.transform(X))
        with torch.no_grad():
            return (x - core.decoder(core.encoder(x))).square().mean().item()

    assert restoration(100) < 0.5 * restoration(1)


def test_score_grows_with_distance(table):
    clf = NoveltyNormalization(random_state=0).fit(table)
    direction = np.random.default_rng(0).normal(size=3) * table.std(axis=0)
    along = table.mean(axis=0) + np.geomspace(20, 1e5, 30)[:, None] * direction
    assert (np.diff(clf.decision_function(along)) > 0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("normalization", "yes"),
        ("novelty_scoring", "yes"),
        ("lam1", 1.0),
        ("lam1", -0.1),
        ("lam2", -1.0),
        ("novelty_layers", 0),
        ("hidden_size", 0),
        ("latent_size", 0),
    ],
)
def test_parameters_out_of_range(table, name, value):
    with pytest.raises(ValueError, match=name):
        small(NoveltyNormalization, **{name: value}).fit(table)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "least"), [("6_cardio", 0.85), ("38_thyroid", 0.97), ("42_WBC", 0.8)])
def test_real_tables(data_folder, name, least):
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel()
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    train, test = normal[: len(normal) // 2], np.r_[normal[len(normal) // 2 :], np.flatnonzero(y == 1)]
    scores = NoveltyNormalization(random_state=0).fit(X[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > least
