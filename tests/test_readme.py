"""The code of the README and of the docs runs, the commands exist, and figures are those of the records."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import experiments
from benchmarks.reporting import markdown, published, report, tables
from benchmarks.reporting.frame import to_frame
from benchmarks.running import extensions
from benchmarks.running.records_file import RecordsFile

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
INTEGRATIONS = (ROOT / "docs" / "integrations.md").read_text()
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text()
FOLDER = ROOT / "benchmarks" / "results"


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of the packages that it plugs into
def test_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_code(README)["labels"].tolist()[5:] == [1] * 5
    run_code(INTEGRATIONS)
    assert (tmp_path / "clf.joblib").exists()


def run_code(page):
    """Run the Python of a page, and give the names that it sets."""
    names = {}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, names)
    return names


def test_readme_is_short():
    assert len(README.splitlines()) <= 120


def test_commands():
    without_code = re.sub(r"```python\n.*?```", "", README, flags=re.DOTALL)
    commands = re.findall(r"```\n(.*?)\n```", without_code, re.DOTALL)
    assert commands == [
        'pip install -e ".[bench]" && python -m benchmarks run',
        'pip install -e ".[test]" && python -m pytest -n 2',
    ]


def experiment_of(results):
    experiment = experiments.load(json.loads((FOLDER / results / "experiment.json").read_text())["experiment"])
    for extension in experiment.extensions:
        extensions.load(extension)
    return experiment


def frame_of(results):
    return to_frame(RecordsFile(FOLDER / results / "records.jsonl").read(), experiment_of(results))


def check_stands(table, results):
    """Check that a table stands in the results once, after the command that made it and before any other."""
    assert RESULTS.count(table) == 1
    commands = re.findall(r"`(python -m benchmarks run[^`]*)`", RESULTS[: RESULTS.index(table)])
    made_by = json.loads((FOLDER / results / "experiment.json").read_text())["command"]
    assert commands[-1].replace("\n", " ") == made_by


@pytest.mark.parametrize(
    ("results", "protocol"),
    [
        *((results, protocol) for results in ("adbench", "embeddings") for protocol in ("one-class", "unsupervised")),
        ("plad_table8", "one-class"),
        ("anorand_figure7", "unsupervised"),
        ("anorand_figure8", "unsupervised"),
    ],
)
def test_tables_are_those_of_the_records(results, protocol):
    own = experiment_of(results)
    table = tables.summary(frame_of(results), own.metric)[protocol]
    check_stands(markdown.table(markdown.summary(table, own.metric)), results)


def main_table(frame):
    """AUROC / AUPRC and mean rank by AUROC of each detector in each protocol."""
    columns = {}
    for protocol, table in tables.summary(frame).items():
        columns[protocol] = table["auroc"].map("{:.3f}".format) + " / " + table["auprc"].map("{:.3f}".format)
        columns[f"rank, {protocol}"] = table["rank_auroc"].map("{:.2f}".format)
    return pd.DataFrame(columns).sort_values("one-class", ascending=False)


def test_the_main_table_is_that_of_the_records():
    assert markdown.table(main_table(frame_of("adbench"))) in README


@pytest.mark.parametrize("results", ["fashion_mnist", "cifar10", "plad_table3", "dhag_table2", "dhag_table3"])
def test_details_are_those_of_the_records(results):
    for texts in markdown.details(tables.outcomes(frame_of(results), experiment_of(results).metric)).values():
        check_stands(markdown.table(texts), results)


@pytest.mark.parametrize("detector", ["PLAD", "DHAG", "AnoRand", "NoveltyNormalization", "NCAE"])
def test_papers_on_fashion_mnist_are_those_of_the_records(detector):
    runs = frame_of("fashion_mnist").query("detector == @detector")
    assert len(runs) == 20
    means = " | ".join(f"{figure:.3f}".removeprefix("0") for figure in runs[["auroc", "oracle_auroc"]].mean())
    assert re.search(rf"\| {detector} +\| +\d+ \| {re.escape(means)} \|", RESULTS)


# ADBench's number of a table: every other one was to choose on, the rest to confirm
TO_CHOOSE_ON = {1, 6, 8, 11, 16, 19, 22, 24, 27, 31, 34, 38, 41, 43, 46}


def halves(frame):
    """AUROC / AUPRC of each detector on the tables to choose on, and on those to confirm."""
    chosen = frame["dataset"].str.split("_").str[0].astype(int).isin(TO_CHOOSE_ON).map({True: "15", False: "14"})
    means = frame.assign(half=chosen).groupby(["detector", "protocol", "half"], sort=False)[["auroc", "auprc"]].mean()
    texts = means.map("{:.3f}".format).agg(" / ".join, axis=1).unstack(["protocol", "half"])
    order = [(protocol, half) for protocol in ("one-class", "unsupervised") for half in ("15", "14")]
    return texts[order].rename(columns=" ".join).set_axis([f"{a}, {b}" for a, b in order], axis=1)


def protocols(frame):
    """AUROC / AUPRC of each detector in each protocol."""
    means = frame.groupby(["detector", "protocol"], sort=False)[["auroc", "auprc"]].mean()
    texts = means.map("{:.3f}".format).agg(" / ".join, axis=1).unstack("protocol")
    return texts[["one-class", "unsupervised"]].rename_axis(columns=None)


def shares(frame):
    """AUROC / AUPRC of each detector, by the share of the anomalies that are known."""
    means = frame.groupby(["detector", "protocol"], sort=False)[["auroc", "auprc"]].mean()
    texts = means.map("{:.3f}".format).agg(" / ".join, axis=1).unstack("protocol")
    return texts.rename(columns=lambda protocol: f"{float(protocol.split(':')[1]):.0%}")[["1%", "5%", "10%", "25%"]]


def contaminated(frame):
    """AUROC of each detector, by the share of anomalies among the training images."""
    means = frame.groupby(["detector", "protocol"], sort=False)["auroc"].mean().map("{:.3f}".format).unstack("protocol")
    return means.rename(columns=lambda protocol: f"{float(protocol.split(':')[1]):.0%}").fillna("")


def images(frame):
    """AUROC of each detector, by the source of the images and the share of anomalies among those that train."""
    sources = frame["dataset"].str.replace(r"-test-\d$", "", regex=True)
    shares = frame["protocol"].map({"one-class": "0%", "contaminated:0.1": "10%"})
    means = frame.groupby(["detector", sources + ", " + shares], sort=False)["auroc"].mean().map("{:.3f}".format)
    order = [f"{source}, {share}" for source in ("cifar10", "fashion-mnist", "mnist") for share in ("0%", "10%")]
    return means.unstack()[order].rename_axis(columns=None)


def epochs(frame):
    """AUROC / AUPRC and seconds of a fit, by the number of epochs, the default one last."""
    number = frame["parameters"].map(lambda parameters: parameters["epoch_num"])
    number = number.where(number <= 30, "default").rename("epochs")
    means = frame.groupby(["algorithm", number], sort=False)[["auroc", "auprc", "fit_seconds"]].mean()
    texts = means["auroc"].map("{:.3f}".format) + " / " + means["auprc"].map("{:.3f}".format)
    return (texts + ", " + means["fit_seconds"].map("{:.1f} s".format)).unstack("epochs").fillna("")


def values(frame):
    """AUROC and AUPRC by the value of a detector's parameter."""
    name, value = frame["detector"].str.extract(r"\((\w+)=(.+)\)").to_numpy().T
    means = frame.groupby(pd.Series(value, frame.index), sort=False)[["auroc", "auprc"]].mean().map("{:.3f}".format)
    return means.rename(columns=str.upper).T.rename_axis(name[0])


@pytest.mark.parametrize(
    ("results", "table"),
    [
        ("anorand_figure3", values),
        ("anorand_figure4", values),
        ("dhag_figure3_k", values),
        ("dhag_figure3_l", values),
        ("epochs", epochs),
        ("mnist", contaminated),
        ("ncae_figure1", contaminated),
        ("gated_knn_images", images),
        ("gated_knn", halves),
        ("gated_knn_embeddings", protocols),
        ("known_anomalies", shares),
        ("known_anomalies_seeds", shares),
        ("gated_knn_labels", shares),
    ],
)
def test_summaries_are_those_of_the_records(results, table):
    check_stands(table(frame_of(results)).to_markdown(), results)


@pytest.mark.parametrize("detector", ["DiscountFrom1", "GatedKNN", "DiscountFrom10", "WithoutDiscount"])
def test_discounts_are_those_of_the_records(detector):
    cells = [
        cell for results in ("gated_knn", "gated_knn_embeddings") for cell in protocols(frame_of(results)).loc[detector]
    ]
    assert len(cells) == 4
    assert " | ".join(cells) in RESULTS


def test_ablation_is_that_of_the_records():
    records = [record for record in RecordsFile(FOLDER / "ablation" / "records.jsonl").read() if record.status == "ok"]
    frame = to_frame([record for record in records if record.cell.max_rows == 10_000])
    assert frame.groupby("detector").size().unique() == [47 * 2 * 3]
    for _, runs in frame.groupby("detector"):
        means = runs.groupby("protocol")[["auroc", "auprc"]].mean().map("{:.3f}".format)
        columns = [" / ".join(means.loc[protocol]) for protocol in ("one-class", "unsupervised")]
        for metric in ("auroc", "auprc"):
            seeds = runs.groupby("seed")[metric].mean()
            columns.append(f"{seeds.mean():.3f} ± {seeds.std(ddof=0):.3f}")
        assert " | ".join(columns) in re.sub(" +", " ", RESULTS)


@pytest.mark.parametrize(
    ("results", "rows"),
    [
        ("plad_table5", 8),
        ("plad_table6", 3),
        ("dhag_table2", 18),
        ("dhag_table2_kdd", 6),
        ("anorand_table2", 49),
        ("anorand_table2_large", 14),
    ],
)
def test_published_figures_stand_beside_those_of_the_records(results, rows):
    own = experiment_of(results)
    for table in published.beside(frame_of(results), own).values():
        assert len(table) == rows
        check_stands(markdown.table(markdown.beside(table, own.metric), left=["detector"]), results)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "benchmarks" / "RESULTS.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


# the ablation was run on forms that are no longer there
REPORTED = sorted(path.parent for path in FOLDER.glob("*/records.jsonl") if path.parent.name != "ablation")


@pytest.mark.parametrize("folder", REPORTED, ids=lambda folder: folder.name)
def test_reports_are_those_of_the_records(folder):
    made_by = json.loads((folder / "experiment.json").read_text())
    pictures, runs = report.pictures(folder), made_by.get("runs")
    own = experiment_of(folder.name)
    text = report.compose(frame_of(folder.name), own, made_by["command"], pictures, runs)
    assert (folder / "report.md").read_text() == text
