"""AnoRand's mathematics against numpy, and what follows from it."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from pyod_synth import AnoRand
from pyod_synth.models.anorand import anorand_loss, continued_sigmoid, invent_anomalies
from tests.detectors import small
from tests.reference import array, run_mlp, sigmoid, silu


def run_detection(core, x):
    """Logit of y_mlp."""
    return run_mlp(core.detection_output, silu(run_mlp(core.detection, x)))[:, 0]


def distance(core, x):
    """|x - x^|_2, with z0 and z1 of Eq. 1."""
    z = np.column_stack([silu(run_mlp(core.detection, x)), run_mlp(core.encoder, x)])
    return np.sqrt(((x - run_mlp(core.decoder, z)) ** 2).sum(axis=1))


def make_core(w=0.3):
    torch.manual_seed(0)
    return AnoRand(hidden_size=6, latent_size=2, w=w, noise_level=0.6).build_core((4,))


def invent(x, *parameters, seed=0):
    return invent_anomalies(x, *parameters, torch.Generator().manual_seed(seed))


@pytest.fixture
def x():
    return torch.randn(9, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(3,), (2, 4, 5)])
def test_synthetic_anomalies_are_counted_as_the_paper_counts_them(shape):
    x = torch.randn(1000, *shape)
    rows, y = invent(x, 0.02, 0.05, 0.6)
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
    rows, y = invent(x, 0.02, 0.3, 0.0)
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
    rows, y = invent(x, 0.02, 0.5, 0.7)
    assert rows[y == 1].std().item() == pytest.approx(0.7, rel=0.02)
    assert (rows[y == 0] == 0).all()


@pytest.mark.parametrize("n", [2, 3, 25, 74, 75, 120])
@pytest.mark.parametrize("grown_share", [0.001, 0.05, 0.5])
def test_too_few_rows_for_the_neighbours_of_smote(n, grown_share):
    x = torch.randn(n, 3)
    rows, y = invent(x, 0.02, grown_share, 0.6)
    chosen = max(1, round(0.02 * n))
    assert (y == 0).sum() == n - chosen
    assert (y == 1).sum() == max(chosen, round((n - chosen) * grown_share / (1 - grown_share)))
    assert len(rows[y == 1].unique(dim=0)) == (y == 1).sum()
    assert torch.isfinite(rows).all()


def test_invention_follows_its_generator_alone():
    x = torch.randn(300, 3)
    results = []
    state = torch.get_rng_state()
    np.random.seed(0)  # noqa: NPY002 - the global one is meant
    expected = np.random.rand()  # noqa: NPY002
    for seed in (1, 1, 2):
        np.random.seed(0)  # noqa: NPY002
        results.append(invent(x, 0.02, 0.05, 0.6, seed=seed)[0])
        assert np.random.rand() == expected  # noqa: NPY002
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_anomalies_are_invented_once_and_not_with_real_labels(x):
    core = make_core()
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


def test_loss_of_the_networks(x):
    core, y = make_core(), torch.arange(9) % 2
    rows = array(x)
    expected = anorand_loss(torch.tensor(distance(core, rows)), torch.tensor(run_detection(core, rows)), y, 0.3)
    assert core.training_loss(x, y).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(("w", "idle"), [(0.0, ("detection_output",)), (1.0, ("decoder", "encoder"))])
def test_weight_of_the_blocks(x, w, idle):
    core = make_core(w)
    core.training_loss(x, torch.zeros(9)).backward()
    names = [name for name, _ in core.named_parameters()]
    assert all(any(name.startswith(part) for name in names) for part in idle)
    for name, parameter in core.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.abs().max() > 0)
        assert moved != name.startswith(idle)


def test_batch_of_anomalies_only(x):
    core = make_core()
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


def test_score_is_equation_8(table):
    clf = small(AnoRand, epoch_num=30, lr=1e-2).fit(table)
    rows = clf.standardizer_.transform(table).astype(np.float64)
    poor = distance(clf.core_, rows)
    tangent = sigmoid(8.0) + sigmoid(8.0) * sigmoid(-8.0) * (poor - 8)
    y_mlp, y_ae = sigmoid(run_detection(clf.core_, rows)), np.where(poor < 8, sigmoid(poor), tangent)
    q0, q1 = (np.quantile(y, 0.75, method="inverted_cdf") for y in (y_mlp, y_ae))
    alpha = q1 / (q0 + q1)
    assert (poor < 8).mean() > 0.9
    np.testing.assert_allclose(clf.core_.quartiles, [q0, q1], rtol=1e-5)
    np.testing.assert_allclose(clf.decision_function(table), (1 - alpha) * y_ae + alpha * y_mlp, rtol=1e-4)


def test_representation_is_what_the_decoder_sees(table):
    clf = small(AnoRand).fit(table)
    rows = clf.standardizer_.transform(table).astype(np.float64)
    z = np.column_stack([silu(run_mlp(clf.core_.detection, rows)), run_mlp(clf.core_.encoder, rows)])
    np.testing.assert_allclose(clf.embed(table), z, atol=1e-5)


def test_far_rows_do_not_tie(table):
    direction = np.random.default_rng(0).normal(size=3) * table.std(axis=0)
    along = table.mean(axis=0) + np.geomspace(20, 1e5, 30)[:, None] * direction
    scores = small(AnoRand, epoch_num=30, lr=1e-2).fit(table).decision_function(along)
    assert len(np.unique(scores)) == 30


@pytest.mark.parametrize("kind", ["table", "images"])
def test_it_trains(request, kind):
    X = request.getfixturevalue(kind)
    clf = small(AnoRand, epoch_num=30, lr=1e-2).fit(X)
    assert np.mean(clf.history_[-5:]) < np.mean(clf.history_[:5])
    assert np.isfinite(clf.decision_scores_).all()


@pytest.mark.parametrize("kind", ["table", "images"])
def test_real_labels_teach_what_no_noise_would(request, kind):
    """The anomalies are ordinary rows, those in which one feature is large."""
    X = request.getfixturevalue(kind)
    feature = X.reshape(len(X), -1)[:, 2]
    y = (feature > np.quantile(feature, 0.85)).astype(int)
    options = {"hidden_size": 32, "epoch_num": 90, "lr": 2e-3, "w": 0.95}
    with_labels = small(AnoRand, use_labels=True, **options).fit(X, y)
    without = small(AnoRand, **options).fit(X)
    assert roc_auc_score(y, with_labels.decision_scores_) > 0.95
    assert roc_auc_score(y, with_labels.decision_scores_) > roc_auc_score(y, without.decision_scores_)


@pytest.mark.parametrize("value", [0, 1])
def test_labels_of_one_kind(table, value):
    clf = small(AnoRand, use_labels=True)
    with pytest.warns(UserWarning, match=f"y holds {value} alone"):
        clf.fit(table, np.full(len(table), value))
    assert np.isfinite(clf.decision_scores_).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("w", 1.1),
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
def test_real_labels_of_a_real_table(data_folder):
    with np.load(data_folder / "adbench" / "Classical" / "6_cardio.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel().astype(int)
    train, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=0)
    scores = AnoRand(use_labels=True, random_state=0).fit(X[train], y[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > 0.85
