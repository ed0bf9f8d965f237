"""Files in the data folder that are broken: they are named and left out, and all else goes on."""

import gzip
import tarfile

import numpy as np
import pytest

from benchmarks import data
from benchmarks.__main__ import main
from benchmarks.data import listing
from benchmarks.running.records_file import RecordsFile
from tests.benchmark.conftest import write_idx


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def blank_directory(path):
    """An archive whose end is there, but whose list of members is not."""
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02")
    content[start : start + 40] = bytes(40)
    path.write_bytes(content)


def blank_start(path):
    content = path.read_bytes()
    path.write_bytes(bytes(200) + content[200:])


def empty(path):
    path.write_bytes(b"")


def garbage(path):
    path.write_bytes(b"no archive at all" * 20)


BREAKS = [cut, blank_directory, blank_start, empty, garbage]


@pytest.mark.parametrize("spoil", BREAKS)
def test_list_names_a_broken_npz_and_goes_on(spoil, folder, capsys):
    spoil(folder / "Classical" / "2_near.npz")
    assert main(["list", "--data", str(folder)]) == 0
    printed = capsys.readouterr().out.splitlines()
    (line,) = [line for line in printed if line.split()[:1] == ["2_near"]]
    assert f"broken: {folder}/Classical/2_near.npz must be an .npz" in line
    assert any(line.split() == ["10_far", "100", "x", "4", "present"] for line in printed)
    assert listing.table(folder).set_index("name").loc["10_far", "where"] == "present"


@pytest.mark.parametrize("spoil", [cut, blank_directory, empty, garbage])
def test_a_broken_npz_is_left_out_of_its_group(spoil, folder, caplog):
    path = folder / "Classical" / "2_near.npz"
    spoil(path)
    assert data.expand(["photo", "Classical"], folder) == ["photo", "10_far"]
    assert caplog.messages == [message for message in caplog.messages if f"2_near is left out: {path}" in message]
    assert len(caplog.messages) == 1
    for name in ("2_near", "near"):
        with pytest.raises(ValueError, match=f"{path} must be an .npz"):
            data.expand([name], folder)
    with pytest.raises(ValueError, match=f"{path} must be an .npz"):
        data.load("2_near", folder)
    assert data.load("10_far", folder).X.shape == (100, 4)


def test_runs_of_other_data_go_on(folder, tmp_path, capsys):
    blank_directory(folder / "Classical" / "2_near.npz")
    options = ["--data", str(folder), "--detectors", "ECOD", "--protocols", "one-class", "--seeds", "0", "--jobs", "1"]
    out = tmp_path / "out"
    assert main(["run", "adbench", *options, "--datasets", "Classical", "--out", str(out)]) == 0
    (record,) = RecordsFile(out / "records.jsonl").read()
    assert (record.cell.dataset, record.status) == ("10_far", "ok")
    assert main(["run", "adbench", *options, "--datasets", "near", "--out", str(out)]) == 2
    assert "2_near.npz must be an .npz" in capsys.readouterr().err


def test_what_breaks_only_as_it_is_read_is_that_cells_reason(folder, tmp_path):
    blank_start(folder / "Classical" / "2_near.npz")
    options = ["--data", str(folder), "--detectors", "ECOD", "--protocols", "one-class", "--seeds", "0", "--jobs", "1"]
    assert main(["run", "adbench", *options, "--datasets", "Classical", "--out", str(tmp_path / "out")]) == 1
    records = {record.cell.dataset: record for record in RecordsFile(tmp_path / "out" / "records.jsonl").read()}
    assert records["10_far"].status == "ok"
    assert f"{folder}/Classical/2_near.npz must be an .npz" in records["2_near"].reason


def test_a_whole_file_of_the_same_name_counts(folder):
    (folder / "A").mkdir()
    (folder / "A" / "2_near.npz").write_bytes(b"broken")
    assert data.expand(["near"], folder) == ["2_near"]
    assert data.load("2_near", folder).X.shape == (100, 4)


@pytest.mark.parametrize("spoil", [cut, empty, garbage])
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_broken_idx(spoil, file, images_folder):
    path = images_folder / "fashion-mnist" / file
    spoil(path)
    assert listing.table(images_folder).set_index("name").loc["mnist-3", "where"] == "present"
    assert data.load("mnist-3", images_folder).X.shape == (50, 1, 28, 28)
    place = listing.table(images_folder).set_index("name").loc["fashion-mnist-3", "where"]
    assert place.startswith(f"broken: {path} must be unsigned bytes in the idx format")
    for name in ("fashion-mnist", "fashion-mnist-3", "fashion-mnist-all", "fashion-mnist-2+3"):
        with pytest.raises(ValueError, match=f"{path} must be unsigned bytes in the idx format"):
            data.expand([name], images_folder)
    with pytest.raises(ValueError, match=f"{path} must be unsigned bytes in the idx format"):
        data.load("fashion-mnist-3", images_folder)


def test_runs_end_before_cells_of_broken_images(images_folder, tmp_path, capsys):
    path = images_folder / "fashion-mnist" / "train-images-idx3-ubyte.gz"
    cut(path)
    options = ["--data", str(images_folder), "--detectors", "ECOD", "--seeds", "0", "--out", str(tmp_path / "out")]
    assert main(["run", *options, "--datasets", "wine,fashion-mnist-3"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path} must be ")
    assert not (tmp_path / "out").exists()


def test_images_in_an_uncommon_form_are_no_broken_ones(images_folder):
    path = images_folder / "fashion-mnist" / "train-images-idx3-ubyte.gz"
    content = gzip.decompress(path.read_bytes())
    before = data.load("fashion-mnist-3", images_folder)
    path.write_bytes(gzip.compress(content[:5000]) + gzip.compress(content[5000:]))  # two parts, one after the other
    assert listing.table(images_folder).set_index("name").loc["fashion-mnist-3", "where"] == "present"
    np.testing.assert_array_equal(data.load("fashion-mnist-3", images_folder).X, before.X)
    path.with_suffix("").write_bytes(content)
    path.unlink()
    assert listing.table(images_folder).set_index("name").loc["fashion-mnist-3", "where"] == "present"
    path.with_suffix("").write_bytes(content[:-1])
    place = listing.table(images_folder).set_index("name").loc["fashion-mnist-3", "where"]
    assert place.startswith(f"broken: {path.with_suffix('')} must be ")


def test_a_damage_in_the_middle_is_the_cells_reason(images_folder, tmp_path):
    """Only reading it all shows it."""
    path = images_folder / "fashion-mnist" / "train-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    options = ["--data", str(images_folder), "--detectors", "ECOD", "--protocols", "one-class", "--seeds", "0"]
    options += ["--jobs", "1", "--out", str(tmp_path / "out"), "--datasets", "wine,fashion-mnist-3"]
    assert main(["run", *options]) == 1
    records = {record.cell.dataset: record for record in RecordsFile(tmp_path / "out" / "records.jsonl").read()}
    assert records["wine"].status == "ok"
    assert f"{path} must be unsigned bytes in the idx format" in records["fashion-mnist-3"].reason


@pytest.mark.parametrize("spoil", [cut, empty, garbage])
def test_broken_npz_of_images(spoil, images_folder):
    path = images_folder / "mnist" / "mnist_test.npz"
    spoil(path)
    place = listing.table(images_folder).set_index("name").loc["mnist-3", "where"]
    assert place.startswith(f"broken: {path} must be an .npz of the arrays images and labels")
    with pytest.raises(ValueError, match=f"{path} must be an .npz"):
        data.expand(["mnist"], images_folder)


@pytest.mark.parametrize(
    "content", [b"\0\0\x08", b"\0\0\x08\x03\0\0", b"\0\0\x08\x01\0\0\0\x09ab", b"\0\0\x08\x01\xff\xff\xff\xff"]
)
def test_idx_with_a_broken_header(content, images_folder):
    path = images_folder / "fashion-mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(content))
    assert listing.table(images_folder).set_index("name").loc["fashion-mnist-3", "where"].startswith(f"broken: {path}")
    with pytest.raises(ValueError, match=f"{path} must be unsigned bytes in the idx format"):
        data.load("fashion-mnist-all", images_folder)


@pytest.mark.parametrize(("file", "shape"), [("labels-idx1", (10,)), ("images-idx3", (30, 9, 9))])
def test_images_that_do_not_fit_together(file, shape, images_folder):
    write_idx(images_folder / "fashion-mnist" / f"train-{file}-ubyte.gz", np.zeros(shape, np.uint8))
    for name in ("fashion-mnist-3", "fashion-mnist-all"):
        with pytest.raises(ValueError, match=f"{images_folder}/fashion-mnist must be a folder of images of one size"):
            data.load(name, images_folder)


@pytest.mark.parametrize("spoil", [cut, empty, garbage])
def test_broken_archive_of_cifar10(spoil, folder):
    path = folder / "cifar-10-python.tar.gz"
    (folder / "data_batch_1").write_bytes(np.random.default_rng(0).bytes(5000))
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder / "data_batch_1", "cifar-10-batches-py/data_batch_1")
    spoil(path)
    assert listing.table(folder).set_index("name").loc["10_far", "where"] == "present"
    place = listing.table(folder).set_index("name").loc["cifar10-3", "where"]
    assert place.startswith(f"broken: {path} must be an archive of CIFAR-10")
    assert data.expand(["Classical"], folder) == ["2_near", "10_far"]
    with pytest.raises(ValueError, match=f"{path} must be an archive of CIFAR-10"):
        data.expand(["cifar10"], folder)
    with pytest.raises(ValueError, match=f"{path} must be an archive of CIFAR-10"):
        data.load("cifar10-3", folder)


def test_cifar10_whose_labels_are_broken(folder, capsys, caplog):
    path = folder / "cifar10_train_some.npz"
    np.savez(path, images=np.zeros((3, 2, 2, 3), np.uint8))
    np.savez(folder / "cifar10_test.npz", images=np.zeros((3, 2, 2, 3), np.uint8), labels=np.arange(3))
    assert main(["list", "--data", str(folder)]) == 0
    assert f"broken: {path} must be an .npz of the arrays labels" in capsys.readouterr().out
    assert data.expand(["Classical"], folder) == ["2_near", "10_far"]
    for name in ("cifar10", "cifar10-3", "cifar10-all"):
        with pytest.raises(ValueError, match=f"{path} must be an .npz of the arrays labels"):
            data.expand([name], folder)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("thyroid.mat", "odds-thyroid"),
        ("Shuttle_withoutdupl_norm_v01.arff", "dami-shuttle"),
        ("PageBlocks_5473x10_from_uci.npz", "dami-pageblocks"),
        ("kddcup.data_10_percent.gz", "kdd"),
        ("kdd_cup.npz", "kddrev"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"no table at all" * 20])
def test_broken_tables(file, name, content, folder):
    (folder / file).write_bytes(content)
    assert listing.table(folder).set_index("name").loc["10_far", "where"] == "present"
    with pytest.raises(ValueError, match=f"{folder / file} must be "):
        data.load(name, folder)
