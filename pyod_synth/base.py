"""The PyOD side of every detector: validate, standardise, seed, train, score, threshold.

This is the only file that knows PyOD. A subclass states its parameters and builds its :class:`~pyod_synth.core.Core`.
"""

import math
from abc import abstractmethod
from copy import deepcopy
from numbers import Integral, Real

import numpy as np
import torch
from pyod.models.base import BaseDetector
from scipy.stats import binom
from sklearn import config_context
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from pyod_synth.preprocessing import Standardizer
from pyod_synth.training import by_blocks, calibrate, epochs, score, train

# Optimiser steps of a default fit: small tables get many epochs and large ones few.
_DEFAULT_STEPS = 300
_LEAST_SIGMA = 1e-100  # of training scores


class DeepDetector(BaseDetector):
    """Base class of the package's detectors.

    It takes tables of shape (n, d) and images of shape (n, C, H, W), or the same images flattened to (n, C * H * W)
    with ``image_shape``. Subclasses give :meth:`build_core` and a constructor that only stores.

    Parameters
    ----------
    contamination : float in (0, 0.5] or PyThresh object, default=0.1
        Expected share of anomalies in the training rows; sets ``threshold_`` and nothing else.
    preprocessing : bool, default=True
        Whether to standardise each feature of a table, or each channel of an image.
    lr : float, default=1e-3
        Initial learning rate; it decays to zero along a cosine.
    epoch_num : int or None, default=None
        Passes over the training rows. None takes as many as make 300 optimiser steps.
    batch_size : int, default=256
        Rows per optimiser step.
    weight_decay : float, default=1e-4
        AdamW's decoupled weight decay.
    device : str, torch.device or None, default=None
        Where to compute. None takes a CUDA device if there is one, else the CPU.
    random_state : int, RandomState instance or None, default=42
        Seed of initial weights, batches and noise. None draws a fresh one. Global generators are left alone.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar on standard error.
    image_shape : tuple (C, H, W) or None, default=None
        Shape of the images in flattened rows; None takes 2-D input for a table.
    """

    _parameter_constraints = {
        "contamination": [Interval(Real, 0, 0.5, closed="right"), HasMethods(["fit", "predict"])],
        "preprocessing": ["boolean"],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "epoch_num": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "device": [str, torch.device, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "image_shape": [tuple, list, None],
    }

    use_labels = False  # a constructor's parameter of the detectors that can learn from labels

    def __init__(
        self,
        contamination=0.1,
        preprocessing=True,
        lr=1e-3,
        epoch_num=None,
        batch_size=256,
        weight_decay=1e-4,
        device=None,
        random_state=42,
        verbose=0,
        image_shape=None,
    ):
        super().__init__(contamination=contamination)
        self.preprocessing = preprocessing
        self.lr = lr
        self.epoch_num = epoch_num
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.image_shape = image_shape

    @property
    def contamination(self):
        """The parameter as PyOD reads it: a number of any type as a Python float.

        PyOD tells shares from PyThresh objects by ``isinstance(contamination, (float, int))`` wherever it uses them,
        and so takes a share of type np.float32, as the mean of float32 labels is, for a PyThresh object.
        """
        stored = vars(self)["contamination"]
        return float(stored) if isinstance(stored, Real) and not isinstance(stored, (float, int)) else stored

    @contamination.setter
    def contamination(self, value):
        vars(self)["contamination"] = value

    @abstractmethod
    def build_core(self, input_shape):
        """Make the untrained networks.

        Parameters
        ----------
        input_shape : tuple of int
            (d,) for tables, (C, H, W) for images.

        Returns
        -------
        Core
        """

    def fit(self, X, y=None):
        """Learn what is normal.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
            Training rows, at least two; finite numbers.
        y : array-like of shape (n,) or None, default=None
            1 = known anomaly, 0 = normal or unlabelled. Required if the detector has ``use_labels=True``, else ignored:
            scikit-learn's pipelines and searches hand labels to every ``fit``.

        Returns
        -------
        self : DeepDetector

        Raises
        ------
        ValueError
            If a parameter, ``X`` or ``y`` is out of range; the message names it, what was got and what is allowed.
        FloatingPointError
            If training diverges.
        """
        x, y, standardizer, device = self._training_rows(X, y)
        with Seeded(self.random_state):
            core = self.build_core(tuple(x.shape[1:])).to(device)
            history = train(core, x, y, **self._training_options(len(x)))
        return self._set_fitted(core, standardizer, device, history, x)

    def staged_fit(self, X, y=None):
        """Learn what is normal, and stop after each epoch of the training that :meth:`fit` does.

        At each stop the detector is fitted, as far as it got: it scores, predicts and copies. The last one leaves it
        exactly as :meth:`fit` does; leaving the loop earlier leaves it as it then is. Each stop costs the calibration
        and the scoring of the training rows that ``fit`` does once.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
            As in :meth:`fit`.
        y : array-like of shape (n,) or None, default=None
            As in :meth:`fit`.

        Yields
        ------
        self : DeepDetector
            The detector itself, each time; ``history_`` holds the losses so far.

        Raises
        ------
        ValueError, FloatingPointError
            As :meth:`fit`, when the first stage is asked for, or the one that diverges.
        """
        x, y, standardizer, device = self._training_rows(X, y)
        seeded, history = Seeded(self.random_state), []
        with seeded:
            core = self.build_core(tuple(x.shape[1:])).to(device)
        losses = epochs(core, x, y, **self._training_options(len(x)))
        while True:
            with seeded:
                loss = next(losses, None)
            if loss is None:
                return
            history.append(loss)
            stage = deepcopy(core)
            with deepcopy(seeded):  # training does not see the random numbers of this calibration
                calibrate(stage, x, y)
            yield self._set_fitted(stage, standardizer, device, history.copy(), x)

    def decision_function(self, X):
        """Score rows.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
            Rows shaped as in ``fit``; images may come flattened.

        Returns
        -------
        ndarray of shape (n,), float64
            Higher is more anomalous. A row's score does not depend on the rows around it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` holds NaN or infinity, or has another shape than the training rows.
        """
        return self._score(self._to_tensor(X))

    def embed(self, X):
        """Represent rows as the networks see them: before the last layer, or between encoder and decoder.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
            Rows shaped as in ``fit``; images may come flattened.

        Returns
        -------
        ndarray of shape (n, k), float64
            Each row's does not depend on the rows around it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            As :meth:`decision_function`.
        """
        x = self._to_tensor(X)
        return by_blocks(self.core_.embed, x).double().cpu().numpy()

    def predict_proba(self, X, method="linear", return_confidence=False):
        """Probability of being normal and of being an anomaly; see :meth:`pyod.models.base.BaseDetector.predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
        method : {"linear", "unify"}, default="linear"
        return_confidence : bool, default=False

        Returns
        -------
        ndarray of shape (n, 2), float64
            And the confidence, of shape (n,), if asked for.
        """
        # PyOD asks X for its shape, which a list does not have, and takes what scikit-learn scales for an array.
        with config_context(transform_output="default"):
            return super().predict_proba(X if hasattr(X, "shape") else np.asarray(X), method, return_confidence)

    def predict_confidence(self, X):
        """Share of slightly different training sets that give the same label; see [1]_.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)

        Returns
        -------
        ndarray of shape (n,), float64
            Between 0 and 1.

        References
        ----------
        .. [1] L. Perini, V. Vercruyssen and J. Davis, "Quantifying the Confidence of Anomaly Detectors in Their
           Example-Wise Predictions", ECML PKDD 2020.
        """
        # PyOD compares each row with every training row, and calls the binomial distribution, in a Python loop: 3.3
        # seconds for 100,000 rows beside as many for training. These are the same numbers, to the bit, in 0.02.
        scores = self.decision_function(X)
        n = len(self.decision_scores_)
        if isinstance(self.contamination, Real):
            share, labels = self.contamination, scores > self.threshold_
        else:
            share, labels = np.sum(self.labels_) / n, self.contamination.predict(scores)
        below = np.searchsorted(np.sort(self.decision_scores_), scores, side="right")
        confidence = 1 - binom.cdf(n - int(n * share), n, (1 + below) / (2 + n))
        return np.where(labels, confidence, 1 - confidence)

    def __getstate__(self):
        """Keep the networks on the CPU in pickles and copies: torch loads a GPU's tensors on machines with one only."""
        state = dict(super().__getstate__())
        if "core_" in state and self.device_.type != "cpu":
            state["core_"] = deepcopy(self.core_).cpu()
        return state

    def __setstate__(self, state):
        """Return the networks to the device they were trained on; without such a device they stay on the CPU."""
        super().__setstate__(state)
        if "core_" in state:
            try:
                self.core_.to(self.device_)
            except (RuntimeError, AssertionError):  # torch's ways to say that there is no such device
                self.device_ = torch.device("cpu")
                self.core_.to(self.device_)

    def _process_decision_scores(self):
        """Set ``threshold_`` and ``labels_``; anew without a fit, after ``set_params(contamination=...)``."""
        self._validate_params()  # PyOD checks contamination in the constructor only
        super()._process_decision_scores()
        # PyOD divides by the deviation in predict_proba(method="unify"): NaN where all training rows score alike.
        self._sigma = max(self._sigma, _LEAST_SIGMA)
        return self

    def _training_rows(self, X, y):
        """Validate parameters and training rows: rows and labels as tensors, the standardiser and the device."""
        self._validate_params()
        X = self._validate_rows(X, fitting=True)
        y = torch.from_numpy(self._validate_labels(y, X)) if self.use_labels else None
        standardizer = Standardizer(self.preprocessing).fit(X)
        device = torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        x = torch.from_numpy(standardizer.transform(X)).to(device)
        return x, None if y is None else y.to(device), standardizer, device

    def _training_options(self, n):
        """Tell :func:`pyod_synth.training.epochs` how to train on n rows."""
        return {
            "epoch_num": self.epoch_num or math.ceil(_DEFAULT_STEPS / math.ceil(n / self.batch_size)),
            "batch_size": self.batch_size,
            "lr": self.lr,
            "weight_decay": self.weight_decay,
            "verbose": bool(self.verbose),
        }

    def _set_fitted(self, core, standardizer, device, history, x):
        """Keep what was learned, score the training rows and find the threshold."""
        self.core_, self.standardizer_, self.device_, self.history_ = core, standardizer, device, history
        self.decision_scores_ = self._score(x)
        self._set_n_classes(None)  # PyOD derives the number of classes from y, where y of one class breaks it
        return self._process_decision_scores()

    def _to_tensor(self, X):
        """Validate and standardise rows for a fitted core: float32 of shape (n, *input_shape_), on its device."""
        check_is_fitted(self)
        X = self._validate_rows(X, fitting=False)
        return torch.from_numpy(self.standardizer_.transform(X)).to(self.device_)

    def _score(self, x):
        return score(self.core_, x).double().cpu().numpy()

    def _validate_rows(self, X, *, fitting):
        """Check rows and shape them as (n, *input_shape_), setting the latter when fitting.

        Images are validated flattened, so that ``n_features_in_`` is C * H * W however they come.
        """
        if not hasattr(X, "ndim"):
            X = np.asarray(X)
        if X.ndim not in (2, 4):
            hint = " Reshape your data with X.reshape(-1, 1) or X.reshape(1, -1)." if X.ndim == 1 else ""
            raise ValueError(f"X must have shape (n, features) or (n, channels, height, width), got {X.ndim}-D.{hint}")
        shape = self._image_shape() if fitting else self.input_shape_
        if X.ndim == 4:
            X = check_array(X, dtype=[np.float64, np.float32], allow_nd=True, estimator=self, input_name="X")
            got = X.shape[1:]
            if shape is not None and got != shape:
                expected = "a table" if len(shape) == 1 else f"images of shape {shape}"
                raise ValueError(f"X holds images of shape {got}, but {type(self).__name__} expects {expected}")
            shape = got
            X = X.reshape(len(X), -1)
        # sums round by the order in memory, which differs between arrays and data frames
        X = validate_data(
            self, X, reset=fitting, dtype=[np.float64, np.float32], order="C", ensure_min_samples=2 if fitting else 1
        )
        if shape is None:
            shape = X.shape[1:]
        elif X.shape[1] != math.prod(shape):
            raise ValueError(f"X has {X.shape[1]} features, which image_shape={shape} cannot hold: {math.prod(shape)}")
        if fitting:
            self.input_shape_ = shape
        return X.reshape(len(X), *shape)

    @staticmethod
    def _validate_labels(y, X):
        """Check labels against rows: int64 of shape (n,)."""
        if y is None:
            raise ValueError(
                "y is required with use_labels=True: 1 = known anomaly, 0 = normal or unlabelled; got None"
            )
        y = column_or_1d(y)
        check_consistent_length(X, y)
        if not np.isin(y, (0, 1)).all():
            raise ValueError(f"y must hold 0 (normal or unlabelled) and 1 (known anomaly) only, got {np.unique(y)[:5]}")
        return y.astype(np.int64)

    def _image_shape(self):
        """Return the parameter as a tuple, or None."""
        if self.image_shape is None:
            return None
        shape = tuple(self.image_shape)
        if len(shape) != 3 or not all(isinstance(size, Integral) and size > 0 for size in shape):
            raise ValueError(f"image_shape must be three positive integers (C, H, W), got {self.image_shape!r}")
        return shape


class Seeded:
    """Seed torch within a block and leave every global generator as it was.

    A block after the first goes on where the one before ended.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None draws a fresh seed.
    """

    def __init__(self, random_state):
        if random_state is None:
            seed = np.random.SeedSequence().entropy % 2**32
        else:
            seed = check_random_state(random_state).randint(2**31 - 1)
        outside = _generators()
        torch.manual_seed(seed)
        self._inside = _generators()
        _set_generators(outside)

    def __enter__(self):
        self._outside = _generators()
        _set_generators(self._inside)

    def __exit__(self, *error):
        self._inside = _generators()
        _set_generators(self._outside)


def _generators():
    """States of torch's generators: the processor's, and each GPU's."""
    return torch.get_rng_state(), torch.cuda.get_rng_state_all()


def _set_generators(states):
    torch.set_rng_state(states[0])
    torch.cuda.set_rng_state_all(states[1])
