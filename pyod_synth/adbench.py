"""The detectors as classes that ADBench's own runner takes.

A class is handed over unbuilt, on a data set of one's own (a dictionary of X and y) or, without ``dataset``, on all of
ADBench's::

    from adbench.run import RunPipeline
    from pyod_synth.adbench import PLAD

    results = RunPipeline(suffix="PLAD", parallel="unsupervise").run(dataset={"X": X, "y": y}, clf=PLAD)

ADBench always hands over ``y_train``: 1 is a labelled anomaly, 0 a normal row or an anomaly without a label. Without
labels it is all 0, except that its experiments with noise hand every label to unsupervised detectors too. A class
cannot see which experiment it is in. So labels are learned from only by the classes that say so by their name, as
``DHAGWithLabels``, which belong in ``parallel="semi-supervise"`` and ``"supervise"``; where there are none (ADBench
begins with a share of 0), they fit the form without labels.

Other parameters than the defaults need a subclass: ``class Short(PLAD): parameters = {"epoch_num": 20}``.
"""

from typing import Any, ClassVar

import numpy as np
from typing_extensions import Self

from pyod_synth import gated_knn
from pyod_synth.detector import CoreDetector
from pyod_synth.models import anorand, dhag, ncae, novelty_normalization, plad


class Adapter:
    """A detector behind the methods that ADBench calls.

    Parameters
    ----------
    seed : int
        Random state of the detector.
    model_name : str or None, default=None
        What ADBench calls the class; not needed here.
    """

    detector: ClassVar[type[CoreDetector]]
    labels: ClassVar[bool] = False
    parameters: ClassVar[dict[str, Any]] = {}

    def __init__(self, seed: int, model_name: str | None = None):
        self.seed = seed
        self.model_name = model_name

    def fit(self, X_train: Any, y_train: Any) -> Self:
        """Fit the detector.

        Parameters
        ----------
        X_train : ndarray of shape (n, d)
        y_train : ndarray of shape (n,), int
            1 = labelled anomaly, 0 = normal or without a label; only looked at by classes with labels.

        Returns
        -------
        self : Adapter
        """
        use_labels = {"use_labels": True} if self.labels and bool((np.asarray(y_train) == 1).any()) else {}
        self.model = self.detector(random_state=int(self.seed), **use_labels | self.parameters).fit(X_train, y_train)
        return self

    def predict_score(self, X: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Score rows.

        Parameters
        ----------
        X : ndarray of shape (n, d)

        Returns
        -------
        ndarray of shape (n,), float64
            Higher is more anomalous.
        """
        return self.model.decision_function(X)


class PLAD(Adapter):
    """PLAD for ADBench."""

    detector = plad.PLAD


class DHAG(Adapter):
    """DHAG for ADBench, without labels."""

    detector = dhag.DHAG


class DHAGWithLabels(DHAG):
    """DHAG for ADBench, which learns from labels."""

    labels = True


class AnoRand(Adapter):
    """AnoRand for ADBench, without labels."""

    detector = anorand.AnoRand


class AnoRandWithLabels(AnoRand):
    """AnoRand for ADBench, which learns from labels."""

    labels = True


class NoveltyNormalization(Adapter):
    """Novelty Normalization for ADBench."""

    detector = novelty_normalization.NoveltyNormalization


class NCAE(Adapter):
    """NCAE for ADBench."""

    detector = ncae.NCAE


class GatedKNN(Adapter):
    """GatedKNN for ADBench, without labels."""

    detector = gated_knn.GatedKNN


class GatedKNNWithLabels(GatedKNN):
    """GatedKNN for ADBench, which learns from labels."""

    labels = True
