"""Pictures of what detectors learned."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.metrics import roc_auc_score

from benchmarks import data, protocols
from benchmarks.__main__ import main
from benchmarks.detectors import DetectorSpec
from benchmarks.experiments import Experiment, Picture
from benchmarks.reporting import kinds, pictures
from benchmarks.reporting.kinds import KINDS
from benchmarks.running.cell import run_cell
from benchmarks.running.records import Cell
from benchmarks.running.records_file import RecordsFile
from pyod_synth import DHAG, PLAD
from tests.benchmark.records import specs

DIGITS = {"dataset": "digits-3-image", "protocol": "one-class"}
SNEAKERS = Picture("scores", "fashion-mnist-7", "one-class-official", specs("KNN"))
WINE = Picture("scores", "wine", "one-class", specs("KNN"))
SMALL = {"PLAD": {"epoch_num": 1, "hidden_size": 8}, "DHAG": {"epoch_num": 1, "latent_size": 4, "n_filters": 2}}


@pytest.fixture
def quick_tsne(monkeypatch):
    monkeypatch.setattr(kinds, "TSNE", partial(kinds.TSNE, max_iter=250))


def experiment(*pictures, **changes):
    own = Experiment("own", ["wine"], specs("KNN"), ["one-class"], [0], parameters=SMALL, pictures=list(pictures))
    return replace(own, **changes)


def panels(picture, folder=None, **changes):
    """Draw one picture; return its panels, and the rows that it was drawn from."""
    ((_, cells),) = pictures.plan(experiment(picture, **changes), folder)
    parts = protocols.split(data.load(picture.dataset, folder), picture.protocol, picture.seed)
    figure = KINDS[picture.kind](picture, cells, parts)
    return figure, figure.axes, parts


def test_scores_of_each_group(images_folder):
    picture = replace(SNEAKERS, detectors=specs("KNN:n_neighbors=1", "PLAD"), apart=5)
    figure, (knn, plad), parts = panels(picture, images_folder)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["normal", "class 5", "all other classes"]
    # one nearest neighbour, from its definition
    train, test = (X.reshape(len(X), -1) for X in (parts.X_train, parts.X_test))
    scores = np.linalg.norm(test[:, None] - train, axis=2).min(axis=1)
    for name, rows in [("class 5", [5, 15]), ("all other classes", [*{*range(20)} - {5, 7, 15, 17}])]:
        values = np.r_[scores[[7, 17]], scores[rows]]
        expected = roc_auc_score(np.arange(len(values)) >= 2, values)
        assert f"{name}: AUROC {expected:.3f}" in knn.get_title()
    for panel, name in [(knn, "KNN\nn_neighbors=1"), (plad, "PLAD")]:
        assert panel.get_title().startswith(f"{name}\nclass 5")
        assert len(panel.patches) == 3 * 2  # filled, and its outline
        low, high = panel.get_xlim()
        assert low < high
    inside = (scores >= np.quantile(scores, 0.005)) & (scores <= np.quantile(scores, 0.995))
    assert inside.sum() == 18
    heights = knn.patches[1].get_xy()[:, 1]  # of the normal rows, 2, each half of its group
    assert set(np.unique(heights)) <= {0, 50, 100}


def test_representations_of_plad_and_of_a_detector_that_perturbs_nothing(quick_tsne, monkeypatch):
    monkeypatch.setattr(kinds, "_SHOWN", 20)
    picture = Picture("representations", **DIGITS, detectors=specs("PLAD", "NCAE:epoch_num=1"))
    figure, (plad, ncae), parts = panels(picture)
    shown = {"training rows": 20, "normal test rows": 20, "anomalous test rows": 20}
    assert (parts.y_test == 1).sum() == 20
    for panel, expected in [(plad, shown | {"perturbed": 20}), (ncae, shown)]:
        assert [len(points.get_offsets()) for points in panel.collections[::2]] == list(expected.values())
        assert panel.get_legend_handles_labels()[1] == list(expected)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [*shown, "perturbed"]


@pytest.mark.parametrize("space", ["latent", "input"])
def test_representations_of_each_perturbator(quick_tsne, space):
    label = f"DHAG:space={space}:n_perturbators=3:n_augmented=128"
    _, (panel,), parts = panels(Picture("representations", **DIGITS, detectors=specs(label)))
    assert (len(parts.X_train), len(parts.X_test)) == (91, 92 + 20)
    assert sorted(panel.get_legend_handles_labels()[1][3:]) == ["perturbed", "perturbed, called normal"]
    # of the rows of each of three perturbators, a quarter counts as normal; empty ones are for the legend
    points = [len(group.get_offsets()) for group in panel.collections]
    assert points[:6] == [91, 0, 92, 0, 20, 0]
    assert sorted([points[6:10], points[10:]]) == [[23, 23, 23, 0], [68, 68, 68, 0]]


def test_images_before_and_after():
    detectors = specs("DHAG:space=input:n_perturbators=2", "PLAD")
    _, axes, parts = panels(Picture("perturbed", **DIGITS, detectors=detectors, seed=1))
    images = np.array([np.asarray(axis.get_images()[0].get_array()) for axis in axes]).reshape(4, 8, 8, 8)
    before = parts.X_train[np.random.default_rng(1).permutation(len(parts.X_train))[:8]]
    dhag = DHAG(space="input", n_perturbators=2, random_state=1, **SMALL["DHAG"]).fit(parts.X_train)
    plad = PLAD(random_state=1, **SMALL["PLAD"]).fit(parts.X_train)
    expected = np.stack([before, *dhag.perturb(before).swapaxes(0, 1), plad.invent(before)])[:, :, 0]
    low, high = np.sort(expected.ravel())[[int(0.005 * expected.size), -int(0.005 * expected.size) - 1]]
    np.testing.assert_allclose(images, np.clip((expected - low) / (high - low), 0, 1), atol=0.05)
    assert np.abs(images[1:] - images[0]).mean(axis=(1, 2, 3)).min() > 1e-3
    change = np.abs(plad.invent(before) - before).mean()
    assert axes[24].get_ylabel() == f"PLAD\nmean change {change:.3f}"


def test_drawn_once(tmp_path, monkeypatch):
    scores = replace(WINE, detectors=specs("KNN", "ECOD"))
    own = experiment(scores, replace(WINE, detectors=specs("OCSVM"), seed=2))
    paths = pictures.draw(pictures.plan(own), tmp_path)
    assert paths == [tmp_path / "pictures" / f"{number}-scores-wine.png" for number in (1, 2)]
    assert sorted(tmp_path.rglob("*.*")) == paths
    before = [path.read_bytes() for path in paths]
    assert imread(paths[0]).std() > 0.05
    fitted, fit = [], kinds._fit
    monkeypatch.setattr(kinds, "_fit", lambda cell, parts: fitted.append(cell.detector.name) or fit(cell, parts))
    assert pictures.draw(pictures.plan(own), tmp_path) == paths
    assert fitted == []
    assert [path.read_bytes() for path in paths] == before
    # other parameters, another picture; the other one stays
    pictures.draw(pictures.plan(replace(own, parameters={"KNN": {"n_neighbors": 2}})), tmp_path)
    assert fitted == ["KNN", "ECOD"]
    assert [path.read_bytes() != old for path, old in zip(paths, before, strict=True)] == [True, False]


def test_detectors_are_those_of_the_cells(images_folder):
    own = experiment(
        SNEAKERS,
        datasets=["fashion-mnist"],
        special={"fashion-mnist-7": {"KNN": {"n_neighbors": 2}}},
        max_rows=40,
        oracle_epoch=True,
    )
    ((picture, (cell,)),) = pictures.plan(own, images_folder)
    assert picture == SNEAKERS
    detector = DetectorSpec("KNN", {"n_neighbors": 2})
    assert cell == Cell("fashion-mnist-7", "one-class-official", detector, 0, 40)
    assert cell.oracle_metric is None


def test_scores_are_those_of_the_cells():
    # a rival that draws from the global generators in fit and in scoring
    picture = replace(WINE, detectors=specs("VAE:epoch_num=1"))
    _, (panel,), _ = panels(picture)
    ((_, (cell,)),) = pictures.plan(experiment(picture))
    assert panel.get_title().endswith(f"AUROC {run_cell(cell).figures['auroc']:.3f}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "histogram"}, "kind of a picture must be one of scores, representations, perturbed, got 'histogram'"),
        ({"dataset": "nothing"}, "unknown data set"),
        ({"dataset": "fashion-mnist"}, "one data set, got the group 'fashion-mnist'"),
        ({"protocol": "nothing"}, "unknown protocol"),
        ({"detectors": specs("nothing")}, "unknown detector"),
        ({"detectors": specs("DevNet")}, "DevNet needs labels"),
        ({"apart": 7}, r"anomalous classes of fashion-mnist-7: \[0, 1, 2, 3, 4, 5, 6, 8, 9\]; got 7"),
        ({"dataset": "wine", "apart": 1}, r"anomalous classes of wine: \[\]; got 1"),
        ({"kind": "representations", "apart": 5}, "apart is for pictures of kind 'scores'"),
        ({"kind": "representations", "detectors": specs("KNN")}, "take detectors that embed rows, got KNN"),
        ({"kind": "perturbed", "detectors": specs("NCAE")}, "take detectors that perturb rows, got NCAE"),
        ({"kind": "perturbed", "detectors": specs("DHAG")}, "take detectors that perturb rows, got DHAG"),
        ({"kind": "perturbed", "detectors": specs("PLAD"), "dataset": "wine"}, "need images, got wine, a table"),
    ],
)
def test_wrong_pictures(images_folder, change, message):
    with pytest.raises(ValueError, match=message):
        pictures.plan(experiment(replace(SNEAKERS, **change)), images_folder)


def test_command_line(tmp_path, capsys):
    own, out = tmp_path / "own.toml", tmp_path / "out"
    text = 'datasets = ["wine"]\ndetectors = ["KNN"]\nprotocols = ["one-class"]\nseeds = [0]\n[[pictures]]\n'
    own.write_text(text + 'kind = "scores"\ndataset = "wine"\nprotocol = "one-class"\ndetectors = ["KNN"]\n')
    assert main(["run", str(own), "--out", str(out), "--jobs", "1"]) == 0
    assert (out / "pictures" / "1-scores-wine.png").stat().st_size > 10_000
    (record,) = RecordsFile(out / "records.jsonl").read()
    assert record.status == "ok"
    own.write_text(text + 'kind = "scores"\n')
    assert main(["run", str(own), "--out", str(tmp_path / "other"), "--jobs", "1"]) == 2
    assert "missing 3 required positional arguments: 'dataset', 'protocol', and 'detectors'" in capsys.readouterr().err
    own.write_text(text + 'kind = "scores"\ncolour = "red"\n')
    assert main(["run", str(own), "--out", str(tmp_path / "other"), "--jobs", "1"]) == 2
    assert "unexpected keyword argument 'colour'" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
