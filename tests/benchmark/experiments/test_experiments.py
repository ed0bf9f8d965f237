"""The files of experiments."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import benchmarks
from benchmarks import data, detectors, experiments
from benchmarks.__main__ import main
from benchmarks.detectors import DetectorSpec
from benchmarks.experiments import Experiment
from benchmarks.running.grid import grid
from benchmarks.running.records import Cell
from benchmarks.running.records_file import RecordsFile
from tests.benchmark.records import specs

PAPERS = [name for name in experiments.names() if name.startswith("papers/")]
# without the ablation, which was run on forms that are no longer there
FOLDER = Path(benchmarks.__file__).parent / "results"
RESULTS = sorted(path.parent for path in FOLDER.glob("*/records.jsonl") if path.parent.name != "ablation")


# What the experiments name and a data folder may lack: the rest of ADBench, what takes more of CIFAR-10's training
# images than three classes, and sequences.
OFTEN_ABSENT = {
    *("5_campaign", "9_census", "12_fault", "13_fraud", "20_letter", "44_Wilt"),
    *("amazon", "imdb", *(f"agnews_{number}" for number in range(4))),
    *(f"{group}_{number}" for group in ("CIFAR10", "FashionMNIST", "SVHN") for number in range(10)),
    *("cifar10-all", "cifar10-2+3+5", "japanese-vowels"),
    *(f"japanese-vowels-{speaker}" for speaker in range(1, 10)),
}


def test_files_name_what_exists(tmp_path):
    assert {"quick", "adbench"} <= set(experiments.names())
    quick = experiments.load("quick")
    assert len(grid(quick)) == 6 * 11 * 2 * 3
    own = tmp_path / "own.toml"
    own.write_text(
        'datasets = ["wine"]\ndetectors = ["PLAD"]\nprotocols = ["one-class"]\nseeds = [3]\n'
        "[parameters.PLAD]\nlam = 2.0\n"
    )
    (cell,) = grid(experiments.load(str(own)))
    assert cell == Cell("wine", "one-class", DetectorSpec("PLAD", {"lam": 2.0}), 3)
    with pytest.raises(ValueError, match="no experiment 'nothing'"):
        experiments.load("nothing")
    own.write_text("datasets = []\ncolour = 1")
    with pytest.raises(ValueError, match="colour"):
        experiments.load(str(own))


@pytest.mark.parametrize("name", experiments.names())
def test_files_make_a_grid(name):
    whole = experiments.load(name)
    for own in (whole, whole.shrink()):
        # their data sets need a folder
        cells = grid(replace(own, datasets=["wine"]))
        assert len(cells) == len(own.detectors) * len(own.protocols) * len(own.seeds) > 0
        assert len(set(cells)) == len(cells)


@pytest.mark.needs_data
@pytest.mark.parametrize("name", experiments.names())
def test_data_of_files_is_there(name, data_folder):
    whole = experiments.load(name)
    absent = {entry for entry in whole.datasets if not is_there(entry, data_folder)}
    assert absent <= OFTEN_ABSENT
    present = [entry for entry in whole.datasets if entry not in absent]
    if present:
        assert grid(whole.shrink(), data_folder)
        assert grid(replace(whole, datasets=present), data_folder)
    if absent:
        pytest.skip(f"the data folder has no {', '.join(sorted(absent))}")


def is_there(dataset, folder):
    try:
        return bool(data.expand([dataset], folder))
    except ValueError:
        return False


@pytest.mark.parametrize("name", PAPERS)
def test_papers_have_a_small_version_and_say_how_they_differ(name):
    whole = experiments.load(name)
    small = whole.shrink()
    assert whole.title
    assert len(whole.differs) > 100
    sizes = [len(own.datasets) * len(own.detectors) * len(own.protocols) * len(own.seeds) for own in (whole, small)]
    assert sizes[1] < sizes[0] or small.max_rows is not None
    assert sizes[1] <= 36
    assert small.epoch_num is not None
    assert {(detector, detector.label) for detector in small.detectors} <= {
        (detector, detector.label) for detector in whole.detectors
    }
    assert set(small.protocols) <= set(whole.protocols)


@pytest.mark.parametrize("name", PAPERS)
def test_pictures_are_of_the_experiment(name):
    own = experiments.load(name)
    for picture in own.pictures:
        assert picture.dataset in own.datasets
        assert picture.protocol in own.protocols
        assert set(picture.detectors) <= set(own.detectors)


@pytest.mark.needs_data
@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_committed_records_are_cells_of_their_settings(folder, data_folder):
    records = RecordsFile(folder / "records.jsonl").read()
    own = experiments.load(json.loads((folder / "experiment.json").read_text())["experiment"])
    names = list(dict.fromkeys(record.cell.dataset for record in records))
    absent = {name for name in names if not is_there(name, data_folder)}
    assert absent <= OFTEN_ABSENT
    if absent:
        pytest.skip(f"the data folder has no {', '.join(sorted(absent))}")
    cells = grid(replace(own, datasets=names), data_folder)
    assert {record.cell for record in records} <= set(cells)


def test_parameters(folder):
    experiment = Experiment(
        "grid",
        ["Classical", "wine"],
        specs("KNN", "KNN:n_neighbors=3", "AnoRand"),
        ["one-class"],
        [0],
        epoch_num=2,
        parameters={"KNN": {"n_neighbors": 9, "method": "mean"}, "AnoRand": {"epoch_num": 5}},
        special={"10_far": {"KNN": {"method": "largest"}, "AnoRand": {"epoch_num": 1}}, "wine": {"KNN": {"p": 1}}},
    )
    cells = grid(experiment, folder)
    found = {(cell.dataset, cell.detector.label): cell.detector.parameters for cell in cells}
    assert found["10_far", "KNN"] == {"n_neighbors": 9, "method": "largest"}
    assert found["10_far", "KNN(n_neighbors=3)"] == {"n_neighbors": 3, "method": "largest"}
    assert found["2_near", "KNN"] == {"n_neighbors": 9, "method": "mean"}
    assert found["wine", "KNN"] == {"n_neighbors": 9, "method": "mean", "p": 1}
    assert found["wine", "KNN(n_neighbors=3)"] == {"n_neighbors": 3, "method": "mean", "p": 1}
    assert (found["10_far", "AnoRand"], found["wine", "AnoRand"]) == ({"epoch_num": 1}, {"epoch_num": 2})
    with pytest.raises(ValueError, match="special is by full names of data sets, got 'Classical'"):
        grid(replace(experiment, special={"Classical": {"KNN": {"p": 1}}}), folder)


def test_detectors_of_a_file(tmp_path):
    own = tmp_path / "own.toml"
    head = 'datasets = ["wine"]\nprotocols = ["one-class"]\nseeds = [3]\n'
    table = '{ name = "DHAG", space = "input", n_augmented = 0, label = "variant" }'
    own.write_text(f'{head}detectors = ["KNN:p=1", {{ name = "LOF" }}, {table}]\n[fast]\ndetectors = [{table}]\n')
    experiment = experiments.load(str(own))
    variant = DetectorSpec("DHAG", {"space": "input", "n_augmented": 0})
    assert experiment.detectors == [DetectorSpec("KNN", {"p": 1}), DetectorSpec("LOF"), variant]
    assert [detector.label for detector in experiment.detectors] == ["KNN(p=1)", "LOF", "variant"]
    assert [detector.label for detector in experiment.shrink().detectors] == ["variant"]
    assert [cell.detector.label for cell in grid(experiment)] == ["KNN(p=1)", "LOF", "variant"]
    for wrong, message in [
        ("[{ space = 1 }]", "a detector needs a name"),
        ('["KNN:p"]', "NAME:parameter=value"),
        ('["KNN", { name = "LOF", label = "KNN" }]', "labels of detectors must differ"),
    ]:
        own.write_text(f"{head}detectors = {wrong}\n")
        with pytest.raises(ValueError, match=message):
            experiments.load(str(own))


def test_parameters_of_papers():
    """What the papers say of their parameters is the default."""
    for name, said in {
        "PLAD": {"lam": 3.0, "lr": 1e-3, "epoch_num": 100, "optimizer_name": "adam"},
        "DHAG": {"lr": 5e-3, "perturbator_lr": 1e-5, "batch_size": 512},
        "AnoRand": {"lr": 1e-4, "epoch_num": 200, "batch_size": 128},
        "NoveltyNormalization": {
            "lam1": 0.5,
            "lam2": 1e-5,
            "latent_size": 32,
            "novelty_layers": 2,
            "optimizer_name": "adam",
            "lr_schedule": (30, 60),
        },
        "NCAE": {"sigma": 0.1, "tau": 0.1, "batch_size": 128, "optimizer_name": "adam"},
    }.items():
        defaults = detectors.build(DetectorSpec(name), 0).get_params()
        assert {parameter: defaults[parameter] for parameter in said} == said


@pytest.mark.parametrize("table", [1, 2, 3, 5])
def test_parameters_of_novelty_normalization(table):
    own = replace(experiments.load(f"papers/novelty_normalization_table{table}"), datasets=["wine"])
    (cell,) = (cell for cell in grid(own) if cell.detector.label == "NoveltyNormalization" and cell.seed == 0)
    # section 4.2: MNIST's are the defaults
    assert cell.detector.parameters == ({"latent_size": 64, "novelty_layers": 3} if table in (2, 5) else {})


@pytest.mark.needs_data
@pytest.mark.parametrize("name", ["plad_table5", "plad_perturbators", "dhag_table2"])
def test_lam_of_tables(name, data_folder):
    own = replace(experiments.load(f"papers/{name}"), datasets=["odds-thyroid", "odds-arrhythmia"])
    cells = [cell for cell in grid(own, data_folder) if cell.detector.name == "PLAD"]
    found = {(cell.dataset, cell.detector.parameters.get("lam")) for cell in cells}
    assert found == {("odds-thyroid", None), ("odds-arrhythmia", 2.0)}


def test_fast(tmp_path):
    own = tmp_path / "own.toml"
    text = 'datasets = ["wine"]\ndetectors = ["PLAD"]\nprotocols = ["one-class"]\nseeds = [3, 4]\n'
    own.write_text(text + "[fast]\nseeds = [3]\nepoch_num = 1\n")
    small = experiments.load(str(own)).shrink()
    assert (small.name, small.datasets, small.seeds, small.epoch_num) == ("own-fast", ["wine"], [3], 1)
    own.write_text(text + "[fast]\ncolour = 1\n")
    with pytest.raises(ValueError, match="colour"):
        experiments.load(str(own))


@pytest.mark.needs_data
@pytest.mark.parametrize(("name", "beside"), [("plad_table5", "odds-thyroid"), ("plad_table3", "fashion-mnist-6")])
def test_fast_run(name, beside, data_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", f"papers/{name}", "--fast", "--data", str(data_folder), "--jobs", "2"]) == 0
    out = tmp_path / "results" / f"{name}-fast"
    small, whole = experiments.load(f"papers/{name}").shrink(), experiments.load(f"papers/{name}")
    records = RecordsFile(out / "records.jsonl").read()
    assert {record.status for record in records} == {"ok"}
    assert len(records) == len(grid(small, data_folder)) < len(grid(whole, data_folder))
    text = (out / "report.md").read_text()
    assert "small version" in text
    # measured beside published
    (figure,) = whole.published.query("dataset == @beside and detector == 'PLAD'").itertuples()
    assert re.search(rf"\| {beside} +\| PLAD +\| +0\.\d{{3}}.*\| {figure.mean:.3f} ± {figure.std:.3f} \|", text)
    assert "data:image/png" in (out / "report.html").read_text()
