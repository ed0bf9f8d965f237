"""AnoRand's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pyod_synth import AnoRand
from pyod_synth.models.anorand import PlainCore, RestoringCore, anorand_loss, continued_sigmoid, invent_anomalies
from tests.detectors import small
from tests.reference import NumpyDenoiser, array, run_mlp, sigmoid, silu

FORMS = ["restoring", "plain"]
PAPER = {"autoencoder": "plain", "alpha": "quartiles"}


def run_detection(core, x):
    """Logit of y_mlp."""
    return run_mlp(core.detection_output, silu(run_mlp(core.detection, x)))[:, 0]


def run_blocks(core, x, told=0):
    """z0 and z1 of Eq. 1, and zeros up to a multiple of four; z0 does not see the last ``told`` features."""
    z0 = silu(run_mlp(core.detection, x[:, : x.shape[1] - told]))
    z = np.column_stack([z0, run_mlp(core.blocks.encoder, x)])
    return np.pad(z, [(0, 0), (0, -z.shape[1] % 4)])


def distance(core, x):
    """|x - x^|_2 of the plain autoencoder."""
    return np.sqrt(((x - run_mlp(core.decoder, run_blocks(core, x))) ** 2).sum(axis=1))


def numpy_denoiser(core):
    return NumpyDenoiser(
        lambda x: run_blocks(core, x, told=1), lambda z: run_mlp(core.decoder, z), array(core.denoiser.scales)
    )


def restoring_score(core, x, train):
    """How badly rows are restored, by either autoencoder."""
    return distance(core, x) if isinstance(core, PlainCore) else numpy_denoiser(core).oddness(x, train)


def make_core(autoencoder, w=0.3):
    torch.manual_seed(0)
    shared = {"w": w, "alpha": None, "anomaly_share": 0.02, "grown_share": 0.05, "noise_level": 0.6}
    if autoencoder == "plain":
        return PlainCore((4,), 6, 2, **shared)
    return RestoringCore((4,), 6, 2, (0.5, 2.0), **shared)


@pytest.fixture
def x():
    return torch.randn(9, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(3,), (2, 4, 5)])
def test_synthetic_anomalies_are_counted_as_the_paper_counts_them(shape):
    x = torch.randn(1000, *shape)
    rows, y = invent_anomalies(x, 0.02, 0.05, 0.6)
    assert rows.shape == (980 + 52, *shape)
    assert y.tolist() == [0] * 980 + [1] * 52
    # the others are training rows as they came, each once
    left = rows[:980].flatten(1)
    distance = torch.cdist(left, x.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    assert (distance.min(dim=1).values == 0).all()
    assert len(distance.argmin(dim=1).unique()) == 980


def test_smote_interpolates_between_the_chosen_rows():
    # rows on a line, so that what is interpolated lies on it too
    x = torch.linspace(-1, 1, 500)[:, None] * torch.tensor([1.0, -2.0, 0.5])
    rows, y = invent_anomalies(x, 0.02, 0.3, 0.0)
    anomalies = rows[y == 1]
    assert len(anomalies) == 210
    torch.testing.assert_close(anomalies, anomalies[:, :1] * torch.tensor([1.0, -2.0, 0.5]))
    assert len(anomalies.unique(dim=0)) > 200
    kept, chosen = rows[y == 0], anomalies[:10]
    assert torch.cdist(chosen, kept).min() > 0
    assert anomalies[:, 0].min() >= chosen[:, 0].min()
    assert anomalies[:, 0].max() <= chosen[:, 0].max()


def test_noise_of_synthetic_anomalies():
    x = torch.zeros(4000, 5)
    rows, y = invent_anomalies(x, 0.02, 0.5, 0.7)
    assert rows[y == 1].std().item() == pytest.approx(0.7, rel=0.02)
    assert (rows[y == 0] == 0).all()


@pytest.mark.parametrize("n", [2, 3, 25, 74, 75, 120])
@pytest.mark.parametrize("grown_share", [0.001, 0.05, 0.5])
def test_too_few_rows_for_the_neighbours_of_smote(n, grown_share):
    x = torch.randn(n, 3)
    rows, y = invent_anomalies(x, 0.02, grown_share, 0.6)
    chosen = max(1, round(0.02 * n))
    assert (y == 0).sum() == n - chosen
    assert (y == 1).sum() == max(chosen, round((n - chosen) * grown_share / (1 - grown_share)))
    assert len(rows[y == 1].unique(dim=0)) == (y == 1).sum()
    assert torch.isfinite(rows).all()


def test_invention_follows_the_generator_of_torch_and_leaves_that_of_numpy_alone():
    x = torch.randn(300, 3)
    results = []
    np.random.seed(0)  # noqa: NPY002 - the global one is meant
    expected = np.random.rand()  # noqa: NPY002
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        np.random.seed(0)  # noqa: NPY002
        results.append(invent_anomalies(x, 0.02, 0.05, 0.6)[0])
        assert np.random.rand() == expected  # noqa: NPY002
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_anomalies_are_invented_once_and_not_with_real_labels(x):
    core = make_core("plain")
    rows, y = core.prepare(x, None)
    assert len(rows) == len(y) == 9
    assert y.sum() == 1
    labels = torch.arange(9) % 2
    assert core.prepare(x, labels)[0] is x
    assert core.prepare(x, labels)[1] is labels


def test_loss_is_equation_4():
    distance, logit = np.array([0.5, 2.0, 3.0]), np.array([-1.0, 2.0, 0.3])
    y, w = np.array([0, 1, 0]), 0.3
    p = sigmoid(logit)
    cross_entropy = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    expected = np.mean(w * cross_entropy + (1 - w) * (1 - y) * distance)
    assert anorand_loss(*map(torch.tensor, (distance, logit, y)), w).item() == pytest.approx(expected)


def numpy_loss(distance, logit, y):
    return anorand_loss(torch.tensor(distance), torch.tensor(logit), y, 0.3).item()


def test_loss_of_the_paper(x):
    core, y = make_core("plain"), torch.arange(9) % 2
    rows = array(x)
    expected = numpy_loss(distance(core, rows), run_detection(core, rows), y)
    assert core.training_loss(x, y).item() == pytest.approx(expected, rel=1e-5)


def test_loss_restores_the_clean_row_from_its_noisy_copy(x):
    core, y = make_core("restoring"), torch.arange(9) % 2
    torch.manual_seed(3)
    loss = core.training_loss(x, y)
    torch.manual_seed(3)
    # what is to be restored is averaged over four copies; what is to be detected is the row itself
    expected = numpy_loss(numpy_denoiser(core).loss(array(x), 4), run_detection(core, array(x)), y)
    assert loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("autoencoder", FORMS)
@pytest.mark.parametrize(("w", "idle"), [(0.0, ("detection_output",)), (1.0, ("decoder", "blocks.encoder"))])
def test_weight_of_the_blocks(x, autoencoder, w, idle):
    core = make_core(autoencoder, w)
    core.training_loss(x, torch.zeros(9)).backward()
    names = [name for name, _ in core.named_parameters()]
    assert all(any(name.startswith(part) for name in names) for part in idle)
    for name, parameter in core.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        assert moved != name.startswith(idle)


@pytest.mark.parametrize("autoencoder", FORMS)
def test_batch_of_anomalies_only(x, autoencoder):
    core = make_core(autoencoder)
    loss = core.training_loss(x, torch.ones(9))
    loss.backward()
    # nothing is to be restored
    assert loss.item() == pytest.approx(0.3 * -np.log(sigmoid(run_detection(core, array(x)))).mean(), rel=1e-5)
    assert all(not parameter.grad.any() for parameter in core.decoder.parameters())


def test_continued_sigmoid():
    v = torch.tensor([-1e6, -3.0, 0.0, 7.9, 8.0, 10.0, 1e6])
    expected = sigmoid(np.array([-3.0, 0.0, 7.9, 8.0]))
    np.testing.assert_allclose(continued_sigmoid(v)[1:5], expected, rtol=1e-6)
    slope = sigmoid(8.0) * sigmoid(-8.0)
    np.testing.assert_allclose(continued_sigmoid(v)[5:], sigmoid(8.0) + slope * np.array([2.0, 1e6 - 8]), rtol=1e-4)
    along = continued_sigmoid(torch.linspace(0, 100, 1001))
    assert (along.diff() > 0).all()


@pytest.mark.parametrize("autoencoder", FORMS)
def test_score_of_the_paper(table, autoencoder):
    clf = small(AnoRand, autoencoder=autoencoder, scales=(0.3, 1.2), alpha="quartiles", epoch_num=30).fit(table)
    rows = clf.standardizer_.transform(table).astype(np.float64)
    poor = restoring_score(clf.core_, rows, rows)
    tangent = sigmoid(8.0) + sigmoid(8.0) * sigmoid(-8.0) * (poor - 8)
    y_mlp, y_ae = sigmoid(run_detection(clf.core_, rows)), np.where(poor < 8, sigmoid(poor), tangent)
    q0, q1 = (np.quantile(y, 0.75, method="inverted_cdf") for y in (y_mlp, y_ae))
    alpha = q1 / (q0 + q1)
    assert (poor < 8).mean() > 0.9
    np.testing.assert_allclose(clf.core_.quartiles, [q0, q1], rtol=1e-5)
    np.testing.assert_allclose(clf.decision_function(table), (1 - alpha) * y_ae + alpha * y_mlp, rtol=1e-4)


@pytest.mark.parametrize("autoencoder", FORMS)
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_score_with_a_number_for_alpha(table, autoencoder, alpha):
    clf = small(AnoRand, autoencoder=autoencoder, scales=(0.3, 1.2), alpha=alpha, epoch_num=30).fit(table)
    new = np.random.default_rng(1).normal(size=(20, 3)) * 3 * table.std(axis=0) + table.mean(axis=0)
    train, test = (clf.standardizer_.transform(rows).astype(np.float64) for rows in (table, new))
    noise = sigmoid(run_detection(clf.core_, test))
    expected = (1 - alpha) * restoring_score(clf.core_, test, train) + alpha * noise
    np.testing.assert_allclose(clf.decision_function(new), expected, rtol=1e-3, atol=1e-3)


def test_far_rows_do_not_tie(table):
    direction = np.random.default_rng(0).normal(size=3) * table.std(axis=0)
    along = table.mean(axis=0) + np.geomspace(20, 1e5, 30)[:, None] * direction
    for parameters in (PAPER, {}):
        scores = small(AnoRand, **parameters, epoch_num=30).fit(table).decision_function(along)
        assert len(np.unique(scores)) == 30
    assert (np.diff(scores) > 0).all()


@pytest.mark.parametrize("autoencoder", FORMS)
@pytest.mark.parametrize("alpha", ["quartiles", 0.5])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_every_form_trains(request, autoencoder, alpha, kind):
    X = request.getfixturevalue(kind)
    clf = small(AnoRand, autoencoder=autoencoder, alpha=alpha, epoch_num=30).fit(X)
    assert np.mean(clf.history_[-5:]) < np.mean(clf.history_[:5])
    assert np.isfinite(clf.decision_scores_).all()
    np.testing.assert_array_equal(clf.decision_function(X[5:6]), clf.decision_scores_[5:6])


@pytest.mark.parametrize("parameters", [PAPER, {}])
@pytest.mark.parametrize("kind", ["table", "images"])
def test_real_labels_teach_what_no_noise_would(request, parameters, kind):
    """The anomalies are ordinary rows, those in which one feature is large."""
    X = request.getfixturevalue(kind)
    feature = X.reshape(len(X), -1)[:, 2]
    y = (feature > np.quantile(feature, 0.85)).astype(int)
    options = {"hidden_size": 32, "epoch_num": 90, "lr": 2e-3, "w": 0.95, **parameters}
    with_labels = small(AnoRand, use_labels=True, **options).fit(X, y)
    without = small(AnoRand, **options).fit(X)
    assert roc_auc_score(y, with_labels.decision_scores_) > 0.95
    assert roc_auc_score(y, with_labels.decision_scores_) > roc_auc_score(y, without.decision_scores_)


@pytest.mark.parametrize("value", [0, 1])
def test_labels_of_one_kind(table, value):
    clf = small(AnoRand, use_labels=True).fit(table, np.full(len(table), value))
    assert np.isfinite(clf.decision_scores_).all()


def test_default_weight_depends_on_labels():
    assert AnoRand().build_core((3,)).alpha == 0.75
    assert AnoRand(use_labels=True).build_core((3,)).alpha is None
    assert AnoRand(use_labels=True, alpha=0.3).build_core((3,)).alpha == 0.3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("autoencoder", "deep"),
        ("scales", ()),
        ("scales", (0.4, 0.0)),
        ("scales", (math.inf,)),
        ("scales", ("a",)),
        ("scales", 0.4),
        ("w", 1.1),
        ("alpha", -0.1),
        ("alpha", "median"),
        ("anomaly_share", 0.6),
        ("grown_share", 1.0),
        ("noise_level", -1.0),
        ("use_labels", "yes"),
        ("hidden_size", 0),
        ("latent_size", 0),
    ],
)
def test_parameters_out_of_range(table, name, value):
    with pytest.raises(ValueError, match=name):
        small(AnoRand, **{name: value}).fit(table)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "least"), [("6_cardio", 0.9), ("38_thyroid", 0.95), ("42_WBC", 0.96)])
def test_real_tables(data_folder, name, least):
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel()
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    train, test = normal[: len(normal) // 2], np.r_[normal[len(normal) // 2 :], np.flatnonzero(y == 1)]
    scores = AnoRand(random_state=0).fit(X[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > least
