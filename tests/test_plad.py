"""PLAD's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pyod_synth import PLAD
from pyod_synth.models.plad import (
    DeterministicPerturbator,
    FreeCore,
    RestoringCore,
    VariationalPerturbator,
    log_energies,
    plad_loss,
    restore,
    squared_distances,
)
from pyod_synth.restoration import usual_square
from tests.detectors import small
from tests.reference import array, log_energy, run_mlp, sigmoid, softplus


@pytest.fixture
def x():
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


def test_deterministic_perturbation(x):
    perturbator = DeterministicPerturbator((4,), hidden_size=5, latent_size=3)
    perturbed, size, divergence = perturbator(x)
    rows = array(x)
    output = run_mlp(perturbator.decoder, run_mlp(perturbator.encoder.net, rows))
    alpha, beta = 1 + output[:, :4], output[:, 4:]
    np.testing.assert_allclose(perturbed.detach(), rows * alpha + beta, atol=1e-5)
    np.testing.assert_allclose(size.detach(), ((alpha - 1) ** 2).sum(1) + (beta**2).sum(1), atol=1e-5)
    np.testing.assert_array_equal(divergence.detach(), 0)


def test_variational_perturbation(x):
    perturbator = VariationalPerturbator((4,), hidden_size=5, latent_size=3)
    torch.manual_seed(1)
    perturbed, size, divergence = perturbator(x)
    torch.manual_seed(1)
    noise = array(torch.randn(7, 3))
    rows = array(x)
    code = run_mlp(perturbator.encoder.net, rows)
    mean, log_variance = code[:, :3], code[:, 3:]
    output = run_mlp(perturbator.decoder, mean + np.exp(log_variance / 2) * noise)
    alpha, beta = 1 + output[:, :4], output[:, 4:]
    kl = np.sum(-0.5 * (1 + log_variance - mean**2 - np.exp(log_variance)), axis=1)
    np.testing.assert_allclose(perturbed.detach(), rows * alpha + beta, atol=1e-5)
    np.testing.assert_allclose(size.detach(), ((alpha - 1) ** 2).sum(1) + (beta**2).sum(1), atol=1e-5)
    np.testing.assert_allclose(divergence.detach(), kl, atol=1e-5)


def test_divergence_agrees_with_torch(x):
    perturbator = VariationalPerturbator((4,), hidden_size=5, latent_size=3)
    mean, log_variance = perturbator.encoder(x).chunk(2, dim=1)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, torch.exp(log_variance / 2)), torch.distributions.Normal(0.0, 1.0)
    ).sum(dim=1)
    torch.testing.assert_close(perturbator(x)[2], expected)


def test_loss_is_binary_cross_entropy_and_the_cost_of_perturbing():
    normal, perturbed = np.array([-2.0, 0.5, 3.0]), np.array([1.0, -4.0, 0.0])
    size, divergence, lam = np.array([0.1, 2.0, 0.0]), np.array([0.3, 0.0, 1.0]), 2.5
    expected = np.mean(-np.log(1 - sigmoid(normal)) - np.log(sigmoid(perturbed)) + divergence + lam * size)
    loss = plad_loss(*(torch.tensor(value) for value in (normal, perturbed, size, divergence)), lam)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("perturbator", [DeterministicPerturbator, VariationalPerturbator])
def test_loss_of_the_free_classifier(x, perturbator):
    core = FreeCore((4,), perturbator((4,), 5, 3), hidden_size=6, lam=1.5)
    torch.manual_seed(2)
    loss = core.training_loss(x, None)
    torch.manual_seed(2)
    perturbed, size, divergence = (array(value) for value in core.perturbator(x))
    f = [array(core.anomaly_score(torch.as_tensor(rows).float())) for rows in (x, perturbed)]
    expected = softplus(f[0]) + softplus(-f[1]) + divergence + 1.5 * size
    assert loss.item() == pytest.approx(expected.mean(), rel=1e-5)


def kernel_means(queries, memory, weight, scale, excluded=None):
    """h_s from its definition, in numpy."""
    distance = (((queries[:, None] - memory) * weight) ** 2).sum(axis=2)
    if excluded is not None:
        distance[excluded] = np.inf
    kernel = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / (2 * scale**2))
    return kernel @ memory / kernel.sum(axis=1, keepdims=True)


def numpy_log_energies(residual, mean_square):
    """The log energies of both judges, in numpy."""
    return log_energy(residual, 1.0, bounded=False), log_energy(residual, mean_square, bounded=True)


def restored(x, memory, weight, scales, excluded=None):
    return restore(squared_distances(x, memory, weight, excluded), memory, scales)


def test_restoring_is_a_kernel_mean(x):
    memory = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    weight = torch.tensor([1.0, 0.5, 2.0, 0.1])
    rows, remembered, w = array(x), array(memory), array(weight)
    near, far, mean = restored(x, memory, weight, (0.3, 0.7, math.inf))
    np.testing.assert_allclose(near, kernel_means(rows, remembered, w, 0.3), atol=1e-5)
    np.testing.assert_allclose(far, kernel_means(rows, remembered, w, 0.7), atol=1e-5)
    np.testing.assert_allclose(mean, np.tile(remembered.mean(axis=0), (7, 1)), atol=1e-6)


def test_a_row_does_not_vouch_for_itself(x):
    weight = torch.ones(4)
    alone = torch.cat(
        [restored(x[i : i + 1], torch.cat([x[:i], x[i + 1 :]]), weight, (0.5,)) for i in range(len(x))], dim=1
    )
    torch.testing.assert_close(restored(x, x, weight, (0.5,)), alone)
    itself = torch.eye(len(x), dtype=torch.bool)
    torch.testing.assert_close(restored(x, x, weight, (0.5,), excluded=itself), alone)
    # a second copy may vouch: at a small scale it restores the row
    torch.testing.assert_close(restored(x, torch.cat([x, x]), weight, (0.01,))[0], x)


def test_log_energies():
    whole, trusted, mean_square = (
        np.array([[1.0, -2.0], [0.0, 30.0]]),
        np.array([[3.0, 1.0], [0.5, 0.0]]),
        np.array([0.5, 4.0]),
    )
    expected = numpy_log_energies(whole, mean_square)[0], numpy_log_energies(trusted, mean_square)[1]
    energies = log_energies(
        (torch.tensor(whole)[None], torch.tensor(trusted)[None]), torch.tensor(mean_square)[None, None]
    )
    np.testing.assert_allclose(energies[:, 0], expected)


def test_score_of_the_restoring_classifier(table):
    clf = small(PLAD, epoch_num=20).fit(table)
    core = clf.core_
    new = table[:20] + np.random.default_rng(1).normal(size=(20, 3)) * table.std(axis=0)
    rows = clf.standardizer_.transform(np.concatenate([table[:20], new])).astype(np.float64)
    weight = np.exp(array(core.log_weight))
    expected = []
    for judge, memory in enumerate((array(core.memory), array(core.trusted))):
        itself = ((rows[:, None] - memory) ** 2).sum(axis=2) < 1e-12
        assert 10 < itself.sum() <= 20
        logits = []
        for index, scale in enumerate((0.2, 0.8, 3.2, math.inf)):
            mean = np.tile(memory.mean(axis=0), (len(rows), 1))
            means = mean if math.isinf(scale) else kernel_means(rows, memory, weight, scale, itself)
            energy = numpy_log_energies(rows - means, array(core.mean_square[index]))[judge]
            logits.append(core.log_slope[judge, index].exp().item() * energy + core.intercept[judge, index].item())
        expected.append(np.max(logits, axis=0))
    scores = clf.decision_function(np.concatenate([table[:20], new]))
    np.testing.assert_allclose(scores, np.mean(expected, axis=0), rtol=1e-3, atol=1e-3)


def test_loss_of_the_restoring_classifier(x):
    core = RestoringCore((4,), DeterministicPerturbator((4,), 5, 3), 1.5, (0.6,), memory_size=10, trim=0.0)
    slopes, intercepts = np.array([[0.4, -0.1], [0.0, 0.3]]), np.array([[0.2, 0.5], [-0.3, 0.0]])
    with torch.no_grad():
        core.log_weight += torch.tensor([0.1, -0.2, 0.3, 0.0])
        core.log_slope += torch.tensor(slopes)[..., None]
        core.intercept += torch.tensor(intercepts)[..., None]
    rows, weight = array(x), np.exp(array(core.log_weight))
    perturbed, size, _ = (array(value) for value in core.perturbator(x))
    itself = np.eye(7, dtype=bool)

    def residuals(queries):
        return queries - kernel_means(queries, rows, weight, 0.6, itself), queries - rows.mean(axis=0)

    mean_squares = [(residual**2).mean(axis=0) for residual in residuals(rows)]

    def logit(queries):
        energies = [numpy_log_energies(r, m) for r, m in zip(residuals(queries), mean_squares, strict=True)]
        judges = [
            np.max([np.exp(slopes[j, s]) * energies[s][j] + intercepts[j, s] for s in (0, 1)], axis=0) for j in (0, 1)
        ]
        return np.mean(judges, axis=0)

    expected = np.mean(softplus(logit(rows)) + softplus(-logit(perturbed)) + 1.5 * size)
    assert core.training_loss(x).item() == pytest.approx(expected, rel=1e-3)


def test_calibration(table):
    core = small(PLAD, trim=0.1, epoch_num=5).fit(table).core_
    torch.testing.assert_close(
        core.mean_square, usual_square(core.residual(core.trusted, core.trusted)), atol=1e-4, rtol=1e-3
    )
    for judge, memory in enumerate((core.memory, core.trusted)):
        assert len(memory) == (150, 135)[judge]
        logits = core.log_slope[judge].exp() * core.energies(memory)[judge] + core.intercept[judge]
        median = logits.median(dim=1, keepdim=True).values
        torch.testing.assert_close(median, torch.zeros(4, 1), atol=1e-3, rtol=0)
        torch.testing.assert_close((logits - median).abs().median(dim=1).values, torch.ones(4), atol=0.05, rtol=0)


def test_trusted_memory_leaves_out_what_lies_farthest(table):
    X = np.concatenate([table, table[:5] + 50 * table.std(axis=0)])
    clf = small(PLAD, trim=0.04).fit(X)
    assert (len(clf.core_.memory), len(clf.core_.trusted)) == (155, 148)
    far = torch.tensor(clf.standardizer_.transform(X[-5:]))
    assert torch.cdist(far, clf.core_.memory).min(dim=1).values.max() < 0.05
    assert torch.cdist(far, clf.core_.trusted).min() > 1
    assert len(small(PLAD, trim=0.999).fit(X).core_.trusted) == 1
    assert len(small(PLAD, memory_size=40).fit(X).core_.memory) == 40


@pytest.mark.parametrize("perturbator", ["vae", "deterministic"])
def test_score_grows_with_distance(table, perturbator):
    clf = small(PLAD, perturbator=perturbator, epoch_num=10).fit(table)
    direction = np.random.default_rng(0).normal(size=3) * table.std(axis=0)
    along = table.mean(axis=0) + np.geomspace(4, 1e4, 30)[:, None] * direction
    assert (np.diff(clf.decision_function(along)) > 0).all()


@pytest.mark.parametrize("classifier", ["restoring", "free"])
@pytest.mark.parametrize("perturbator", ["vae", "deterministic"])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_every_form_trains_and_perturbs(request, classifier, perturbator, kind):
    X = request.getfixturevalue(kind)
    clf = small(PLAD, classifier=classifier, perturbator=perturbator, epoch_num=30).fit(X)
    assert np.mean(clf.history_[-5:]) < np.mean(clf.history_[:5])
    assert np.isfinite(clf.decision_scores_).all()
    np.testing.assert_array_equal(clf.decision_function(X[5:6]), clf.decision_scores_[5:6])
    perturbed = clf.perturb(X)
    assert perturbed.shape == X.shape
    # near the rows, in their own units, yet not the rows themselves
    spread = X.std(axis=(0, *range(2, X.ndim)), keepdims=True)
    shift = np.abs(perturbed - X) / spread
    assert 1e-4 < shift.mean() < 2
    np.testing.assert_array_equal(clf.perturb(X), perturbed)


def test_perturbed_rows_are_those_of_the_core(table):
    clf = small(PLAD, perturbator="deterministic").fit(table)
    x = torch.tensor(clf.standardizer_.transform(table))
    with torch.no_grad():
        perturbed = array(clf.core_.perturbator(x)[0])
    np.testing.assert_allclose(clf.perturb(table), perturbed * table.std(axis=0) + table.mean(axis=0), rtol=1e-5)


def test_perturb_takes_flattened_images_and_leaves_generators_alone(images):
    clf = small(PLAD).fit(images)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    flat = clf.perturb(images.reshape(60, -1))
    assert torch.rand(1) == expected
    np.testing.assert_array_equal(flat, clf.perturb(images).reshape(60, -1))


@pytest.mark.parametrize("kind", ["table", "images"])
def test_free_classifier_is_linear_in_the_representation(request, kind):
    X = request.getfixturevalue(kind)
    clf = small(PLAD, classifier="free").fit(X)
    head = clf.core_.classifier[-1]
    logit = clf.embed(X) @ array(head.weight)[0] + head.bias.item()
    np.testing.assert_allclose(logit, clf.decision_function(X), atol=1e-5)


def test_representation_keeps_the_distances_of_the_memory(table):
    clf = small(PLAD, epoch_num=20).fit(table)
    rows, weight = clf.standardizer_.transform(table), np.exp(array(clf.core_.log_weight))
    assert np.ptp(weight) > 0
    np.testing.assert_allclose(clf.embed(table), rows * weight, rtol=1e-5)


def test_a_heavier_lam_perturbs_less(table):
    light, heavy = (
        small(PLAD, classifier="free", perturbator="deterministic", lam=lam, epoch_num=100, lr=1e-2).fit(table)
        for lam in (0.01, 10.0)
    )
    assert np.abs(heavy.perturb(table) - table).mean() < 0.5 * np.abs(light.perturb(table) - table).mean()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("perturbator", "gan"),
        ("classifier", "svm"),
        ("lam", -1.0),
        ("hidden_size", 0),
        ("latent_size", 0),
        ("scales", ()),
        ("scales", (0.4, 0.0)),
        ("scales", (math.inf,)),
        ("scales", 0.4),
        ("memory_size", 0),
        ("trim", 1.0),
    ],
)
def test_parameters_out_of_range(table, name, value):
    with pytest.raises(ValueError, match=name):
        small(PLAD, **{name: value}).fit(table)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "least"), [("6_cardio", 0.93), ("38_thyroid", 0.97), ("42_WBC", 0.97)])
def test_real_tables(data_folder, name, least):
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel()
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    train, test = normal[: len(normal) // 2], np.r_[normal[len(normal) // 2 :], np.flatnonzero(y == 1)]
    scores = PLAD(random_state=0).fit(X[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > least
