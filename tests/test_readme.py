"""The README's code runs, its commands exist, and its figures are those of the records."""

import re
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.results import RecordsFile

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_code_runs(code):
    names = {}
    exec(code, names)
    assert names["labels"].tolist()[5:] == [1] * 5
    assert names["perturbed"].shape == names["X_new"].shape


def test_commands():
    commands = re.findall(r"```\n(.*?)\n```", README, re.DOTALL)
    assert commands == [
        'pip install -e ".[bench]" && python -m benchmarks run',
        'pip install -e ".[test]" && python -m pytest',
    ]


@pytest.mark.parametrize("results", ["adbench", "embeddings"])
@pytest.mark.parametrize("protocol", ["one-class", "unsupervised"])
def test_tables_are_those_of_the_records(results, protocol):
    records = RecordsFile(ROOT / "benchmarks" / "results" / results / "records.jsonl").read()
    assert report.summary(records)[protocol].to_markdown(floatfmt=".2f") in README


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
