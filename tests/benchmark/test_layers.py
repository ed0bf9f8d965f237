"""Imports go one way, from data to reports, and the package knows nothing of its benchmark."""

import re
from pathlib import Path

import pytest

import benchmarks

FOLDER = Path(benchmarks.__file__).parent
LAYERS = ["data", "protocols", "detectors", "experiments", "running", "reporting", "speed"]


def imported(path):
    """The layers that a file imports from."""
    text = path.read_text()
    found = set(re.findall(r"^ *(?:from|import) benchmarks\.(\w+)", text, re.MULTILINE))
    for names in re.findall(r"^ *from benchmarks import (.+)$", text, re.MULTILINE):
        found |= {name.strip() for name in names.split(",")}
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_go_one_way(layer):
    below = set(LAYERS[: LAYERS.index(layer) + 1])
    files = sorted((FOLDER / layer).rglob("*.py"))
    assert files
    for path in files:
        assert imported(path) <= below, path


def test_every_folder_of_code_is_a_layer():
    assert {path.parent.name for path in FOLDER.glob("*/*.py")} == set(LAYERS)


def test_the_package_does_not_know_its_benchmark():
    for path in (FOLDER.parent / "pyod_synth").rglob("*.py"):
        assert not imported(path), path
