"""Anomalies that detectors invent from rows: in their units, reproducible, and of use to other detectors."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from pyod_synth import DHAG, NCAE, PLAD, AnoRand, GatedKNN, NoveltyNormalization
from tests.detectors import DETECTORS, small

CASES = {
    "PLAD": (PLAD, {}),
    "deterministic PLAD": (PLAD, {"perturbator": "deterministic"}),
    "DHAG": (DHAG, {"space": "input"}),
    "AnoRand": (AnoRand, {"preprocessing": True}),
    "GatedKNN": (GatedKNN, {}),
}
inventor = pytest.mark.parametrize(("detector", "parameters"), CASES.values(), ids=CASES)


@inventor
def test_as_many_as_rows_in_their_shape_and_units(detector, parameters, kind):
    X, _, shape = kind
    clf = small(detector, **parameters, **shape).fit(X)
    before = torch.get_rng_state()
    invented = clf.invent(X)
    assert torch.equal(torch.get_rng_state(), before)
    assert invented.shape == X.shape
    assert invented.dtype == np.float64
    # about the rows, in their own units, but no rows
    places = X.reshape(-1, *clf.input_shape_)
    spread = places.std(axis=(0, *range(2, places.ndim)), keepdims=True)
    shift = (invented.reshape(places.shape) - places.mean(axis=0)) / spread
    assert np.abs(shift).max() < 12
    distances = NearestNeighbors(n_neighbors=1).fit((places / spread).reshape(len(X), -1))
    nearest, _ = distances.kneighbors((invented.reshape(places.shape) / spread).reshape(len(X), -1))
    assert np.mean(nearest > 1e-4) > 0.9
    assert len(clf.invent(X[:7])) == 7


@inventor
def test_the_same_at_every_call_with_an_integer(detector, parameters, table):
    clf = small(detector, **parameters).fit(table)
    np.testing.assert_array_equal(clf.invent(table), clf.invent(table))
    again = small(detector, **parameters).fit(table)
    np.testing.assert_array_equal(again.invent(table), clf.invent(table))
    np.testing.assert_array_equal(clf.invent(pd.DataFrame(table)), clf.invent(table))
    np.testing.assert_array_equal(clf.invent(table.tolist()), clf.invent(table))
    if parameters.get("perturbator") != "deterministic":
        clf = small(detector, **parameters, random_state=np.random.RandomState(0)).fit(table)
        assert not np.array_equal(clf.invent(table), clf.invent(table))


@pytest.mark.parametrize("detector", [PLAD, DHAG], ids=lambda detector: detector.__name__)
def test_the_same_when_blocks_are_computed_on_several_threads(detector):
    X = np.random.default_rng(0).normal(size=(4200, 512))  # 512 rows a block; from 16 blocks on, two threads
    X = np.concatenate([X, X[::-1]])
    parameters = {"space": "input", "n_perturbators": 1, "n_filters": 1} if detector is DHAG else {}
    clf = small(detector, **parameters, epoch_num=1, batch_size=512).fit(X[:512])
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first = clf.invent(X)
        for _ in range(3):
            np.testing.assert_array_equal(clf.invent(X), first)
    finally:
        torch.set_num_threads(threads)


@inventor
def test_another_detector_learns_from_them(detector, parameters):
    """To tell them from rows that neither of both detectors has seen, better than by chance."""
    rng = np.random.default_rng(0)
    X, new = np.split(rng.normal(size=(450, 3)) @ np.tril(np.ones((3, 3))), [300])
    learning = {"epoch_num": 60, "lr": 1e-2, "perturbator_lr": 1e-2, "hidden_size": 16, "lam": 0.01, "lambda1": 0.01}
    first = small(detector, **learning | parameters).fit(X)
    y = np.repeat([0, 1], [len(X), len(X)])
    second = small(DHAG, **learning, use_labels=True).fit(np.concatenate([X, first.invent(X)]), y)
    rows, truth = np.concatenate([new, first.invent(new)]), np.repeat([0, 1], len(new))
    assert roc_auc_score(truth, second.decision_function(rows)) > 0.65


def test_rows_of_plad_are_perturbed_one_by_one(table):
    clf = small(PLAD, perturbator="deterministic").fit(table)
    np.testing.assert_allclose(clf.invent(table)[3:4], clf.invent(table[3:4]), rtol=1e-4)


def test_dhag_takes_perturbations_that_count_as_abnormal(table):
    clf = small(DHAG, space="input", n_perturbators=3, n_augmented=200).fit(table)
    perturbed, labels = clf.perturb(table, return_labels=True)
    invented = clf.invent(table)
    match = np.isclose(perturbed, invented[:, None], rtol=1e-5).all(axis=2)
    assert match.any(axis=1).all()
    possible = labels.any(axis=1)
    assert 0 < possible.sum() < len(table) or labels[match].all()
    assert labels[possible][match[possible]].all()
    assert len(np.unique(match.argmax(axis=1))) == 3


def test_anorand_grows_rows_and_adds_noise(table):
    scaled = (table - table.mean(axis=0)) / table.std(axis=0)
    quiet = small(AnoRand, preprocessing=True, noise_level=0.0).fit(table)
    grown = (quiet.invent(table) - table.mean(axis=0)) / table.std(axis=0)
    distances, _ = NearestNeighbors(n_neighbors=1).fit(scaled).kneighbors(grown)
    # two of five are rows, the others lie between rows
    assert (distances[:, 0] < 1e-5).sum() == pytest.approx(60, abs=2)
    assert (np.abs(grown) <= np.abs(scaled).max(axis=0) + 1e-5).all()
    noisy = (
        small(AnoRand, preprocessing=True, noise_level=2.0).fit(table).invent(table) - table.mean(axis=0)
    ) / table.std(axis=0)
    assert (noisy - grown).std(axis=0) == pytest.approx(np.full(3, 2.0), rel=0.2)
    # one row is repeated, with noise of its own
    assert np.ptp(quiet.invent(table[:2]), axis=0).max() < 1e-6 * np.abs(table).max()
    assert quiet.invent(table[:1]) == pytest.approx(table[:1], rel=1e-5)


def test_gated_knn_goes_beyond_rows_and_draws_from_their_range(table):
    clf = small(GatedKNN).fit(table)
    invented = clf.invent(table)
    inside = ((invented >= table.min(axis=0) - 1e-6) & (invented <= table.max(axis=0) + 1e-6)).all(axis=1)
    assert inside[75:].all()  # uniform draws
    assert not inside[:75].all()
    with pytest.raises(ValueError, match="X must hold at least two rows to invent anomalies from, got 1"):
        clf.invent(table[:1])


def test_gated_knn_turns_and_mirrors_images():
    X = np.random.default_rng(0).uniform(size=(10, 1, 6, 6))
    invented = small(GatedKNN).fit(X).invent(X)
    forms = [np.rot90(X, turns, (2, 3)) for turns in (1, 2, 3)] + [X[..., ::-1]]
    for image in invented:
        assert min(np.abs(form - image).max(axis=(1, 2, 3)).min() for form in forms) < 1e-6


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        (DHAG, r"perturbs latent vectors, which perturb\(X\) gives, and no rows; DHAG\(space='input'\)"),
        (NCAE, r"invents no anomalies: it generates rows that are normal with high confidence, generate\(number\)"),
        (NoveltyNormalization, "invents no anomalous rows; PLAD, AnoRand, GatedKNN"),
    ],
    ids=["DHAG", "NCAE", "NoveltyNormalization"],
)
def test_methods_that_invent_no_rows_say_so(detector, message, table):
    with pytest.raises(NotImplementedError, match=message):
        small(detector).fit(table).invent(table)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)
def test_input_is_checked(detector, table):
    with pytest.raises(NotFittedError, match=detector.__name__):
        small(detector).invent(table)
    clf = small(detector).fit(table)
    with pytest.raises(ValueError, match="NaN"):
        clf.invent(np.full((2, 3), np.nan))
