"""The promises of the documentation name tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PROMISES = (TESTS.parent / "docs" / "promises.md").read_text()
NAMED = re.findall(r"`(?:tests/[\w/]+(?:\.py)?::)?(test_\w+)`", PROMISES)
FILES = re.findall(r"`(tests/[\w/]+(?:\.py)?)(?:::\w+)?`", PROMISES)
SOURCES = "\n".join(path.read_text() for path in TESTS.rglob("test_*.py"))


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_there_is_such_a_test(name):
    assert f"def {name}(" in SOURCES


@pytest.mark.parametrize("path", sorted(set(FILES)))
def test_there_is_such_a_file(path):
    assert (TESTS.parent / path).exists()


def test_promises_name_tests():
    assert len(NAMED) > 20
