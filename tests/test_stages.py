"""staged_fit, of every detector that trains: the same training as fit, with stops."""

import random
from copy import deepcopy

import numpy as np
import pytest
import torch

from tests.detectors import DETECTORS, assert_same, small, trains

TRAINED = list(filter(trains, DETECTORS))
pytestmark = pytest.mark.parametrize("detector", TRAINED, ids=lambda detector: detector.__name__)


def assert_same_fit(one, other, X):
    """Check that two detectors hold and say the same, to the bit."""
    weights, others = one.core_.state_dict(), other.core_.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert not one.core_.training
    assert not other.core_.training
    assert (one.history_, one.threshold_) == (other.history_, other.threshold_)
    np.testing.assert_array_equal(one.decision_scores_, other.decision_scores_)
    np.testing.assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_array_equal(one.decision_function(X), other.decision_function(X))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_last_stage_is_what_fit_gives(detector, kind):
    X, far, parameters = kind
    clf, staged = small(detector, epoch_num=3, **parameters).fit(X), small(detector, epoch_num=3, **parameters)
    stages = []
    for stage in staged.staged_fit(X):
        assert stage is staged
        assert np.isfinite(staged.decision_function(far)).all()
        assert_same(staged.decision_function(X), staged.decision_scores_)
        stages.append(staged.history_)
        torch.manual_seed(0)  # whatever a user does between stages
        torch.rand(7)
    assert stages == [clf.history_[:epoch] for epoch in (1, 2, 3)]
    assert_same_fit(staged, clf, far)


def test_leaving_early_keeps_the_stage(detector, table):
    clf = small(detector, epoch_num=4)
    copies = [deepcopy(stage) for stage in clf.staged_fit(table)]
    assert not np.array_equal(copies[0].decision_scores_, copies[1].decision_scores_)
    for number, _ in enumerate(clf.staged_fit(table), start=1):
        if number == 2:
            break
    assert_same_fit(clf, copies[1], table)


def test_generators_are_the_users_between_stages(detector, table):
    def draws():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002 - the global one is meant

    def seed():
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)

    seed()
    expected = [draws() for _ in range(3)]
    seed()
    stages = small(detector).staged_fit(table)
    assert [draws() for _ in stages] == expected[:2]
    assert draws() == expected[2]


def test_stages_check_what_fit_checks(detector, table):
    with pytest.raises(ValueError, match="NaN"):
        next(small(detector).staged_fit(np.full((10, 3), np.nan)))
    with pytest.raises(ValueError, match="lr"):
        next(small(detector, lr=0.0).staged_fit(table))


def test_stages_learn_from_labels(detector, table):
    if "use_labels" not in detector().get_params():
        return
    y = (np.arange(len(table)) < 20).astype(int)
    *_, staged = small(detector, use_labels=True).staged_fit(table, y)
    assert_same_fit(staged, small(detector, use_labels=True).fit(table, y), table)
