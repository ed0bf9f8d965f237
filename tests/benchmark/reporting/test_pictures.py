"""Pictures of what detectors learned."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.metrics import roc_auc_score

from benchmarks import data, protocols
from benchmarks.__main__ import main
from benchmarks.experiments import Settings
from benchmarks.reporting import pictures
from benchmarks.running.cell import run_cell
from benchmarks.running.records import KEY
from pyod_synth import DHAG, PLAD

DIGITS = {"dataset": "digits-3-image", "protocol": "one-class"}
SMALL = {"PLAD": {"epoch_num": 1, "hidden_size": 8}, "DHAG": {"epoch_num": 1, "latent_size": 4, "n_filters": 2}}


@pytest.fixture
def quick_tsne(monkeypatch):
    monkeypatch.setattr(pictures, "TSNE", partial(pictures.TSNE, max_iter=250))


def settings(*entries, **changes):
    return replace(
        Settings("own", ["wine"], ["KNN"], ["one-class"], [0], parameters=SMALL, pictures=list(entries)), **changes
    )


def panels(entry, folder=None, **changes):
    """Draw one picture; return its panels, and the rows that it was drawn from."""
    own = settings(entry, **changes)
    cells = pictures._cells(entry, own, folder)
    parts = protocols.split(data.load(entry["dataset"], folder), entry["protocol"], entry.get("seed", 0))
    figure = pictures.KINDS[entry["kind"]](entry, cells, parts)
    return figure, figure.axes, parts


def test_scores_of_each_group(images_folder):
    entry = {"kind": "scores", "dataset": "fashion-mnist-7", "protocol": "one-class-official"}
    entry |= {"detectors": ["KNN:n_neighbors=1", "PLAD"], "apart": 5}
    figure, (knn, plad), parts = panels(entry, images_folder)
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
    monkeypatch.setattr(pictures, "_SHOWN", 20)
    entry = DIGITS | {"kind": "representations", "detectors": ["PLAD:classifier=free", "NCAE:epoch_num=1"]}
    figure, (plad, ncae), parts = panels(entry)
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
    _, (panel,), parts = panels(DIGITS | {"kind": "representations", "detectors": [label]})
    assert (len(parts.X_train), len(parts.X_test)) == (91, 92 + 20)
    assert sorted(panel.get_legend_handles_labels()[1][3:]) == ["perturbed", "perturbed, called normal"]
    # of the rows of each of three perturbators, a quarter counts as normal; empty ones are for the legend
    points = [len(group.get_offsets()) for group in panel.collections]
    assert points[:6] == [91, 0, 92, 0, 20, 0]
    assert sorted([points[6:10], points[10:]]) == [[23, 23, 23, 0], [68, 68, 68, 0]]


def test_images_before_and_after():
    entry = DIGITS | {"kind": "perturbed", "detectors": ["DHAG:space=input:n_perturbators=2", "PLAD"], "seed": 1}
    _, axes, parts = panels(entry)
    images = np.array([np.asarray(axis.get_images()[0].get_array()) for axis in axes]).reshape(4, 8, 8, 8)
    before = parts.X_train[np.random.default_rng(1).permutation(len(parts.X_train))[:8]]
    dhag = DHAG(space="input", n_perturbators=2, random_state=1, **SMALL["DHAG"]).fit(parts.X_train)
    plad = PLAD(random_state=1, **SMALL["PLAD"]).fit(parts.X_train)
    expected = np.stack([before, *dhag.perturb(before).swapaxes(0, 1), plad.perturb(before)])[:, :, 0]
    low, high = np.sort(expected.ravel())[[int(0.005 * expected.size), -int(0.005 * expected.size) - 1]]
    np.testing.assert_allclose(images, np.clip((expected - low) / (high - low), 0, 1), atol=0.05)
    assert np.abs(images[1:] - images[0]).mean(axis=(1, 2, 3)).min() > 1e-3
    change = np.abs(plad.perturb(before) - before).mean()
    assert axes[24].get_ylabel() == f"PLAD\nmean change {change:.3f}"


def test_drawn_once(tmp_path, monkeypatch):
    scores = {"kind": "scores", "dataset": "wine", "protocol": "one-class", "detectors": ["KNN", "ECOD"]}
    own = settings(scores, scores | {"detectors": ["OCSVM"], "seed": 2})
    paths = pictures.draw(own, tmp_path)
    assert paths == [tmp_path / "pictures" / f"{number}-scores-wine.png" for number in (1, 2)]
    assert sorted(tmp_path.rglob("*.*")) == paths
    before = [path.read_bytes() for path in paths]
    assert imread(paths[0]).std() > 0.05
    fitted, fit = [], pictures._fit
    monkeypatch.setattr(pictures, "_fit", lambda cell, parts: fitted.append(cell["detector"]) or fit(cell, parts))
    assert pictures.draw(own, tmp_path) == paths
    assert fitted == []
    assert [path.read_bytes() for path in paths] == before
    # other parameters, another picture; the other one stays
    pictures.draw(replace(own, parameters={"KNN": {"n_neighbors": 2}}), tmp_path)
    assert fitted == ["KNN", "ECOD"]
    assert [path.read_bytes() != old for path, old in zip(paths, before, strict=True)] == [True, False]


def test_detectors_are_those_of_the_cells(images_folder):
    entry = {"kind": "scores", "dataset": "fashion-mnist-7", "protocol": "one-class-official", "detectors": ["KNN"]}
    own = settings(
        entry,
        datasets=["fashion-mnist"],
        special={"fashion-mnist": {"KNN": {"n_neighbors": 2}}},
        max_rows=40,
        oracle_epoch=True,
    )
    (cell,) = pictures._cells(entry, own, images_folder)
    assert [cell[part] for part in KEY] == ["fashion-mnist-7", "one-class-official", "KNN", 0, 40, {"n_neighbors": 2}]
    assert "oracle_metric" not in cell


def test_scores_are_those_of_the_cells():
    # a rival that draws from the global generators in fit and in scoring
    entry = {"kind": "scores", "dataset": "wine", "protocol": "one-class", "detectors": ["VAE:epoch_num=1"]}
    _, (panel,), _ = panels(entry)
    (cell,) = pictures._cells(entry, settings(entry), None)
    assert panel.get_title().endswith(f"AUROC {run_cell(cell)['auroc']:.3f}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "histogram"}, "kind of a picture must be one of scores, representations, perturbed, got 'histogram'"),
        ({"colour": "red"}, "knows .* got colour"),
        ({"detectors": None}, "needs detectors"),
        ({"dataset": "nothing"}, "unknown data set"),
        ({"dataset": "fashion-mnist"}, "one data set, got the group 'fashion-mnist'"),
        ({"protocol": "nothing"}, "unknown protocol"),
        ({"detectors": ["nothing"]}, "unknown detector"),
        ({"detectors": ["DevNet"]}, "DevNet needs labels"),
        ({"apart": 7}, r"anomalous classes of fashion-mnist-7: \[0, 1, 2, 3, 4, 5, 6, 8, 9\]; got 7"),
        ({"dataset": "wine", "apart": 1}, r"anomalous classes of wine: \[\]; got 1"),
        ({"kind": "representations", "apart": 5}, "apart is for pictures of kind 'scores'"),
        ({"kind": "representations", "detectors": ["KNN"]}, "take DHAG, .*got KNN"),
        ({"kind": "perturbed", "detectors": ["NCAE"]}, "take PLAD and DHAG:space=input, got NCAE"),
        ({"kind": "perturbed", "detectors": ["DHAG"]}, "take PLAD and DHAG:space=input, got DHAG"),
        ({"kind": "perturbed", "detectors": ["PLAD"], "dataset": "wine"}, "need images, got wine, a table"),
    ],
)
def test_wrong_entries(images_folder, tmp_path, change, message):
    entry = {"kind": "scores", "dataset": "fashion-mnist-7", "protocol": "one-class-official", "detectors": ["KNN"]}
    entry = {name: value for name, value in (entry | change).items() if value is not None}
    for act in (
        lambda: pictures.check(settings(entry), images_folder),
        lambda: pictures.draw(settings(entry), tmp_path / "out", images_folder),
    ):
        with pytest.raises(ValueError, match=message):
            act()
    assert not (tmp_path / "out").exists()


def test_command_line(tmp_path, capsys):
    own, out = tmp_path / "own.toml", tmp_path / "out"
    text = 'datasets = ["wine"]\ndetectors = ["KNN"]\nprotocols = ["one-class"]\nseeds = [0]\n[[pictures]]\n'
    own.write_text(text + 'kind = "scores"\ndataset = "wine"\nprotocol = "one-class"\ndetectors = ["KNN"]\n')
    assert main(["run", str(own), "--out", str(out), "--jobs", "1"]) == 0
    assert (out / "pictures" / "1-scores-wine.png").stat().st_size > 10_000
    (record,) = (json.loads(line) for line in (out / "records.jsonl").read_text().splitlines())
    assert record["status"] == "ok"
    own.write_text(text + 'kind = "scores"\n')
    assert main(["run", str(own), "--out", str(tmp_path / "other"), "--jobs", "1"]) == 2
    assert "needs dataset, detectors, protocol" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
