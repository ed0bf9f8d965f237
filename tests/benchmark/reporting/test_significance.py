"""Tests of differences, held beside their formulas."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.reporting import significance
from benchmarks.reporting.frame import to_frame
from tests.benchmark.records import record, table

RANKS = pd.DataFrame([[1, 2, 3]] * 8 + [[1, 3, 2]] * 2, columns=["P", "Q", "R"]).astype(float)


def test_friedman():
    n, k = RANKS.shape
    statistic = 12 * n / (k * (k + 1)) * ((RANKS.mean() ** 2).sum() - k * (k + 1) ** 2 / 4)
    assert significance.friedman(RANKS) == pytest.approx(stats.chi2.sf(statistic, k - 1))
    assert significance.friedman(RANKS * 0 + 2) == 1


def test_critical_difference():
    # Demšar 2006, Table 5(a): q = 2.343 for 3 and 3.164 for 10 classifiers, at 0.05
    assert significance.critical_difference(RANKS) == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 10)), abs=1e-3)
    ten = pd.DataFrame(np.tile(np.arange(1, 11), (29, 1)))
    assert significance.critical_difference(ten) == pytest.approx(3.164 * np.sqrt(10 * 11 / (6 * 29)), abs=1e-3)


def test_nemenyi():
    p_values = significance.nemenyi(RANKS)
    assert p_values.index.tolist() == p_values.columns.tolist() == ["P", "Q", "R"]
    apart = abs(RANKS["P"].mean() - RANKS["R"].mean()) / np.sqrt(3 * 4 / (6 * 10))
    assert p_values.loc["P", "R"] == pytest.approx(stats.studentized_range.sf(apart * np.sqrt(2), 3, np.inf), rel=1e-3)
    far = np.abs(np.subtract.outer(RANKS.mean().to_numpy(), RANKS.mean().to_numpy()))
    assert ((p_values < 0.05) == (far > significance.critical_difference(RANKS))).all(axis=None)


def test_nothing_is_told_apart_where_friedman_does_not_reject():
    level = pd.DataFrame([[1, 2, 3], [3, 1, 2], [2, 3, 1]] * 2, columns=["P", "Q", "R"]).astype(float)
    assert significance.friedman(level) > 0.9
    assert (significance.nemenyi(level) == 1).all(axis=None)


def test_enough():
    assert significance.enough(RANKS)
    assert significance.enough(RANKS.head(5))
    assert not significance.enough(RANKS.head(4))
    assert not significance.enough(RANKS[["P", "Q"]])


def test_t_tests():
    plad, knn = [0.9, 0.92, 0.88], [0.7, 0.8, 0.75]
    records = [
        *table({"a": {"PLAD": plad, "KNN": knn, "LOF": [0.95]}, "b": {"PLAD": [0.5, 0.5], "KNN": [0.6, 0.6]}}),
        *table({"c": {"PLAD": [0.5, 0.6], "ECOD": [0.8, 0.8]}, "d": {"KNN": [0.5, 0.6]}}),
        record("c", "KNN", 0, None, "failed"),
    ]
    runs = to_frame(records)
    found = significance.t_tests(runs, "PLAD", "auroc")["one-class"]
    assert found[["dataset", "rival", "better"]].values.tolist() == [["a", "KNN", True], ["c", "ECOD", False]]
    pooled = np.sqrt((np.var(plad, ddof=1) + np.var(knn, ddof=1)) / 2)
    t = (np.mean(plad) - np.mean(knn)) / (pooled * np.sqrt(2 / 3))
    assert found["p"][0] == pytest.approx(2 * stats.t.sf(t, 4))
    assert found["p"][1] == pytest.approx(2 * stats.t.sf(5, 2))  # 0.25 apart, variances 0.005 and 0
    assert significance.t_tests(runs, "NCAE", "auroc") == {}
