"""scikit-learn's own checks, over every exported detector."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.detectors import DETECTORS, small

EXPECTED_FAILURES = {
    "check_do_not_raise_errors_in_init_or_set_params": "PyOD's constructor checks contamination",
    "check_outliers_fit_predict": "PyOD's labels are 0 and 1, scikit-learn's 1 and -1",
    "check_outliers_train": "PyOD's labels are 0 and 1, scikit-learn's 1 and -1",
}


@pytest.mark.filterwarnings("ignore:Function fit_predict is deprecated:FutureWarning")
@parametrize_with_checks(
    [small(detector) for detector in DETECTORS], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_check_estimator(estimator, check):
    try:
        check(estimator)
    except AssertionError as error:
        # NCAE's mean of squared errors is rounded by where a row lies in its block, by 2e-7 of the score
        reordered = type(estimator).__name__ == "NCAE" and "different sample order" in str(error)
        if reordered or "is not invariant when applied to a subset" in str(error):
            pytest.xfail("scores are of float32, the same in any company to 1e-5 (test_contract), not to 1e-7")
        raise
