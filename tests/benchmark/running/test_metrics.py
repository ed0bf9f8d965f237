"""The figures that scores are judged by."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from benchmarks.running.metrics import evaluate, f1_at_true_count


def test_metrics():
    y, scores = np.array([0, 1, 0, 1, 0]), np.array([0.1, 0.9, 0.8, 0.4, 0.2])
    figures = evaluate(y, scores)
    assert figures["auroc"] == pytest.approx(5 / 6)
    assert figures["auprc"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert figures["f1"] == pytest.approx(f1_score(y, scores >= 0.8))


def test_f1_with_ties_is_that_of_a_random_order():
    y, scores = np.array([0, 0, 0, 1, 1, 1]), np.array([0.0, 1.0, 1.0, 1.0, 1.0, 2.0])
    # one anomaly is above the cut; two of the four tied rows are flagged, and half of those are anomalies
    assert f1_at_true_count(y, scores) == pytest.approx((1 + 2 * 0.5) / 3)
    assert f1_at_true_count(y[::-1], scores[::-1]) == f1_at_true_count(y, scores)
    assert f1_at_true_count(y, np.zeros(6)) == pytest.approx(0.5)


def test_scores_that_are_not_finite_have_no_figures():
    with pytest.raises(ValueError, match="1 of 3 scores are not finite"):
        evaluate(np.array([0, 1, 1]), np.array([0.0, np.nan, 1.0]))
    with pytest.raises(ValueError, match="both 0 and 1"):
        evaluate(np.zeros(3, dtype=int), np.zeros(3))
