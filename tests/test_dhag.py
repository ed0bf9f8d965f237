"""DHAG's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pyod_synth import DHAG
from pyod_synth.base import Seeded
from pyod_synth.models.dhag import FreeCore, GroupedLinear, Perturbators, RestoringCore, dhag_loss, pseudo_labels
from tests.detectors import small
from tests.reference import array, oddness, run_mlp, sigmoid, silu, softplus


def convolve(layer, x, channels, filters, stride):
    """One group of a convolution: (inputs, *sizes) to (outputs, *sizes / stride), as sums over the kernel."""
    weight, bias = array(layer.weight)[filters], array(layer.bias)[filters]
    assert weight.shape[1] == channels
    kernel = weight.shape[2:]
    padded = np.pad(x, [(0, 0)] + [(k // 2, k // 2) for k in kernel])
    sizes = [math.ceil(size / stride) for size in x.shape[1:]]
    output = np.zeros((len(weight), *sizes)) + bias.reshape(-1, *[1] * len(kernel))
    for offset in np.ndindex(*kernel):
        window = padded[(slice(None), *(slice(o, o + s, stride) for o, s in zip(offset, x.shape[1:], strict=True)))]
        output += np.tensordot(weight[(slice(None), slice(None), *offset)], window, axes=1)
    return output


@pytest.fixture
def x():
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


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
    output_shape, stride = ((3,), 2) if space == "latent" else (input_shape, 1)
    perturbators = Perturbators(input_shape, output_shape, n_perturbators=2, n_filters=3)
    rows = torch.randn(5, *input_shape)
    channels, *sizes = input_shape if len(input_shape) == 3 else (1, *input_shape)
    torch.manual_seed(1)
    drawn = array(perturbators(rows))
    assert drawn.shape == (5, 2, *output_shape)
    torch.manual_seed(1)
    noise = array(torch.randn(5, 2, 1, *sizes))
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
    perturbators = Perturbators((3, 9, 6), (4,), n_perturbators=3, n_filters=2)
    images = torch.randn(2, 3, 9, 6)
    first, second = perturbators(images), perturbators(images)
    assert first.shape == (2, 3, 4)
    assert (first != second).all()
    assert perturbators.net[:4](torch.zeros(1, 12, 9, 6)).shape == (1, 6, 3, 2)
    perturbators = Perturbators((9,), (4,), n_perturbators=3, n_filters=2)
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
    loss = dhag_loss(*(torch.tensor(value) for value in (normal, perturbed, perturbation)), 2, 0.7, 1.3)
    assert loss.item() == pytest.approx(expected)


def test_loss_of_one_perturbator_and_of_no_perturbation_is_finite():
    perturbation = torch.zeros(3, 1, 2, requires_grad=True)
    dhag_loss(torch.zeros(3), torch.zeros(3, 1), perturbation, 1, 1.0, 1.0).backward()
    assert perturbation.grad.isfinite().all()
    perturbation = torch.zeros(3, 2, 2, requires_grad=True)
    dhag_loss(torch.zeros(3), torch.zeros(3, 2), perturbation, 1, 1.0, 1.0).backward()
    assert perturbation.grad.isfinite().all()


def free_core(space="latent", n_augmented=146):
    output_shape = (3,) if space == "latent" else (4,)
    return FreeCore(
        (4,),
        hidden_size=5,
        latent_size=3,
        perturbators=Perturbators((4,), output_shape, 2, 3),
        space=space,
        n_augmented=n_augmented,
        lambda1=0.7,
        lambda2=1.3,
        perturbator_lr=1e-5,
    )


def restoring_core(space="latent", labelled=False):
    core = RestoringCore(
        (4,),
        hidden_size=5,
        latent_size=6,
        scales=(0.5, 2.0),
        restoring_weight=10.0,
        labelled=labelled,
        perturbators=Perturbators((4,), (6,) if space == "latent" else (4,), 2, 3),
        space=space,
        n_augmented=50,
        lambda1=0.1,
        lambda2=0.1,
        perturbator_lr=1e-3,
    )
    with torch.no_grad():
        core.log_slope += torch.tensor([0.4, -0.1])
        core.intercept += torch.tensor([0.2, 0.5])
    return core


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("space", ["latent", "input"])
def test_loss_of_the_free_discriminator(x, space, labelled):
    core = free_core(space)
    y = torch.tensor([0, 1, 0, 0, 0, 1, 0]) if labelled else None
    normal = x[y == 0] if labelled else x
    torch.manual_seed(2)
    loss = core.training_loss(x, y)
    torch.manual_seed(2)
    perturbators_loss = core.perturbators_loss(x, y)
    torch.manual_seed(2)
    e, rows = array(core.perturbators(normal)), array(normal)

    def encode(values):
        return run_mlp(core.encoder, values)

    def judge(z):
        return run_mlp(core.discriminator, z)[..., 0]

    perturbed = encode(rows)[:, None] + e if space == "latent" else encode(rows[:, None] + e)
    n_normal = 1 if labelled else 2  # 146 / 512 of 5 or of 7 rows
    expected = numpy_dhag_loss(judge(encode(rows)), judge(perturbed), e, n_normal, 0.7, 1.3)
    if labelled:
        expected += softplus(-judge(encode(array(x[y == 1])))).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert perturbators_loss.item() == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(array(core.anomaly_score(x)), judge(encode(array(x))), atol=1e-5)


@pytest.mark.parametrize("make", [free_core, restoring_core])
def test_batches_of_one_label_only(x, make):
    core = make()
    for y in (torch.zeros(7, dtype=int), torch.ones(7, dtype=int)):
        for player in core.players():
            loss = player.loss(x, y)
            loss.backward()
            assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in core.parameters() if parameter.grad is not None)


def test_players_share_all_parameters_and_step_at_rates_of_their_own():
    core = free_core()
    first, second = core.players()
    assert (first.lr, second.lr) == (None, 1e-5)
    sets = [{id(parameter) for parameter in player.parameters} for player in (first, second)]
    assert not sets[0] & sets[1]
    assert sets[0] | sets[1] == {id(parameter) for parameter in core.parameters()}
    assert sets[1] == {id(parameter) for parameter in core.perturbators.parameters()}


@pytest.mark.parametrize("make", [free_core, restoring_core])
def test_perturbators_learn_from_their_own_loss_alone(x, make):
    core = make()
    (others, loss, _), (perturbing, perturbators_loss, _) = core.players()
    loss(x).backward()
    assert all(parameter.grad is None for parameter in perturbing)
    assert all(parameter.grad is not None for parameter in others)
    perturbators_loss(x).backward()
    assert all(parameter.grad.any() for parameter in perturbing)


def numpy_encode(core, rows):
    return run_mlp(core.encoder, rows) + rows @ array(core.encoder_skip.weight).T


def numpy_restore(core, z, scale):
    z = z + run_mlp(core.scale_embedding, np.log(scale).reshape(-1, 1))
    return run_mlp(core.decoder, z) + z @ array(core.decoder_skip.weight).T


def test_restoring_discriminator_asks_what_the_encoder_makes_of_a_restored_row(x):
    core = restoring_core()
    torch.manual_seed(3)
    logit = core.logit(core.encode(x))
    torch.manual_seed(3)
    index = torch.randint(2, (7,)).numpy()
    scale = np.array([0.5, 2.0])[index]
    z = numpy_encode(core, array(x))
    residual = z - numpy_encode(core, numpy_restore(core, z, scale))
    slope, intercept = np.exp([0.4, -0.1])[index], np.array([0.2, 0.5])[index]
    expected = slope * np.log((residual**2).mean(axis=1) + 1e-4) + intercept
    np.testing.assert_allclose(array(logit), expected, atol=1e-4)


@pytest.mark.parametrize("space", ["latent", "input"])
def test_restoring_loss(x, space):
    core = restoring_core(space)
    perturbation = core.perturbators(x)
    torch.manual_seed(4)
    loss = core.restoring_loss(x, perturbation)
    torch.manual_seed(4)
    scale = np.exp(array(torch.empty(7).uniform_(math.log(0.5), math.log(2.0))))
    noise = array(torch.randn_like(x))
    e = array(perturbation)[np.arange(7), torch.randint(2, (7,)).numpy()]
    rows = array(x)
    size = np.clip(np.sqrt((e**2).sum(axis=1) / 4), 0.5, 2.0)
    expected = 0.0
    perturbed = numpy_encode(core, rows) + e if space == "latent" else numpy_encode(core, rows + e)
    for z, s in ((numpy_encode(core, rows + scale[:, None] * noise), scale), (perturbed, size)):
        error = ((numpy_restore(core, z, s) - rows) ** 2).mean(axis=1)
        expected += ((1 + s**2) / s**2 * error).mean() / 2
    assert loss.item() == pytest.approx(expected, rel=1e-4)


def test_restoring_joins_the_loss_of_encoder_and_discriminator_alone(x):
    core, y = restoring_core(), torch.tensor([0, 1, 0, 0, 0, 1, 0])
    torch.manual_seed(5)
    loss = core.training_loss(x, y)
    torch.manual_seed(5)
    perturbators_loss = core.perturbators_loss(x, y)
    torch.manual_seed(5)
    e = core.perturbators(x[y == 0])
    generation = core.generation_loss(x, y, e)
    assert perturbators_loss.item() == pytest.approx(generation.item())
    expected = generation + 10.0 * core.restoring_loss(x[y == 0], e)
    assert loss.item() == pytest.approx(expected.item())


def test_score_of_the_restoring_discriminator(table):
    clf = small(DHAG, scales=(0.3, 1.5), epoch_num=10).fit(table)
    core = clf.core_
    new = table[:20] + np.random.default_rng(1).normal(size=(20, 3)) * table.std(axis=0)
    train, test = (clf.standardizer_.transform(rows).astype(np.float64) for rows in (table, new))

    def residuals(rows):
        z = numpy_encode(core, rows)
        restored = [numpy_restore(core, z, np.full(len(rows), s)) for s in array(core.scales)]
        latent = [z - numpy_encode(core, r) for r in restored] + [z - numpy_encode(core, train).mean(axis=0)]
        return latent, [rows - r for r in restored] + [rows - train.mean(axis=0)]

    expected = [oddness(asked, known) for asked, known in zip(residuals(test), residuals(train), strict=True)]
    np.testing.assert_allclose(clf.decision_function(new), np.mean(expected, axis=0), rtol=1e-3, atol=1e-3)


def test_score_after_learning_from_known_anomalies_is_the_discriminator(x):
    core = restoring_core(labelled=True).eval()
    z = numpy_encode(core, array(x))
    expected = 0.0
    for scale, slope, intercept in ((0.5, 0.4, 0.2), (2.0, -0.1, 0.5)):
        residual = z - numpy_encode(core, numpy_restore(core, z, np.full(7, scale)))
        expected += (np.exp(slope) * np.log((residual**2).mean(axis=1) + 1e-4) + intercept) / 2
    np.testing.assert_allclose(array(core.anomaly_score(x)), expected, atol=1e-4)
    assert DHAG(use_labels=True).build_core((4,)).labelled
    assert not DHAG().build_core((4,)).labelled


@pytest.mark.parametrize("space", ["latent", "input"])
def test_score_grows_with_distance(table, space):
    clf = small(DHAG, space=space, hidden_size=16, latent_size=8, epoch_num=20).fit(table)
    direction = np.random.default_rng(0).normal(size=3) * table.std(axis=0)
    along = table.mean(axis=0) + np.geomspace(6, 1e5, 30)[:, None] * direction
    assert (np.diff(clf.decision_function(along)) > 0).all()


@pytest.mark.parametrize("discriminator", ["restoring", "free"])
@pytest.mark.parametrize("space", ["latent", "input"])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_every_form_trains(request, discriminator, space, kind):
    X = request.getfixturevalue(kind)
    clf = small(DHAG, discriminator=discriminator, space=space, epoch_num=20).fit(X)
    assert np.mean(clf.history_[-5:]) < np.mean(clf.history_[:5])
    assert np.isfinite(clf.decision_scores_).all()
    np.testing.assert_array_equal(clf.decision_function(X[5:6]), clf.decision_scores_[5:6])


@pytest.mark.parametrize("kind", ["table", "images"])
def test_perturbed_latent_vectors(request, kind):
    X = request.getfixturevalue(kind)
    clf = small(DHAG, discriminator="free", n_perturbators=4, n_augmented=100).fit(X)
    perturbed, labels = clf.perturb(X, return_labels=True)
    assert perturbed.shape == (len(X), 4, 2)
    assert labels.shape == (len(X), 4)
    perturbation = perturbed - clf.embed(X)[:, None]
    norm = np.linalg.norm(perturbation, axis=2)
    for single, label in zip(norm.T, labels.T, strict=True):
        count = round(100 / 512 * len(X))
        np.testing.assert_array_equal(np.flatnonzero(label == 0), np.sort(np.argsort(single)[:count]))
    np.testing.assert_array_equal(clf.perturb(X), perturbed)
    # what the discriminator learned to tell apart from unperturbed vectors
    np.testing.assert_allclose(
        run_mlp(clf.core_.discriminator, clf.embed(X))[:, 0], clf.decision_function(X), atol=1e-5
    )


@pytest.mark.parametrize("kind", ["table", "images"])
def test_perturbed_rows_are_in_their_units(request, kind):
    X = request.getfixturevalue(kind)
    clf = small(DHAG, space="input", n_perturbators=4, n_augmented=0).fit(X)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    perturbed, labels = clf.perturb(X, return_labels=True)
    assert torch.rand(1) == expected
    assert perturbed.shape == (len(X), 4, *X.shape[1:])
    assert labels.all()
    flat = clf.perturb(X.reshape(len(X), -1))
    np.testing.assert_array_equal(flat, perturbed.reshape(len(X), 4, -1))
    spread = X.std(axis=(0, *range(2, X.ndim)), keepdims=True)
    shift = np.abs(perturbed - X[:, None]) / spread
    assert 1e-4 < shift.mean() < 2
    # the core encodes the same rows
    with torch.no_grad(), Seeded(clf.random_state):
        x = torch.tensor(clf.standardizer_.transform(X))
        latent = array(clf.core_.perturb(x, clf.core_.perturbators(x)))
    again = clf.embed(perturbed.reshape(-1, *X.shape[1:])).reshape(latent.shape)
    np.testing.assert_allclose(again, latent, atol=1e-4)


def test_perturbators_move_at_their_own_rate(table):
    weights = []
    for rate in (1e-12, 1e-2):
        clf = small(DHAG, discriminator="free", perturbator_lr=rate, lr=1e-2, weight_decay=0.0).fit(table)
        weights.append([array(p) for p in (clf.core_.perturbators.net[0].weight, clf.core_.encoder[0].weight)])
    torch.manual_seed(np.random.RandomState(0).randint(2**31 - 1))
    untrained = small(DHAG, discriminator="free").build_core((3,))
    for index, (perturbing, encoding) in enumerate(weights):
        moved = np.abs(perturbing - array(untrained.perturbators.net[0].weight)).max()
        assert (moved > 1e-3) == bool(index)
        assert np.abs(encoding - array(untrained.encoder[0].weight)).max() > 1e-3


def test_heavier_lambdas_make_perturbations_smaller_and_more_diverse(table):
    def fit(**weights):
        parameters = {"n_perturbators": 3, "latent_size": 8, "epoch_num": 60, "perturbator_lr": 1e-2} | weights
        clf = small(DHAG, discriminator="free", **parameters).fit(table)
        x = torch.tensor(clf.standardizer_.transform(table))
        torch.manual_seed(0)
        e = array(clf.core_.perturbators(x))
        norms = np.sqrt((e**2).sum(axis=2))
        direction = e / norms[..., None]
        return norms.mean(), np.einsum("ilk,imk->ilm", direction, direction)[:, [0, 0, 1], [1, 2, 2]].mean()

    plain, heavy = fit(lambda1=0.0, lambda2=0.0), fit(lambda1=1.0, lambda2=1.0)
    assert heavy[0] < 0.5 * plain[0]
    assert fit(lambda1=0.0, lambda2=1.0)[1] < plain[1] - 0.05


@pytest.mark.parametrize("discriminator", ["restoring", "free"])
def test_known_anomalies_are_recognised(table, discriminator):
    rng = np.random.default_rng(2)
    odd = table.mean(axis=0) + table.std(axis=0) * (np.array([1.5, -1.5, 1.5]) + 0.1 * rng.normal(size=(60, 3)))
    X, y = np.concatenate([table, odd[:15]]), np.r_[np.zeros(150, dtype=int), np.ones(15, dtype=int)]
    parameters = {"discriminator": discriminator, "hidden_size": 16, "latent_size": 8, "epoch_num": 40}

    def auroc(clf):
        return roc_auc_score(
            np.r_[np.zeros(150), np.ones(45)], clf.decision_function(np.concatenate([table, odd[15:]]))
        )

    blind = auroc(small(DHAG, **parameters).fit(X))
    told = auroc(small(DHAG, use_labels=True, **parameters).fit(X, y))
    assert told > blind
    assert told > 0.85


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("discriminator", "svm"),
        ("space", "output"),
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
        ("scales", 0.4),
        ("restoring_weight", -1.0),
        ("perturbator_lr", 0.0),
    ],
)
def test_parameters_out_of_range(table, name, value):
    with pytest.raises(ValueError, match=name):
        small(DHAG, **{name: value}).fit(table)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "least"), [("6_cardio", 0.93), ("38_thyroid", 0.95), ("42_WBC", 0.95)])
def test_real_tables(data_folder, name, least):
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel()
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    train, test = normal[: len(normal) // 2], np.r_[normal[len(normal) // 2 :], np.flatnonzero(y == 1)]
    scores = DHAG(random_state=0).fit(X[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > least
