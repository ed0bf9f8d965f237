"""How good a fitted detector is, without labels: how it separates normal rows from anomalies invented from them."""

import warnings
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_array

from pyod_synth.seeding import RandomState, draw_seed
from pyod_synth.validation import as_array

_LEAST, _MOST = 0.5, 1.5  # of the way from another row, by which a row is moved on beyond


def separation(clf: Any, X: Any, random_state: RandomState = 42) -> float:
    """Measure how well a fitted detector separates normal rows from anomalies that are invented from them.

    Two of each row are invented: the row moved away from another one, by half to one and a half times their difference,
    and one that takes each of its features, or pixels, from another row drawn for it, so that no two belong together.

    Between detectors that were trained on the same *normal* rows this goes along with how well they find true
    anomalies; the benchmark's results say how closely. With anomalies among the training rows it hardly does.

    Parameters
    ----------
    clf : object
        A fitted detector of this package, of PyOD, or a pipeline that ends in one: ``decision_function`` is high for
        anomalies.
    X : array-like of shape (n, d) or (n, C, H, W)
        Normal rows that the detector was not trained on, at least two; numbers.
    random_state : int, RandomState instance or None, default=42
        Of the pairs of rows.

    Returns
    -------
    float in [0, 1]
        Area under the ROC curve of the rows against the invented ones. Higher is better; .5 is chance.

    Raises
    ------
    ValueError
        If ``X`` has less than two rows, or holds what is no finite number, or if a score is none.

    Warns
    -----
    UserWarning
        If all rows have one and the same score: the detector tells none apart.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod.models.hbos import HBOS
    >>> from pyod_synth import GatedKNN
    >>> from pyod_synth.assessment import separation
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 1)) * np.ones(4) + 0.1 * rng.normal(size=(400, 4))  # four features that agree
    >>> train, held_out = X[:300], X[300:]
    >>> bool(separation(GatedKNN().fit(train), held_out) > separation(HBOS().fit(train), held_out))
    True
    """
    rows = check_array(as_array(X, "X"), dtype="numeric", allow_nd=True, ensure_min_samples=2, input_name="X")
    random = np.random.default_rng(draw_seed(random_state))
    other = rows[(np.arange(len(rows)) + random.integers(1, len(rows), size=len(rows))) % len(rows)]
    share = random.uniform(_LEAST, _MOST, size=(len(rows),) + (1,) * (rows.ndim - 1))
    mixed = random.permuted(rows, axis=0)
    scores = [_score(clf, X, part) for part in (rows, rows + share * (rows - other), mixed)]
    if np.ptp(scores[0]) == 0:
        warnings.warn(f"all {len(rows)} rows of X have the same score: the detector tells none apart", stacklevel=2)
    return float(roc_auc_score(np.repeat([0, 1, 1], len(rows)), np.concatenate(scores)))


def _score(clf: Any, X: Any, rows: Any) -> Any:
    """Score rows in the container that the detector knows: a data frame has names."""
    return clf.decision_function(type(X)(rows, columns=X.columns) if hasattr(X, "columns") else rows)
