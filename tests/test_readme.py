"""The README's code runs, its commands exist, and its figures are those of the records."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import experiments
from benchmarks.reporting import markdown, published, report, tables
from benchmarks.reporting.frame import to_frame
from benchmarks.running.records_file import RecordsFile

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text()
FOLDER = ROOT / "benchmarks" / "results"


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of the packages that it plugs into
def test_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(code, names)
    assert names["labels"].tolist()[5:] == [1] * 5
    assert names["perturbed"].shape == names["X_new"].shape
    assert (tmp_path / "clf.joblib").exists()


def test_commands():
    without_code = re.sub(r"```python\n.*?```", "", README, flags=re.DOTALL)
    commands = re.findall(r"```\n(.*?)\n```", without_code, re.DOTALL)
    assert commands == [
        'pip install -e ".[bench]" && python -m benchmarks run',
        'pip install -e ".[test]" && python -m pytest',
    ]


def experiment_of(results):
    return experiments.load(json.loads((FOLDER / results / "experiment.json").read_text())["experiment"])


def frame_of(results):
    return to_frame(RecordsFile(FOLDER / results / "records.jsonl").read(), experiment_of(results))


@pytest.mark.parametrize(("page", "results"), [(README, "adbench"), (RESULTS, "embeddings"), (RESULTS, "published")])
@pytest.mark.parametrize("protocol", ["one-class", "unsupervised"])
def test_tables_are_those_of_the_records(page, results, protocol):
    table = tables.summary(frame_of(results))[protocol]
    assert markdown.table(markdown.summary(table, "auroc")) in page


def test_fashion_mnist_is_that_of_the_records():
    texts = markdown.details(tables.outcomes(frame_of("fashion_mnist"), "auroc"))["one-class-official"]
    assert markdown.table(texts) in RESULTS


@pytest.mark.parametrize(("results", "metric"), [("dhag_table3", "f1"), ("anorand_table2", "auprc")])
def test_figures_beside_published_ones_are_those_of_the_records(results, metric):
    for texts in markdown.details(tables.outcomes(frame_of(results), metric)).values():
        for figure in texts.to_numpy().ravel():
            assert f"| {figure} |" in RESULTS


@pytest.mark.parametrize("results", ["plad_table5", "dhag_table2", "dhag_table2_kdd"])
def test_published_figures_stand_beside_those_of_the_records(results):
    own = experiment_of(results)
    for table in published.beside(frame_of(results), own).values():
        assert len(table) >= 10
        assert markdown.table(markdown.beside(table, own.metric), left=["detector"]) in RESULTS


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "benchmarks" / "RESULTS.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("folder", sorted(FOLDER.iterdir()), ids=lambda folder: folder.name)
def test_reports_are_those_of_the_records(folder):
    made_by = json.loads((folder / "experiment.json").read_text())
    pictures, runs = report.pictures(folder), made_by.get("runs")
    own = experiment_of(folder.name)
    text = report.compose(frame_of(folder.name), own, made_by["command"], pictures, runs)
    assert (folder / "report.md").read_text() == text
