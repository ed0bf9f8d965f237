"""Models of other libraries behind the methods that a cell calls."""

import io
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from unittest.mock import patch
from warnings import catch_warnings, simplefilter


class Unsuitable(ValueError):
    """A detector cannot run a cell by its nature, whatever the data: such cells are skipped."""


class Adapter:
    """A model of another library as a detector that neither prints nor warns.

    Parameters
    ----------
    model : object
        With ``fit`` and ``decision_function``.
    parameters : dict
        All constructor arguments of the model.
    """

    def __init__(self, model, parameters):
        self.model = model
        self.parameters = parameters

    def get_params(self):
        """Return the constructor arguments of the model, defaults included."""
        return self.parameters

    def fit(self, X, y=None):
        """Fit the model.

        Parameters
        ----------
        X : ndarray of shape (n, d)
        y : ndarray of shape (n,), int, or None, default=None
            1 = known anomaly, 0 = normal; None for rivals that learn without labels.

        Returns
        -------
        self : Adapter

        Raises
        ------
        Unsuitable
            If the labels are of one class only.
        """
        if y is not None and not 0 < y.sum() < len(y):
            raise Unsuitable(f"needs labels of both classes, got {y.sum()} anomalies among {len(y)} training rows")
        with _quiet():
            self._fit(X, y)
        return self

    def decision_function(self, X):
        """Score rows.

        Parameters
        ----------
        X : ndarray of shape (n, d)

        Returns
        -------
        ndarray of shape (n,)
            Higher is more anomalous.
        """
        with _quiet():
            return self._score(X)

    def _fit(self, X, y):
        self.model.fit(X, y)

    def _score(self, X):
        return self.model.decision_function(X)


class Classifier(Adapter):
    """A classifier; the score is its decision function, or else the probability of an anomaly."""

    def _score(self, X):
        if hasattr(self.model, "decision_function"):
            return self.model.decision_function(X)
        return self.model.predict_proba(X)[:, 1]


class DeepSVDD(Adapter):
    """PyOD's DeepSVDD wants to know the number of features when it is constructed."""

    def _fit(self, X, y):
        self.model.n_features = X.shape[1]
        self.model.fit(X)


class DevNet(Adapter):
    """PyOD's DevNet with its loss put right.

    PyOD 3.6.7 hands over outputs of shape (n, 1) as the labels, and labels of shape (n,) as the outputs. The network
    then learns to score all rows low, and anomalies lowest of all.
    """

    def _fit(self, X, y):
        module = import_module("pyod.models.devnet")
        loss = module.deviation_loss

        def deviation_loss(*arguments):
            # the outputs are those with a gradient: right in whichever order they come
            outputs, labels = sorted(arguments, key=lambda tensor: not tensor.requires_grad)
            return loss(labels, outputs.flatten())

        with patch.object(module, "deviation_loss", deviation_loss):
            self.model.fit(X, y)


@contextmanager
def _quiet():
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), catch_warnings():
        simplefilter("ignore")
        yield
