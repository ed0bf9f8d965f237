"""The score of residuals against numpy, and what follows from it."""

import math

import numpy as np
import pytest
import torch

from pyod_synth.residuals import ResidualScore, log_energy
from tests import residual_score as reference


@pytest.mark.parametrize("bounded", [False, True])
def test_log_energy(bounded):
    residual, mean_square = np.array([[1.0, -2.0], [0.0, 30.0]]), np.array([0.5, 4.0])
    energy = log_energy(torch.tensor(residual), torch.tensor(mean_square), bounded)
    np.testing.assert_allclose(energy, reference.log_energy(residual, mean_square, bounded))
    np.testing.assert_allclose(
        log_energy(torch.tensor(residual), bounded=bounded), reference.log_energy(residual, 1, bounded)
    )
    assert log_energy(torch.zeros(1, 2)).item() == pytest.approx(math.log(1e-6))


def test_calibration_and_score():
    rng = np.random.default_rng(0)
    train, new = rng.normal(size=(3, 40, 5)), 3 * rng.normal(size=(3, 9, 5))
    score = ResidualScore(3, 5)
    # rows that carry their residuals
    x = torch.tensor(train.transpose(1, 0, 2), dtype=torch.float32)
    score.calibrate(lambda rows: rows.transpose(0, 1), x)
    for statistic, bounded in enumerate((False, True)):
        for scale, residual in enumerate(train):
            mean_square, median, deviation = reference.calibration(residual, bounded)
            np.testing.assert_allclose(score.mean_square[scale, 0], mean_square, rtol=1e-4)
            assert score.median[statistic, scale].item() == pytest.approx(median, abs=1e-4)
            assert score.deviation[statistic, scale].item() == pytest.approx(deviation, rel=1e-3)
    expected = reference.residual_score(new, train)
    np.testing.assert_allclose(score(torch.tensor(new, dtype=torch.float32)), expected, rtol=1e-3, atol=1e-3)


def test_score_by_hand():
    # nothing is calibrated: mean squares and deviations are 1, medians 0
    residuals = torch.tensor([[[0.1, 0.1], [2.0, -2.0]], [[-3.0, 3.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 2.0]]])
    expected = [(math.log(9) + math.log(math.log(10))) / 2, (math.log(4) + math.log(math.log(5))) / 2]
    np.testing.assert_allclose(ResidualScore(3, 2)(residuals), expected, rtol=1e-5)


def test_the_second_statistic_bounds_what_one_coordinate_contributes():
    first, second = ResidualScore(1, 2).statistics(torch.tensor([[[1e4, 0.0]]]))[:, 0, 0].tolist()
    assert first == pytest.approx(math.log(1e8 / 2))
    assert second == pytest.approx(math.log(math.log(1 + 1e8) / 2))


def test_statistics_may_find_their_maximum_at_different_scales():
    # one coordinate far out at the first scale, all a little at the second
    residuals = torch.tensor([[[9.0, 0.0, 0.0, 0.0]], [[4.0, 4.0, 4.0, 4.0]]])
    expected = (math.log(81 / 4) + math.log(math.log(17))) / 2
    assert ResidualScore(2, 4)(residuals).item() == pytest.approx(expected, rel=1e-5)


def test_calibration_does_not_depend_on_blocks():
    x = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0))
    score, whole = ResidualScore(1, 2), x.double()
    score.calibrate(lambda rows: rows[None], x)  # in three blocks
    torch.testing.assert_close(score.mean_square[0, 0].double(), whole.square().mean(dim=0) + 1e-6, rtol=1e-4, atol=0)
    statistics = score.statistics(x[None])
    torch.testing.assert_close(score.median, statistics.median(dim=2, keepdim=True).values, rtol=1e-4, atol=1e-5)


def test_usual_rows_score_about_zero():
    score, x = ResidualScore(1, 5), torch.randn(1001, 5, generator=torch.Generator().manual_seed(0))
    score.calibrate(lambda rows: rows[None], x)
    standardised = (score.statistics(x[None]) - score.median) / score.deviation
    np.testing.assert_allclose(standardised.median(dim=2).values, 0, atol=1e-4)
    np.testing.assert_allclose(standardised.abs().median(dim=2).values, 1, rtol=0.01)
    assert score(x[None]).median().abs() < 0.1


def test_what_is_restored_perfectly_scores_finitely():
    score, x = ResidualScore(2, 3), torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    score.calibrate(lambda rows: torch.zeros(2, *rows.shape), x)
    np.testing.assert_array_equal(score(torch.zeros(2, 9, 3)), 0)
    off = score(torch.full((2, 9, 3), 1e-3))
    assert off.isfinite().all()
    assert (off > 1).all()
