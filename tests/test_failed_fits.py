"""A fit succeeds whole or changes nothing: whatever fails or interrupts it, and wherever."""

from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from tests.detectors import DETECTORS, small


@pytest.fixture
def images(images):
    """As many as train in milliseconds."""
    return images[:40]


pytestmark = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)

# What fits call of the detector, of its core and of a thresholder, in this order.
PHASES = ["build_core", "prepare", "training_loss", "calibrate", "anomaly_score", "thresholder"]


class Fault(Exception):
    """An error that only these tests raise."""


class Interrupt(KeyboardInterrupt):
    """A user's Ctrl+C that only these tests raise."""


class Thresholder:
    """Label the highest tenth of scores, with the attributes of a PyThresh object."""

    def fit(self, scores):
        self.dscores_ = scores
        self.thresh_ = float(np.quantile(scores, 0.9))
        self.labels_ = self.predict(scores)
        return self

    def predict(self, scores):
        return self.eval(scores)

    def eval(self, scores):
        return (np.asarray(scores) > self.thresh_).astype(int)


class Unlabelled:
    """What has ``fit`` and ``predict`` as a thresholder does, but keeps no labels."""

    def fit(self, scores):
        self.seen_ = len(scores)
        return self

    def predict(self, scores):
        return np.zeros(len(scores), dtype=int)


def fit(clf, X):
    clf.fit(X)


def fit_in_stages(clf, X):
    for _ in clf.staged_fit(X):
        pass


def known(detector, name):
    return name in detector().get_params()


def needs(detector, name):
    if not known(detector, name):
        pytest.skip(f"{detector.__name__} has no {name}")


@contextmanager
def broken(detector, phase, error):
    """Raise an error in a phase of the detector's fits; gives a switch, and what was reached so far.

    A loss raises from its third batch on, when weights have moved. Everything else raises at once.
    """
    switch = {"on": True, "reached": 0}
    spared = 2 if phase == "training_loss" else 0
    build = detector.build_core

    def reach():
        if switch["on"]:
            switch["reached"] += 1
            if switch["reached"] > spared:
                raise error

    def build_core(self, input_shape):
        if phase == "build_core":
            reach()
        core = build(self, input_shape)
        if phase != "build_core":
            method = getattr(type(core), phase)

            def fails(*arguments, **named):
                reach()
                return method(*arguments, **named)

            patch.setattr(type(core), phase, fails)
        return core

    def fit_thresholder(self, scores):
        self.dscores_, self.thresh_ = scores, None
        reach()
        return whole(self, scores)

    whole = Thresholder.fit
    with pytest.MonkeyPatch.context() as patch:
        if phase == "thresholder":
            patch.setattr(Thresholder, "fit", fit_thresholder)
        else:
            patch.setattr(detector, "build_core", build_core)
        yield switch


def fail(clf, X, phase, error, fit=fit):
    """Fit, and have it fail in a phase."""
    with broken(type(clf), phase, error) as switch:
        try:
            fit(clf, X)
        except type(error) as caught:
            assert caught is error  # noqa: PT017 - a fit that raises nothing may be right
            return
    if switch["reached"] or known(type(clf), "epoch_num"):
        pytest.fail(f"the fit survived its {phase}")
    pytest.skip(f"{type(clf).__name__} has no {phase}")


def fail_in_a_way(clf, X, way, fit=fit):
    """Fit, and have it fail as it does for users; gives what the detector was right before."""
    if way == "divergence":
        needs(type(clf), "lr")
        clf.set_params(lr=1e14)
        expected = FloatingPointError
    elif way == "device":
        clf.set_params(device="cuda:99")
        expected = (RuntimeError, AssertionError, ValueError)  # with and without a GPU
    elif way == "NaN":
        rows = np.array(X)
        rows[-1] = np.nan
        X = pd.DataFrame(rows, columns=X.columns) if isinstance(X, pd.DataFrame) else rows
        expected = ValueError
    before = dict(vars(clf))
    if way == "interrupt":
        fail(clf, X, "anomaly_score", Interrupt(), fit)
    else:
        with pytest.raises(expected):
            fit(clf, X)
    return before


def assert_same_attributes(something, before):
    """Check that an object has the attributes it had: no other ones, and the very same values."""
    after = vars(something)
    assert after.keys() == before.keys()
    assert [name for name, value in before.items() if after[name] is not value] == []


WAYS = pytest.mark.parametrize("way", ["divergence", "device", "NaN", "interrupt"])
TWO_WAYS = pytest.mark.parametrize("way", ["NaN", "interrupt"])  # before and after the detector knows its rows
ERRORS = pytest.mark.parametrize("error", [Fault, Interrupt], ids=["error", "interrupt"])


@WAYS
@pytest.mark.parametrize("rows", ["array", "frame", "images"])
def test_failed_first_fit_leaves_the_detector_unfitted(detector, table, images, rows, way):
    X = {"array": table, "frame": pd.DataFrame(table, columns=["a", "b", "c"]), "images": images}[rows]
    clf = small(detector)
    before = fail_in_a_way(clf, X, way)
    assert_same_attributes(clf, before)
    for use in (clf.decision_function, clf.predict, clf.embed):
        with pytest.raises(NotFittedError, match=detector.__name__):
            use(X)


@TWO_WAYS
def test_detector_fits_after_a_failed_first_fit(detector, table, way):
    clf = small(detector)
    parameters = clf.get_params()
    fail_in_a_way(clf, table[:, :2], way)
    clf.set_params(**parameters).fit(table)
    np.testing.assert_array_equal(clf.decision_function(table), small(detector).fit(table).decision_scores_)


@WAYS
@pytest.mark.parametrize("fewer", [True, False], ids=["fewer columns", "more columns"])
def test_failed_refit_on_other_columns_changes_nothing(detector, table, fewer, way):
    other = table[:100, :2] if fewer else np.column_stack([table, table])
    clf = small(detector).fit(table)
    scores, history = clf.decision_function(table), list(getattr(clf, "history_", []))
    before = fail_in_a_way(clf, other, way)
    assert_same_attributes(clf, before)
    assert list(getattr(clf, "history_", [])) == history
    np.testing.assert_array_equal(clf.decision_function(table), scores)
    np.testing.assert_array_equal(clf.decision_scores_, scores)
    with pytest.raises(ValueError, match=f"X has {other.shape[1]} features"):
        clf.decision_function(other)


@pytest.mark.filterwarnings("error")
@WAYS
@pytest.mark.parametrize("other", ["names", "number of names", "array"])
def test_failed_refit_of_a_data_frame_changes_nothing(detector, table, other, way):
    frame = pd.DataFrame(table, columns=["a", "b", "c"])
    X = {"names": frame.rename(columns={"a": "z"}), "number of names": frame[["c", "a"]], "array": table[:, :2]}[other]
    clf = small(detector).fit(frame)
    scores = clf.decision_function(frame)
    before = fail_in_a_way(clf, X, way)
    assert_same_attributes(clf, before)
    assert list(clf.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(clf.decision_function(frame), scores)
    X = X if isinstance(X, pd.DataFrame) else pd.DataFrame(X, columns=["a", "b"])
    with pytest.raises(ValueError, match="feature"):
        clf.decision_function(X)


@TWO_WAYS
@pytest.mark.parametrize("other", ["images", "table"])
def test_failed_refit_on_other_images_changes_nothing(detector, table, images, other, way):
    X = images.transpose(0, 1, 3, 2) if other == "images" else table
    clf = small(detector).fit(images)
    scores = clf.decision_function(images)
    before = fail_in_a_way(clf, X, way)
    assert_same_attributes(clf, before)
    np.testing.assert_array_equal(clf.decision_function(images), scores)
    np.testing.assert_array_equal(clf.decision_function(images.reshape(len(images), -1)), scores)
    with pytest.raises(ValueError, match=r"expects images of shape \(2, 6, 5\)|X has 3 features"):
        clf.decision_function(X)


@TWO_WAYS
def test_failed_refit_of_a_table_on_images_changes_nothing(detector, table, images, way):
    clf = small(detector).fit(table)
    scores = clf.decision_function(table)
    before = fail_in_a_way(clf, images, way)
    assert_same_attributes(clf, before)
    np.testing.assert_array_equal(clf.decision_function(table), scores)
    with pytest.raises(ValueError, match="expects a table"):
        clf.decision_function(images)


@TWO_WAYS
def test_failed_refit_with_another_image_shape_changes_nothing(detector, images, way):
    rows = images.reshape(len(images), -1)
    clf = small(detector, image_shape=(2, 6, 5)).fit(rows)
    scores = clf.decision_function(rows)
    clf.set_params(image_shape=(2, 5, 6))
    before = fail_in_a_way(clf, rows[:30], way)
    assert_same_attributes(clf, before)
    np.testing.assert_array_equal(clf.decision_function(rows), scores)
    np.testing.assert_array_equal(clf.decision_function(images), scores)


@ERRORS
@pytest.mark.parametrize("phase", PHASES)
def test_fault_in_any_phase_of_a_first_fit_changes_nothing(detector, table, phase, error):
    clf = small(detector, contamination=Thresholder())
    before = dict(vars(clf))
    fail(clf, pd.DataFrame(table, columns=["a", "b", "c"]), phase, error())
    assert_same_attributes(clf, before)
    assert vars(clf.contamination) == {}
    with pytest.raises(NotFittedError, match=detector.__name__):
        clf.decision_function(table)
    clf.fit(table)
    np.testing.assert_array_equal(clf.labels_, clf.contamination.labels_)


@ERRORS
@pytest.mark.parametrize("phase", PHASES)
def test_fault_in_any_phase_of_a_refit_changes_nothing(detector, table, phase, error):
    clf = small(detector, contamination=Thresholder()).fit(table)
    before, thresholder, history = dict(vars(clf)), dict(vars(clf.contamination)), list(getattr(clf, "history_", []))
    scores, labels, embedded = clf.decision_function(table), clf.predict(table), clf.embed(table)
    fail(clf, pd.DataFrame(table[:100, :2], columns=["a", "b"]), phase, error())
    assert_same_attributes(clf, before)
    assert_same_attributes(clf.contamination, thresholder)
    assert list(getattr(clf, "history_", [])) == history
    np.testing.assert_array_equal(clf.decision_function(table), scores)
    np.testing.assert_array_equal(clf.predict(table), labels)
    np.testing.assert_array_equal(clf.embed(table), embedded)


def test_thresholder_without_labels_changes_nothing(detector, table):
    clf = small(detector, contamination=Unlabelled())
    before = dict(vars(clf))
    with pytest.raises((AttributeError, TypeError, ValueError)):
        clf.fit(table)
    assert_same_attributes(clf, before)
    assert vars(clf.contamination) == {}
    clf.set_params(contamination=0.1).fit(table)
    scores = clf.decision_function(table)
    clf.set_params(contamination=Unlabelled())
    before = dict(vars(clf))
    with pytest.raises((AttributeError, TypeError, ValueError)):
        clf.fit(table[:, :2])
    assert_same_attributes(clf, before)
    assert vars(clf.contamination) == {}
    np.testing.assert_array_equal(clf.decision_function(table), scores)


def test_thresholder_belongs_to_the_detector_after_a_fit(detector, table):
    thresholder = Thresholder()
    clf = small(detector, contamination=thresholder).fit(table)
    assert clf.contamination is thresholder
    np.testing.assert_array_equal(thresholder.labels_, clf.labels_)
    assert thresholder.thresh_ == clf.threshold_
    np.testing.assert_array_equal(clf.predict(table), clf.labels_)


@WAYS
def test_failed_first_stage_leaves_the_detector_unfitted(detector, table, way):
    needs(detector, "epoch_num")
    clf = small(detector)
    before = fail_in_a_way(clf, pd.DataFrame(table, columns=["a", "b", "c"]), way, fit_in_stages)
    assert_same_attributes(clf, before)
    with pytest.raises(NotFittedError, match=detector.__name__):
        clf.decision_function(table)


@ERRORS
@pytest.mark.parametrize("phase", ["training_loss", "calibrate", "anomaly_score", "thresholder"])
def test_failed_stage_leaves_the_stage_before(detector, table, phase, error):
    needs(detector, "epoch_num")
    clf, fault = small(detector, epoch_num=4, contamination=Thresholder()), error()
    with broken(detector, phase, fault) as switch:
        switch["on"] = False
        stages = clf.staged_fit(table)
        for _ in range(2):
            next(stages)
        before, thresholder, history = (
            dict(vars(clf)),
            dict(vars(clf.contamination)),
            list(getattr(clf, "history_", [])),
        )
        scores = clf.decision_function(table)
        switch["on"] = True
        with pytest.raises(error) as caught:
            next(stages)
        assert caught.value is fault
    assert_same_attributes(clf, before)
    assert_same_attributes(clf.contamination, thresholder)
    assert list(getattr(clf, "history_", [])) == history
    assert len(history) == 2
    np.testing.assert_array_equal(clf.decision_function(table), scores)
    np.testing.assert_array_equal(clf.decision_scores_, scores)


@pytest.mark.parametrize("columns", [3, 2])
def test_fit_between_two_stages_ends_the_stages(detector, table, columns):
    needs(detector, "epoch_num")
    X = table[:100, :columns]
    clf = small(detector)
    stages = clf.staged_fit(table)
    next(stages)
    clf.fit(X)
    before = dict(vars(clf))
    with pytest.raises(RuntimeError, match="staged_fit"):
        next(stages)
    assert_same_attributes(clf, before)
    np.testing.assert_array_equal(clf.decision_function(X), small(detector).fit(X).decision_scores_)


def test_other_stages_between_two_stages_end_the_earlier_ones(detector, table):
    needs(detector, "epoch_num")
    X = table[:100, :2]
    clf = small(detector)
    earlier, later = clf.staged_fit(table), clf.staged_fit(X)
    next(earlier)
    next(later)
    before = dict(vars(clf))
    with pytest.raises(RuntimeError, match="staged_fit"):
        next(earlier)
    assert_same_attributes(clf, before)
    assert [len(stage.history_) for stage in later] == [2]
    np.testing.assert_array_equal(clf.decision_function(X), small(detector).fit(X).decision_scores_)


def test_refit_of_a_data_frame_with_an_array_forgets_the_names(detector, table):
    clf = small(detector).fit(pd.DataFrame(table, columns=["a", "b", "c"]))
    clf.fit(table)
    assert not hasattr(clf, "feature_names_in_")
    np.testing.assert_array_equal(clf.decision_function(table), clf.decision_scores_)
    needs(detector, "epoch_num")
    for stage in clf.fit(pd.DataFrame(table, columns=["a", "b", "c"])).staged_fit(table):
        assert not hasattr(stage, "feature_names_in_")


def test_refit_leaves_nothing_of_the_fit_before(detector, table, images):
    clf = small(detector).fit(pd.DataFrame(table, columns=["a", "b", "c"])).fit(images)
    fresh = small(detector).fit(images)
    assert vars(clf).keys() == vars(fresh).keys()
    np.testing.assert_array_equal(clf.decision_scores_, fresh.decision_scores_)
    np.testing.assert_array_equal(clf.decision_function(images), fresh.decision_function(images))
