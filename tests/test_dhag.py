"""DHAG's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pyod_synth import DHAG
from pyod_synth.models.dhag import dhag_loss, pseudo_labels
from pyod_synth.networks.grouped import GroupedLinear, Perturbators
from pyod_synth.seeding import draw_seed, initializing, new_generator
from tests.detectors import assert_same, small
from tests.reference import array, convolve, run_mlp, seeded, sigmoid, silu, softplus


@pytest.fixture
def x():
    return torch.randn(7, 4, generator=seeded(0))


def test_grouped_linear_maps_each_share_by_a_map_of_its_own():
    layer = GroupedLinear(3, 8, 200)
    x = torch.randn(4, 3 * 2, 4)  # two channels of four for each
    groups = array(x).reshape(4, 3, 8)
    expected = [groups[:, own] @ array(layer.weight)[own] + array(layer.bias)[own] for own in range(3)]
    np.testing.assert_allclose(array(layer(x)), np.stack(expected, axis=1), atol=1e-5)
    assert layer(x[:0]).shape == (0, 3, 200)
    for parameter in layer.parameters():  # as nn.Linear begins
        assert 0.9 / math.sqrt(8) < parameter.abs().max() <= 1 / math.sqrt(8)


@pytest.mark.parametrize("space", ["latent", "input"])
@pytest.mark.parametrize("input_shape", [(4,), (7,), (1,), (2, 6, 5)], ids=str)
def test_each_perturbator_is_a_network_of_its_own(input_shape, space):
    latent_size, output_shape, stride = (3, (3,), 2) if space == "latent" else (None, input_shape, 1)
    perturbators = Perturbators(input_shape, latent_size, n_perturbators=2, n_filters=3)
    rows = torch.randn(5, *input_shape)
    channels, *sizes = input_shape if len(input_shape) == 3 else (1, *input_shape)
    drawn = array(perturbators(rows, seeded(1)))
    assert drawn.shape == (5, 2, *output_shape)
    noise = array(torch.randn(5, 2, 1, *sizes, generator=seeded(1)))
    net = perturbators.net
    for row, own in np.ndindex(5, 2):
        filters = slice(3 * own, 3 * own + 3)
        value = np.concatenate([array(rows[row]).reshape(channels, *sizes), noise[row, own]])
        value = silu(convolve(net[0], value, channels + 1, filters, stride))
        value = silu(convolve(net[2], value, 3, filters, stride))
        if space == "latent":
            value = value.ravel() @ array(net[4].weight)[own] + array(net[4].bias)[own, 0]
        else:
            value = convolve(net[4], value, 3, slice(channels * own, channels * own + channels), 1)
        np.testing.assert_allclose(drawn[row, own], value.reshape(output_shape), atol=1e-5)


def test_perturbators_are_stochastic_and_shrink_rows():
    perturbators, generator = Perturbators((3, 9, 6), 4, n_perturbators=3, n_filters=2), seeded(0)
    images = torch.randn(2, 3, 9, 6)
    first, second = perturbators(images, generator), perturbators(images, generator)
    assert first.shape == (2, 3, 4)
    assert (first != second).all()
    assert perturbators.net[:4](torch.zeros(1, 12, 9, 6)).shape == (1, 6, 3, 2)
    perturbators = Perturbators((9,), 4, n_perturbators=3, n_filters=2)
    assert perturbators.net[:4](torch.zeros(1, 6, 9)).shape == (1, 6, 3)


def test_smallest_perturbations_of_each_perturbator_are_normal():
    norm = torch.tensor([[3.0, 1.0], [1.0, 4.0], [2.0, 2.0], [9.0, 3.0]])
    assert pseudo_labels(norm, 2).tolist() == [[1, 0], [0, 1], [0, 0], [1, 1]]
    assert pseudo_labels(norm, 0).all()
    assert not pseudo_labels(norm, 4).any()


def numpy_dhag_loss(normal, perturbed, perturbation, n_normal, lambda1, lambda2):
    """Eq. 2 by loops over its definition."""
    m, n = perturbed.shape
    norms = np.sqrt((perturbation**2).sum(axis=2))
    entropy, cosine = 0.0, 0.0
    for own in range(n):
        smallest = set(np.argsort(norms[:, own])[:n_normal])
        for i in range(m):
            p = sigmoid(perturbed[i, own])
            entropy -= np.log(1 - p if i in smallest else p) / (m * n)
            for other in set(range(n)) - {own}:
                product = perturbation[i, own] @ perturbation[i, other]
                cosine += product / (norms[i, own] * norms[i, other]) / (m * n * (n - 1))
    return np.mean(-np.log(1 - sigmoid(normal))) + entropy + lambda1 * norms.mean() + lambda2 * cosine


def test_loss_is_equation_2():
    rng = np.random.default_rng(0)
    normal, perturbed, perturbation = rng.normal(size=6), rng.normal(size=(6, 3)), rng.normal(size=(6, 3, 4))
    expected = numpy_dhag_loss(normal, perturbed, perturbation, 2, 0.7, 1.3)
    loss = dhag_loss(*(torch.tensor(value) for value in (normal, perturbed, perturbation)), 2, (0.7, 1.3))
    assert loss.item() == pytest.approx(expected)


def test_loss_of_one_perturbator_and_of_no_perturbation_is_finite():
    perturbation = torch.zeros(3, 1, 2, requires_grad=True)
    dhag_loss(torch.zeros(3), torch.zeros(3, 1), perturbation, 1, (1.0, 1.0)).backward()
    assert perturbation.grad.isfinite().all()
    perturbation = torch.zeros(3, 2, 2, requires_grad=True)
    dhag_loss(torch.zeros(3), torch.zeros(3, 2), perturbation, 1, (1.0, 1.0)).backward()
    assert perturbation.grad.isfinite().all()


def make_core(space="latent", n_augmented=146, **options):
    sizes = {"hidden_size": 5, "latent_size": 3, "n_perturbators": 2, "n_filters": 3}
    weights = {"n_augmented": n_augmented, "lambda1": 0.7, "lambda2": 1.3}
    core = DHAG(space=space, perturbator_lr=1e-4, **sizes, **weights, **options).build_core((4,))
    core.generator = seeded(1)
    return core


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("space", ["latent", "input"])
def test_loss_and_score_of_the_core(x, space, labelled):
    core = make_core(space)
    y = torch.tensor([0, 1, 0, 0, 0, 1, 0]) if labelled else None
    normal = x[y == 0] if labelled else x
    losses = []
    for loss in (core.training_loss, core.perturbators_loss):
        core.generator = seeded(2)
        losses.append(loss(x, y).item())
    e, rows = array(core.perturbators(normal, seeded(2))), array(normal)

    def encode(values):
        return run_mlp(core.encoder, values)

    def logit(z):
        return run_mlp(core.discriminator, z)[..., 0]

    perturbed = encode(rows)[:, None] + e if space == "latent" else encode(rows[:, None] + e)
    n_normal = 1 if labelled else 2  # 146 / 512 of 5 or of 7 rows
    expected = numpy_dhag_loss(logit(encode(rows)), logit(perturbed), e, n_normal, 0.7, 1.3)
    if labelled:
        expected += softplus(-logit(encode(array(x[y == 1])))).mean()
    assert losses == pytest.approx([expected, expected], rel=1e-5)
    np.testing.assert_allclose(array(core.anomaly_score(x)), logit(encode(array(x))), atol=1e-5)


def test_batches_of_one_label_only(x):
    core = make_core()
    for y in (torch.zeros(7, dtype=int), torch.ones(7, dtype=int)):
        for player in core.players():
            loss = player.loss(x, y)
            loss.backward()
            assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in core.parameters() if parameter.grad is not None)


def rates_of(player):
    """Rate, or None for the detector's, of each parameter."""
    return {id(parameter): group.get("lr") for group in player.parameters for parameter in group["params"]}


def test_players_share_all_parameters_and_step_at_rates_of_their_own():
    core = make_core(discriminator_lr=1e-5)
    others, perturbing = (rates_of(player) for player in core.players())
    assert perturbing == {id(parameter): 1e-4 for parameter in core.perturbators.parameters()}
    assert others == {id(parameter): None for parameter in core.encoder.parameters()} | {
        id(parameter): 1e-5 for parameter in core.discriminator.parameters()
    }


def test_networks_that_do_not_alternate_learn_from_one_gradient(x):
    core = make_core(alternating=False, discriminator_lr=1e-5)
    (player,) = core.players()
    rates = {core.encoder: None, core.discriminator: 1e-5, core.perturbators: 1e-4}
    assert rates_of(player) == {id(parameter): rate for net, rate in rates.items() for parameter in net.parameters()}
    player.loss(x).backward()
    for net in rates:
        assert all(parameter.grad.any() for parameter in net.parameters())


def test_perturbators_learn_from_their_own_loss_alone(x):
    core = make_core()
    (_, loss), (_, perturbators_loss) = core.players()
    perturbing = list(core.perturbators.parameters())
    others = [*core.encoder.parameters(), *core.discriminator.parameters()]
    loss(x).backward()
    assert all(parameter.grad is None for parameter in perturbing)
    assert all(parameter.grad is not None for parameter in others)
    perturbators_loss(x).backward()
    assert all(parameter.grad.any() for parameter in perturbing)


@pytest.mark.parametrize("alternating", [True, False])
@pytest.mark.parametrize("space", ["latent", "input"])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_every_form_trains(request, space, kind, alternating):
    X = request.getfixturevalue(kind)
    clf = small(DHAG, space=space, alternating=alternating, epoch_num=20).fit(X)
    assert np.mean(clf.history_[-5:]) < np.mean(clf.history_[:5])
    assert np.isfinite(clf.decision_scores_).all()
    assert_same(np.concatenate([clf.decision_function(X[i : i + 1]) for i in range(5)]), clf.decision_scores_[:5])


@pytest.mark.parametrize("kind", ["table", "images"])
def test_perturbed_latent_vectors(request, kind):
    X = request.getfixturevalue(kind)
    clf = small(DHAG, n_perturbators=4, n_augmented=100).fit(X)
    perturbed, labels = clf.perturb(X, return_labels=True)
    assert perturbed.shape == (len(X), 4, 2 if kind == "table" else 64)
    assert labels.shape == (len(X), 4)
    perturbation = perturbed - clf.embed(X)[:, None]
    norm = np.linalg.norm(perturbation, axis=2)
    for single, label in zip(norm.T, labels.T, strict=True):
        count = round(100 / 512 * len(X))
        np.testing.assert_array_equal(np.flatnonzero(label == 0), np.sort(np.argsort(single)[:count]))
    np.testing.assert_array_equal(clf.perturb(X), perturbed)
    # what the discriminator learned to tell apart from unperturbed vectors
    with torch.no_grad():
        logit = clf.core_.discriminator(torch.tensor(clf.embed(X)).float())[:, 0]
    np.testing.assert_allclose(logit, clf.decision_function(X), atol=1e-5)


@pytest.mark.parametrize("kind", ["table", "images"])
def test_perturbed_rows_are_in_their_units(request, kind):
    X = request.getfixturevalue(kind)
    clf = small(DHAG, space="input", n_perturbators=4, n_augmented=0).fit(X)
    before = torch.get_rng_state()
    perturbed, labels = clf.perturb(X, return_labels=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert perturbed.shape == (len(X), 4, *X.shape[1:])
    assert labels.all()
    flat = clf.perturb(X.reshape(len(X), -1))
    np.testing.assert_array_equal(flat, perturbed.reshape(len(X), 4, -1))
    spread = X.std(axis=(0, *range(2, X.ndim)), keepdims=True)
    shift = np.abs(perturbed - X[:, None]) / spread
    assert 1e-4 < shift.mean() < 2
    # the core encodes the same rows
    with torch.no_grad():
        x = torch.tensor(clf.standardizer_.transform(X))
        perturbation = clf.core_.perturbators(x, new_generator(draw_seed(clf.random_state)))
        latent = array(clf.core_.latents(x, perturbation, x[:0])[1])
    again = clf.embed(perturbed.reshape(-1, *X.shape[1:])).reshape(latent.shape)
    np.testing.assert_allclose(again, latent, atol=1e-4)


def test_perturbators_move_at_their_own_rate(table):
    weights = []
    for rate in (1e-12, 1e-2):
        clf = small(DHAG, perturbator_lr=rate, lr=1e-2, weight_decay=0.0).fit(table)
        weights.append([array(p) for p in (clf.core_.perturbators.net[0].weight, clf.core_.encoder[0].weight)])
    with initializing(new_generator(draw_seed(0))):
        untrained = small(DHAG).build_core((3,))
    for index, (perturbing, encoding) in enumerate(weights):
        moved = np.abs(perturbing - array(untrained.perturbators.net[0].weight)).max()
        assert (moved > 1e-3) == bool(index)
        assert np.abs(encoding - array(untrained.encoder[0].weight)).max() > 1e-3


def test_heavier_lambdas_make_perturbations_smaller_and_more_diverse(table):
    def fit(**weights):
        parameters = {"n_perturbators": 3, "latent_size": 8, "epoch_num": 60, "perturbator_lr": 1e-2} | weights
        clf = small(DHAG, **parameters).fit(table)
        x = torch.tensor(clf.standardizer_.transform(table))
        e = array(clf.core_.perturbators(x, seeded(0)))
        norms = np.sqrt((e**2).sum(axis=2))
        direction = e / norms[..., None]
        return norms.mean(), np.einsum("ilk,imk->ilm", direction, direction)[:, [0, 0, 1], [1, 2, 2]].mean()

    plain, heavy = fit(lambda1=0.0, lambda2=0.0), fit(lambda1=1.0, lambda2=1.0)
    assert heavy[0] < 0.5 * plain[0]
    assert fit(lambda1=0.0, lambda2=1.0)[1] < plain[1] - 0.05


@pytest.mark.parametrize("space", ["latent", "input"])
def test_batch_normalisation_sees_all_that_is_encoded_at_once(images, space):
    """Else its statistics tell perturbed rows, or known anomalies, apart from the others."""
    core = small(DHAG, space=space, use_labels=True).build_core((2, 6, 5)).train()
    core.generator = seeded(0)
    sizes = []
    core.encoder[1].register_forward_hook(lambda layer, inputs, output: sizes.append(len(inputs[0])))
    core.training_loss(torch.tensor(images[:8]).float(), torch.tensor([0, 1, 0, 0, 0, 0, 0, 1]))
    assert sizes == [8 if space == "latent" else 6 + 5 * 6 + 2]


def test_known_anomalies_are_recognised(table):
    rng = np.random.default_rng(2)
    anomalies = table.mean(axis=0) + table.std(axis=0) * (np.array([1.5, -1.5, 1.5]) + 0.1 * rng.normal(size=(60, 3)))
    X, y = np.concatenate([table, anomalies[:15]]), np.r_[np.zeros(150, dtype=int), np.ones(15, dtype=int)]
    parameters = {"hidden_size": 16, "latent_size": 8, "epoch_num": 40}

    def auroc(clf):
        return roc_auc_score(
            np.r_[np.zeros(150), np.ones(45)], clf.decision_function(np.concatenate([table, anomalies[15:]]))
        )

    without = auroc(small(DHAG, **parameters).fit(X))
    with_labels = auroc(small(DHAG, use_labels=True, **parameters).fit(X, y))
    assert with_labels > without
    assert with_labels > 0.85


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("space", "output"),
        ("n_perturbators", 0),
        ("n_augmented", 513),
        ("lambda1", -1.0),
        ("lambda2", -1.0),
        ("use_labels", "yes"),
        ("alternating", 1),
        ("hidden_size", 0),
        ("latent_size", 0),
        ("n_filters", 0),
        ("perturbator_lr", 0.0),
        ("discriminator_lr", 0.0),
    ],
)
def test_parameters_out_of_range(table, name, value):
    with pytest.raises(ValueError, match=name):
        small(DHAG, **{name: value}).fit(table)
