"""The settings files."""

from dataclasses import replace

import pytest

from benchmarks import runner, settings
from benchmarks.settings import Settings


def test_settings_files_name_what_exists(tmp_path):
    assert {"quick", "adbench"} <= set(settings.names())
    quick = settings.load("quick")
    assert len(runner.grid(quick)) == 6 * 10 * 2 * 3
    own = tmp_path / "own.toml"
    own.write_text(
        'datasets = ["wine"]\ndetectors = ["PLAD"]\nprotocols = ["one-class"]\nseeds = [3]\n'
        "[parameters.PLAD]\nlam = 2.0\n"
    )
    (cell,) = runner.grid(settings.load(str(own)))
    assert (cell["seed"], cell["settings"]) == (3, {"lam": 2.0})
    with pytest.raises(ValueError, match="no settings 'nothing'"):
        settings.load("nothing")
    own.write_text("datasets = []\ncolour = 1")
    with pytest.raises(ValueError, match="colour"):
        settings.load(str(own))


@pytest.mark.parametrize("name", settings.names())
def test_settings_files_make_a_grid(name):
    own = settings.load(name)
    # their data sets need a folder
    cells = runner.grid(replace(own, datasets=["wine"]))
    assert len(cells) == len(own.detectors) * len(own.protocols) * len(own.seeds) > 0


@pytest.mark.needs_data
@pytest.mark.parametrize("name", settings.names())
def test_data_of_settings_files_is_there(name, data_folder):
    assert runner.grid(settings.load(name), data_folder)


def test_parameters(folder):
    grid = Settings(
        "grid",
        ["Classical", "wine"],
        ["KNN", "KNN:n_neighbors=3", "AnoRand"],
        ["one-class"],
        [0],
        epoch_num=2,
        parameters={
            "KNN": {"n_neighbors": 9, "method": "mean"},
            "KNN:n_neighbors=3": {"method": "median"},
            "AnoRand": {"epoch_num": 5},
        },
        special={"Classical": {"KNN": {"method": "largest"}, "AnoRand": {"epoch_num": 1}}, "wine": {"KNN": {"p": 1}}},
    )
    found = {(cell["dataset"], cell["detector"]): cell["settings"] for cell in runner.grid(grid, folder)}
    assert found["10_far", "KNN"] == {"n_neighbors": 9, "method": "largest"}
    assert found["10_far", "KNN:n_neighbors=3"] == {"n_neighbors": 3, "method": "largest"}
    assert found["wine", "KNN"] == {"n_neighbors": 9, "method": "mean", "p": 1}
    assert found["wine", "KNN:n_neighbors=3"] == {"n_neighbors": 3, "method": "median", "p": 1}
    assert (found["2_near", "AnoRand"], found["wine", "AnoRand"]) == ({"epoch_num": 1}, {"epoch_num": 2})


def test_fast(tmp_path):
    own = tmp_path / "own.toml"
    text = 'datasets = ["wine"]\ndetectors = ["PLAD"]\nprotocols = ["one-class"]\nseeds = [3, 4]\n'
    own.write_text(text + "[fast]\nseeds = [3]\nepoch_num = 1\n")
    small = settings.load(str(own)).shrink()
    assert (small.name, small.datasets, small.seeds, small.epoch_num) == ("own-fast", ["wine"], [3], 1)
    own.write_text(text + "[fast]\ncolour = 1\n")
    with pytest.raises(ValueError, match="colour"):
        settings.load(str(own))


def test_published_figures_stand_beside(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('datasets = ["wine"]\ndetectors = ["PLAD"]\nprotocols = ["one-class"]\nseeds = [3]\n')
    assert settings.load(str(own)).published is None
    (tmp_path / "own.csv").write_text("dataset,protocol,detector,mean,std\nwine,one-class,PLAD,0.5,\n")
    (row,) = settings.load(str(own)).published.itertuples()
    assert (row.dataset, row.mean, row.std != row.std) == ("wine", 0.5, True)
