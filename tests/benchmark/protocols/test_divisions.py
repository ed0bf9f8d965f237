"""Who trains and who is tested."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from benchmarks import data
from benchmarks.protocols import named, split


def divided(dataset, protocol, seed=0):
    """Indices of the training and of the test rows, which are never the same."""
    train, test = named(protocol).divide(dataset, seed)
    assert len(set(train) | set(test)) == len(train) + len(test)
    return train, test


def anomalies(dataset, protocol, seed=0):
    """Which anomalies train."""
    train, _ = divided(dataset, protocol, seed)
    return set(train[dataset.y[train] == 1])


def test_one_class(rows):
    train, test = divided(rows, "one-class")
    assert (len(train), len(test)) == (450, 550)
    assert rows.y[train].sum() == 0
    # recorded results rest on these rows
    normal = np.random.default_rng(0).permutation(np.flatnonzero(rows.y == 0))
    np.testing.assert_array_equal(train, normal[:450])
    np.testing.assert_array_equal(test[:450], normal[450:])


def test_unsupervised_and_supervised_differ_in_labels_only(rows):
    for protocol in ("unsupervised", "supervised"):
        train, test = divided(rows, protocol)
        assert (len(train), len(test), rows.y[train].sum(), rows.y[test].sum()) == (700, 300, 70, 30)
        # recorded results rest on these rows
        same = train_test_split(np.arange(1000), test_size=0.3, stratify=rows.y, random_state=0)
        np.testing.assert_array_equal(np.concatenate([train, test]), np.concatenate(same))
    blind, told = split(rows, "unsupervised", seed=3), split(rows, "supervised", seed=3)
    np.testing.assert_array_equal(blind.X_train, told.X_train)
    np.testing.assert_array_equal(blind.X_test, told.X_test)
    np.testing.assert_array_equal(told.y_train, rows.y[divided(rows, "supervised", 3)[0]])


def test_one_class_official(rows):
    train, test = divided(rows, "one-class-official")
    np.testing.assert_array_equal(train, np.flatnonzero(rows.train & (rows.y == 0)))
    np.testing.assert_array_equal(test, np.flatnonzero(~rows.train))
    assert (len(train), len(test), rows.y[test].sum()) == (630, 300, 30)
    with pytest.raises(ValueError, match="rows has no official split"):
        split(replace(rows, train=None), "one-class-official", seed=0)


@pytest.mark.parametrize(("gamma", "known"), [("0", 0), ("0.0", 0), ("0.01", 5), ("0.02", 11), ("0.1", 60)])
def test_semi_supervised(rows, gamma, known):
    # 540 normal rows in the training part: known / (known + 540) is gamma, as near as whole rows come to it
    train, test = divided(rows, f"semi-supervised:{gamma}")
    assert (len(train), rows.y[train].sum()) == (540 + known, known)
    assert (len(test), rows.y[test].sum()) == (400, 40)
    parts = split(rows, f"semi-supervised:{gamma}", seed=0)
    np.testing.assert_array_equal(parts.y_train, rows.y[train])
    np.testing.assert_array_equal(parts.y_test, rows.y[test])
    assert abs(parts.y_train.mean() - float(gamma)) <= 0.5 / 540


def test_known_anomalies_are_a_share_of_those_that_train(rows):
    few, many = (split(rows, f"known-anomalies:{share}", seed=0) for share in (0.05, 0.25))
    train, _ = divided(rows, "unsupervised")
    true = rows.y[train]
    assert (few.y_train.sum(), many.y_train.sum()) == (4, 18)  # of 70, rounded up
    assert (true[many.y_train == 1] == 1).all()
    assert (many.y_train >= few.y_train).all()  # the same ones first
    np.testing.assert_array_equal(few.X_train, split(rows, "unsupervised", seed=0).X_train)
    assert split(rows, "known-anomalies:0", seed=0).y_train.sum() == 0


@pytest.mark.parametrize("protocol", ["semi-supervised", "contaminated", "known-class"])
def test_larger_shares_keep_the_anomalies_of_smaller_ones(images, protocol):
    assert anomalies(images, f"{protocol}:0.02") < anomalies(images, f"{protocol}:0.05")
    assert anomalies(images, f"{protocol}:0.05") == anomalies(images, f"{protocol}:0.05")
    assert anomalies(images, f"{protocol}:0.05") != anomalies(images, f"{protocol}:0.05", 7)


def test_too_few_anomalies(rows, images):
    with pytest.raises(ValueError, match="share of 0.2 takes 135 anomalies .* only 60 to train on in rows"):
        split(rows, "semi-supervised:0.2", seed=0)
    with pytest.raises(ValueError, match="share of 0.2 takes 158 anomalies .* only 70 to train on in rows"):
        split(rows, "contaminated:0.2", seed=0)
    with pytest.raises(
        ValueError, match="share of 0.4 takes 140 anomalies .* only 70 of class 4 to train on in images"
    ):
        split(images, "known-class:0.4", seed=2)


def test_contaminated_with_an_official_split(images):
    train, test = divided(images, "contaminated:0.4")
    np.testing.assert_array_equal(test, np.flatnonzero(~images.train))
    assert images.train[train].all()
    # 210 normal rows, all of them; 140 of 350 are anomalies, of every class
    np.testing.assert_array_equal(train[images.y[train] == 0], np.flatnonzero(images.train & (images.y == 0)))
    assert (len(train), images.y[train].sum()) == (350, 140)
    assert set(images.classes[train]) == set(range(10))
    np.testing.assert_array_equal(divided(images, "contaminated:0")[0], divided(images, "one-class-official")[0])


def test_contaminated_tables_are_semi_supervised_ones_without_labels(rows):
    table = replace(rows, train=None)
    for mine, theirs in zip(
        divided(table, "contaminated:0.05", 3), divided(table, "semi-supervised:0.05", 3), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_known_class(images):
    chosen = []
    for seed in range(7):
        train, test = divided(images, "known-class:0.2", seed)
        np.testing.assert_array_equal(test, np.flatnonzero(~images.train))
        np.testing.assert_array_equal(train[images.y[train] == 0], np.flatnonzero(images.train & (images.y == 0)))
        (known,) = set(images.classes[train][images.y[train] == 1])
        assert images.train[train].all()
        assert images.y[train].mean() == pytest.approx(0.2, abs=0.5 / 210)
        chosen.append(known)
    assert chosen == [0, 1, 4, 6, 7, 8, 9]
    first, again = anomalies(images, "known-class:0.2", 0), anomalies(images, "known-class:0.2", 7)
    assert {images.classes[row] for row in again} == {0}
    assert first != again
    parts = split(images, "known-class:0.2", seed=3)
    np.testing.assert_array_equal(parts.y_train, images.y[divided(images, "known-class:0.2", 3)[0]])
    assert set(images.classes[divided(images, "known-class:0", 3)[0]]) == {2, 3, 5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": None}, "images has no official split"),
        ({"classes": None}, "images has no classes"),
        ({"y": np.zeros(1000, dtype=int)}, "images has no anomalies"),
    ],
)
def test_known_class_needs_classes(images, change, message):
    with pytest.raises(ValueError, match=message):
        split(replace(images, **change), "known-class:0.1", seed=0)


def test_several_normal_classes(images):
    train, test = divided(images, "one-class-official")
    assert set(images.classes[train]) == {2, 3, 5}
    assert (len(train), len(test)) == (210, 300)
    parts = split(images, "one-class-official", seed=0)
    np.testing.assert_array_equal(parts.y_test, ~np.isin(images.classes[~images.train], [2, 3, 5]))


def test_duplicated_anomalies(rows):
    train, test = named("duplicated-anomalies:4").divide(rows, 5)
    for part, plain in zip((train, test), divided(rows, "unsupervised", 5), strict=True):
        normal, repeated = part[rows.y[part] == 0], part[rows.y[part] == 1]
        np.testing.assert_array_equal(normal, plain[rows.y[plain] == 0])
        assert len(repeated) == 4 * rows.y[plain].sum()
        assert set(repeated) < set(plain)
        # of n, drawn 4n times, about 98% come up
        assert len(set(repeated)) > 0.85 * rows.y[plain].sum()
    assert not set(train) & set(test)
    for mine, theirs in zip(
        named("duplicated-anomalies:1").divide(rows, 5), divided(rows, "unsupervised", 5), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    parts = split(rows, "duplicated-anomalies:4", seed=5)
    assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (630 + 280, 270 + 120, 120)


@pytest.mark.needs_data
def test_papers_protocols_on_their_images(data_folder):
    dataset = data.load("fashion-mnist-4", data_folder)
    # DHAG, section 5.4: nine scenarios for each normal class; the largest gamma takes 1500 of 6000
    for seed, known in enumerate([0, 1, 2, 3, 5, 6, 7, 8, 9]):
        train, test = divided(dataset, "known-class:0.2", seed)
        assert (len(train), len(test)) == (7500, 10_000)
        assert set(dataset.classes[train]) == {4, known}
    # NCAE, table 1
    train, test = divided(dataset, "contaminated:0.2")
    assert (len(train), len(test)) == (7500, 10_000)
    counts = np.bincount(dataset.classes[train])
    assert counts[4] == 6000
    assert np.delete(counts, 4).min() > 100
    # PLAD, section 4.5
    parts = split(replace(dataset, y=np.zeros(70_000, dtype=int)), "averaged-pairs", seed=0)
    assert (parts.X_train.shape, parts.X_test.shape) == ((10_000, 1, 28, 28), (20_000, 1, 28, 28))
    assert parts.X_test[10_000:].mean() == pytest.approx(parts.X_test[:10_000].mean(), rel=0.02)
    assert parts.X_test[10_000:].std() < 0.9 * parts.X_test[:10_000].std()
