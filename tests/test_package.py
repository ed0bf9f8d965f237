"""What the package promises of itself as a whole."""

import ast
import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import pyod_synth

PACKAGE = Path(pyod_synth.__file__).parent
MODULES = ["pyod_synth"] + [module.name for module in pkgutil.walk_packages(pyod_synth.__path__, "pyod_synth.")]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("detector", [getattr(pyod_synth, name) for name in pyod_synth.__all__])
def test_every_detector_has_an_example_and_documents_every_parameter(detector):
    assert ">>>" in detector.__doc__
    documented = detector.__doc__.split("Attributes\n")[0]
    for name in detector().get_params():
        assert name in documented
    assert set(detector._parameter_constraints) == set(detector().get_params())


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


ALLOWED = {
    "engine.py": [],
    "networks.py": [],
    "core.py": [],
    "preprocessing.py": [],
    "restoration.py": [],
    "training.py": ["pyod_synth.core"],
    "base.py": ["pyod_synth.core", "pyod_synth.preprocessing", "pyod_synth.training"],
}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_imports_keep_to_the_layers(path):
    ours = {name for name in imports(path) if name.startswith("pyod_synth")}
    if path.parent.name == "models":
        assert not any(name.startswith("pyod_synth.models") for name in ours)
    elif path.name != "__init__.py":
        assert ours <= set(ALLOWED[path.name])
    if path.name != "base.py":
        assert not any(name.split(".")[0] == "pyod" for name in imports(path))
