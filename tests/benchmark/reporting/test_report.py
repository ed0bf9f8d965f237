"""The report of a run: markdown and page."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from benchmarks import experiments
from benchmarks.__main__ import main
from benchmarks.experiments import Experiment
from benchmarks.reporting import report
from benchmarks.reporting.frame import to_frame
from benchmarks.running.records_file import RecordsFile
from tests.benchmark.records import record, specs, table

SKILL = {"PLAD": 0.9, "KNN": 0.8, "DHAG:n_augmented=0": 0.7, "DHAG:n_augmented=30": 0.6}
LABELS = ["PLAD", "KNN", "DHAG(n_augmented=0)", "DHAG(n_augmented=30)"]
OWN = Experiment("grid", [], specs(*SKILL), [], [], title="A title")


def runs(n_datasets):
    """Four detectors with three seeds."""
    rng = np.random.default_rng(0)
    return table(
        {
            f"mnist-{number}": {name: skill + rng.normal(0, 0.01, 3) for name, skill in SKILL.items()}
            for number in range(n_datasets)
        }
    )


def compose(records, own=OWN, **options):
    return report.compose(to_frame(records, own), own, "the command", **options)


def section(text, title):
    """What stands under a heading, down to the next of the same depth."""
    return re.search(rf"^(#+) {re.escape(title)}.*?\n(.*?)(?=^\1 |\Z)", text, re.DOTALL | re.MULTILINE)[2]


def rows(text):
    """The cells of a table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def test_markdown():
    records = [*runs(2), record("mnist-2", "KNN", 0, None, "failed", reason="ValueError: a|b\n<c> __init__")]
    records.append(record("mnist-1", "ICL", 0, None, "skipped", reason="not installed"))
    text = compose(records)
    assert text.startswith("# A title\n\nMade by `the command`. Seeds 0, 1, 2; x 1.\n")
    protocol = section(text, "one-class, 2 of 3 data sets")
    assert [row[0] for row in rows(protocol)] == LABELS
    best, second = rows(protocol)[:2]
    assert all(cell.startswith("**") for cell in best[1:6])
    assert not any(cell.startswith("**") for cell in second)
    assert "Left out, since not every run succeeded there: mnist-2 (KNN failed)." in protocol
    assert "Not compared, since skipped here: ICL" in protocol
    assert rows(section(text, "Failed")) == [
        ["one-class", "KNN", "mnist-2", "0", r"ValueError: a\|b &lt;c> \_\_init\_\_"]
    ]
    assert rows(section(text, "Skipped")) == [["one-class", "ICL", "mnist-1", "0", "not installed"]]
    details = rows(section(text, "AUROC, one-class"))
    assert details[0][1].startswith("**0.9")
    assert details[2][1:] == ["", "failed", "", "", ""]
    assert compose(records) == text
    for absent in ("published", "--fast", "Not complete", "oracle", "t-test"):
        assert absent not in text


def test_order_is_that_of_the_settings():
    own = Experiment("grid", ["kdd"], specs("LOF", "KNN"), ["unsupervised", "one-class"], [0, 1])
    figures = {"KNN": [0.5, 0.6], "LOF": [0.5, 0.7], "ECOD": [0.5, 0.7]}
    datasets = {"10_b": figures, "2_a": figures, "kdd": figures}
    records = [*table(datasets), *table(datasets, protocol="unsupervised")]
    text = compose(records, own)
    assert text.index("## unsupervised") < text.index("## one-class")
    details = section(text, "AUROC, one-class")
    assert re.search(r"\| dataset +\| +LOF \| +KNN \| +ECOD \|", details)
    assert [row[0] for row in rows(details)] == ["kdd", "2_a", "10_b"]
    shuffled = [records[i] for i in np.random.default_rng(0).permutation(len(records))]
    assert compose(shuffled, own) == text


def test_published():
    published = pd.DataFrame(
        [("mnist", "one-class", "PLAD", 0.95, 0.01), ("mnist", "one-class", "HRN", 0.8, np.nan)],
        columns=["dataset", "protocol", "detector", "mean", "std"],
    )
    own = Experiment("paper", [], [], [], [], published=published, differs="Ten epochs instead of 100.")
    text = section(compose(runs(2), own), "Beside the published figures")
    assert text.strip().startswith("Ten epochs instead of 100.")
    (measured, plad, hrn) = rows(text)[0], *rows(text)[-2:]
    assert measured[:2] + measured[3:4] == ["mnist, mean over 2", "PLAD", "0.950 ± 0.010"]
    assert float(measured[4]) == pytest.approx(float(measured[2].split()[0]) - 0.95, abs=1e-9)
    assert (plad, hrn) == (["PLAD", "**0.950 ± 0.010**"], ["HRN", "0.800"])


def test_t_test():
    own = Experiment("paper", [], [], [], [], t_test="PLAD")
    found = rows(section(compose(runs(2), own), "PLAD against each other detector"))
    assert [row[0] for row in found] == ["mnist-0", "mnist-1"]
    assert all(re.fullmatch(r"\*\*[\d.e-]+\*\* ↑", cell) for row in found for cell in row[1:])


def test_t_test_needs_two_seeds():
    own = Experiment("paper", [], [], [], [], t_test="PLAD")
    assert "t-test" not in compose(table({"a": {"PLAD": [0.5], "KNN": [0.6]}}), own)


def test_all_versions_are_named_where_a_run_went_on_with_others():
    old, new = {"pyod": "3.6.6", "torch": "2.4", "xgboost": None}, {"pyod": "3.6.7", "torch": "2.4", "lightgbm": "4"}
    records = [replace(one, versions=old if one.cell.seed else new) for one in runs(1)]
    assert "Seeds 0, 1, 2; pyod 3.6.7 and 3.6.6, torch 2.4, lightgbm 4." in compose(records)


def test_small_version_says_so():
    small = {"datasets": ["mnist-0"], "epoch_num": 2, "detectors": specs("PLAD:lam=1")}
    full = Experiment("paper", ["mnist"], specs("PLAD", "KNN"), ["one-class"], [0, 1], fast=small)
    text = compose(runs(1), full.shrink())
    assert "not to be quoted" in text.split("Made by")[0]
    assert rows(text)[:3] == [
        ["datasets", "mnist", "mnist-0"],
        ["epoch_num", "none", "2"],
        ["detectors", "PLAD, KNN", "PLAD(lam=1)"],
    ]


def test_run_that_is_not_complete_says_so():
    text = compose(runs(2)[:-1], runs=24)
    assert "Not complete: 23 of 24 records" in text.split("Made by")[0]
    assert "one-class, 1 of 2 data sets" in text
    assert "Not complete" not in compose(runs(2), runs=24)


def test_oracle_epoch_is_explained():
    best = {"epoch": 3, "auroc": 0.99, "auprc": 0.9, "f1": 0.9}
    text = compose([record("a", "PLAD", 0, 0.5, oracle_epoch=best)])
    assert "The column oracle-epoch AUROC alone is of the epoch that is best by the labels" in text
    assert "0.990" in text


def test_diagrams_need_detectors_and_data_sets():
    assert {"auroc.png", "sweep-DHAG-n_augmented.png"} == set(report.drawings(to_frame(runs(4)), "auroc"))
    few = [r for r in runs(9) if r.cell.detector.name in ("PLAD", "KNN")]
    assert "critical_difference.png" not in report.drawings(to_frame(few), "auroc")
    assert "## Ranks" not in compose(few)
    assert {"f1.png", "ranks.png", "critical_difference.png"} <= set(report.drawings(to_frame(runs(5)), "f1"))
    ranks = section(compose(runs(5)), "Ranks")
    assert rows(ranks)[0][:3] == ["one-class", "5", "4"]


def test_figures_have_the_order_of_the_tables():
    frame = to_frame(runs(5))
    listed = [row[0] for row in rows(section(compose(runs(5)), "one-class, 5 of 5 data sets"))]
    for name in ("auroc.png", "ranks.png", "critical_difference.png"):
        (table,) = report.drawings(frame, "auroc")[name].args[0].values()
        assert list(table) == listed


def test_a_test_of_ranks_is_said_in_words():
    (row,) = rows(section(compose(runs(5)), "Ranks"))
    assert float(row[3]) < 0.05
    assert row[4] == "differ"
    alike = table({str(d): {name: [0.5 + (d + n) % 3 / 10] for n, name in enumerate("ABC")} for d in range(6)})
    (row,) = rows(section(compose(alike), "Ranks"))
    assert row[3:5] == ["1.000", "may all be alike"]


class Page(HTMLParser):
    """Collects what a page refers to, and its headings."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.links, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.append(attributes.get("id"))
        self.links.append(attributes.get("href"))
        assert tag not in ("script", "link", "iframe")
        if tag == "img":
            self.pictures.append(attributes["src"])
        else:
            assert "src" not in attributes


def test_write(tmp_path):
    (tmp_path / "pictures").mkdir()
    figure = plt.figure(figsize=(1, 1))
    figure.savefig(tmp_path / "pictures" / "latent space-of-DHAG.png")
    plt.close(figure)
    written = report.write(to_frame(runs(5), OWN), tmp_path, OWN, "the command")
    names = ["report.md", "report.html", "auroc.png", "ranks.png", "critical_difference.png"]
    assert [path.name for path in written] == [*names, "sweep-DHAG-n_augmented.png"]
    text = (tmp_path / "report.md").read_text()
    assert "### latent space of DHAG" in text
    shown = [name.replace("%20", " ") for name in re.findall(r"!\[.*?\]\((.*?)\)", text)]
    assert set(shown) == {*[path.name for path in written[2:]], "pictures/latent space-of-DHAG.png"}
    assert all((tmp_path / name).exists() for name in shown)
    html = (tmp_path / "report.html").read_text()
    page = Page(html)
    assert len(page.pictures) == len(shown)
    assert all(picture.startswith("data:image/png;base64,") for picture in page.pictures)
    links = [link for link in page.links if link]
    assert all(link.startswith("#") and link[1:] in page.ids for link in links)  # the table of contents leads somewhere
    assert len(links) > 5
    assert "url(" not in html
    assert "@import" not in html
    assert "<strong>0." in html
    assert "**" not in html


def test_nothing_succeeded(tmp_path):
    records = [record("a", "PLAD", 0, None, "failed", reason="broken"), record("a", "KNN", 0, None, "skipped")]
    assert [path.name for path in report.write(to_frame(records, OWN), tmp_path, OWN, "c")] == [
        "report.md",
        "report.html",
    ]
    text = (tmp_path / "report.md").read_text()
    assert "## one-class, 0 of 1 data sets" in text
    assert "broken" in text
    only_skips = records[1:]
    assert "0 of 1 data sets" in compose(only_skips)


def test_command_line(tmp_path, capsys):
    file = RecordsFile(tmp_path / "records.jsonl")
    file.append(first := record("wine", "KNN", 0, 0.1))
    assert main(["report", str(tmp_path)]) == 2
    assert "experiment.json" in capsys.readouterr().err
    made_by = {"command": "the command", "experiment": "quick", "fast": False, "runs": 3}
    (tmp_path / "experiment.json").write_text(json.dumps(made_by))
    # the same run on fewer rows: the last one counts
    file.append(replace(record("wine", "KNN", 0, 0.7), cell=replace(first.cell, max_rows=100)))
    file.append(record("wine", "ICL", 0, None, "skipped", reason="not installed"))
    assert main(["report", str(tmp_path)]) == 0
    assert "skipped: one-class, ICL, all: not installed" in capsys.readouterr().out
    text = (tmp_path / "report.md").read_text()
    assert "Not complete: 2 of 3 records" in text
    assert rows(section(text, "one-class, 1 of 1 data sets"))[0][:2] == ["KNN", "0.700"]


def test_t_test_is_of_a_detector(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('datasets = []\ndetectors = ["KNN"]\nprotocols = []\nseeds = []\nt_test = "PLAD"\n')
    with pytest.raises(ValueError, match="t_test must be one of detectors"):
        experiments.load(str(own))
