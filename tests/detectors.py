"""What the tests know of the detectors: they find them by themselves."""

import numpy as np

from pyod_synth import all_detectors

DETECTORS = list(all_detectors().values())

_SMALL = {"epoch_num": 2, "batch_size": 32, "hidden_size": 8, "latent_size": 2, "memory_size": 40, "random_state": 0}


def small(detector, **parameters):
    """Construct a detector with networks that train in milliseconds."""
    known = detector().get_params()
    return detector(**{name: value for name, value in (_SMALL | parameters).items() if name in known})


def trains(detector):
    """Whether a detector trains networks, rather than looking at the training rows once."""
    return "epoch_num" in detector().get_params()


def takes_sequences(detector):
    """Whether a detector has networks for sequences."""
    return "sequence_shape" in detector().get_params()


def offers(clf, name, X):
    """Whether a fitted detector has a method, and does not say that it has nothing to give."""
    try:
        getattr(clf, name)(X)
    except (AttributeError, NotImplementedError):
        return False
    return True


def finds_far_rows(detector):
    """Whether rows far from the training rows are sure to score high.

    The papers' classifiers learn nothing of such rows, and often call them normal; what is restored badly or resembles
    no remembered row scores high.
    """
    return detector.__name__ not in {"AnoRand", "DHAG", "PLAD"}


def assert_same(actual, expected):
    """Check that results are the same but for the rounding of float32: 1e-5 of the largest."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def answers(clf, X):
    """Everything that a fitted detector says of rows, and of its training rows."""
    return {
        "scores": clf.decision_function(X),
        "labels": clf.predict(X),
        "linear": clf.predict_proba(X),
        "unify": clf.predict_proba(X, method="unify"),
        "confidence": clf.predict_confidence(X),
        "embedding": clf.embed(X),
        "training scores": clf.decision_scores_,
        "training labels": clf.labels_,
        "threshold": np.array(clf.threshold_),
    }
