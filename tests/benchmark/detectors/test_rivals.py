"""Every rival runs, learns something, and gives the same figures again; what it cannot run is skipped."""

import importlib
import random

import numpy as np
import pytest
import torch
from pyod.models.knn import KNN
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks import detectors, protocols
from benchmarks.data import load
from benchmarks.detectors import RIVALS, DetectorSpec, rivals
from benchmarks.experiments import Experiment
from benchmarks.running import cell
from benchmarks.running.cell import run_cell
from benchmarks.running.grid import grid
from tests.benchmark.records import specs

# fewer epochs, so that the tests take seconds
_SHORT = {
    "VAE": {"epoch_num": 5},
    "DeepSVDD": {"epochs": 10},
    "DIF": {"n_ensemble": 20},
    "LUNAR": {"n_epochs": 20},
    "XGBOD": {"n_estimators": 20},
    "GOAD": {"epochs": 10, "n_trans": 32},
    "NeuTraL": {"epochs": 20},
    "ICL": {"epochs": 20},
    "RCA": {"epochs": 20},
    "SLAD": {"epochs": 20},
}
_NEED_LABELS = [name for name, rival in RIVALS.items() if rival.labels]
_UNLABELLED = [name for name in RIVALS if name not in _NEED_LABELS]
# their few epochs do not suffice for breast-cancer, where DeepOD's NeuTraL is below chance (.29) even with all of them
_DEEPOD = ["GOAD", "NeuTraL", "ICL", "RCA", "SLAD"]


def _run(name, protocol, seeds, dataset="breast-cancer"):
    if RIVALS[name].missing:
        pytest.skip(RIVALS[name].missing)
    settings = Experiment("test", [dataset], specs(name), [protocol], seeds, parameters={name: _SHORT.get(name, {})})
    records = [run_cell(entry) for entry in grid(settings)]
    assert [record.status for record in records] == ["ok"] * len(seeds), records[0].reason
    return records


@pytest.mark.parametrize("name", [name for name in _UNLABELLED if name not in _DEEPOD])
def test_tells_anomalies_from_normal_rows(name):
    (record,) = _run(name, "one-class", [0])
    # DIF scores what it has scaled by the batch that it scores, so that test rows hide one another
    assert record.figures["auroc"] > (0.65 if name == "DIF" else 0.85)


@pytest.mark.parametrize("name", _DEEPOD)
def test_deepod_tells_anomalies_from_normal_rows(name):
    assert np.mean([record.figures["auroc"] for record in _run(name, "one-class", [0, 1, 2], "wine")]) > 0.6


@pytest.mark.parametrize("name", _NEED_LABELS)
def test_learns_from_labels(name):
    # three anomalies are tested, so that one seed says little
    records = _run(name, "supervised", [0, 1, 2, 3, 4])
    assert np.mean([record.figures["auroc"] for record in records]) > 0.8
    assert {record.sizes["known_anomalies"] for record in records} == {7}


@pytest.fixture
def scores(monkeypatch):
    """Scores of the wine's test rows, split always the same: (name, seed) -> array."""
    monkeypatch.setattr(cell, "evaluate", lambda y, scores: {"scores": scores})
    split = protocols.split
    monkeypatch.setattr(protocols, "split", lambda dataset, protocol, *rest: split(dataset, protocol, 0))

    def run(name, seed):
        (record,) = _run(name, "supervised" if name in _NEED_LABELS else "one-class", [seed], "wine")
        assert record.parameters.get("random_state", seed) == seed
        return record.figures["scores"]

    return run


@pytest.mark.parametrize("name", RIVALS)
def test_same_seed_gives_same_scores(name, scores):
    first = scores(name, 3)
    torch.rand(7)
    assert (scores(name, 3) == first).all()


@pytest.mark.parametrize("name", ["IForest", "VAE", "DeepSVDD", "DIF", "LUNAR", "DevNet", "MLP", "GOAD"])
def test_other_seed_gives_other_scores(name, scores):
    assert (scores(name, 0) != scores(name, 1)).any()


def test_images_are_flattened():
    parts = protocols.split(load("digits-3-image"), "one-class", 0)
    scores = KNN().fit(parts.X_train.reshape(-1, 64)).decision_function(parts.X_test.reshape(-1, 64))
    (record,) = _run("KNN", "one-class", [0], "digits-3-image")
    assert record.figures["auroc"] == pytest.approx(roc_auc_score(parts.y_test, scores))


@pytest.mark.parametrize("name", ["DevNet", "XGBOD", "DIF", "MLP", "LightGBM", "RCA", "DeepSAD"])
def test_prints_nothing(name, capfd, recwarn):
    _run(name, "supervised" if name in _NEED_LABELS else "one-class", [0], "wine")
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)


def test_threads_stay_as_they_were():
    # SOD's compiled loops would leave torch with as many as there are cores
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    _run("SOD", "one-class", [0], "wine")
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)


def test_global_generators_stay_as_they_were():
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    _run("VAE", "one-class", [0], "wine")
    after = random.getstate(), np.random.get_state()[1], torch.get_rng_state()  # noqa: NPY002
    assert before[0] == after[0]
    assert (before[1] == after[1]).all()
    assert torch.equal(before[2], after[2])


@pytest.mark.parametrize(
    ("name", "classifier", "method"),
    [
        ("RandomForest", RandomForestClassifier(random_state=5), lambda model, X: model.predict_proba(X)[:, 1]),
        ("SVM", SVC(random_state=5), SVC.decision_function),
    ],
)
def test_classifiers_score_as_they_do_alone(name, classifier, method):
    parts = protocols.split(load("make-classification"), "supervised", 0)
    detector = detectors.build(DetectorSpec(name), 5, labels=True).fit(parts.X_train, parts.y_train)
    expected = method(classifier.fit(parts.X_train, parts.y_train), parts.X_test)
    assert detector.decision_function(parts.X_test) == pytest.approx(expected)


def test_devnet_scores_known_anomalies_high(labelled):
    X, y = StandardScaler().fit_transform(labelled[0]), labelled[1]
    module = importlib.import_module("pyod.models.devnet")
    loss = module.deviation_loss
    scores = detectors.build(DetectorSpec("DevNet"), 0, labels=True).fit(X, y).decision_function(X)
    assert scores[y == 1].min() > scores[y == 0].max()
    assert module.deviation_loss is loss


@pytest.mark.parametrize(
    ("name", "protocol", "reason"),
    [
        ("RandomForest", "one-class", "RandomForest needs labels"),
        ("DevNet", "unsupervised", "DevNet needs labels"),
        ("XGBOD", "semi-supervised:0", "needs labels of both classes, got 0 anomalies among 54 training rows"),
        ("MLP", "semi-supervised:0", "needs labels of both classes, got 0 anomalies among 54 training rows"),
    ],
)
def test_what_a_detector_cannot_run_is_skipped(folder, name, protocol, reason):
    if name in RIVALS and RIVALS[name].missing:
        pytest.skip(RIVALS[name].missing)
    (entry,) = grid(Experiment("grid", ["10_far"], specs(name), [protocol], [0]), folder)
    record = run_cell(entry, folder)
    assert (record.status, record.reason) == ("skipped", reason)
    assert record.figures == {}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("LightGBM", 'lightgbm is not installed: pip install -e ".[rivals]"'),
        ("XGBOD", 'xgboost is not installed: pip install -e ".[rivals]"'),
        ("DeepSAD", "deepod is not installed: pip install --no-deps deepod"),
    ],
)
def test_missing_packages_skip_cells_alone(name, reason, monkeypatch):
    monkeypatch.setattr(rivals, "find_spec", lambda package: None)
    settings = Experiment("grid", ["wine"], specs(name, "NaiveBayes"), ["supervised"], [0], epoch_num=3)
    missing, other = (run_cell(entry) for entry in grid(settings))
    assert (missing.status, missing.reason) == ("skipped", reason)
    assert other.status == "ok"
    assert reason in detectors.describe()[name]
    assert detectors.describe()["NaiveBayes"] == "rival, scikit-learn, needs labels"


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        ("KNNN", "unknown detector 'KNNN'; there are .*DHAG"),
        ("PLAD:epochs=3", "PLAD has no parameter epochs that can be set; there are .*epoch_num"),
        ("KNN:neighbours=3", "KNN has no parameter neighbours that can be set; there are contamination, n_neighbors"),
        ("IForest:random_state=3", "IForest has no parameter random_state that can be set"),
        ("RandomForest:n_trees=3", "has no parameter n_trees that can be set; there are n_estimators"),
        ("COF:n_neighbors=many", "COF: n_neighbors should be int"),
        ("IForest:max_samples=Infinity", "IForest: parameters must be what JSON knows"),
    ],
)
def test_wrong_names_and_values_are_found_before_anything_runs(detector, message):
    with pytest.raises(ValueError, match=message):
        grid(Experiment("grid", ["wine"], specs("KNN", detector), ["supervised"], [0]))


@pytest.mark.parametrize(
    ("name", "own", "bounded"),
    [
        ("AutoEncoder", {}, {"epoch_num": 10}),  # its default is less
        ("VAE", {"latent_dim": 3}, {"latent_dim": 3, "epoch_num": 20}),
        ("DeepSVDD", {"epochs": 5}, {"epochs": 5}),
        ("DevNet", {}, {"epochs": 20}),
        ("LUNAR", {}, {"n_epochs": 20}),
        ("PLAD", {}, {"epoch_num": 20}),
        ("KNN", {"p": 1}, {"p": 1}),
    ],
)
def test_bound_on_epochs(name, own, bounded):
    assert detectors.limit_epochs(DetectorSpec(name, own), 20) == DetectorSpec(name, bounded)
