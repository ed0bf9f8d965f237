"""Files of a user's own."""

import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks import data


@pytest.fixture
def own():
    """A table as a user has it."""
    return pd.DataFrame({"age": [30, 41, 29], "y": [0, 1, 0], "height": [1.5, 1.7, 1.8], "smokes": [True, False, True]})


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_own_files(own, suffix, tmp_path, monkeypatch):
    X = np.array([[30, 1.5, 1], [41, 1.7, 0], [29, 1.8, 1]])
    path = tmp_path / f"own.{suffix}"
    match suffix:
        case "csv":
            own.to_csv(path, index=False)
        case "parquet":
            own.to_parquet(path)
        case "npz":
            np.savez(path, X=X, y=own["y"])
    assert data.expand([str(path)], tmp_path / "nowhere") == [str(path)]
    loaded = data.load(str(path), tmp_path / "nowhere")
    np.testing.assert_array_equal(loaded.X, X)
    np.testing.assert_array_equal(loaded.y, [0, 1, 0])
    assert (loaded.name, loaded.X.dtype, loaded.y.dtype) == (str(path), np.float64, np.int64)
    monkeypatch.chdir(tmp_path)
    assert data.load(path.name).X.shape == (3, 3)
    path.unlink()
    with pytest.raises(ValueError, match=f"no file own.{suffix} in "):
        data.expand([path.name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"city": ["Oslo", "Bergen", "Moss"], "when": ["a", "b", "c"]}, "numbers, got other types in 'city', 'when'"),
        ({"height": [1.5, None, 1.8]}, "missing or infinite values in 'height'"),
        ({"height": [1.5, np.inf, 1.8]}, "missing or infinite values in 'height'"),
        ({"y": [0, None, 1]}, "missing or infinite values in 'y'"),
        ({"y": [0, 2, 1]}, r"y must hold 0 \(normal\) and 1 \(anomaly\) only, got also \[2\]"),
        ({"y": ["no", "yes", "no"]}, "numbers, got other types in 'y'"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_own_files_with_errors(own, suffix, change, message, tmp_path):
    path = tmp_path / f"own.{suffix}"
    changed = own.assign(**change)
    _ = changed.to_csv(path, index=False) if suffix == "csv" else changed.to_parquet(path)
    with pytest.raises(ValueError, match=message):
        data.load(str(path))


def test_own_files_without_label(own, tmp_path):
    own.drop(columns="y").to_csv(tmp_path / "own.csv", index=False)
    with pytest.raises(ValueError, match="own.csv must have a column 'y', .*; got 'age', 'height', 'smokes'"):
        data.load(str(tmp_path / "own.csv"))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_own_files_that_are_none(suffix, tmp_path):
    path = tmp_path / f"own.{suffix}"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=f"own.{suffix} "):
        data.load(str(path))


def test_own_npz_with_broken_bytes(tmp_path):
    path = tmp_path / "own.npz"
    np.savez_compressed(path, X=np.random.default_rng(0).integers(0, 9, size=(500, 4)), y=np.zeros(500))
    content = bytearray(path.read_bytes())
    content[300:400] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="own.npz must be an .npz of the arrays X and y"):
        data.load(str(path))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.zeros((3, 2))}, "must be an .npz of the arrays X and y"),
        ({"X": np.array([[None]] * 3), "y": np.zeros(3)}, "must be an .npz of the arrays X and y, without objects"),
        ({"X": np.zeros(3), "y": np.zeros(3)}, r"a table \(n, d\), sequences .* or images .*, got shape \(3,\)"),
        ({"X": np.zeros((3, 2)), "y": np.zeros(4)}, "as many rows, got 3 and 4"),
        ({"X": np.full((3, 2), np.nan), "y": np.zeros(3)}, "finite numbers"),
        ({"X": np.array([["a"]] * 3), "y": np.zeros(3)}, "X must hold numbers"),
    ],
)
def test_own_npz_with_errors(arrays, message, tmp_path):
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        data.load(str(tmp_path / "own.npz"))


def test_parquet_without_pyarrow(own, tmp_path, monkeypatch):
    own.to_parquet(tmp_path / "own.parquet")
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match="install pyarrow"):
        data.load(str(tmp_path / "own.parquet"))
