"""Files of saved detectors: old ones keep loading, and broken and hostile ones are refused, with nothing run."""

import hashlib
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import pyod_synth
from pyod_synth.persistence import FORMAT
from tests.kept_models.make import make

FOLDER = Path(__file__).parent / "kept_models"
FORMATS = sorted(FOLDER.glob("format_*"))
KEPT = {f"{folder.name}/{path.stem}": path for folder in FORMATS for path in sorted(folder.glob("*.safetensors"))}
NEWEST = FOLDER / f"format_{FORMAT}"


def expected(path):
    return json.loads((path.parent / "expected.json").read_text())[path.stem]


def rows(path):
    """The rows that a kept file's scores are of: as a frame, if its detector was fitted on one."""
    X = np.array(expected(path)["X"])
    names = getattr(pyod_synth.load(path), "feature_names_in_", None)
    return X if names is None else pd.DataFrame(X, columns=names)


def take_apart(path):
    with safe_open(path, framework="pt") as file:
        return file.metadata(), {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


def put_together(path, metadata, tensors):
    """Write a file with the checksum that its content should have: SHA-256 of the header and of each tensor."""
    digest = hashlib.sha256(metadata["header"].encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    save_file(tensors, path, metadata | {"sha256": digest.hexdigest()})


def forged(kept, path, header=None, **tensors):
    """Change a kept file so that its checksum is right: a function of the header, and tensors by name."""
    metadata, own = take_apart(NEWEST / f"{kept}.safetensors")
    content = json.loads(metadata["header"])
    if header is not None:
        content = header(content) or content
    own |= {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    own = {name: tensor for name, tensor in own.items() if tensor is not None}
    put_together(path, metadata | {"header": json.dumps(content)}, own)
    return path


# What is kept


def test_every_format_has_files_of_every_detector_of_its_time():
    assert [folder.name for folder in FORMATS] == [f"format_{number}" for number in range(1, FORMAT + 1)]
    for folder in FORMATS:
        assert {path.stem for path in folder.glob("*.safetensors")} == json.loads(
            (folder / "expected.json").read_text()
        ).keys()
    ours = {
        name for name, detector in pyod_synth.all_detectors().items() if detector.__module__.startswith("pyod_synth.")
    }
    assert ours <= {path.stem.split("_")[0] for path in NEWEST.glob("*_table.safetensors")}


def test_they_can_be_made_anew(tmp_path):
    make(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {path.name for path in NEWEST.iterdir()}


@pytest.mark.parametrize("path", KEPT.values(), ids=KEPT)
def test_kept_files_load(path):
    clf, kept = pyod_synth.load(path), expected(path)
    assert type(clf).__name__ == path.stem.split("_")[0]
    scores = np.array(kept["scores"])
    np.testing.assert_allclose(clf.decision_function(rows(path)), scores, rtol=1e-6, atol=1e-6 * np.abs(scores).max())
    assert clf.threshold_ == kept["threshold"]
    assert clf.predict(rows(path)).tolist() == kept["labels"]


def test_forging_itself_changes_nothing(tmp_path):
    path = NEWEST / "PLAD_table.safetensors"
    copy = pyod_synth.load(forged("PLAD_table", tmp_path / "copy"))
    np.testing.assert_array_equal(
        copy.decision_function(rows(path)), pyod_synth.load(path).decision_function(rows(path))
    )


# What is broken


def mutated(data, rng):
    """Flip a bit, cut, insert, remove or swap blocks of bytes."""
    data = bytearray(data)
    kind = rng.integers(6)
    # the header is a small part of the larger files
    start, size = int(rng.integers(rng.choice([len(data), 2500]))), int(rng.integers(1, 65))
    if kind == 0:
        data[start] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del data[start:]
    elif kind == 2:
        data[start:start] = rng.bytes(size)
    elif kind == 3:
        del data[start : start + size]
    elif kind == 4:
        data[start : start + size] = rng.bytes(len(data[start : start + size]))
    else:
        other = int(rng.integers(len(data)))
        first, second = sorted((start, other))
        size = min(size, second - first, len(data) - second)
        data[first : first + size], data[second : second + size] = (
            data[second : second + size],
            data[first : first + size],
        )
    return bytes(data)


def test_a_thousand_mutations_give_an_error_or_equal_scores(tmp_path):
    rng = np.random.default_rng(0)
    originals = [
        (path.read_bytes(), rows(path), pyod_synth.load(path).decision_function(rows(path))) for path in KEPT.values()
    ]
    refused, path = 0, tmp_path / "clf"
    for number in range(1000):
        data, X, scores = originals[number % len(originals)]
        path.write_bytes(mutated(data, rng))
        try:
            clf = pyod_synth.load(path)
        except ValueError:
            refused += 1
        else:
            np.testing.assert_array_equal(clf.decision_function(X), scores)
    assert refused > 950  # the others are equal to what was there


@pytest.mark.parametrize("kept", ["PLAD_table", "GatedKNN_labels"])
def test_every_single_bit_of_the_tensors_counts(kept, tmp_path):
    data = (NEWEST / f"{kept}.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    path = tmp_path / "clf"
    for position in np.linspace(start, len(data) - 1, 150).astype(int):
        changed = bytearray(data)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="damaged"):
            pyod_synth.load(path)


# What is foreign


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_foreign_files(tmp_path):
    path, ran = tmp_path / "file", tmp_path / "ran"
    pickled = pickle.dumps(Payload(ran))
    pickle.loads(pickled)
    assert ran.exists()  # so it would be seen
    ran.unlink()
    header = b'{"__metadata__":{"pyod_synth format":"1","header":' + json.dumps(pickled.hex()).encode() + b"}}"
    for content in (b"", b"{}", b"some text\n" * 100, pickled, len(header).to_bytes(8, "little") + header):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be loaded: it (is damaged|was not written)"):
            pyod_synth.load(path)
    save_file({"weight": torch.zeros(3)}, path, {"format": "pt"})
    with pytest.raises(ValueError, match="was not written by a detector's save"):
        pyod_synth.load(path)
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match="was not written by a detector's save"):
        pyod_synth.load(path)
    assert not ran.exists()


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        pyod_synth.load(tmp_path / "nothing")
    with pytest.raises(OSError, match="irectory"):
        pyod_synth.load(tmp_path)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (str(FORMAT + 1), f"its format is {FORMAT + 1}, .* reads up to {FORMAT}: update pyod_synth"),
        ("9" * 5000, "update"),
        ("0", "format"),
        ("one", "'one'"),
        ("²", "'²'"),
        ("", "not written by"),
    ],
)
def test_other_formats(number, message, tmp_path):
    metadata, tensors = take_apart(NEWEST / "PLAD_table.safetensors")
    put_together(tmp_path / "clf", metadata | {"pyod_synth format": number}, tensors)
    with pytest.raises(ValueError, match=message):
        pyod_synth.load(tmp_path / "clf")


# What is hostile: files with a checksum that is right


def setting(*keys, to):
    """Give a function that sets an entry of the header."""

    def change(header):
        entry = header
        for key in keys[:-1]:
            entry = entry[key]
        entry[keys[-1]] = to

    return change


HEADERS = {
    "unknown class": (setting("class", to="Nothing"), "unknown detector 'Nothing'"),
    "abstract class": (setting("class", to="DeepDetector"), "unknown detector"),
    "path of a class": (setting("class", to="os.system"), "unknown detector"),
    "class of another kind": (setting("class", to=["PLAD"]), "names no class"),
    "other class": (setting("class", to="GatedKNN"), "no parameters"),
    "unknown parameter": (setting("parameters", "depth", to=3), "no parameters .'depth'."),
    "no parameters": (setting("parameters", to=None), "no parameters"),
    "negative": (setting("parameters", "hidden_size", to=-1), "hidden_size"),
    "string": (setting("parameters", "hidden_size", to="8"), "hidden_size"),
    "boolean": (setting("parameters", "hidden_size", to=True), "hidden_size"),
    "dictionary": (setting("parameters", "lr", to={"a": 1}), "lr"),
    "contamination": (setting("parameters", "contamination", to=10**400), "parameters are wrong"),
    "schedule": (setting("parameters", "lr_schedule", to=[3, 2]), "lr_schedule"),
    "image_shape": (setting("parameters", "image_shape", to=[1, "a", 2]), "image_shape"),
    "other networks": (setting("parameters", "hidden_size", to=9), "size mismatch"),
    "other kind of networks": (setting("parameters", "perturbator", to="deterministic"), "size mismatch"),
    "giant networks": (setting("parameters", "hidden_size", to=10**9), "larger than the file"),
    "giant beyond 64 bits": (setting("parameters", "hidden_size", to=10**30), "parameters are wrong"),
    "giant rows": (setting("attributes", "input_shape_", to=[10**12]), "n_features_in_"),
    "no attributes": (setting("attributes", to=[]), "no attributes"),
    "method": (setting("attributes", "decision_function", to=1.0), "unknown attributes"),
    "missing": (lambda header: header["attributes"].pop("threshold_") and None, "missing: .'threshold_'."),
    "threshold": (setting("attributes", "threshold_", to="1.0"), "wrong: .'threshold_'."),
    "no number": (setting("attributes", "_mu", to=float("nan")), "wrong: .'_mu'."),
    "history": (setting("attributes", "history_", to=[1.0, None]), "wrong: .'history_'."),
    "names": (setting("attributes", "feature_names_in_", to=["a"]), "feature_names_in_"),
    "kinds of names": (setting("attributes", "feature_names_in_", to=["a", "b", 3]), "feature_names_in_"),
    "scaling": (setting("parameters", "preprocessing", to=False), "scaling"),
    "no device": (setting("device", to=None), "names no device"),
    "meta": (setting("device", to="meta"), "meta"),
    "device": (setting("device", to="nonsense"), "unknown device 'nonsense'"),
    "list": (lambda header: [header], "names no class"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_headers(name, tmp_path):
    change, message = HEADERS[name]
    path = forged("PLAD_table", tmp_path / "clf", change)
    with pytest.raises(ValueError, match=message):
        pyod_synth.load(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "", '{"class": ' + "9" * 10_000 + "}"])
def test_hostile_json(text, tmp_path):
    metadata, tensors = take_apart(NEWEST / "PLAD_table.safetensors")
    put_together(tmp_path / "clf", metadata | {"header": text}, tensors)
    with pytest.raises(ValueError, match="cannot be loaded"):
        pyod_synth.load(tmp_path / "clf")


@pytest.mark.parametrize(
    ("kept", "parameters"),
    [
        ("NoveltyNormalization_table", {"novelty_layers": 10**9}),
        ("NoveltyNormalization_table", {"hidden_size": 10**6, "latent_size": 10**6}),
        ("DHAG_table", {"n_perturbators": 2 * 10**9}),
        ("AnoRand_table", {"hidden_size": 10**8}),
        ("NCAE_table", {"latent_size": 2 * 10**9}),
    ],
)
def test_giant_networks_are_not_built(kept, parameters, tmp_path):
    resource = pytest.importorskip("resource")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    path = forged(kept, tmp_path / "clf", lambda header: header["parameters"].update(parameters))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="arrays are not those of"):
        pyod_synth.load(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 2**20 / unit


def test_giant_images_are_not_made(tmp_path):
    def change(header):
        header["attributes"] |= {"input_shape_": [1, 10**6, 10**6], "n_features_in_": 10**12}

    with pytest.raises(ValueError, match="usual_ is no finite float64 array of shape"):
        pyod_synth.load(forged("GatedKNN_images", tmp_path / "clf", change))  # which sees images of any size


TENSORS = {
    "missing": ("PLAD_table", {"core.classifier.0.weight": None}, "Missing key"),
    "unknown": ("PLAD_table", {"core.more": torch.zeros(3)}, "Unexpected key"),
    "foreign": ("PLAD_table", {"more": torch.zeros(3)}, "holds what no detector has: .'more'."),
    "shape": ("PLAD_table", {"core.classifier.0.weight": torch.zeros(8, 4)}, "size mismatch"),
    "type": ("PLAD_table", {"core.classifier.0.weight": torch.zeros(8, 3, dtype=torch.float64)}, "types differ"),
    "no scores": ("PLAD_table", {"decision_scores_": None}, "decision_scores_"),
    "type of scores": ("PLAD_table", {"decision_scores_": torch.zeros(24)}, "decision_scores_"),
    "infinite": ("PLAD_table", {"decision_scores_": torch.full((24,), torch.inf).double()}, "scores or labels"),
    "number of labels": ("PLAD_table", {"labels_": torch.zeros(3, dtype=torch.int64)}, "labels_"),
    "labels": ("PLAD_table", {"labels_": torch.full((24,), 2)}, "scores or labels"),
    "usual": ("PLAD_table", {"usual_": torch.full((3, 3), torch.nan).double()}, "usual_"),
    "no scaling": ("PLAD_table", {"standardizer.scale_": None}, "scaling"),
    "scaling": ("PLAD_table", {"standardizer.scale_": torch.zeros(3).double()}, "scaling"),
    "length of the scaling": ("PLAD_table", {"standardizer.offset_": torch.zeros(4).double()}, "scaling"),
    "type of the scaling": ("PLAD_table", {"standardizer.offset_": torch.zeros(3).bfloat16()}, "scaling"),
    "no rows": (
        "GatedKNN_table",
        {"core.near.memories.0.rows": torch.zeros(0, 3), "core.near.memories.0.reach": torch.zeros(0)},
        "do not fit together",
    ),
    "reaches": ("GatedKNN_table", {"core.near.memories.0.reach": torch.zeros(5)}, "as many reaches as rows"),
    "columns": ("GatedKNN_table", {"core.near.memories.0.rows": torch.zeros(8, 4)}, "size mismatch"),
    "dimensions": ("GatedKNN_table", {"core.near.memories.0.centre": torch.zeros(3, 1)}, "size mismatch"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_hostile_tensors(name, tmp_path):
    kept, tensors, message = TENSORS[name]
    path = forged(kept, tmp_path / "clf", **{key.replace(".", "__"): tensor for key, tensor in tensors.items()})
    with pytest.raises(ValueError, match=message):
        pyod_synth.load(path)


@pytest.mark.parametrize("name", ["branches", "feature", "roots", "threshold"])
def test_hostile_forest(name, tmp_path):
    _, tensors = take_apart(NEWEST / "GatedKNN_labels.safetensors")
    array = tensors[f"core.likeness.forest.{name}"]
    wrong = {
        "branches": [array * 0, array + 1, array - 1],  # in circles, out of the forest, and backwards
        "feature": [array + 3, array - 1],
        "roots": [array + len(tensors["core.likeness.forest.feature"]), array - 1],
        "threshold": [array[:-1]],
    }
    for other in wrong[name]:
        path = forged("GatedKNN_labels", tmp_path / "clf", **{f"core__likeness__forest__{name}": other})
        with pytest.raises(ValueError, match="forest"):
            pyod_synth.load(path)


def test_headers_of_anything_give_an_error_or_a_detector(tmp_path):
    rng = np.random.default_rng(0)
    junk = [
        None,
        True,
        -1,
        0,
        1,
        2**31,
        10**30,
        0.5,
        -0.0,
        float("inf"),
        float("nan"),
        "",
        "cpu",
        "a" * 1000,
        [],
        [1],
        {},
    ]
    leaves = []

    def find(entry, keys):
        for key, value in entry.items():
            leaves.append((*keys, key))
            if isinstance(value, dict):
                find(value, (*keys, key))

    kept = ["GatedKNN_labels", "DHAG_table", "NoveltyNormalization_table"]
    loaded = 0
    for number in range(300):
        name = kept[number % 3]
        leaves.clear()
        find(json.loads(take_apart(NEWEST / f"{name}.safetensors")[0]["header"]), ())
        keys, to = leaves[rng.integers(len(leaves))], junk[rng.integers(len(junk))]
        path = forged(name, tmp_path / "clf", setting(*keys, to=to))
        try:
            clf = pyod_synth.load(path)
        except ValueError:
            continue
        loaded += 1
        X = np.array(expected(NEWEST / f"{name}.safetensors")["X"])
        if hasattr(clf, "feature_names_in_"):
            X = pd.DataFrame(X, columns=clf.feature_names_in_)
        assert clf.predict_proba(X).shape == (6, 2)
    assert 20 < loaded < 200
