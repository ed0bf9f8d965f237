"""What the package promises of itself as a whole."""

import ast
import configparser
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import pyod_synth
from pyod_synth import all_detectors

PACKAGE = Path(pyod_synth.__file__).parent
MODULES = ["pyod_synth"] + [module.name for module in pkgutil.walk_packages(pyod_synth.__path__, "pyod_synth.")]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


OURS = [detector for detector in all_detectors().values() if detector.__module__.startswith("pyod_synth.")]


@pytest.mark.parametrize("detector", OURS, ids=lambda detector: detector.__name__)
def test_every_detector_has_an_example_and_documents_every_parameter(detector):
    assert ">>>" in detector.__doc__
    assert "{" not in detector.__doc__.split("References")[0].replace('{"', "")  # shared parts are filled in
    documented = detector.__doc__.split("Attributes\n")[0]
    for name in detector().get_params():
        assert name in documented
    assert set(detector._parameter_constraints) == set(detector().get_params())


def test_all_detectors_are_exported():
    for detector in OURS:
        assert getattr(pyod_synth, detector.__name__) is detector
        assert detector.__name__ in pyod_synth.__all__


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


# Each module may import from those before it, the models not from one another.
LAYERS = [
    {"documentation", "validation", "preprocessing", "seeding", "explain", "networks", "adengine", "csv_scoring"},
    {"core"},
    {"training", "pyod_compat"},
    {"persistence", "thresholds", "assessment"},
    {"export"},
    {"detector"},
    {"base"},
    {"models"},
    {"gated_knn"},
    {"adbench"},
    {"__main__"},
]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_keep_to_the_layers(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("pyod_synth.")}
    if own != "__init__":
        (layer,) = (number for number, names in enumerate(LAYERS) if own in names)
        allowed = set().union(*LAYERS[:layer]) | ({own} & {"networks", "gated_knn"})
        assert ours <= allowed
    if path.name != "pyod_compat.py":
        assert not any(name.split(".")[0] == "pyod" for name in imports(path))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_names_of_scikit_learn_are_in_one_module(path):
    if path.name != "validation.py":
        assert not any(part.startswith("_") for name in imports(path) for part in name.split(".") if "sklearn" in name)


def test_types_are_shipped():
    assert (PACKAGE / "py.typed").exists()


def test_the_oldest_versions_that_are_tested_are_the_oldest_that_are_allowed():
    setup = configparser.ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg")
    allowed = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    bounds = set(re.findall(r"^([\w-]+)>=([\d.]+)$", "\n".join(allowed), re.MULTILINE))
    pins = re.findall(r"^([\w-]+)==([\d.]+)$", (PACKAGE.parent / ".ci" / "oldest.txt").read_text(), re.MULTILINE)
    for name, version in pins:
        assert any(name == other and re.fullmatch(re.escape(bound) + r"(\.0)*", version) for other, bound in bounds), (
            name
        )
    required = setup["options"]["install_requires"].split()
    assert {re.split("[><=]", requirement)[0] for requirement in required} <= {name for name, _ in pins}
