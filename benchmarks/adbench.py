"""The detectors as classes that ADBench's own runner takes.

For each detector of the package there is a class of its name, and for each that can learn from labels another one,
named ``DHAGWithLabels`` for instance. A class is handed over unbuilt, on a data set of one's own (a dictionary of X and
y) or, without ``dataset``, on all of ADBench's::

    from adbench.run import RunPipeline
    from benchmarks.adbench import PLAD

    results = RunPipeline(suffix="PLAD", parallel="unsupervise").run(dataset={"X": X, "y": y}, clf=PLAD)

ADBench always hands over ``y_train``: 1 is a labelled anomaly, 0 a normal row or an anomaly without a label. Without
labels it is all 0, except that its experiments with noise hand every label to unsupervised detectors too. A class
cannot see which experiment it is in. So labels are learned from only by the classes that say so by their name, which
belong in ``parallel="semi-supervise"`` and ``"supervise"``; where there are none (ADBench begins with a share of 0),
they fit the form without labels.

Other parameters than the defaults need a subclass: ``class Short(PLAD): parameters = {"epoch_num": 20}``.
"""

from inspect import signature

from benchmarks.detectors import DetectorSpec, build, ours


class Adapter:
    """A detector behind the methods that ADBench calls.

    Parameters
    ----------
    seed : int
        Random state of the detector.
    model_name : str or None, default=None
        What ADBench calls the class; not needed here.
    """

    detector = None
    labels = False
    parameters = {}

    def __init__(self, seed, model_name=None):
        self.seed = seed
        self.model_name = model_name

    def fit(self, X_train, y_train):
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
        labels = self.labels and bool((y_train == 1).any())
        self.model = build(DetectorSpec(self.detector, self.parameters), self.seed, labels).fit(X_train, y_train)
        return self

    def predict_score(self, X):
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


def adapt(detector, labels=False):
    """Make the class for a detector.

    Parameters
    ----------
    detector : str
        One of ``benchmarks.detectors.ours()``.
    labels : bool, default=False
        Whether it is to learn from labels.

    Returns
    -------
    type
        A subclass of :class:`Adapter`.
    """
    name = detector + "WithLabels" if labels else detector
    text = f"{detector} for ADBench, {'with' if labels else 'without'} labels."
    members = {"__doc__": text, "__module__": __name__, "detector": detector, "labels": labels}
    return type(name, (Adapter,), members)


OURS = ours()
CLASSES = [
    *(adapt(name) for name in OURS),
    *(adapt(name, labels=True) for name in OURS if "use_labels" in signature(OURS[name]).parameters),
]
globals().update({adapter.__name__: adapter for adapter in CLASSES})
