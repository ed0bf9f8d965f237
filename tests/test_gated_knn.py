"""GatedKNN's mathematics against numpy and scikit-learn, and what follows from it."""

import io
import pickle

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from pyod_synth import GatedKNN
from pyod_synth.gated_knn import inventions
from pyod_synth.gated_knn.gate import weigh
from pyod_synth.gated_knn.neighbors import nearest, smallest
from pyod_synth.gated_knn.views import directions, histograms, make_views
from tests.detectors import assert_same


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(size=(120, 4)), rng.normal(5, 0.3, size=(60, 4))])


@pytest.fixture
def new():
    return np.random.default_rng(1).normal(1, 3, size=(40, 4))


def standardized(train, x):
    return (x - train.mean(axis=0)) / train.std(axis=0)


def views_of(train, x):
    """Three views of rows in numpy: standardised, in the range of the training rows, asinh."""
    z, own = standardized(train, x), standardized(train, train)
    return [z, (z - own.min(axis=0)) / np.ptp(own, axis=0), np.arcsinh(2 * z)]


def mean_distance(train, x, k, itself):
    """Mean distance from the k nearest, their index, each row without itself if it is a training row."""
    distances, index = NearestNeighbors(n_neighbors=k + itself).fit(train).kneighbors(x)
    return distances[:, itself:].mean(axis=1), index[:, itself:]


def near_by_numpy(train, x, weights, k=5):
    (_, own_candidates), (_, candidates) = (
        mean_distance(views_of(train, train)[1], views_of(train, rows)[1], 2 * k, itself)
        for rows, itself in ((train, True), (x, False))
    )
    total = 0
    for own, view, weight in zip(views_of(train, train), views_of(train, x), weights, strict=True):

        def nearest_in_view(rows, candidates, own=own):
            distances = np.linalg.norm(rows[:, None] - own[candidates], axis=2)
            order = distances.argsort(axis=1)[:, :k]
            return np.take_along_axis(distances, order, 1).mean(axis=1), np.take_along_axis(candidates, order, 1)

        usual, index = nearest_in_view(own, own_candidates)
        floor = 0.1 * usual.mean()

        def statistic(distance, index, usual=usual, floor=floor):
            return np.log(distance + floor) - 0.5 * np.log(usual[index].mean(axis=1) + floor)

        of_training = statistic(usual, index)
        of_new = statistic(*nearest_in_view(view, candidates))
        total = total + weight * (of_new - of_training.mean()) / of_training.std()
    return total


def whole_by_numpy(train, x, itself=False):
    own, view = views_of(train, train)[2], views_of(train, x)[2]
    distance = {name: mean_distance(own, v, 30, i)[0] for name, v, i in (("own", own, True), ("new", view, itself))}
    z, own_z = standardized(train, x), np.sort(standardized(train, train), axis=0)
    low, centre, high = (own_z[round(q * (len(train) - 1))] for q in (0.05, 0.5, 0.95))
    bounded = [np.log1p(((v - centre) / (2 * (high - low) / 3.29)) ** 2).mean(axis=1) for v in (own_z, z)]
    floor = 0.1 * distance["own"].mean()
    evidence = []
    of_training_z = np.log1p(((standardized(train, train) - centre) / (2 * (high - low) / 3.29)) ** 2).mean(axis=1)
    for of_training, of_new in (
        (np.log(distance["own"] + floor), np.log(distance["new"] + floor)),
        (of_training_z, bounded[1]),
    ):
        ordered = np.sort(of_training)
        median, upper = (ordered[round(q * (len(train) - 1))] for q in (0.5, 0.84))
        evidence.append((of_new - median) / (upper - median + 0.01 * of_training.std()))
    return np.max(evidence, axis=0)


def test_near_evidence_is_that_of_numpy(rows, new):
    clf = GatedKNN(contaminated=False).fit(rows)
    weights = clf.core_.near.weights.numpy()
    np.testing.assert_allclose(clf.decision_function(new), near_by_numpy(rows, new, weights), rtol=1e-3, atol=1e-3)
    assert clf.decision_scores_.mean() == pytest.approx(0, abs=1e-4)
    assert clf.decision_scores_.std() == pytest.approx(1, abs=1e-3)


def test_evidence_of_the_whole_is_that_of_numpy(rows, new):
    clf = GatedKNN(contaminated=True).fit(rows)
    np.testing.assert_allclose(clf.decision_function(new), whole_by_numpy(rows, new), rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(clf.decision_scores_, whole_by_numpy(rows, rows, itself=True), rtol=1e-3, atol=2e-3)


def test_score_is_the_larger_evidence(rows, new):
    scores = {c: GatedKNN(contaminated=c).fit(rows).decision_function(new) for c in (None, False, True)}
    discount = GatedKNN().fit(rows).core_.discount.item()
    assert_same(scores[None], np.maximum(scores[False], scores[True] - discount))
    assert (scores[None] > scores[False]).any()
    assert (scores[None] == scores[False]).any()


def test_discount_grows_with_how_noise_stands_out():
    rng = np.random.default_rng(0)
    line = rng.normal(size=(300, 1)) * np.ones((1, 30)) + 0.01 * rng.normal(size=(300, 30))
    assert GatedKNN().fit(line).core_.discount > 0.5
    assert GatedKNN().fit(rng.normal(size=(300, 3))).core_.discount < 0.2


@pytest.mark.parametrize("size", [1, 5, 16, 17, 383, 400, 1000])
@pytest.mark.parametrize("k", [1, 6])
def test_smallest(size, k):
    values = torch.from_numpy(np.random.default_rng(size).integers(0, 50, size=(20, size)).astype(np.float32))
    found = values.gather(1, smallest(values, min(k, size))).sort(dim=1).values
    np.testing.assert_array_equal(found, values.sort(dim=1).values[:, : min(k, size)])


def test_nearest_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    memory, x = rng.normal(size=(700, 5)).astype(np.float32), rng.normal(size=(30, 5)).astype(np.float32)
    distances, index = nearest(torch.from_numpy(x), torch.from_numpy(memory), 4)
    expected, expected_index = NearestNeighbors(n_neighbors=4).fit(memory).kneighbors(x)
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    np.testing.assert_array_equal(index, expected_index)


def test_a_row_is_not_its_own_neighbour_but_its_copy_is():
    memory = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [3.0, 4.0]])
    distances, index = nearest(memory[:3], memory, 2)
    np.testing.assert_allclose(distances, [[1, 5], [0, np.sqrt(18)], [1, np.sqrt(18)]], rtol=1e-6)
    assert index[1, 0].item() in (1, 3)
    left_out = torch.tensor([2])
    distances, _ = nearest(torch.tensor([[0.0, 0.5]]), memory, 2, left_out)
    np.testing.assert_allclose(distances, [[0.5, np.sqrt(9 + 3.5**2)]], rtol=1e-6)
    assert nearest(memory[:1], memory[:1], 5)[0].tolist() == [[0.0]]


def test_training_rows_do_not_help_themselves(rows):
    clf = GatedKNN(contaminated=False).fit(rows)
    far = np.concatenate([rows, [[60.0, -60.0, 60.0, -60.0]]])
    assert GatedKNN(contaminated=False).fit(far).decision_scores_.argmax() == len(rows)
    assert_same(clf.decision_function(rows), clf.decision_scores_)


def test_weights_are_the_optimum_and_not_negative():
    rng = np.random.default_rng(0)
    normal, invented = rng.normal(size=(300, 3)), rng.normal(size=(200, 3)) + [2.0, 0.5, -1.0]
    weights = weigh(normal, invented)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > weights[1] > weights[2]

    def loss(parameters):
        w, b = parameters[:3] ** 2, parameters[3]
        log_losses = np.logaddexp(0, normal @ w + b).mean() + np.logaddexp(0, -(invented @ w + b)).mean()
        return log_losses / 2 + 0.01 * ((w - w.mean()) ** 2).sum()

    found = minimize(loss, [0.6, 0.6, 0.6, 0.0], method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-12}).x
    np.testing.assert_allclose(weights, found[:3] ** 2 / (found[:3] ** 2).sum(), atol=0.01)
    same = rng.normal(size=(100, 1))
    np.testing.assert_allclose(weigh(np.tile(same, 2), np.tile(same + 1, 2)), [0.5, 0.5], atol=1e-3)
    np.testing.assert_allclose(weigh(normal, normal - 5), [1 / 3] * 3)


def test_gate_prefers_the_view_that_sees_inventions():
    rng = np.random.default_rng(0)
    # in units of its deviation the second feature hides the first, which fills its range
    X = np.column_stack([rng.uniform(size=400), rng.standard_t(1.5, size=400)])
    weights = GatedKNN().fit(X).core_.near.weights
    assert weights.min() >= 0
    assert weights.max() > 2 * weights.min()


def test_extrapolated_rows_lie_beyond_another():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32))
    invented, source = inventions.extrapolated(x, 300, torch.Generator().manual_seed(0))
    step = invented - x[source]
    changed = step != 0
    assert changed.any(dim=1).all()
    assert not changed.all()
    reach = (x[source][:, None] - x[None]).abs()  # a step is at most the difference from some other row
    assert (step.abs()[changed] <= reach.amax(dim=1)[changed] + 1e-6).all()
    again, _ = inventions.extrapolated(x, 300, torch.Generator().manual_seed(0))
    assert torch.equal(invented, again)
    pair, source = inventions.extrapolated(torch.tensor([[0.0], [1.0]]), 200, torch.Generator().manual_seed(0))
    beyond = torch.where(source == 0, -pair[:, 0], pair[:, 0] - 1)  # away from the other row
    assert 0.1 <= beyond.min() < 0.2
    assert 0.9 < beyond.max() <= 1.0 + 1e-6


def test_uniform_and_noisy_rows():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32))
    generator = torch.Generator().manual_seed(0)
    invented, source = inventions.uniform(x, 500, generator)
    assert (invented >= x.amin(dim=0)).all()
    assert (invented <= x.amax(dim=0)).all()
    assert (invented != x[source]).any(dim=1).all()
    noisy, source = inventions.noisy(x, 2000, generator)
    deviation = (noisy - x[source]).square().mean(dim=1).sqrt()
    assert 0.05 < deviation.min() < 0.3
    assert 2.5 < deviation.max() < 6
    assert deviation.median().item() == pytest.approx(np.sqrt(0.2 * 3), rel=0.15)


def test_a_fit_looks_for_the_neighbors_of_its_rows_once(rows, monkeypatch):
    searched = []

    def counted(x, *rest):
        searched.append(len(x))
        return nearest(x, *rest)

    monkeypatch.setattr("pyod_synth.gated_knn.neighbors.nearest", counted)
    clf = GatedKNN(contaminated=False).fit(rows)
    # the rows, inventions for the gate, and rows with noise
    assert sum(searched) == (1 + 2 + 1) * len(rows)
    np.testing.assert_allclose(clf.decision_function(rows), clf.decision_scores_, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 4, 7)])
def test_turned_images(shape):
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(10, *shape)).astype(np.float32))
    generator = torch.Generator().manual_seed(0)
    images, source = inventions.turned(x, 60, generator)
    turns = [1, 2, 3] if shape[1] == shape[2] else [2]
    found = set()
    for image, number in zip(images, source, strict=True):
        (turn,) = (turn for turn in turns if torch.equal(image, x[number].rot90(turn, (1, 2))))
        found.add(turn)
    assert found == set(turns)


def test_views_of_tables(rows, new):
    views = make_views((4,))
    views.fit(torch.from_numpy(standardized(rows, rows)), None)
    for view, expected in zip(views(torch.from_numpy(standardized(rows, new))), views_of(rows, new), strict=True):
        np.testing.assert_allclose(view, expected, rtol=1e-6, atol=1e-6)


def test_edges_have_their_direction():
    image = torch.zeros(1, 2, 8, 8)
    image[0, 0, :, 4:] = 1.0  # brighter to the right
    image[0, 1, 4:] = 0.1  # fainter
    maps = directions(image)
    for turns, direction in enumerate([0, 6, 4, 2]):  # to the right, up, to the left, down
        turned = directions(image.rot90(turns, (2, 3)))
        assert turned.sum(dim=(2, 3)).argmax() == direction
        assert maps.sum() == pytest.approx(turned.sum().item(), rel=1e-5)
    assert torch.allclose(directions(image + 7), maps, atol=1e-5)
    assert torch.allclose(directions(-image), maps.roll(4, dims=1), atol=1e-5)
    numpy = image[0, 0].numpy()
    across = np.abs(np.gradient(np.pad(numpy, 1, mode="edge"), axis=1)[1:-1, 1:-1]) * 2
    np.testing.assert_allclose(maps[0, 0], across, atol=1e-5)


def test_cells_overlap():
    maps = torch.from_numpy(np.random.default_rng(0).uniform(size=(2, 8, 12, 6)).astype(np.float32))
    cells = histograms(maps, 3).view(2, 8, 3, 3)
    # cells are 4 high and 2 wide, their middles at 1.5, 5.5, 9.5 and .5, 2.5, 4.5
    rows, columns = np.arange(12), np.arange(6)
    for i, j in [(0, 0), (1, 1), (2, 0)]:
        down = np.maximum(1 - np.abs(rows - (1.5 + 4 * i)) / 4, 0)
        across = np.maximum(1 - np.abs(columns - (0.5 + 2 * j)) / 2, 0)
        weights = np.outer(down / down.sum(), across / across.sum())
        np.testing.assert_allclose(cells[:, :, i, j], (maps.numpy() * weights).sum(axis=(2, 3)), rtol=1e-5)


def drawings_and_photographs():
    """Blocks with faint texture and bright dots anywhere; and noise with some bright dots in the upper half."""
    rng = np.random.default_rng(0)
    drawings, photographs = np.zeros((60, 1, 16, 16)), 0.3 * rng.normal(size=(60, 1, 16, 16))
    drawings[:, :, 4:12, 3:9] = 1 + rng.uniform(-0.02, 0.02, size=(60, 1, 8, 6))
    drawings[:, :, 2, 10], drawings[:, :, 12, 12] = 5 * rng.normal(size=(2, 60, 1))
    for image in photographs[:, 0]:
        image[rng.integers(0, 8, size=2), rng.integers(0, 15, size=2)] += rng.uniform(2, 4, size=2)
    return [torch.from_numpy(X.astype(np.float32)) for X in (drawings, photographs)]


@pytest.mark.parametrize(("images", "power"), list(zip(drawings_and_photographs(), (0.5, 1.0), strict=True)))
def test_the_view_of_images_is_the_one_that_tells_turned_ones(images, power):
    turned, sources = inventions.turned(images, 60, torch.Generator().manual_seed(0))
    h = histograms(directions(torch.cat([images, turned])), 8).numpy()
    expected, aurocs = {}, {}
    for p in (0.5, 1.0):
        expected[p] = h**p / np.linalg.norm(h**p, axis=1, keepdims=True)
        distances = cdist(expected[p], expected[p][:60])
        distances[np.arange(120), np.r_[np.arange(60), sources]] = np.inf
        aurocs[p] = roc_auc_score(np.arange(120) >= 60, np.sort(distances, axis=1)[:, :5].mean(axis=1))
    views = make_views((1, 16, 16))
    views.fit(images, torch.Generator().manual_seed(0))
    assert views.power == power == max(aurocs, key=aurocs.get)
    np.testing.assert_allclose(views(images)[0], expected[power][:60], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(views(4 * images + 1)[0], expected[power][:60], rtol=1e-3, atol=1e-4)  # contrast


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 7), (3, 16, 9)])
def test_images_of_any_size(shape):
    X = np.random.default_rng(0).uniform(size=(30, *shape))
    clf = GatedKNN().fit(X)
    contributions = clf.explain(X[:4])
    assert np.isfinite(clf.decision_scores_).all()
    assert contributions.shape == (4, *shape)
    np.testing.assert_allclose(contributions.reshape(4, -1).sum(axis=1), clf.decision_function(X[:4]), atol=1e-4)


@pytest.mark.parametrize("contaminated", [None, True])
def test_brightness_is_seen_outside_the_range_of_the_training_images(contaminated):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(80, 2, 10, 10)) + rng.uniform(-1, 1, size=(80, 2, 1, 1))
    clf = GatedKNN(contaminated=contaminated, random_state=0).fit(X)
    darkest = X[:, 0].mean(axis=(1, 2)).argmin()
    within, beyond = X[[darkest]], X[[darkest]]
    within[:, 0] += 0.7
    beyond[:, 0] += 15
    assert_same(clf.decision_function(within), clf.decision_function(X[[darkest]]))
    assert clf.decision_function(beyond)[0] > clf.decision_scores_.max() + 2
    core = GatedKNN(contaminated=contaminated).build_core((2, 10, 10)).eval()
    core.load_state_dict(clf.core_.state_dict())
    assert torch.equal(core.whole.centre, clf.core_.whole.centre)


class Brightness(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("factor", torch.tensor(2.0))

    def forward(self, x):
        return self.factor * x.mean(dim=(2, 3))


def test_encoder_gives_a_view():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(60, 1, 12, 12)) + rng.uniform(size=(60, 1, 1, 1))
    brighter = X[:3] + 20
    encoder = Brightness()
    plain, clf = GatedKNN(contaminated=False).fit(X), GatedKNN(contaminated=False, encoder=encoder).fit(X)
    assert len(clf.core_.views.sizes) == len(plain.core_.views.sizes) + 1
    assert plain.decision_function(brighter).max() < plain.decision_scores_.max() + 1e-3
    assert (clf.decision_function(brighter) > clf.decision_function(X[:3] + 0.01) + 0.1).all()
    np.testing.assert_array_equal(clf.core_.near.weights[0], clf.core_.near.weights[1])
    copied = pickle.loads(pickle.dumps(clf))
    assert_same(copied.decision_function(brighter), clf.decision_function(brighter))
    assert encoder.factor.dtype == torch.float32
    assert clf.core_.views.encoder is not encoder


@pytest.mark.parametrize("encoder", [Brightness(), lambda x: x.flatten(1)])
def test_an_encoder_is_code_and_not_saved(encoder, tmp_path):
    X = np.random.default_rng(0).uniform(size=(30, 1, 4, 4))
    clf = GatedKNN(encoder=encoder).fit(X)
    message = "The 'encoder' parameter of GatedKNN cannot be saved as data: .*; fit a detector on the features"
    with pytest.raises(ValueError, match=message):
        clf.save(tmp_path / "clf")
    with pytest.raises(ValueError, match="The 'encoder' parameter of GatedKNN was .* in its fit, and is None now"):
        clf.set_params(encoder=None).save(tmp_path / "clf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("contaminated", "found"), [(None, True), (True, True), (False, False)])
def test_anomalies_that_vouch_for_each_other(contaminated, found):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(400, 5)), rng.normal(7, 0.05, size=(20, 5))])
    y = np.repeat([0, 1], [400, 20])
    assert (roc_auc_score(y, GatedKNN(contaminated=contaminated).fit(X).decision_scores_) > 0.99) == found


@pytest.mark.parametrize(("contaminated", "found"), [(None, True), (False, True), (True, False)])
def test_anomaly_beside_a_dense_cluster(contaminated, found):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 0.05, size=(300, 3)), rng.normal(10, 2, size=(300, 3))])
    clf = GatedKNN(contaminated=contaminated).fit(X)
    assert (clf.decision_function([[1.0, 1.0, 1.0]])[0] > clf.decision_scores_.max()) == found


def test_memory(rows):
    clf = GatedKNN(memory_size=50, random_state=0).fit(rows)
    assert len(clf.core_.near.memories[0].rows) == 50
    assert len(clf.decision_scores_) == len(rows)
    other = GatedKNN(memory_size=50, random_state=1).fit(rows)
    assert not np.allclose(other.decision_scores_, clf.decision_scores_)
    assert_same(GatedKNN(memory_size=50, random_state=0).fit(rows).decision_scores_, clf.decision_scores_)


@pytest.mark.parametrize("use_labels", [False, True])
def test_weights_load_into_a_fresh_core(rows, new, use_labels):
    y = (np.arange(len(rows)) < 9).astype(int)
    clf = GatedKNN(use_labels=use_labels).fit(rows, y)
    file = io.BytesIO()
    torch.save(clf.core_.state_dict(), file)
    file.seek(0)
    core = GatedKNN(use_labels=use_labels).build_core((4,)).eval()
    core.load_state_dict(torch.load(file, weights_only=True))
    x = torch.from_numpy(standardized(rows, new)).float()
    with torch.no_grad():
        assert_same(core.anomaly_score(x).numpy(), clf.decision_function(new))


@pytest.mark.parametrize("contaminated", [None, False, True])
def test_contributions_point_to_the_odd_feature(rows, contaminated):
    clf = GatedKNN(contaminated=contaminated).fit(rows)
    odd = rows[:6].copy()
    odd[np.arange(6), np.arange(6) % 4] += 40
    contributions, scores = clf.explain(odd), clf.decision_function(odd)
    assert contributions.min() >= 0
    np.testing.assert_allclose(contributions.sum(axis=1), scores, rtol=1e-5)
    np.testing.assert_array_equal(contributions.argmax(axis=1), np.arange(6) % 4)
    assert (contributions.max(axis=1) > 0.5 * scores).all()


@pytest.mark.parametrize("contaminated", [None, False, True])
def test_what_is_more_normal_than_a_typical_row_is_so_in_all_features(rows, contaminated):
    clf = GatedKNN(contaminated=contaminated).fit(rows)
    inside = clf.decision_scores_ < 0
    assert inside.sum() > 10
    contributions = clf.explain(rows[inside])
    np.testing.assert_allclose(contributions, np.repeat(clf.decision_scores_[inside, None] / 4, 4, axis=1), atol=1e-5)
    same = GatedKNN(contaminated=contaminated).fit(np.ones((20, 2)))
    equal = np.full((1, 2), same.decision_function([[1.0, 1.0]])[0] / 2)
    np.testing.assert_allclose(same.explain([[1.0, 1.0]]), equal, atol=1e-6)


def test_what_known_anomalies_add_is_not_divided(rows):
    y = (np.arange(len(rows)) < 9).astype(int)
    clf = GatedKNN(use_labels=True).fit(rows, y)
    assert (np.abs(clf.explain(rows).sum(axis=1) - clf.decision_function(rows)) > 0.1).any()
    without = GatedKNN().fit(rows[y == 0])
    np.testing.assert_allclose(clf.explain(rows), without.explain(rows), rtol=0.5, atol=1)


def test_contributions_of_images_point_to_the_place():
    X = 0.1 * np.random.default_rng(0).uniform(size=(60, 1, 16, 16))
    odd = X[:1].copy()
    odd[0, 0, 10:14, 2:6] += np.random.default_rng(1).uniform(size=(4, 4))
    clf = GatedKNN(contaminated=False).fit(X)
    contributions = clf.explain(odd)[0, 0]
    assert contributions[8:, :8].sum() > 0.5 * clf.decision_function(odd)[0]
    assert contributions.max() == contributions[8:, :8].max()


@pytest.fixture
def labelled():
    """Rows with 30 anomalies of one kind, of which the first few are known: (X, truth)."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(300, 6)), rng.normal(size=(30, 6)) * 0.3 + [2.2, 0, -2.2, 0, 0, 0]])
    return X, np.repeat([0, 1], [300, 30])


@pytest.mark.parametrize("count", [1, 2, 8, 20])
def test_what_is_like_known_anomalies_scores_higher(labelled, count):
    X, truth = labelled
    y = np.zeros(len(X), dtype=int)
    y[300 : 300 + count] = 1
    rng = np.random.default_rng(1)
    test = np.concatenate([rng.normal(size=(300, 6)), rng.normal(size=(30, 6)) * 0.3 + [2.2, 0, -2.2, 0, 0, 0]])
    precision = {}
    for use_labels in (False, True):
        clf = GatedKNN(use_labels=use_labels).fit(X, y)
        precision[use_labels] = average_precision_score(truth, clf.decision_function(test))
    assert precision[True] > precision[False] + 0.1
    assert precision[True] > 0.9


def test_training_rows_score_by_trees_that_did_not_learn_from_them(labelled):
    X, truth = labelled
    y = np.zeros(len(X), dtype=int)
    y[300:308] = 1
    clf = GatedKNN(use_labels=True).fit(X, y)
    hidden = y == 0
    assert average_precision_score(truth[hidden], clf.decision_scores_[hidden]) > 0.9
    in_sample = clf.decision_function(X)
    assert (in_sample[y == 1] > clf.decision_scores_[y == 1]).all()
    assert clf.core_.known is None
    assert clf.core_.learned_from is None


@pytest.mark.parametrize("label", [0, 1])
def test_labels_that_tell_nothing_apart(rows, new, label):
    y = np.full(len(rows), label)
    expected = GatedKNN().fit(rows).decision_function(new)
    np.testing.assert_array_equal(GatedKNN(use_labels=True).fit(rows, y).decision_function(new), expected)


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize("weight", [None, "balanced_subsample"])
def test_forest_of_arrays_votes_as_that_of_scikit_learn(decimals, weight):
    rng = np.random.default_rng(0)
    x = (0.1 * rng.normal(size=(400, 5)).round(decimals)).astype(np.float32)
    y = (x.sum(axis=1) + 0.1 * rng.normal(size=400) > 0.3).astype(int)
    fitted = RandomForestClassifier(30, class_weight=weight, random_state=0).fit(x, y)
    core, fresh = (GatedKNN(use_labels=True).build_core((5,)) for _ in range(2))
    forest = core.likeness.forest
    assert not forest.is_planted
    forest.plant(fitted)
    assert forest.is_planted
    assert forest.depth == max(tree.get_depth() for tree in fitted.estimators_) > 3
    # beside rows of all kinds those that lie on the thresholds, or as near to them as float32 can
    thresholds = np.concatenate([tree.tree_.threshold for tree in fitted.estimators_]).astype(np.float32)
    on = rng.choice(thresholds, size=(3000, 5))
    rows = np.concatenate([x, rng.normal(size=(300, 5)), on, np.nextafter(on, np.float32(9)), 1e6 * x, x[:1] * 0])
    rows = rows.astype(np.float32)
    expected = fitted.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(forest(torch.from_numpy(rows)), expected, rtol=0, atol=2e-7)
    assert len(np.unique(expected)) > 20
    fresh.load_state_dict(core.state_dict())
    assert fresh.likeness.forest.depth == forest.depth
    assert torch.equal(fresh.likeness.forest(torch.from_numpy(rows)), forest(torch.from_numpy(rows)))


def test_images_with_known_anomalies():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(80, 1, 16, 16))
    X[60:, :, :, 8:] += 3
    y = np.zeros(80, dtype=int)
    y[60:64] = 1
    clf = GatedKNN(use_labels=True).fit(X, y)
    assert roc_auc_score(np.repeat([0, 1], [60, 16]), np.delete(clf.decision_scores_, np.arange(60, 64))) > 0.95


@pytest.mark.parametrize("contaminated", [None, False, True])
@pytest.mark.parametrize(
    "X",
    [
        np.array([[0.0], [1.0]]),
        np.ones((20, 3)),
        np.repeat(np.eye(3), 20, axis=0),
        np.random.default_rng(0).normal(size=(50, 2)) * [1e6, 1e-6],
        np.column_stack([np.ones(40), np.arange(40) % 2, np.zeros(40)]),
    ],
    ids=["two rows", "identical", "duplicates", "scales", "binary"],
)
def test_odd_data(X, contaminated):
    clf = GatedKNN(contaminated=contaminated).fit(X)
    scores = clf.decision_function(np.concatenate([X, X + 100]))
    assert np.isfinite(scores).all()
    assert scores[len(X) :].min() >= scores[: len(X)].max() - 1e-4
    assert np.isfinite(clf.explain(X)).all()


@pytest.mark.parametrize("contaminated", [None, False, True])
@pytest.mark.parametrize("X", [np.random.default_rng(0).uniform(size=(2, 1, 6, 6)), np.ones((9, 3, 6, 6))])
def test_odd_images(X, contaminated):
    clf = GatedKNN(contaminated=contaminated).fit(X)
    assert np.isfinite(clf.decision_function(np.concatenate([X, X.transpose(0, 1, 3, 2) + 100]))).all()
    assert np.isfinite(clf.explain(X)).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_neighbors", 0), ("n_neighbors", 2.5), ("memory_size", 0), ("contaminated", "yes"), ("encoder", 3)],
)
def test_bad_parameters(rows, name, value):
    with pytest.raises(ValueError, match=name):
        GatedKNN(**{name: value}).fit(rows)


@pytest.mark.needs_data
@pytest.mark.parametrize(("protocol", "least"), [("one-class", 0.97), ("unsupervised", 0.97)])
def test_thyroid(data_folder, protocol, least):
    with np.load(data_folder / "adbench" / "Classical" / "38_thyroid.npz") as arrays:
        X, y = arrays["X"], arrays["y"].ravel().astype(int)
    order = np.random.default_rng(0).permutation(len(X))
    train, test = order[::2], order[1::2]
    if protocol == "one-class":
        train = train[y[train] == 0]
    assert roc_auc_score(y[test], GatedKNN().fit(X[train]).decision_function(X[test])) > least
