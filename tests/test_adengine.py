"""What PyOD's ADEngine and MCP server do with the detectors once they are registered."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pyod import mcp_server
from pyod.utils.ad_engine import ADEngine

import pyod_synth
from benchmarks.reporting import tables
from benchmarks.reporting.frame import to_frame
from benchmarks.running.records_file import RecordsFile
from pyod_synth import all_detectors, register
from tests.detectors import trains

NAMES = [name for name, detector in all_detectors().items() if detector.__module__.startswith("pyod_synth.")]


def quick(name):
    """Parameters with which a detector fits in milliseconds."""
    shared = {"epoch_num": 2, "batch_size": 32} if trains(all_detectors()[name]) else {"memory_size": 50}
    return shared | {"contamination": 0.1}


RECORDS = Path(__file__).parent.parent / "benchmarks" / "results" / "adbench" / "records.jsonl"

# Every kind of table that PyOD has a rule for.
TABLES = [
    {"data_type": "tabular", "n_samples": n_samples, "n_features": n_features}
    for n_samples in (500, 50_000)
    for n_features in (5, 50, 200)
]


@pytest.fixture
def engine():
    return register(ADEngine(random_state=0))


@pytest.fixture
def server(monkeypatch):
    """PyOD's MCP server, whose engine knows the detectors, until the test ends."""
    monkeypatch.setattr(mcp_server, "_engine", None)
    register(mcp_server._get_engine())
    return mcp_server


def planned(plan):
    return [step["detector_name"] for step in (plan, *plan["alternatives"])]


def test_register_gives_the_engine_back():
    engine = ADEngine()
    assert register(engine) is engine


@pytest.mark.parametrize("data_type", [None, "tabular", "image"])
def test_all_are_listed_after_pyods_own(engine, data_type):
    own = [entry["name"] for entry in ADEngine().list_detectors(data_type=data_type)]
    names = [entry["name"] for entry in engine.list_detectors(data_type=data_type)]
    assert names[: len(own)] == own
    assert sorted(names[len(own) :]) == NAMES


def test_no_other_kind_of_data_is_claimed(engine):
    for data_type in ("text", "audio", "time_series", "graph", "multimodal"):
        assert not set(NAMES) & {entry["name"] for entry in engine.list_detectors(data_type=data_type)}


@pytest.mark.parametrize("name", NAMES)
def test_entries_are_shaped_as_pyods_own(engine, name):
    entry, own = engine.explain_detector(name), engine.explain_detector("AutoEncoder")
    assert {key: type(value) for key, value in entry.items()} == {key: type(value) for key, value in own.items()}
    for key in ("complexity", "paper"):
        assert {part: type(value) for part, value in entry[key].items()} == dict.fromkeys(own[key], str)
    for key in ("data_types", "strengths", "weaknesses", "requires"):
        assert entry[key]
        assert all(isinstance(value, str) and value for value in entry[key])
    assert json.loads(json.dumps(entry)) == entry


@pytest.mark.parametrize("name", NAMES)
def test_default_parameters_are_the_constructors(engine, name):
    parameters = getattr(pyod_synth, name)().get_params()
    for key, value in engine.explain_detector(name)["default_params"].items():
        assert parameters[key] == value


@pytest.mark.parametrize("name", NAMES)
def test_run_detection_on_a_table(engine, table, name):
    result = engine.run_detection(table, engine.make_plan([name], params=[quick(name)]), X_test=table[:7])
    assert isinstance(result["detector"], getattr(pyod_synth, name))
    assert result["detector"].random_state == 0
    assert result["scores_train"].shape == (150,)
    assert result["n_anomalies"] == 15
    assert result["scores_test"].shape == result["labels_test"].shape == (7,)
    assert engine.analyze_results(result, X=table)
    assert len(engine.explain_findings(result, X=table, top_k=2)) == 2


@pytest.mark.parametrize("name", NAMES)
def test_run_detection_on_images(engine, images, name):
    result = engine.run_detection(images, engine.make_plan([name], params=[quick(name)]), X_test=images[:7])
    assert result["scores_train"].shape == (60,)
    assert result["scores_test"].shape == (7,)
    assert result["detector"].input_shape_ == (2, 6, 5)


def test_compare_by_name_and_by_kind(engine):
    assert [entry["name"] for entry in engine.compare_detectors([*NAMES, "KNN"])] == [*NAMES, "KNN"]
    for top_k in (3, 5):
        compared = [entry["name"] for entry in engine.compare_detectors(data_type="tabular", top_k=top_k)]
        assert compared == [entry["name"] for entry in ADEngine().compare_detectors(data_type="tabular", top_k=top_k)]


@pytest.mark.parametrize("table_profile", TABLES)
@pytest.mark.parametrize("priority", ["speed", "balanced"])
def test_plans_for_tables_are_pyods_own(engine, table_profile, priority):
    assert engine.plan_detection(table_profile, priority) == ADEngine().plan_detection(table_profile, priority)


@pytest.mark.parametrize("table_profile", TABLES)
def test_with_accuracy_gated_knn_is_an_alternative_to_pyods_first_choice(engine, table_profile):
    plan, own = (which.plan_detection(table_profile, "accuracy") for which in (engine, ADEngine()))
    assert planned(plan)[0] == planned(own)[0]
    assert "GatedKNN" in planned(plan)[1:]
    assert not (set(NAMES) - {"GatedKNN"}) & set(planned(plan))


@pytest.mark.parametrize("table_profile", TABLES)
def test_longer_plans_have_all_behind_pyods_own(engine, table_profile):
    own = planned(ADEngine().plan_detection(table_profile, top_k=20))
    names = planned(engine.plan_detection(table_profile, top_k=20))
    assert names[: len(own)] == own
    assert sorted(names[len(own) :]) == NAMES
    assert planned(engine.plan_detection(table_profile, "speed", top_k=20)) == planned(
        ADEngine().plan_detection(table_profile, "speed", top_k=20)
    )


def test_a_plan_of_the_engine_runs(engine, table):
    profile = engine.profile_data(table)
    own = planned(ADEngine().plan_detection(profile, top_k=20))
    plan = engine.plan_detection(profile, constraints={"exclude_detectors": own})
    assert plan["detector_name"] == "GatedKNN"
    assert plan["params"] == {"contamination": 0.1}
    plan["params"] |= quick("GatedKNN")
    assert engine.run_detection(table, plan)["n_anomalies"] == 15


def test_images_are_planned_for_if_the_profile_says_that_they_are_arrays(engine, images):
    profile = engine.profile_data(images, data_type="image")
    assert engine.plan_detection(profile) == ADEngine().plan_detection(profile)
    paths = engine.profile_data(["a.png", "b.png"])
    assert engine.plan_detection(paths, top_k=20) == ADEngine().plan_detection(paths, top_k=20)

    profile |= {"n_channels": images.shape[1]}
    names = planned(engine.plan_detection(profile, top_k=20))
    assert names[0] == "EmbeddingOD"
    assert sorted(names[1:]) == NAMES
    plan = engine.plan_detection(profile, constraints={"exclude_detectors": ["EmbeddingOD"]})
    plan["params"] |= quick(plan["detector_name"])
    assert engine.run_detection(images, plan)["scores_train"].shape == (60,)


def test_an_investigation_runs_with_them(engine, table):
    state = engine.plan(engine.start(table), priority="accuracy")
    for plan in state.plans:
        if plan["detector_name"] == "GatedKNN":
            plan["params"] |= quick("GatedKNN")
    state = engine.analyze(engine.run(state))
    assert "GatedKNN" in [result["detector_name"] for result in state.results]
    assert {result["status"] for result in state.results} == {"success"}
    assert engine.report(state)


@pytest.mark.parametrize("data_type", ["tabular", "image"])
def test_callers_that_choose_by_themselves_are_shown_them(engine, data_type):
    shown = engine.get_kb_for_routing({"data_type": data_type, "n_samples": 60})["available_detectors"]
    assert set(NAMES) <= {entry["name"] for entry in shown}


def test_registering_again_changes_nothing(engine):
    before = json.dumps([engine.kb.algorithms, engine.kb.routing_rules])
    register(engine)
    assert json.dumps([engine.kb.algorithms, engine.kb.routing_rules]) == before


def test_what_the_engine_knows_already_stays():
    engine = ADEngine()
    before = json.loads(json.dumps([engine.kb.algorithms, engine.kb.routing_rules["rules"]]))
    engine.kb.algorithms["PLAD"] = mine = {"status": "planned"}
    register(engine)
    assert engine.kb.algorithms["PLAD"] is mine
    assert engine.kb.algorithms.items() >= before[0].items()
    assert engine.kb.routing_rules["rules"][: len(before[1])] == before[1]


def test_engines_share_nothing(engine):
    engine.kb.algorithms["PLAD"]["strengths"].clear()
    engine.kb.routing_rules["rules"][-1]["recommendations"].clear()
    other = register(ADEngine())
    assert other.kb.algorithms["PLAD"]["strengths"]
    assert other.kb.routing_rules["rules"][-1]["recommendations"]
    assert "PLAD" not in ADEngine().kb.algorithms


@pytest.mark.parametrize(
    "engine",
    [None, ADEngine, SimpleNamespace(kb=SimpleNamespace(algorithms={})), SimpleNamespace(kb=SimpleNamespace())],
    ids=["None", "the class", "no rules", "no algorithms"],
)
def test_what_is_no_engine_is_an_error(engine):
    with pytest.raises(TypeError, match="kb.algorithms"):
        register(engine)


def test_the_mcp_server_lists_explains_and_compares(server):
    for data_type in ("", "tabular", "image"):
        assert set(NAMES) <= {entry["name"] for entry in json.loads(server.list_detectors(data_type))}
    assert json.loads(server.explain_detector("NCAE"))["full_name"] == "Normality-Calibrated Autoencoder"
    assert [entry["name"] for entry in json.loads(server.compare_detectors("DHAG,KNN"))] == ["DHAG", "KNN"]


def test_the_mcp_server_plans_builds_and_runs(server, table, tmp_path):
    path = str(tmp_path / "table.npy")
    np.save(path, table)
    plan = json.loads(server.plan_detection(server.profile_data(path), "accuracy"))
    plan = next(step for step in plan["alternatives"] if step["detector_name"] == "GatedKNN")
    plan["params"] |= quick("GatedKNN")
    built = {}
    exec(json.loads(server.build_detector(json.dumps(plan)))["code_snippet"], built)
    assert isinstance(built["clf"], pyod_synth.GatedKNN)
    assert built["clf"].memory_size == 50
    result = server.run_detection(path, json.dumps(plan))
    assert json.loads(result)["n_anomalies"] == 15
    assert "error" not in json.loads(server.analyze_results(result, path))
    assert len(json.loads(server.explain_findings(result, top_k=2))) == 2


RIVALS = ["KNN", "LOF", "OCSVM", "IForest", "ECOD"]


CLASSIFIERS = ["AnoRand", "DHAG", "PLAD"]


@pytest.mark.parametrize(
    ("protocol", "metric", "lower", "higher"),
    [
        ("one-class", "auroc", ["OCSVM", "IForest", "ECOD"], "NoveltyNormalization"),
        ("one-class", "auroc", ["NoveltyNormalization"], "KNN"),
        ("unsupervised", "auroc", ["NoveltyNormalization"], "IForest"),
        ("one-class", "auroc", ["NCAE"], "KNN"),
        ("one-class", "auroc", ["NCAE"], "IForest"),
        ("unsupervised", "auroc", ["NCAE"], "IForest"),
        ("one-class", "auroc", CLASSIFIERS, "KNN"),
        ("one-class", "auroc", CLASSIFIERS, "IForest"),
        ("unsupervised", "auroc", CLASSIFIERS, "KNN"),
        ("unsupervised", "auroc", CLASSIFIERS, "IForest"),
    ],
)
def test_what_is_said_of_measurements_holds(protocol, metric, lower, higher):
    means = mean_of_records(protocol, metric)
    assert max(means[name] for name in lower) < means[higher]


@pytest.mark.parametrize(("protocol", "rival"), [("one-class", "KNN"), ("unsupervised", "IForest")])
def test_first_choice_is_above_the_best_rival(protocol, rival):
    means = mean_of_records(protocol, "auroc")
    assert max(RIVALS, key=means.get) == rival
    assert means["GatedKNN"] > means[rival]


def mean_of_records(protocol, metric):
    return tables.summary(to_frame(RecordsFile(RECORDS).read()))[protocol][metric].to_dict()
