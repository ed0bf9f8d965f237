"""Detectors by name, and one cell of each."""

from dataclasses import replace

import numpy as np
import pytest

import pyod_synth
from benchmarks import detectors
from benchmarks.detectors import DetectorSpec, Rival, building
from benchmarks.experiments import Experiment
from benchmarks.reporting import report, tables
from benchmarks.reporting.frame import to_frame
from benchmarks.running.cell import run_cell
from benchmarks.running.grid import grid
from benchmarks.running.records_file import RecordsFile
from tests.benchmark.records import run, specs


class Broken:
    """A model whose scores are no numbers."""

    def fit(self, X, y=None):
        return self

    def decision_function(self, X):
        return np.full(len(X), np.nan)


def test_failure_is_recorded_and_tried_again(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(detectors.RIVALS, "Broken", Rival(f"{__name__}.Broken"))
    experiment = Experiment("grid", ["10_far", "2_near"], specs("ECOD", "Broken"), ["one-class"], [0])
    file = RecordsFile(tmp_path / "records.jsonl")
    records = [run_cell(cell, folder) for cell in grid(experiment, folder)]
    for record in records:
        file.append(record)
    broken = [record for record in records if record.cell.detector.name == "Broken"]
    assert [record.status for record in broken] == ["failed", "failed"]
    assert "55 of 55 scores are not finite" in broken[0].reason
    assert broken[0].figures == {}
    # no data set is complete, so none is averaged, and the report says why
    frame = to_frame(records, experiment)
    assert tables.summary(frame) == {}
    assert "scores are not finite" in report.compose(frame, experiment, "command")
    mended = tmp_path / "mended.py"
    mended.write_text('from benchmarks.detectors import RIVALS\n\nRIVALS["Broken"] = RIVALS["ECOD"]\n')
    again = run(replace(experiment, extensions=[str(mended)]), file, folder)
    assert {record.status for record in again} == {"ok"}


_TINY = {"epoch_num": 2, "hidden_size": 8, "latent_size": 2}


@pytest.mark.filterwarnings("ignore:AnoRand learns to tell:UserWarning")  # a share of 0 leaves one class
@pytest.mark.parametrize("name", ["DHAG", "AnoRand"])
@pytest.mark.parametrize("protocol", ["supervised", "semi-supervised:0.05", "semi-supervised:0"])
def test_labelled_run(folder, name, protocol):
    experiment = Experiment("grid", ["10_far"], specs(name), [protocol], [0], parameters={name: _TINY})
    (cell,) = grid(experiment, folder)
    record = run_cell(cell, folder)
    assert record.status == "ok", record.reason
    assert record.parameters["use_labels"] is True
    assert record.cell.detector.parameters == _TINY
    known = {"supervised": 7, "semi-supervised:0.05": 3, "semi-supervised:0": 0}[protocol]
    assert record.sizes["known_anomalies"] == known


def test_labels_reach_the_detector(folder, monkeypatch):
    seen = []

    class Listener:
        def __init__(self, use_labels=False, random_state=None):
            self.use_labels = use_labels

        def get_params(self):
            return {"use_labels": self.use_labels}

        def fit(self, X, y=None):
            seen.append((self.use_labels, y))

        def decision_function(self, X):
            return X[:, 0]

    monkeypatch.setattr(building, "ours", lambda: {"Listener": Listener})
    experiment = Experiment("grid", ["10_far"], specs("Listener"), ["supervised", "unsupervised"], [0])
    told, blind = (run_cell(cell, folder) for cell in grid(experiment, folder))
    assert told.status == blind.status == "ok"
    assert [use_labels for use_labels, _ in seen] == [True, False]
    assert (len(seen[0][1]), seen[0][1].sum(), seen[1][1]) == (70, 7, None)


@pytest.mark.parametrize("name", ["PLAD", "KNN"])
def test_detectors_that_do_not_learn_from_labels_are_skipped_unfitted(folder, name, monkeypatch):
    (cell,) = grid(Experiment("grid", ["10_far"], specs(name), ["supervised"], [0]), folder)
    kind = type(detectors.build(DetectorSpec(name), 0))
    monkeypatch.setattr(kind, "fit", lambda *arguments: pytest.fail("was fitted"))
    record = run_cell(cell, folder)
    assert (record.status, record.reason) == ("skipped", f"{name} does not learn from labels")


def test_ours_take_images_and_rivals_rows():
    X = np.zeros((5, 1, 8, 8))
    assert detectors.shape_for(DetectorSpec("PLAD"), X).shape == (5, 1, 8, 8)
    assert detectors.shape_for(DetectorSpec("KNN"), X).shape == (5, 64)


def test_detectors_as_they_are_typed():
    assert detectors.parse("KNN") == DetectorSpec("KNN")
    typed = detectors.parse("DHAG:n_augmented=0:space=input:device=null:lambda1=1e-3")
    assert (typed.name, typed.parameters) == (
        "DHAG",
        {"n_augmented": 0, "space": "input", "device": None, "lambda1": 1e-3},
    )
    assert typed.label == "DHAG(n_augmented=0, space=input, device=None, lambda1=0.001)"
    for wrong in ("DHAG:", "DHAG:space", "DHAG:=1", "DHAG:space="):
        with pytest.raises(ValueError, match="NAME:parameter=value"):
            detectors.parse(wrong)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("True", True), ("true", True), ("False", False), ("false", False), ("None", None), ("null", None)),
        *(('"None"', "None"), ('"true"', "true"), ("TRUE", "TRUE"), ("input", "input"), ("[1, 2]", [1, 2]), ("1", 1)),
    ],
)
def test_values_as_they_are_typed(text, value):
    typed = detectors.parse(f"DHAG:parameter={text}").parameters["parameter"]
    assert typed == value
    assert type(typed) is type(value)


def test_pythons_words_and_jsons_are_the_same_cell():
    python, js = (detectors.parse(f"DHAG:use_labels={text}") for text in ("True", "true"))
    assert python == js
    detectors.check(python)
    assert detectors.build(python, 0).use_labels is True
    with pytest.raises(ValueError, match="use_labels"):
        detectors.check(detectors.parse("DHAG:use_labels=TRUE"))


def test_specifications_are_equal_by_name_and_parameters_alone():
    one, other = (
        DetectorSpec("KNN", {"p": 1, "n_neighbors": 3}),
        DetectorSpec("KNN", {"n_neighbors": 3, "p": 1}, "near"),
    )
    assert one == other
    assert hash(one) == hash(other)
    assert (one.label, other.label, str(other)) == ("KNN(p=1, n_neighbors=3)", "near", "near")
    assert replace(other, parameters={}).label == "near"
    for different in (DetectorSpec("KNN", {"p": 1}), DetectorSpec("LOF", one.parameters), DetectorSpec("KNN")):
        assert one != different
    assert DetectorSpec("KNN").label == "KNN"
    assert {one: 1}[other] == 1


def test_lines_say_whose_a_detector_is(monkeypatch):
    lines = detectors.describe()
    assert lines["PLAD"] == f"paper: {pyod_synth.PLAD.__doc__.splitlines()[0]}"
    assert lines["DHAG"].startswith("paper, can learn from labels: ")
    assert lines["KNN"] == "rival, PyOD"
    assert list(lines) == [*detectors.ours(), *detectors.RIVALS]

    class Own:
        """One's own.

        More of it.
        """

        def __init__(self, use_labels=False):
            pass

    monkeypatch.setattr(building, "ours", lambda: {"Own": Own})
    assert detectors.describe()["Own"] == "ours, can learn from labels: One's own."


class Odd(Broken):
    """A model whose parameters are nothing for JSON, as xgboost's missing=nan."""

    def __init__(self, missing=float("nan"), kernel=np.ones(2)):  # noqa: B008
        pass

    def decision_function(self, X):
        return X[:, 0]


def test_parameters_that_json_does_not_know(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(detectors.RIVALS, "Odd", Rival(f"{__name__}.Odd"))
    (cell,) = grid(Experiment("grid", ["10_far"], specs("Odd"), ["one-class"], [0]), folder)
    file = RecordsFile(tmp_path / "records.jsonl")
    file.append(run_cell(cell, folder))
    (record,) = file.read()
    assert (record.status, record.parameters) == ("ok", {"missing": "nan", "kernel": "array([1., 1.])"})
