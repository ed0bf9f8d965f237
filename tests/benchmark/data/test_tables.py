"""Tables of ODDS, DAMI and KDDCup99."""

import gzip

import numpy as np
import pytest
from scipy.io import savemat
from sklearn.preprocessing import StandardScaler

from benchmarks import data
from benchmarks.protocols import split


def test_odds(tmp_path):
    X, y = np.arange(12, dtype=np.int16).reshape(6, 2), np.array([[0], [0], [1], [0], [0], [1]], dtype=np.uint8)
    (tmp_path / "odds").mkdir()
    for name in ("thyroid", "arrhythmia"):
        savemat(tmp_path / "odds" / f"{name}.mat", {"X": X, "y": y, "note": "of no use"})
    assert data.expand(["odds"], tmp_path) == ["odds-arrhythmia", "odds-thyroid"]
    loaded = data.load("odds-thyroid", tmp_path)
    np.testing.assert_array_equal(loaded.X, X)
    np.testing.assert_array_equal(loaded.y, [0, 0, 1, 0, 0, 1])
    assert (loaded.X.dtype, loaded.y.dtype, loaded.train) == (np.float64, np.int64, None)


@pytest.fixture
def kdd_folder(tmp_path):
    """KDDCup99 as UCI distributes it, in small: 10 'normal.' rows, 8 attacks."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(18):
        numbers = rng.integers(0, 9, size=38).astype(str)
        texts = [["tcp", "udp"][i % 2], ["http", "ftp", "smtp"][i % 3], "SF"]
        rows.append([numbers[0], *texts, *numbers[1:], "normal." if i < 10 else "smurf."])
    text = "\n".join(",".join(row) for row in rows)
    (tmp_path / "kddcup.data_10_percent.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path


def test_kddcup99(kdd_folder):
    assert data.expand(["kddcup99"], kdd_folder) == ["kdd", "kddrev"]
    kdd, reverse = (data.load(name, kdd_folder) for name in ("kdd", "kddrev"))
    assert (kdd.X.shape, kdd.X.dtype, kdd.X.flags.c_contiguous) == ((18, 2 + 3 + 1 + 38), np.float64, True)
    np.testing.assert_array_equal(kdd.y, np.repeat([1, 0], [10, 8]))
    np.testing.assert_array_equal(kdd.X[:, 1], np.arange(18) % 2)  # is it udp?
    np.testing.assert_array_equal(kdd.X[:, 4], np.arange(18) % 3 == 2)  # is it smtp?, after ftp and http
    raw = np.genfromtxt(kdd_folder / "kddcup.data_10_percent.gz", delimiter=",")
    np.testing.assert_array_equal(kdd.X[:, 6:], np.delete(raw, [1, 2, 3, 41], axis=1))
    # all 10 normal rows, and a quarter as many attacks
    np.testing.assert_array_equal(reverse.y, np.repeat([0, 1], [10, 2]))
    np.testing.assert_array_equal(reverse.X[:10], kdd.X[:10])
    assert {tuple(row) for row in reverse.X[10:]} < {tuple(row) for row in kdd.X[10:]}
    np.testing.assert_array_equal(data.load("kddrev", kdd_folder).X, reverse.X)


def test_kddcup99_must_be_whole(kdd_folder):
    file = kdd_folder / "kddcup.data_10_percent.gz"
    file.write_bytes(gzip.compress(b"0,tcp,http,SF,181\n"))
    with pytest.raises(ValueError, match="42 columns"):
        data.load("kdd", kdd_folder)


def test_dami(tmp_path):
    rows = "0.5,2,1.0,'no'\n0.25,4,2.0,'yes'\n1.5,6,3.0,'no'\n"
    header = "@RELATION 'x'\n@ATTRIBUTE 'att1' real\n@ATTRIBUTE 'att2' real\n@ATTRIBUTE 'id' real\n"
    for file, values in [
        ("PageBlocks_withoutdupl_09", "{'no','yes'}"),
        ("Shuttle_withoutdupl_norm_v01", "{'yes','no'}"),
    ]:
        (tmp_path / f"{file}.arff").write_text(f"{header}@ATTRIBUTE 'outlier' {values}\n@DATA\n{rows}")
    np.savez(tmp_path / "PageBlocks_5473x10_from_uci.npz", X=np.ones((5, 2)), y=[0, 0, 0, 0, 1])
    names = data.expand(["dami"], tmp_path)
    assert names == ["dami-pageblocks", "dami-pageblocks-without-duplicates", "dami-shuttle"]
    assert set(data.available(tmp_path)) == {*data.BUNDLED, *names}  # none of them twice
    for name in names[1:]:
        loaded = data.load(name, tmp_path)
        np.testing.assert_array_equal(loaded.X, [[0.5, 2], [0.25, 4], [1.5, 6]])
        np.testing.assert_array_equal(loaded.y, [0, 1, 0])
    assert data.load(names[0], tmp_path).y.sum() == 1


@pytest.mark.needs_data
def test_real_odds(data_folder):
    thyroid, arrhythmia = (data.load(name, data_folder) for name in ("odds-thyroid", "odds-arrhythmia"))
    assert (thyroid.X.shape, thyroid.y.sum()) == ((3772, 6), 93)
    assert (arrhythmia.X.shape, arrhythmia.y.sum()) == ((452, 274), 66)
    # DHAG, section 5.4: 2.5% of the test rows are anomalies
    parts = split(thyroid, "semi-supervised:0.02", seed=0)
    assert (len(parts.X_train), parts.y_train.sum()) == (2252, 45)
    assert (len(parts.X_test), parts.y_test.sum()) == (1509, 37)


@pytest.mark.needs_data
def test_real_kddcup99(data_folder):
    kdd, reverse = (data.load(name, data_folder) for name in ("kdd", "kddrev"))
    assert (kdd.X.shape, kdd.y.sum()) == ((494_021, 118), 97_278)
    assert (reverse.X.shape, reverse.y.sum()) == ((121_597, 118), 24_319)
    # the .npz that others made of it is the same but for a factor, and a shift of two features
    with np.load(data_folder / "kddcup99" / "kdd_cup.npz") as arrays:
        other = arrays["kdd"]
    np.testing.assert_array_equal(kdd.y, other[:, -1])
    rows = np.random.default_rng(0).choice(len(kdd.y), 20_000, replace=False)
    ours, theirs = (StandardScaler().fit_transform(X[rows]) for X in (kdd.X, other[:, :-1]))
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.needs_data
def test_kddcup99_from_npz(data_folder, tmp_path):
    (tmp_path / "kdd_cup.npz").symlink_to(data_folder / "kddcup99" / "kdd_cup.npz")
    reverse = data.load("kddrev", tmp_path)
    assert (reverse.X.shape, reverse.y.sum()) == ((121_597, 118), 24_319)
    np.testing.assert_array_equal(reverse.y, data.load("kddrev", data_folder).y)


@pytest.mark.needs_data
def test_real_dami(data_folder):
    sizes = {"": (5473, 10, 560), "-without-duplicates": (5393, 10, 510)}
    for suffix, size in sizes.items():
        loaded = data.load(f"dami-pageblocks{suffix}", data_folder)
        assert (*loaded.X.shape, loaded.y.sum()) == size
    # without their duplicates they are the same rows
    blocks, unique = (data.load(f"dami-pageblocks{suffix}", data_folder) for suffix in sizes)
    assert {tuple(row) for row in blocks.X} == {tuple(row) for row in unique.X}
    shuttle = data.load("dami-shuttle", data_folder)
    assert (*shuttle.X.shape, shuttle.y.sum()) == (1013, 9, 13)
    assert (shuttle.X.min(), shuttle.X.max()) == (0, 1)
