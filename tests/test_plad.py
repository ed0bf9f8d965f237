"""PLAD's mathematics against numpy, and what follows from it."""

import numpy as np
import pytest
import torch
from pyod.models.ts_od import TimeSeriesOD
from sklearn.base import clone

from pyod_synth import PLAD
from pyod_synth.models.plad import DeterministicPerturbator, VariationalPerturbator, plad_loss
from tests.detectors import assert_same, small
from tests.reference import array, run_mlp, run_recurrent, run_recurrent_decoder, seeded, sigmoid, softplus


@pytest.fixture
def x():
    return torch.randn(7, 4, generator=seeded(0))


def perturbation(perturbator, rows, noise=None):
    """Perturbed rows, size and divergence from Eq. 3 and 5, in numpy; noise is that of the random code."""
    of_sequences = rows.ndim == 3
    code = (run_recurrent if of_sequences else run_mlp)(perturbator.encoder, rows)
    divergence = np.zeros(len(rows))
    if noise is not None:
        mean, log_variance = np.split(code, 2, axis=1)
        code = mean + np.exp(log_variance / 2) * noise
        divergence = np.sum(-0.5 * (1 + log_variance - mean**2 - np.exp(log_variance)), axis=1)
    output = (run_recurrent_decoder if of_sequences else run_mlp)(perturbator.decoder, code)
    alpha, beta = 1 + output[:, : rows.shape[1]], output[:, rows.shape[1] :]
    others = tuple(range(1, rows.ndim))
    return rows * alpha + beta, ((alpha - 1) ** 2).sum(axis=others) + (beta**2).sum(axis=others), divergence


def test_deterministic_perturbation(x):
    perturbator = DeterministicPerturbator((4,), hidden_size=5, latent_size=3)
    results = perturbator(x, None)
    for result, expected in zip(results, perturbation(perturbator, array(x)), strict=True):
        np.testing.assert_allclose(array(result), expected, atol=1e-5)
    np.testing.assert_array_equal(array(results[2]), 0)


def test_variational_perturbation(x):
    perturbator = VariationalPerturbator((4,), hidden_size=5, latent_size=3)
    noise = array(torch.randn(7, 3, generator=seeded(1)))
    expected = perturbation(perturbator, array(x), noise)
    for result, value in zip(perturbator(x, seeded(1)), expected, strict=True):
        np.testing.assert_allclose(array(result), value, atol=1e-5)


def test_divergence_agrees_with_torch(x):
    perturbator = VariationalPerturbator((4,), hidden_size=5, latent_size=3)
    mean, log_variance = perturbator.encoder(x).chunk(2, dim=1)
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, torch.exp(log_variance / 2)), torch.distributions.Normal(0.0, 1.0)
    ).sum(dim=1)
    torch.testing.assert_close(perturbator(x, seeded(1))[2], expected)


def test_loss_is_binary_cross_entropy_and_the_cost_of_perturbing():
    normal, perturbed = np.array([-2.0, 0.5, 3.0]), np.array([1.0, -4.0, 0.0])
    size, divergence, lam = np.array([0.1, 2.0, 0.0]), np.array([0.3, 0.0, 1.0]), 2.5
    expected = np.mean(-np.log(1 - sigmoid(normal)) - np.log(sigmoid(perturbed)) + divergence + lam * size)
    loss = plad_loss(*(torch.tensor(value) for value in (normal, perturbed, size, divergence)), lam)
    assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(4,), (2, 6)])
@pytest.mark.parametrize("perturbator", ["deterministic", "vae"])
def test_loss_and_score_of_the_core(perturbator, shape):
    x = torch.randn(7, *shape, generator=seeded(0))
    core = PLAD(perturbator=perturbator, hidden_size=5, latent_size=3, lam=1.5).build_core(shape)
    core.generator = seeded(2)
    noise = array(torch.randn(7, 3, generator=seeded(2))) if perturbator == "vae" else None
    rows = array(x)
    perturbed, size, divergence = perturbation(core.perturbator, rows, noise)
    assert bool(divergence.any()) == (perturbator == "vae")
    classify = run_mlp if len(shape) == 1 else run_recurrent
    f = [classify(core.classifier, values)[:, 0] for values in (rows, perturbed)]
    expected = softplus(f[0]) + softplus(-f[1]) + divergence + 1.5 * size
    assert core.training_loss(x).item() == pytest.approx(expected.mean(), rel=1e-5)
    np.testing.assert_allclose(array(core.anomaly_score(x)), f[0], atol=1e-5)


KINDS = pytest.mark.parametrize("kind", ["table", "images", "sequences"])


def shaped(kind):
    return {"sequence_shape": (2, 12)} if kind == "sequences" else {}


@pytest.mark.parametrize("perturbator", ["vae", "deterministic"])
@KINDS
def test_every_form_trains_and_perturbs(request, perturbator, kind):
    X = request.getfixturevalue(kind)
    clf = small(PLAD, perturbator=perturbator, epoch_num=30, **shaped(kind)).fit(X)
    assert np.mean(clf.history_[-5:]) < np.mean(clf.history_[:5])
    assert np.isfinite(clf.decision_scores_).all()
    assert_same(np.concatenate([clf.decision_function(X[i : i + 1]) for i in range(5)]), clf.decision_scores_[:5])
    perturbed = clf.invent(X)
    assert perturbed.shape == X.shape
    # near the rows, in their own units, yet not the rows themselves
    spread = X.std(axis=(0, *range(2, X.ndim)), keepdims=True)
    shift = np.abs(perturbed - X) / spread
    assert 1e-4 < shift.mean() < 2
    np.testing.assert_array_equal(clf.invent(X), perturbed)


def test_perturbed_rows_are_those_of_the_core(table):
    clf = small(PLAD, perturbator="deterministic").fit(table)
    perturbed = perturbation(clf.core_.perturbator, clf.standardizer_.transform(table).astype(np.float64))[0]
    np.testing.assert_allclose(clf.invent(table), perturbed * table.std(axis=0) + table.mean(axis=0), rtol=1e-5)


def test_perturbed_sequences_are_those_of_the_core_in_every_form(sequences):
    clf = small(PLAD, perturbator="deterministic", sequence_shape=(2, 12)).fit(sequences)
    perturbed = perturbation(clf.core_.perturbator, clf.standardizer_.transform(sequences).astype(np.float64))[0]
    deviation, mean = sequences.std(axis=(0, 2), keepdims=True), sequences.mean(axis=(0, 2), keepdims=True)
    np.testing.assert_allclose(clf.invent(sequences), perturbed * deviation + mean, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(clf.invent(sequences.reshape(60, -1)), clf.invent(sequences).reshape(60, -1))
    swapped = sequences.swapaxes(1, 2)
    last = small(PLAD, perturbator="deterministic", sequence_shape=(2, 12), channels_last=True).fit(swapped)
    assert_same(last.invent(swapped), clf.invent(sequences).swapaxes(1, 2))
    np.testing.assert_array_equal(last.invent(swapped.reshape(60, -1)), last.invent(swapped).reshape(60, -1))


@pytest.mark.parametrize("n_channels", [1, 3])
def test_windows_of_a_series_are_sequences(n_channels):
    """PyOD's TimeSeriesOD flattens windows step by step."""
    window, series = 16, np.random.default_rng(0).normal(size=(600, n_channels)).cumsum(axis=0)
    clf = small(PLAD, sequence_shape=(n_channels, window), channels_last=True)
    windows = TimeSeriesOD(clf, window_size=window, score_aggregation="mean").fit(series)
    assert windows.detector_.input_shape_ == (n_channels, window)
    assert np.isfinite(windows.decision_function(series[::-1])).all()
    # the same windows as an array of sequences
    whole = clone(clf).set_params(channels_last=False)
    whole.fit(np.lib.stride_tricks.sliding_window_view(series, window, axis=0))
    assert_same(whole.decision_scores_, windows.detector_.decision_scores_)


def test_invent_takes_flattened_images_and_leaves_generators_alone(images):
    clf = small(PLAD).fit(images)
    before = torch.get_rng_state()
    flat = clf.invent(images.reshape(60, -1))
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(flat, clf.invent(images).reshape(60, -1))


@KINDS
def test_classifier_is_linear_in_the_representation(request, kind):
    X = request.getfixturevalue(kind)
    clf = small(PLAD, **shaped(kind)).fit(X)
    head = clf.core_.classifier[-1]
    logit = clf.embed(X) @ array(head.weight)[0] + head.bias.item()
    np.testing.assert_allclose(logit, clf.decision_function(X), atol=1e-5)


def test_divergence_of_far_rows_grows_along_a_tangent():
    perturbator = VariationalPerturbator((4,), hidden_size=5, latent_size=3)
    for size in (1e2, 1e4, 1e6):
        rows = size * torch.randn(7, 4, generator=seeded(0))
        mean, log_variance = np.split(run_mlp(perturbator.encoder, array(rows)), 2, axis=1)
        variance = np.where(log_variance < 10, np.exp(np.minimum(log_variance, 10)), np.exp(10) * (log_variance - 9))
        code, divergence = perturbator.encode(rows, seeded(1))
        expected = 0.5 * (mean**2 + variance - 1 - log_variance).sum(axis=1)
        np.testing.assert_allclose(array(divergence), expected, rtol=1e-3)
        noise = torch.randn(7, 3, generator=seeded(1)).double().numpy()
        deviation = np.exp(np.minimum(log_variance, 10) / 2)
        np.testing.assert_allclose(array(code), mean + noise * deviation, rtol=1e-3, atol=1e-3 * size)
        assert log_variance.max() > 10 or size < 1e4
        divergence.sum().backward()
        gradients = [parameter.grad for parameter in perturbator.encoder.parameters()]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert all(gradient.abs().max() > 0 for gradient in gradients)


@pytest.mark.parametrize("deviation", [1e2, 1e4, 1e7])
def test_rows_that_are_not_scaled_train(deviation):
    X = deviation * np.random.default_rng(0).normal(size=(300, 3))
    clf = PLAD(epoch_num=5, preprocessing=False).fit(X)
    assert np.isfinite(clf.history_).all()
    assert np.isfinite(clf.invent(X)).all()
    assert len(np.unique(clf.decision_scores_)) > 290


def test_a_heavier_lam_perturbs_less(table):
    light, heavy = (
        small(PLAD, perturbator="deterministic", lam=lam, epoch_num=100, lr=1e-2).fit(table) for lam in (0.01, 10.0)
    )
    assert np.abs(heavy.invent(table) - table).mean() < 0.5 * np.abs(light.invent(table) - table).mean()


@pytest.mark.parametrize("perturbator", ["vae", "deterministic"])
def test_classifier_tells_rows_from_what_they_are_perturbed_to(table, perturbator):
    """That is what it learns; far perturbations, which a small lam allows, are easy to tell."""
    clf = small(PLAD, perturbator=perturbator, lam=0.01, hidden_size=32, epoch_num=100, lr=1e-2).fit(table)
    perturbed = clf.decision_function(clf.invent(table))
    assert np.mean(perturbed > clf.decision_scores_) > 0.95


@pytest.mark.parametrize(
    ("name", "value"),
    [("perturbator", "gan"), ("lam", -1.0), ("hidden_size", 0), ("latent_size", 0)],
)
def test_parameters_out_of_range(table, name, value):
    with pytest.raises(ValueError, match=name):
        small(PLAD, **{name: value}).fit(table)
