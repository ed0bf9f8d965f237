"""Names of data sets, those that are bundled, and the list of all."""

import numpy as np
import pooch
import pytest
from scipy.io import savemat
from sklearn.datasets import load_breast_cancer

from benchmarks import data
from benchmarks.__main__ import main
from benchmarks.data import listing


def test_bundled_data():
    cancer = data.load("breast-cancer")
    assert cancer.X.shape == (367, 30)
    assert cancer.y.sum() == 10
    X, target = load_breast_cancer(return_X_y=True)
    np.testing.assert_array_equal(cancer.X[cancer.y == 0], X[target == 1])
    wine = data.load("wine")
    assert (wine.X.shape, wine.y.sum()) == ((129, 13), 10)
    table, image = data.load("digits-3"), data.load("digits-3-image")
    assert (table.kind, image.kind) == ("table", "image")
    assert image.X.shape == (len(table.X), 1, 8, 8)
    np.testing.assert_array_equal(image.X.reshape(-1, 64), table.X)
    assert table.y.mean() == pytest.approx(0.1, abs=0.01)
    assert data.load("make-classification").y.mean() == pytest.approx(0.05, abs=0.01)


def test_names_of_files(folder):
    assert data.expand(["Classical"], folder) == ["2_near", "10_far"]
    assert data.expand(["far", "photo", "wine", "10_far"], folder) == ["10_far", "photo", "wine"]
    loaded = data.load("10_far", folder)
    assert loaded.X.shape == (100, 4)
    assert loaded.y.dtype == np.int64
    np.savez(folder / "other.npz", images=np.zeros(3))
    for name in ("nothing", "other", "mnist-2+x"):
        with pytest.raises(ValueError, match="unknown data set or group"):
            data.expand([name], folder)
        with pytest.raises(ValueError, match="unknown data set or group"):
            data.load(name, folder)


def test_bundled_names_stay_bundled(folder):
    (folder / "Classical" / "10_far.npz").rename(folder / "Classical" / "wine.npz")
    assert data.load("wine", folder).X.shape == (129, 13)
    assert data.available(folder)["wine"] is data.BUNDLED["wine"]
    assert data.expand(["Classical"], folder) == ["2_near"]


def test_what_can_be_downloaded_says_how(folder):
    for name in ("20_letter", "letter", "NLP_by_BERT", "fashion-mnist-3", "cifar10-all", "kddrev"):
        with pytest.raises(ValueError, match=f"python -m benchmarks download {name}"):
            data.expand([name], folder)


def test_default_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PYOD_SYNTH_DATA", str(folder))
    assert data.expand(["Classical"]) == ["2_near", "10_far"]
    assert data.load("10_far").X.shape == (100, 4)
    monkeypatch.delenv("PYOD_SYNTH_DATA")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    assert set(data.available()) == set(data.BUNDLED)
    (tmp_path / "cache").mkdir()
    (folder / "Classical").rename(tmp_path / "cache" / "pyod_synth")
    assert "10_far" in data.available()


def test_embeddings_of_the_same_name(folder):
    (folder / "CV_by_ViT").mkdir()
    np.savez(folder / "CV_by_ViT" / "photo.npz", X=np.ones((3, 2)), y=[0, 0, 1])
    names = data.expand(["CV_by_ViT", "CV_by_ResNet18"], folder)
    assert names == ["CV_by_ViT/photo", "photo"]
    assert [data.load(name, folder).X.shape for name in names] == [(3, 2), (100, 4)]


def test_files_that_cannot_be_loaded_are_not_listed(folder):
    listed = set(data.available(folder))
    assert {"10_far", "2_near", "photo"} <= listed
    np.savez(folder / "other.npz", images=np.zeros(3))
    (folder / "pointer.npz").write_text("version https://git-lfs.github.com/spec/v1")
    savemat(folder / "other.mat", {"X": np.zeros((3, 2)), "y": np.zeros((3, 1))})
    assert set(data.available(folder)) == listed


def test_all_that_is_absent_is_told_at_once(folder):
    with pytest.raises(ValueError, match="download 6_cardio mnist$"):
        data.expand(["far", "6_cardio", "mnist"], folder)
    with pytest.raises(ValueError, match="unknown data set or group 'nothing', 'nor-this'"):
        data.expand(["nothing", "6_cardio", "nor-this"], folder)


def test_groups_come_before_short_names(images_folder):
    (images_folder / "Classical").mkdir()
    np.savez(images_folder / "Classical" / "24_mnist.npz", X=np.zeros((4, 2)), y=np.zeros(4))
    assert data.expand(["mnist"], images_folder) == [f"mnist-{label}" for label in range(10)]
    assert data.expand(["24_mnist"], images_folder) == ["24_mnist"]


def test_synthetic_data():
    names = data.expand(["anorand-synthetic"])
    assert names == [f"anorand-synthetic-{seed}" for seed in range(10)]
    loaded = [data.load(name) for name in names]
    assert {data.X.shape for data in loaded} == {(20_000, 20)}
    # 5%, and 1% of the labels flipped
    assert [data.y.mean() for data in loaded] == pytest.approx([0.05] * 10, abs=0.006)
    assert len({data.X[0, 0] for data in loaded}) == 10


def test_list_tells_sizes(folder):
    table = listing.table(folder).set_index("name")
    assert table.loc["10_far", ["group", "size", "where"]].tolist() == ["Classical", "100 x 4", "present"]
    assert table.loc["wine", ["group", "size", "where"]].tolist() == ["scikit-learn", "129 x 13", "bundled"]
    assert table.loc["38_thyroid", ["size", "where"]].tolist() == ["3772 x 6", "download, 0.04 MB"]
    assert table.loc["20_letter", ["size", "where"]].tolist() == ["1600 x 32", "download"]
    assert table.loc["cifar10", ["size", "where"]].tolist() == ["", "download, 170 MB"]
    (folder / "Classical" / "10_far.npz").rename(folder / "Classical" / "38_thyroid.npz")
    assert listing.table(folder).set_index("name").loc["38_thyroid", "where"] == "present"


def test_list(folder, capsys):
    assert main(["list", "--data", str(folder)]) == 0
    printed = capsys.readouterr().out
    for word in ("quick", "PLAD", "semi-supervised:GAMMA", "digits-9-image", "10_far"):
        assert word in printed
    assert "fashion-mnist-0" not in printed
    assert any(line.split() == ["10_far", "100", "x", "4", "present"] for line in printed.splitlines())
