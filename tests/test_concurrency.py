"""Random numbers belong to the detector, threads and torch's settings to the user: fits at once are as fits in turn."""

import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Barrier

import joblib
import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score

from tests.detectors import DETECTORS, small, trains

pytestmark = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)

# Fits a table in a process that may use two threads, and then in a child forked off it, for one detector after another.
FORKING = """
import multiprocessing

import numpy as np
import torch

from tests.detectors import DETECTORS, small, trains


def use(clf):
    clf.fit(X).decision_function(X)


torch.set_num_threads(2)
X = np.random.default_rng(0).normal(size=(300, 6))
for detector in DETECTORS:
    use(small(detector))
    child = multiprocessing.get_context("fork").Process(target=use, args=(small(detector),), daemon=True)
    child.start()
    child.join(20)
    print(detector.__name__, child.exitcode, flush=True)
    child.kill()
"""


@contextmanager
def default_dtype():
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(usual)


@contextmanager
def default_device():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


SURROUNDINGS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": default_dtype,
    "meta": default_device,
}


def settings():
    """Tell which of the surroundings hold."""
    made = torch.empty(1)
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), made.dtype, made.device


def generators():
    """States of the global generators: bytes that can be compared."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state().numpy()  # noqa: NPY002
    return {name: pickle.dumps(state) for name, state in zip(("random", "numpy", "torch"), states, strict=True)}


def shown(clf, X):
    """All numbers of what the detector makes of rows and makes up: contributions, normal rows, anomalies."""
    results = [clf.explain(X)]
    for method in (clf.nearest_normal, clf.invent):
        with suppress(NotImplementedError):
            results.append(method(X))
    if hasattr(clf, "generate"):
        results.append(clf.generate(20))
    return np.concatenate([result.ravel() for result in results])


def at_once(function, arguments):
    """Call a function for each argument, each in a thread of its own that waits for all others to be there."""
    barrier = Barrier(len(arguments))

    def call(argument):
        barrier.wait(60)
        return function(argument)

    with ThreadPoolExecutor(len(arguments)) as threads:
        return list(threads.map(call, arguments))


@contextmanager
def nothing_changes():
    """Check that the block leaves the global generators and the numbers of threads as they were."""
    before = generators()
    yield
    after = generators()
    assert [name for name, state in before.items() if after[name] != state] == []
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(torch.get_num_threads).result() == 2


@pytest.fixture
def two_threads():
    """Let torch use two threads, and have Python change threads often."""
    threads, interval = torch.get_num_threads(), sys.getswitchinterval()
    torch.set_num_threads(2)
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)
    torch.set_num_threads(threads)


@pytest.fixture(params=["table", "images"])
def near_and_far(request, table, images):
    """Few rows, and rows far from them."""
    rows = table[:60] if request.param == "table" else images[:30]
    return rows, rows + 20 * rows.std(axis=0)


@pytest.fixture(scope="module")
def exit_codes():
    """Exit code of each detector's forked child, as text."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("needs fork")
    root = Path(__file__).parents[1]
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60 + 30 * len(DETECTORS),
        check=True,
    )
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.usefixtures("two_threads")
def test_fits_at_once_are_as_fits_in_turn(detector, table):
    def fit(seed):
        return small(detector, random_state=seed, epoch_num=8).fit(table).decision_scores_

    expected = [fit(seed) for seed in range(3)]
    with nothing_changes():
        scores = at_once(fit, range(3))
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_fits_leave_the_warning_filters_alone(detector, table, monkeypatch):
    """They belong to the whole process: a thread that pops what another has pushed leaves a fit without its own."""
    filters, pushed = warnings.filters[:], []
    simplefilter = warnings.simplefilter
    monkeypatch.setattr(warnings, "simplefilter", lambda *given, **named: pushed.append(given) or simplefilter(*given))
    small(detector).fit(table).get_params()
    assert [given for given in pushed if DeprecationWarning in given] == []
    assert warnings.filters == filters


@pytest.mark.usefixtures("two_threads")
def test_stages_at_once_are_as_fits_in_turn(detector, table):
    if not trains(detector):
        pytest.skip("there are no stages without training")

    def fit(seed):
        *_, clf = small(detector, random_state=seed, epoch_num=4).staged_fit(table)
        return clf.decision_scores_

    expected = [small(detector, random_state=seed, epoch_num=4).fit(table).decision_scores_ for seed in range(3)]
    with nothing_changes():
        scores = at_once(fit, range(3))
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


@pytest.mark.usefixtures("two_threads")
def test_scoring_at_once_is_as_scoring_in_turn(detector, table):
    clf = small(detector).fit(table)
    rows = [table[start::20] for start in range(20)]
    expected, embedded = [clf.decision_function(some) for some in rows], [clf.embed(some) for some in rows]
    for _ in range(5):
        with nothing_changes():
            scores = at_once(clf.decision_function, rows)
        for some, others in zip(scores, expected, strict=True):
            np.testing.assert_allclose(some, others, rtol=1e-6)
    with nothing_changes():
        represented = at_once(clf.embed, rows)
    for some, others in zip(represented, embedded, strict=True):
        np.testing.assert_allclose(some, others, rtol=1e-6)


@pytest.mark.usefixtures("two_threads")
def test_threads_that_begin_while_a_table_is_scored_have_their_usual_number(detector, table, monkeypatch):
    clf, seen = small(detector).fit(table), []
    score = type(clf.core_).anomaly_score

    def scores_while_others_begin(core, x):
        assert torch.get_num_threads() == 1
        with ThreadPoolExecutor(1) as threads:
            seen.append(threads.submit(torch.get_num_threads).result(60))
        return score(core, x)

    monkeypatch.setattr(type(clf.core_), "anomaly_score", scores_while_others_begin)
    with nothing_changes():
        clf.decision_function(table)
    assert set(seen) == {2}


@pytest.mark.usefixtures("two_threads")
def test_fit_and_scoring_at_once_do_not_meet(detector, table):
    clf = small(detector).fit(table)
    uses = [
        lambda: small(detector, random_state=1, epoch_num=8).fit(table).decision_scores_,
        lambda: clf.decision_function(table),
        lambda: shown(clf, table),
    ]
    expected = [use() for use in uses]
    with nothing_changes():
        results = at_once(lambda use: use(), uses)
    for one, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.usefixtures("two_threads")
def test_rows_shown_at_once_are_those_of_one_call(detector, table):
    clf = small(detector).fit(table)
    expected = shown(clf, table)
    with nothing_changes():
        results = at_once(lambda _: shown(clf, table), range(20))
    for rows in results:
        np.testing.assert_allclose(rows, expected, rtol=1e-6)


@pytest.mark.usefixtures("two_threads")
def test_cross_validation_in_threads_is_as_in_turn(detector, table):
    def far(clf, X, y=None):
        return clf.decision_function(X).mean()

    clf = small(detector, epoch_num=8)
    expected = cross_val_score(clf, table, scoring=far, cv=4)
    with nothing_changes(), joblib.parallel_config(backend="threading", n_jobs=4):
        scores = cross_val_score(clf, table, scoring=far, cv=4)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_forked_child_fits_and_scores(detector, exit_codes):
    assert exit_codes[detector.__name__] == "0"  # None: it hung


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_fit_does_not_depend_on_its_surroundings(detector, near_and_far, surroundings):
    X, far = near_and_far
    expected = small(detector).fit(X)
    with surroundings():
        before = settings()
        clf = small(detector).fit(X)
        assert settings() == before
    np.testing.assert_allclose(clf.decision_scores_, expected.decision_scores_, rtol=1e-6)
    np.testing.assert_allclose(clf.decision_function(far), expected.decision_function(far), rtol=1e-6)
    np.testing.assert_allclose(clf.embed(far), expected.embed(far), rtol=1e-6)
    copied = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copied.decision_function(far), clf.decision_function(far))


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_scoring_does_not_depend_on_its_surroundings(detector, near_and_far, surroundings):
    X, far = near_and_far
    clf = small(detector).fit(X)
    scores, embedded, rows = clf.decision_function(far), clf.embed(far), shown(clf, X)
    with surroundings():
        before = settings()
        np.testing.assert_allclose(clf.decision_function(far), scores, rtol=1e-6)
        np.testing.assert_allclose(clf.embed(far), embedded, rtol=1e-6)
        np.testing.assert_allclose(shown(clf, X), rows, rtol=1e-6)
        assert settings() == before
    np.testing.assert_array_equal(clf.decision_function(far), scores)


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_surroundings_are_the_users_between_stages(detector, table, surroundings):
    if not trains(detector):
        pytest.skip("there are no stages without training")
    expected, clf, usual = small(detector).fit(table), small(detector), settings()
    with surroundings():
        before, seen = settings(), []
        for stage in clf.staged_fit(table):
            seen.append(settings())
            scores = stage.decision_function(table)
    assert seen == [before] * len(seen)
    np.testing.assert_allclose(scores, expected.decision_scores_, rtol=1e-6)
    stages = small(detector).staged_fit(table)
    with surroundings():
        next(stages)
    assert settings() == usual
    for stage in stages:
        assert settings() == usual
        np.testing.assert_allclose(stage.decision_function(table), expected.decision_scores_, rtol=1e-6)


@pytest.mark.parametrize("asked", [True, False], ids=["cpu asked for", "no GPU"])
def test_work_on_the_cpu_leaves_cuda_alone(detector, table, monkeypatch, asked):
    # a function for each name: torch's compiler, which an optimiser may import, allows no function under two names
    def refusing(name):
        def refuse(*arguments, **named):
            raise AssertionError(f"work on the CPU called torch.cuda.{name}")

        return refuse

    monkeypatch.setattr(torch.cuda, "is_available", lambda: asked)
    if asked and hasattr(torch, "accelerator"):  # since torch 2.6
        monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *_, **__: torch.device("cuda"))
    for name in ("init", "_lazy_init", "get_rng_state", "get_rng_state_all", "set_rng_state", "set_rng_state_all"):
        monkeypatch.setattr(torch.cuda, name, refusing(name))
    clf = small(detector, device="cpu" if asked else None).fit(table)
    np.testing.assert_array_equal(clf.decision_function(table), clf.decision_scores_)
    shown(clf, table)
    for stage in clf.staged_fit(table) if trains(detector) else [clf]:
        assert stage.device_.type == "cpu"
