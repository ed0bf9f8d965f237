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
        if "is not invariant when applied to a" in str(error):  # subset, or dataset with a different sample order
            pytest.xfail("scores are of float32, the same in any company to 1e-5 (test_contract), not to 1e-7")
        raise
