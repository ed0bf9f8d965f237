"""(labels, scores) -> figures."""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "f1": "F1"}
IN_WORDS = {
    "auroc": "area under the ROC curve (AUROC)",
    "auprc": "area under the precision-recall curve (AUPRC)",
    "f1": "F1 at the true count of anomalies",
}


def evaluate(y: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Compare scores with labels.

    Parameters
    ----------
    y : ndarray of shape (n,), int
        1 = anomaly, 0 = normal; both occur.
    scores : ndarray of shape (n,), float
        Finite; higher is more anomalous.

    Returns
    -------
    dict of str to float
        By the keys of ``METRICS``, each in [0, 1]: ``auroc``, ``auprc`` (average precision) and ``f1`` (see
        :func:`f1_at_true_count`).

    Raises
    ------
    ValueError
        If a score is not finite, or ``y`` has one class only.
    """
    if not np.isfinite(scores).all():
        raise ValueError(f"{np.sum(~np.isfinite(scores))} of {len(scores)} scores are not finite")
    if set(np.unique(y)) != {0, 1}:
        raise ValueError(f"labels must hold both 0 and 1, got {np.unique(y).tolist()}")
    return {
        "auroc": float(roc_auc_score(y, scores)),
        "auprc": float(average_precision_score(y, scores)),
        "f1": f1_at_true_count(y, scores),
    }


def f1_at_true_count(y: np.ndarray, scores: np.ndarray) -> float:
    """F1 when exactly as many rows are flagged as there are anomalies; precision and recall are then equal.

    Rows that tie at the cut are flagged in equal shares, so that the order of rows does not matter.

    Parameters
    ----------
    y : ndarray of shape (n,), int
        1 = anomaly, 0 = normal.
    scores : ndarray of shape (n,), float
        Higher is more anomalous.

    Returns
    -------
    float
    """
    count = int(np.sum(y))
    cut = np.sort(scores)[-count]
    above, tied = scores > cut, scores == cut
    hits = np.sum(y[above]) + (count - above.sum()) * np.mean(y[tied])
    return float(hits / count)
