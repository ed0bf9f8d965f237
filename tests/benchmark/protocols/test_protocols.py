"""Who trains and who is tested."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from benchmarks import data
from benchmarks.data import Dataset
from benchmarks.experiments import Experiment
from benchmarks.protocols import PROTOCOLS, named, split
from benchmarks.running.grid import grid
from tests.benchmark.records import specs

GRID = Experiment("grid", ["Classical"], specs("OCSVM", "ECOD"), ["one-class", "unsupervised"], [0, 1])


@pytest.fixture
def rows():
    """1000 rows, 100 of them anomalies, 700 of them official training rows; the feature is the row's number."""
    y, train = np.arange(1000) % 10 == 0, np.arange(1000) % 100 < 70
    return Dataset("rows", np.arange(1000.0)[:, None], y.astype(np.int64), "", train)


def test_images_of_files_are_scaled_in_float32(images_folder):
    dataset = data.load("fashion-mnist-5", images_folder)
    parts = split(dataset, "one-class-official", seed=0)
    assert (parts.X_train.shape, parts.X_test.shape) == ((3, 1, 28, 28), (20, 1, 28, 28))
    assert (parts.X_train.dtype, parts.X_test.dtype) == (np.float32, np.float32)
    normal = dataset.X[:30][dataset.y[:30] == 0]
    np.testing.assert_allclose(parts.X_train, normal / normal.max(), rtol=1e-6)
    assert parts.y_test.sum() == 18


@pytest.mark.parametrize("protocol", ["one-class", "unsupervised", "supervised"])
def test_splits(folder, protocol):
    dataset = data.load("10_far", folder)
    parts = split(dataset, protocol, seed=0)
    if protocol == "one-class":
        assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (45, 55, 10)
        assert np.abs(parts.X_train).max() < 5  # no anomaly, which lie six deviations out
    else:
        assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (70, 30, 3)
    np.testing.assert_allclose(parts.X_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(parts.X_train.std(axis=0), 1)
    again, other = split(dataset, protocol, seed=0), split(dataset, protocol, seed=1)
    np.testing.assert_array_equal(parts.X_test, again.X_test)
    assert not np.array_equal(parts.X_train, other.X_train)


@pytest.fixture
def images():
    """1000 images of one pixel, their number as a byte over and over; classes 0 to 9, 2, 3 and 5 of them normal."""
    classes = np.arange(1000) % 10
    X = (np.arange(1000) % 256).astype(np.uint8).reshape(-1, 1, 1, 1)
    y = ~np.isin(classes, [2, 3, 5])
    return Dataset("images", X, y.astype(np.int64), "", np.arange(1000) % 100 < 70, classes)


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


def test_official_split_of_reduced_data(rows):
    reduced = rows.take(np.array([5, 71, 10, 999]))
    np.testing.assert_array_equal(reduced.train, [True, False, True, False])
    np.testing.assert_array_equal(reduced.y, [0, 0, 1, 0])
    assert rows.take(np.arange(3)).name == "rows"
    parts = split(rows, "one-class-official", seed=0, max_rows=200)
    # of 200 rows about 70% are official training rows, and 9 of 10 of those are normal
    assert len(parts.X_train) == pytest.approx(126, abs=12)
    assert len(parts.X_test) == pytest.approx(60, abs=12)


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


def averaged(n, n_train):
    """Normal images of two pixels, the second 255; the first is 0 in training rows and the row's number in others."""
    X = np.full((n, 1, 1, 2), 255, dtype=np.uint8)
    train = np.arange(n) < n_train
    X[:, 0, 0, 0] = np.where(train, 0, np.arange(n) - n_train)
    return Dataset("all", X, np.zeros(n, dtype=int), "", train, np.arange(n) % 10)


def test_averaged_pairs():
    dataset = averaged(250, 50)
    parts = split(dataset, "averaged-pairs", seed=0)
    assert (parts.X_train.shape, parts.X_test.shape) == ((50, 1, 1, 2), (400, 1, 1, 2))
    assert parts.X_train.dtype == parts.X_test.dtype == np.float32
    assert parts.y_train is None
    np.testing.assert_array_equal(parts.y_test, np.repeat([0, 1], 200))
    np.testing.assert_array_equal(parts.X_train[:, 0, 0], np.tile(np.float32([0, 1]), (50, 1)))
    tested, made = parts.X_test[:200, 0, 0] * 255, parts.X_test[200:, 0, 0] * 255
    np.testing.assert_allclose(tested[:, 0], np.arange(200), rtol=1e-6)
    # bytes would overflow: 255 + 255 is 254, whose half is 127; and halves would be cut off
    np.testing.assert_allclose(made[:, 1], 255, rtol=1e-6)
    halves = np.round(2 * made[:, 0]).astype(int)
    np.testing.assert_allclose(2 * made[:, 0], halves, atol=1e-3)
    assert (halves % 2 == 1).any()
    # sums of two of 0 to 199, drawn alike
    assert made[:, 0].mean() == pytest.approx(99.5, abs=12)
    assert made[:, 0].std() == pytest.approx(200 / 24**0.5, rel=0.2)
    again, other = (split(dataset, "averaged-pairs", seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(parts.X_test, again.X_test)
    assert not np.array_equal(parts.X_test, other.X_test)
    assert dataset.X.dtype == np.uint8


def test_averaged_pairs_are_of_different_rows():
    # of two rows there is one pair
    parts = split(averaged(5, 3), "averaged-pairs", seed=0)
    np.testing.assert_allclose(parts.X_test[:, 0, 0, 0] * 255, [0, 1, 0.5, 0.5], rtol=1e-6)


def test_averaged_pairs_train_on_ten_thousand_rows():
    dataset = averaged(12_100, 12_000)
    dataset.X[:12_000, 0, 0, 0] = np.arange(12_000) % 200
    parts = [split(dataset, "averaged-pairs", seed=seed) for seed in (0, 1)]
    for part in parts:
        assert (len(part.X_train), len(part.X_test), part.y_test.sum()) == (10_000, 200, 100)
    # of each of the 200 kinds there are 60, so no row can have been drawn twice
    assert np.unique(parts[0].X_train[:, 0, 0, 0], return_counts=True)[1].max() <= 60
    assert not np.array_equal(parts[0].X_train, parts[1].X_train)


@pytest.mark.parametrize(
    ("n", "change", "message"),
    [
        (20, {"train": None}, "all has no official split"),
        (20, {"y": np.arange(20) % 2}, "takes normal rows only, got 10 anomalies in all"),
        (11, {}, "needs two rows to test, got 1 in all"),
    ],
)
def test_averaged_pairs_need_normal_rows(n, change, message):
    with pytest.raises(ValueError, match=message):
        split(replace(averaged(n, 10), **change), "averaged-pairs", seed=0)


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


def test_label_errors(rows):
    true = split(rows, "supervised", seed=2)
    few, many = (split(rows, f"label-errors:{share}", seed=2) for share in (0.05, 0.25))
    for part, count in [(few, 35), (many, 175)]:
        np.testing.assert_array_equal(part.X_train, true.X_train)
        np.testing.assert_array_equal(part.y_test, true.y_test)
        assert set(part.y_train) == {0, 1}
        assert (part.y_train != true.y_train).sum() == count
    assert set(np.flatnonzero(few.y_train != true.y_train)) < set(np.flatnonzero(many.y_train != true.y_train))
    assert (many.y_train < true.y_train).any()
    assert (many.y_train > true.y_train).any()
    np.testing.assert_array_equal(split(rows, "label-errors:0", seed=2).y_train, true.y_train)
    assert rows.y.sum() == 100


@pytest.mark.parametrize("head", [name for name in PROTOCOLS if ":" in name and "TIMES" not in name])
@pytest.mark.parametrize("number", ["", ":", ":x", ":-0.1", ":1", ":nan", ":inf", ":0.1:0.2"])
def test_wrong_shares(head, number):
    head, _, parameter = head.partition(":")
    with pytest.raises(ValueError, match=rf"takes a number in \[0, 1\) for {parameter}, got '{head}{number}'"):
        grid(replace(GRID, datasets=["wine"], protocols=[f"{head}{number}"]))


@pytest.mark.parametrize("number", ["", ":", ":x", ":0", ":-1", ":1.5", ":nan", ":inf"])
def test_wrong_times(number):
    with pytest.raises(
        ValueError, match=f"takes a whole number from 1 on for TIMES, got 'duplicated-anomalies{number}'"
    ):
        named(f"duplicated-anomalies{number}")


@pytest.mark.parametrize("name", ["", "nothing", "one-class:0.1", "synthetic-local:5", "synthetic-", "contaminate:0.1"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=f"unknown protocol '{name}'; there are {', '.join(PROTOCOLS)}"):
        named(name)


def test_labels_are_handed_out_by_name_only(rows):
    dataset = replace(rows, X=np.stack([rows.X[:, 0], rows.X[:, 0] % 7], axis=1), classes=rows.y)
    told = {}
    for name in PROTOCOLS:
        number = "2" if "TIMES" in name else "0.01"
        only_normal = replace(dataset, y=np.zeros(1000, dtype=int)) if name == "averaged-pairs" else dataset
        head, colon, _ = name.partition(":")
        told[head] = split(only_normal, f"{head}{colon}{number if colon else ''}", seed=0).y_train is not None
    assert {name for name, labels in told.items() if labels} == {
        "supervised",
        "semi-supervised",
        "known-class",
        "known-anomalies",
        "label-errors",
    }


def test_large_data_is_reduced_and_images_are_scaled_as_a_whole(folder):
    parts = split(data.load("10_far", folder), "one-class", seed=0, max_rows=50)
    assert (len(parts.X_train), len(parts.X_test), parts.y_test.sum()) == (22, 28, 5)
    image = split(data.load("digits-3-image"), "one-class", seed=0)
    assert image.X_train.max() == 1
    assert image.X_train.min() == 0


@pytest.mark.parametrize("factor", [2.0**-300, 1e150, 2.0**600, 2.0**1018])
def test_values_whose_squares_are_no_numbers_are_scaled(folder, factor):
    plain = data.load("10_far", folder)
    expected = split(plain, "one-class", seed=0)
    with np.errstate(over="raise", invalid="raise"):
        parts = split(replace(plain, X=plain.X * [factor, 1, 1, -factor]), "one-class", seed=0)
    sign = [1, 1, 1, -1]
    np.testing.assert_allclose(parts.X_train * sign, expected.X_train, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(parts.X_test * sign, expected.X_test, rtol=1e-9, atol=1e-12)


@pytest.mark.needs_data
def test_every_adbench_table_divides(data_folder):
    names = data.expand(["Classical"], data_folder)
    assert len(names) >= 29
    for name in names:
        dataset = data.load(name, data_folder)
        assert set(np.unique(dataset.y)) == {0, 1}
        for protocol in ("one-class", "unsupervised", "supervised", "semi-supervised:0"):
            parts = split(dataset, protocol, seed=0, max_rows=10_000)
            assert np.isfinite(parts.X_train).all()
            assert len(parts.X_train) + len(parts.X_test) <= 10_000
            assert 0 < parts.y_test.sum() < len(parts.y_test)


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
