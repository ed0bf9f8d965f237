"""A stated false-alarm rate in the place of a guessed contamination: conformal p-values from held-out rows."""

import math
from copy import copy
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit
from sklearn.utils.validation import check_is_fitted
from typing_extensions import Self

from pyod_synth.pyod_compat import PyODDetector
from pyod_synth.seeding import RandomState, draw_seed
from pyod_synth.validation import HasMethods, Interval, check_parameters

Floats = np.ndarray[Any, np.dtype[np.float64]]


class ConformalDetector(PyODDetector):
    """Any outlier detector with a stated rate of false alarms, calibrated on held-out normal rows.

    Clones of the detector are fitted on some of the training rows and score the others, the calibration rows. A new
    row's p-value says how rare a score as high as its own is among these: with n calibration rows, of which c score at
    least as high as it does by the detector that was not fitted on them, it is (1 + c) / (n + 1).

    What is promised, if the training rows and a new normal row are exchangeable (independent draws from one
    distribution are), for any detector that does not depend on the order of rows, and any rate a:

    - ``calibration`` is a share: P(p <= a) <= a, and without ties exactly floor(a (n + 1)) / (n + 1) [1]_ [2]_.
    - ``calibration`` is a number K of folds: P(p <= a) <= 2 a + 2 (K - 1) / (n + K), with all n rows calibrating
      [3]_ [4]_. In practice it is about a.

    The promise is marginal: a mean over training sets and new rows. With a share, the rate of one fitted detector, over
    all rows to come, is a draw from Beta(k, n + 1 - k) with k = floor(a (n + 1)), whose mean is about a and whose
    deviation is at most sqrt(a (1 - a) / n) or so [2]_. Anomalies among the training rows make for fewer alarms, on
    normal rows and on anomalies; training rows unlike the rows to come void the promise.

    Parameters
    ----------
    detector : object
        PyOD's, scikit-learn's or this package's outlier detector, or a pipeline that ends in one, unfitted. It is
        cloned. What has a ``decision_scores_`` after fitting scores anomalies high, as in PyOD; else high values of
        ``decision_function`` are normal, as in scikit-learn.
    false_alarm_rate : float in (0, 0.5], default=0.05
        Share of normal rows that ``predict`` may call anomalies. There have to be at least 1 / false_alarm_rate - 1
        calibration rows.
    calibration : float in (0, 1) or int, default=0.5
        Share of the training rows that is held out, drawn at random, or number of folds, at least two, each of which
        is held out once. Folds let all rows train and calibrate, at the price of as many fits and of the weaker
        promise.
    random_state : int, RandomState instance or None, default=42
        Of the division of the rows. The detector has its own.

    Attributes
    ----------
    detectors_ : list of object
        The fitted clones: one, or one for each fold.
    calibration_scores_ : list of ndarray of shape (m,), float64
        For each of them the scores of its calibration rows in ascending order; higher is more anomalous.
    decision_scores_ : ndarray of shape (n_samples,), float64
        As ``decision_function`` of the training rows, most of which a detector was fitted on.
    threshold_ : float
        Score above which the p-value is at most the false-alarm rate.
    labels_ : ndarray of shape (n_samples,), int
        1 for training rows above the threshold, else 0.

    References
    ----------
    .. [1] V. Vovk, A. Gammerman and G. Shafer, "Algorithmic Learning in a Random World", 2005.
    .. [2] S. Bates, E. Candès, L. Lei, Y. Romano and M. Sesia, "Testing for outliers with conformal p-values", Annals
       of Statistics, 2023.
    .. [3] V. Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence, 2015.
    .. [4] R. F. Barber, E. J. Candès, A. Ramdas and R. J. Tibshirani, "Predictive inference with the jackknife+",
       Annals of Statistics, 2021; the sum over folds is bounded as V. Vovk and R. Wang, "Combining p-values via
       averaging", Biometrika, 2020, bound twice a mean of p-values.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import ConformalDetector, GatedKNN
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> clf = ConformalDetector(GatedKNN(), false_alarm_rate=0.01).fit(X)
    >>> clf.p_values([[9.0, -9.0]]).round(3)
    array([0.002])
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    """

    _parameter_constraints = {
        "detector": [HasMethods(["fit", "decision_function"])],
        "false_alarm_rate": [Interval(Real, 0, 0.5, closed="right")],
        "calibration": [Interval(Integral, 2, None, closed="left"), Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        detector: Any,
        *,
        false_alarm_rate: float = 0.05,
        calibration: float = 0.5,
        random_state: RandomState = 42,
    ):
        self.detector = detector
        self.false_alarm_rate = false_alarm_rate
        self.calibration = calibration
        self.random_state = random_state

    @property
    def contamination(self) -> float:
        """What PyOD calls the share of rows that are called anomalies."""
        return self.false_alarm_rate

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit clones of the detector and calibrate them. A fit that fails leaves the detector as it was.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Normal rows, whatever the detector takes.
        y : ignored

        Returns
        -------
        self : ConformalDetector

        Raises
        ------
        ValueError
            If a parameter is out of range, there are too few calibration rows for the rate, or the detector refuses
            the rows.
        """
        check_parameters(self)
        X = X if hasattr(X, "shape") else np.asarray(X)
        rows = X.iloc if hasattr(X, "iloc") else X
        fitted = copy(self)
        fitted.detectors_, fitted.calibration_scores_ = [], []
        for train, held_out in self._divide(X.shape[0]):
            detector = clone(self.detector).fit(rows[train])
            fitted.detectors_.append(detector)
            fitted.calibration_scores_.append(np.sort(_score(detector, rows[held_out])))
        n = fitted._n_calibration()
        alarms = math.floor(self.false_alarm_rate * (n + 1) + 1e-9)  # .05 * 100 is a little less than 5
        fitted.n_features_in_ = math.prod(X.shape[1:])
        fitted.decision_scores_ = fitted.decision_function(X)
        fitted._process_decision_scores()
        fitted.threshold_ = 1 - alarms / (n + 1)
        fitted.labels_ = (fitted.decision_scores_ > fitted.threshold_).astype(int)
        self.__dict__ = dict(vars(fitted))
        return self

    def decision_function(self, X: Any) -> Floats:
        """Score rows: one less their p-value, plus less than 1 / (n + 1), by which equal p-values are told apart.

        Parameters
        ----------
        X : array-like of shape (n_rows, ...)
            Rows shaped as in ``fit``.

        Returns
        -------
        ndarray of shape (n_rows,), float64
            Between 0 and 1; higher is more anomalous.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If the detector refuses the rows.
        """
        below, between = self._ranks(X)
        return (below + between) / (self._n_calibration() + 1)

    def p_values(self, X: Any) -> Floats:
        """Give conformal p-values: small ones speak against normal rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, ...)
            Rows shaped as in ``fit``.

        Returns
        -------
        ndarray of shape (n_rows,), float64
            Multiples of 1 / (n + 1), n being the number of calibration rows, from 1 / (n + 1) to 1.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If the detector refuses the rows.
        """
        n = self._n_calibration()
        return (1 + n - self._ranks(X)[0]) / (n + 1)

    def predict(self, X: Any, return_confidence: bool = False, *, fdr: float | None = None) -> Any:
        """Say which rows are anomalies.

        Parameters
        ----------
        X : array-like of shape (n_rows, ...)
            Rows shaped as in ``fit``.
        return_confidence : bool, default=False
            Whether to add the confidence in each label, as in PyOD.
        fdr : float in (0, 1) or None, default=None
            None calls anomalies what has a p-value of at most ``false_alarm_rate``: that share of the normal rows. A
            number calls so many anomalies, by the procedure of Benjamini and Hochberg over all rows of ``X``, that the
            expected share of normal rows among them is at most this, which Bates et al. prove for a share as
            ``calibration``. It takes many calibration rows: a lone anomaly among N rows is found if its p-value is at
            most fdr / N, and the smallest one there is is 1 / (n + 1).

        Returns
        -------
        ndarray of shape (n_rows,), int
            1 is an anomaly.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``fdr`` is out of range, or the detector refuses the rows.
        """
        if fdr is None:
            return super().predict(X, return_confidence)
        if not isinstance(fdr, Real) or not 0 < fdr < 1:
            raise ValueError(f"fdr must be a number in (0, 1) or None, got {fdr!r}")
        labels = (false_discovery_control(self.p_values(X)) <= fdr).astype(int)
        return (labels, self.predict_confidence(X)) if return_confidence else labels

    def _divide(self, n: int) -> list[tuple[Any, Any]]:
        """Draw the rows to fit on and those to calibrate on, once for each detector."""
        seed = draw_seed(self.random_state)
        if isinstance(self.calibration, Integral):
            if n < self.calibration:
                raise ValueError(f"calibration={self.calibration} folds need as many rows at least, got {n}")
            count, how = n, KFold(int(self.calibration), shuffle=True, random_state=seed)
        else:
            count = round(self.calibration * n)
            how = ShuffleSplit(1, test_size=count, random_state=seed) if 0 < count < n else None
        least = math.ceil(1 / self.false_alarm_rate - 1e-9) - 1
        if count < least or how is None:
            raise ValueError(
                f"false_alarm_rate={self.false_alarm_rate} needs at least {max(least, 1)} calibration rows, "
                f"got {count} of {n} rows with calibration={self.calibration}"
            )
        return list(how.split(np.empty(n)))

    def _n_calibration(self) -> int:
        check_is_fitted(self, "calibration_scores_")
        return sum(len(scores) for scores in self.calibration_scores_)

    def _ranks(self, X: Any) -> tuple[Any, Any]:
        """Count the calibration rows that score lower than each row, and give a number within (0, 1) that rises."""
        check_is_fitted(self, "calibration_scores_")
        below, between = np.zeros((), dtype=np.int64), np.zeros(())
        for detector, usual in zip(self.detectors_, self.calibration_scores_, strict=True):
            scores = _score(detector, X)
            below = below + np.searchsorted(usual, scores, side="left")
            spread = np.ptp(usual) or 1.0
            rising = np.clip(0.5 + np.arctan((scores - usual[len(usual) // 2]) / spread) / np.pi, 1e-9, 1 - 1e-9)
            between = between + rising / len(self.detectors_)
        return below, between


def _score(detector: Any, X: Any) -> Floats:
    """Score rows by a fitted detector of PyOD's or of scikit-learn's, higher being more anomalous."""
    scores = np.asarray(detector.decision_function(X), dtype=np.float64)
    last = detector.steps[-1][1] if hasattr(detector, "steps") else detector
    return scores if hasattr(last, "decision_scores_") else -scores
