"""KernelMemory's mathematics against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.utils._python_dispatch import TorchDispatchMode

from pyod_synth import KernelMemory
from pyod_synth.kernel_memory import restore, squared_distances
from tests.detectors import assert_same
from tests.reference import array


@pytest.fixture
def x():
    return torch.randn(7, 4, generator=torch.Generator().manual_seed(0))


def kernel_means(queries, memory, scale):
    """h_s from its definition: no row that coincides with the query takes part."""
    squares = ((queries[:, None] - memory) ** 2).sum(axis=2)
    squares[squares < 1e-10] = np.inf
    kernel = np.exp(-(squares - squares.min(axis=1, keepdims=True)) / (2 * scale**2))
    return kernel @ memory / kernel.sum(axis=1, keepdims=True)


def residual(queries, memory, scale):
    means = memory.mean(axis=0) if math.isinf(scale) else kernel_means(queries, memory, scale)
    return queries - means


def log_mean(values):
    return np.log(values.mean(axis=1) + 1e-6)


def median(values):
    """The lower one of two middle values."""
    return np.sort(values)[(len(values) - 1) // 2]


def farness(rows):
    """By which the memory is ordered: mean of log(1 + squared deviation over the usual one)."""
    squares = (rows - rows.mean(axis=0)) ** 2
    return np.log(1 + squares / (squares.mean(axis=0) + 1e-6)).mean(axis=1)


def numpy_scores(queries, train, scales, trim):
    """The score of the module's text, in float64."""
    memory = train[np.argsort(farness(train))]
    trusted = memory[: len(memory) - math.ceil(trim * len(memory))]
    plain, bounded = [], []
    for scale in (*scales, math.inf):
        usual = (residual(trusted, trusted, scale) ** 2).mean(axis=0) + 1e-6

        def energies(rows, scale=scale, usual=usual):
            first = log_mean(residual(rows, memory, scale) ** 2)
            return first, log_mean(np.log(1 + residual(rows, trusted, scale) ** 2 / usual))

        asked = energies(queries)
        for own, known, collected in zip(
            asked, (energies(memory)[0], energies(trusted)[1]), (plain, bounded), strict=True
        ):
            middle = median(known)
            collected.append((own - middle) / (median(np.abs(known - middle)) + 1e-3))
    return (np.max(plain, axis=0) + np.max(bounded, axis=0)) / 2


def test_restoring_is_a_kernel_mean(x):
    memory = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    near, far, mean = restore(squared_distances(x, memory), memory, (0.3, 0.7, math.inf))
    np.testing.assert_allclose(near, kernel_means(array(x), array(memory), 0.3), atol=1e-5)
    np.testing.assert_allclose(far, kernel_means(array(x), array(memory), 0.7), atol=1e-5)
    np.testing.assert_allclose(mean, np.tile(array(memory).mean(axis=0), (7, 1)), atol=1e-6)


def test_a_row_never_restores_itself(x):
    def restored(rows, memory, scale):
        return restore(squared_distances(rows, memory), memory, (scale,))[0]

    others = [torch.cat([x[:i], x[i + 1 :]]) for i in range(len(x))]
    alone = torch.cat([restored(x[i : i + 1], other, 0.5) for i, other in enumerate(others)])
    torch.testing.assert_close(restored(x, x, 0.5), alone)
    # a second copy may: at a small scale it is the row
    torch.testing.assert_close(restored(x, torch.cat([x, x]), 0.01), x)
    # and so may a row that is merely near
    near = x + torch.tensor([0.01, 0.0, 0.0, 0.0])
    torch.testing.assert_close(restored(x, near, 0.01), near)


def test_squared_distances(x):
    memory = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    expected = ((array(x)[:, None] - array(memory)) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(x, memory), expected, rtol=1e-4, atol=1e-5)
    # what coincides with a row is farther than anything else
    with_own = squared_distances(x, torch.cat([memory, x]))
    np.testing.assert_allclose(with_own[:, :9], expected, rtol=1e-4, atol=1e-5)
    assert (with_own[:, 9:].diagonal() > 1e20).all()


@pytest.mark.parametrize("trim", [0.0, 0.1])
@pytest.mark.parametrize("scales", [(0.2, 0.8, 3.2), [0.5]])
def test_score(table, trim, scales):
    clf = KernelMemory(scales=scales, trim=trim).fit(table)
    new = table[:20] + np.random.default_rng(1).normal(size=(20, 3)) * 2 * table.std(axis=0)
    train, test = (clf.standardizer_.transform(rows).astype(np.float64) for rows in (table, new))
    np.testing.assert_allclose(clf.decision_scores_, numpy_scores(train, train, scales, trim), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        clf.decision_function(new), numpy_scores(test, train, scales, trim), rtol=1e-3, atol=1e-3
    )


def test_a_usual_row_scores_near_zero(table):
    clf = KernelMemory(scales=(0.5,), trim=0.0).fit(table)
    assert 0 < np.median(clf.decision_scores_) < 1.5  # the larger one of two scales, each of median 0 and deviation 1


def test_the_rows_that_lie_farthest_are_not_trusted(table):
    X = np.concatenate([table, table[:5] + 50 * table.std(axis=0)])
    clf = KernelMemory(trim=0.04).fit(X)
    assert (len(clf.core_.memory), len(clf.core_.trusted)) == (155, 148)
    far = torch.tensor(clf.standardizer_.transform(X[-5:]))
    assert torch.cdist(far, clf.core_.memory).min(dim=1).values.max() < 0.05
    assert torch.cdist(far, clf.core_.trusted).min() > 1
    assert len(KernelMemory(trim=0.999).fit(X).core_.trusted) == 1


def test_far_training_rows_do_not_hide_their_like(table):
    group = table.mean(axis=0) + table.std(axis=0) * (6 + 0.05 * np.random.default_rng(0).normal(size=(8, 3)))
    X, y = np.concatenate([table, group]), np.repeat([0, 1], [150, 8])
    assert roc_auc_score(y, KernelMemory(trim=0.1).fit(X).decision_scores_) > 0.99


def test_size_of_the_memory(table):
    clf = KernelMemory(memory_size=40, random_state=0).fit(table)
    assert len(clf.core_.memory) == 40
    rows = torch.tensor(clf.standardizer_.transform(table))
    assert (torch.cdist(clf.core_.memory, rows).min(dim=1).values < 1e-3).all()
    other = KernelMemory(memory_size=40, random_state=1).fit(table)
    assert not np.array_equal(other.decision_scores_, clf.decision_scores_)
    # all rows are remembered: nothing is left to chance
    assert_same(KernelMemory(random_state=1).fit(table).decision_scores_, KernelMemory().fit(table).decision_scores_)


def test_memory_is_drawn_by_the_random_state_alone(table):
    scores = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        scores.append(KernelMemory(memory_size=40, random_state=0).fit(table).decision_scores_)
        assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(*scores)


class Largest(TorchDispatchMode):
    """Notices the largest tensor that is computed."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **kwargs or {})
        if isinstance(result, torch.Tensor) and not result._is_view():
            self.elements = max(self.elements, result.numel())
        return result


@pytest.mark.parametrize(("n", "size", "memory_size"), [(2000, 2, 2000), (1000, 200, 40)], ids=["rows", "features"])
def test_what_is_held_at_a_time_is_bounded(n, size, memory_size):
    X = np.random.default_rng(0).normal(size=(n, size))
    clf = KernelMemory(memory_size=memory_size).fit(X)
    with Largest() as largest:
        clf.decision_function(X)
    assert 2**17 < largest.elements <= 2**18


def test_memory_of_any_length_loads_into_a_fresh_core(table):
    core = KernelMemory().fit(table).core_
    fresh = KernelMemory().build_core((3,)).eval()
    assert len(fresh.memory) == 0
    fresh.load_state_dict(core.state_dict())
    rows = torch.randn(9, 3)
    assert torch.equal(fresh.anomaly_score(rows), core.anomaly_score(rows))


def test_score_grows_with_distance(table):
    clf = KernelMemory().fit(table)
    direction = np.random.default_rng(0).normal(size=3) * table.std(axis=0)
    along = table.mean(axis=0) + np.geomspace(4, 1e4, 30)[:, None] * direction
    assert (np.diff(clf.decision_function(along)) > 0).all()


@pytest.mark.parametrize("kind", ["table", "images"])
def test_representation_is_the_scaled_row(request, kind):
    X = request.getfixturevalue(kind)
    clf = KernelMemory().fit(X)
    np.testing.assert_array_equal(clf.embed(X), clf.standardizer_.transform(X).reshape(len(X), -1))


def test_nothing_is_trained():
    core = KernelMemory().build_core((3,))
    assert core.players() == []
    assert list(core.parameters()) == []
    with pytest.raises(NotImplementedError, match="nothing to train"):
        core.training_loss(torch.zeros(2, 3), None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
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
        KernelMemory(**{name: value}).fit(table)


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "least"), [("6_cardio", 0.93), ("38_thyroid", 0.97), ("42_WBC", 0.97)])
def test_real_tables(data_folder, name, least):
    with np.load(data_folder / "adbench" / "Classical" / f"{name}.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel()
    normal = np.random.default_rng(0).permutation(np.flatnonzero(y == 0))
    train, test = normal[: len(normal) // 2], np.r_[normal[len(normal) // 2 :], np.flatnonzero(y == 1)]
    scores = KernelMemory(random_state=0).fit(X[train]).decision_function(X[test])
    assert roc_auc_score(y[test], scores) > least
