"""The estimator around every core: validate, scale, seed, train, score, threshold."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from pyod.models.base import BaseDetector
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from typing_extensions import Self

from pyod_synth.core import Core
from pyod_synth.documentation import complete
from pyod_synth.preprocessing import Standardizer
from pyod_synth.pyod_compat import PyODDetector
from pyod_synth.seeding import RandomState, draw_seed, initializing, new_generator
from pyod_synth.training import OPTIMIZERS, by_blocks, calibrate, computing, epochs, place
from pyod_synth.validation import (
    HasMethods,
    Interval,
    StrOptions,
    check_device,
    check_image_shape,
    check_labels,
    check_lr_schedule,
    check_parameters,
    check_rows,
)

Floats = np.ndarray[Any, np.dtype[np.float64]]

# Optimiser steps with epoch_num=None: small tables get many epochs and large ones few.
_DEFAULT_STEPS = 300


class _Attributes:
    """What is no parameter; for that this is no dataclass."""

    use_labels: bool = False  # a parameter of the detectors that can learn from labels
    core_: Core
    standardizer_: Standardizer
    device_: torch.device
    input_shape_: tuple[int, ...]
    history_: list[float]


@dataclass(frozen=True)
class Rows:
    """Checked and scaled training rows, and what was learned of them on the way."""

    x: Tensor
    y: Tensor | None
    standardizer: Standardizer
    names: dict[str, Any]  # n_features_in_, and feature_names_in_ of a data frame


@dataclass(kw_only=True, eq=False, repr=False)
class CoreDetector(_Attributes, PyODDetector):
    """A PyOD detector whose work is done by a :class:`~pyod_synth.core.Core`; base class of all detectors.

    It takes tables of shape (n, d) and images of shape (n, C, H, W), or the same images flattened to (n, C * H * W)
    with ``image_shape``. Subclasses give :meth:`build_core` and their parameters, as a dataclass or by a constructor
    that only stores. This class itself fits cores that only look at the training rows once; :class:`DeepDetector`
    trains.

    Parameters
    ----------
    {shared parameters}

    {attributes}
    """

    contamination: Any = 0.1
    preprocessing: bool | str = True
    device: str | torch.device | None = None
    random_state: RandomState = 42
    image_shape: tuple[int, ...] | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "contamination": [Interval(Real, 0, 0.5, closed="right"), HasMethods(["fit", "predict"])],
        "preprocessing": ["boolean", StrOptions({"minmax"})],
        "device": [str, torch.device, None],
        "random_state": ["random_state"],
        "image_shape": [tuple, list, None],
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Complete the docstring of a detector."""
        super().__init_subclass__(**kwargs)
        cls.__doc__ = complete(cls.__doc__, getattr(cls, "optimizer_name", None), getattr(cls, "lr_schedule", None))

    def __post_init__(self) -> None:
        """Let PyOD check the contamination."""
        BaseDetector.__init__(self, contamination=self.contamination)

    @abstractmethod
    def build_core(self, input_shape: tuple[int, ...]) -> Core:
        """Make the untrained networks, on the CPU; their first weights are seeded from outside.

        Parameters
        ----------
        input_shape : tuple of int
            (d,) for tables, (C, H, W) for images.

        Returns
        -------
        Core
        """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what is normal. A fit that fails, or is interrupted, leaves the detector as it was.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
            Training rows, at least two; finite numbers.
        y : array-like of shape (n,) or None, default=None
            1 = known anomaly, 0 = normal or unlabelled. Required if the detector has ``use_labels=True``, else ignored:
            scikit-learn's pipelines and searches hand labels to every ``fit``.

        Returns
        -------
        self : CoreDetector

        Raises
        ------
        ValueError
            If a parameter, ``X`` or ``y`` is out of range; the message names it, what was got and what is allowed.
        FloatingPointError
            If training diverges.
        """
        rows = self._check_training_rows(X, y)
        with computing(rows.x):
            core = self._initialize(rows.x)
            learned = self._learn(core, rows)
            fitted = self._calibrate(core, rows, **learned)
        return self._become(fitted)

    def decision_function(self, X: Any) -> Floats:
        """Score rows.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
            Rows shaped as in ``fit``; images may come flattened.

        Returns
        -------
        ndarray of shape (n,), float64
            Higher is more anomalous. A row's score does not depend on the rows around it, but for the rounding of
            float32: some 1e-5 of the score's size.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` holds NaN or infinity, or has another shape than the training rows.
        """
        x = self._to_tensor(X)
        with computing(x):
            return _score(self.core_, x)

    def embed(self, X: Any) -> Floats:
        """Represent rows as the networks see them: before the last layer, or between encoder and decoder.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
            Rows shaped as in ``fit``; images may come flattened.

        Returns
        -------
        ndarray of shape (n, k), float64
            Each row's does not depend on the rows around it, but for rounding.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            As :meth:`decision_function`.
        """
        x = self._to_tensor(X)
        with computing(x):
            return _to_numpy(by_blocks(self.core_.embed, x))

    def update_threshold(self, contamination: Any = None) -> Self:
        """Set ``threshold_`` and ``labels_`` anew from the scores of the training rows, without another fit.

        Setting ``contamination`` alone, as ``set_params`` does, changes neither.

        Parameters
        ----------
        contamination : float in (0, 0.5], PyThresh object or None, default=None
            The parameter's new value; None takes it as it is.

        Returns
        -------
        self : CoreDetector

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``contamination`` is out of range; nothing changes then.
        """
        check_is_fitted(self)
        fitted = self._copy(dict(vars(self)))
        if contamination is not None:
            fitted.contamination = contamination
        fitted._process_decision_scores()
        return self._become(fitted)

    def __getstate__(self) -> dict[str, Any]:
        """Keep the networks on the CPU in pickles and copies: torch loads a GPU's tensors on machines with one only."""
        state = dict(super().__getstate__())
        if "core_" in state and self.device_.type != "cpu":
            state["core_"] = deepcopy(self.core_).cpu()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Return the networks to the device they were trained on; without such a device they stay on the CPU."""
        super().__setstate__(state)
        if "core_" in state:
            try:
                self.core_.to(self.device_)
            except (RuntimeError, AssertionError):  # torch's ways to say that there is no such device
                self.device_ = torch.device("cpu")
                self.core_.to(self.device_)

    def _check_training_rows(self, X: Any, y: Any) -> Rows:
        """Check parameters, rows and labels, and scale the rows; nothing is set on the detector."""
        check_parameters(self)
        device = check_device(self.device)
        holder = self._copy(self.get_params(deep=False))
        X = check_rows(holder, X, shape=check_image_shape(self.image_shape), fitting=True)
        names = {name: value for name, value in vars(holder).items() if name.endswith("_in_")}
        labels = torch.from_numpy(check_labels(y, X)) if self.use_labels else None
        standardizer = Standardizer(self.preprocessing).fit(X)
        x = place(standardizer.transform(X), device)
        return Rows(x, None if labels is None else labels.to(device), standardizer, names)

    def _initialize(self, x: Tensor) -> Core:
        """Build the core for rows, on their device, with a generator of its own."""
        seed = draw_seed(self.random_state)
        generator = new_generator(seed)
        with initializing(generator):
            core = self.build_core(tuple(x.shape[1:]))
        core.generator = generator if x.device.type == "cpu" else new_generator(seed, x.device)
        return core.float().to(x.device)

    def _learn(self, core: Core, rows: Rows) -> dict[str, Any]:
        """Train a core in place; return further fitted attributes."""
        return {}

    def _calibrate(self, core: Core, rows: Rows, **learned: Any) -> Self:
        """Make a trained core ready to score, and a detector of it that is fitted as a whole."""
        calibrate(core, rows.x, rows.y)
        core.generator = None
        fitted = self._copy(self.get_params(deep=False) | rows.names | learned)
        fitted.core_, fitted.standardizer_, fitted.device_ = core, rows.standardizer, rows.x.device
        fitted.input_shape_ = tuple(rows.x.shape[1:])
        fitted.decision_scores_ = fitted._score_training_rows(rows)
        fitted._process_decision_scores()
        return fitted

    def _score_training_rows(self, rows: Rows) -> Floats:
        """Score the training rows of a calibrated core: as other rows, by default."""
        return _score(self.core_, rows.x)

    def _copy(self, attributes: dict[str, Any]) -> Self:
        """Make a detector of the same class that holds these attributes and nothing else."""
        other = object.__new__(type(self))
        other.__dict__.update(attributes)
        return other

    def _become(self, fitted: Self) -> Self:
        """Take over the attributes of a fitted detector, in one step, which no interrupt can divide."""
        state = vars(self) | vars(fitted)
        if "feature_names_in_" not in vars(fitted):
            state.pop("feature_names_in_", None)
        self.__dict__ = state
        return self

    def _new_generator(self) -> torch.Generator:
        """Make a generator for what a fitted detector draws: with an integer ``random_state`` the same every time."""
        return new_generator(draw_seed(self.random_state), self.device_)

    def _to_tensor(self, X: Any) -> Tensor:
        """Check and scale rows for a fitted core: float32 of shape (n, *input_shape_), on its device."""
        check_is_fitted(self)
        X = check_rows(self, X, shape=self.input_shape_, fitting=False)
        return place(self.standardizer_.transform(X), self.device_)


@dataclass(kw_only=True, eq=False, repr=False)
class DeepDetector(CoreDetector):
    """Base class of the detectors whose networks are trained.

    Parameters
    ----------
    lr : float, default=1e-3
        Initial learning rate.
    epoch_num : int or None, default=None
        Passes over the training rows. None takes as many as make 300 optimiser steps.
    batch_size : int, default=256
        Rows per optimiser step.
    weight_decay : float, default=1e-4
        Weight decay.
    {optimization}
    {verbose}
    {shared parameters}

    {attributes}
    {history}
    """

    lr: float = 1e-3
    epoch_num: int | None = None
    batch_size: int = 256
    weight_decay: float = 1e-4
    optimizer_name: str = "adamw"
    lr_schedule: str | Sequence[int] = "cosine"
    verbose: int = 0

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CoreDetector._parameter_constraints,
        "lr": [Interval(Real, 0, None, closed="neither")],
        "epoch_num": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "optimizer_name": [StrOptions(set(OPTIMIZERS))],
        "lr_schedule": [StrOptions({"cosine", "constant"}), tuple, list],
        "verbose": ["verbose"],
    }

    def staged_fit(self, X: Any, y: Any = None) -> Iterator[Self]:
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
        RuntimeError
            If the detector was fitted otherwise since the last stage.
        """
        rows, history = self._check_training_rows(X, y), []
        with computing(rows.x):
            core = self._initialize(rows.x)
        losses = epochs(core, rows.x, rows.y, **self._training_options(len(rows.x)))
        while True:
            with computing(rows.x):
                loss = next(losses, None)
                if loss is None:
                    return
                history.append(loss)
                fitted = self._calibrate(_copy_core(core), rows, history_=history.copy())
            yield self._become(fitted)
            if self.core_ is not fitted.core_:
                raise RuntimeError(
                    f"staged_fit cannot go on: this {type(self).__name__} was fitted otherwise since its last stage"
                )

    def _learn(self, core: Core, rows: Rows) -> dict[str, Any]:
        return {"history_": list(epochs(core, rows.x, rows.y, **self._training_options(len(rows.x))))}

    def _training_options(self, n: int) -> dict[str, Any]:
        """Tell :func:`pyod_synth.training.epochs` how to train on n rows."""
        return {
            "epoch_num": self.epoch_num or math.ceil(_DEFAULT_STEPS / math.ceil(n / self.batch_size)),
            "batch_size": self.batch_size,
            "lr": self.lr,
            "weight_decay": self.weight_decay,
            "optimizer_name": self.optimizer_name,
            "lr_schedule": check_lr_schedule(self.lr_schedule),
            "verbose": bool(self.verbose),
        }


CoreDetector.__doc__ = complete(CoreDetector.__doc__)


def _score(core: Core, x: Tensor) -> Floats:
    return _to_numpy(by_blocks(core.anomaly_score, x))


def _to_numpy(x: Tensor) -> Floats:
    return x.cpu().double().numpy()  # not every device has float64


def _copy_core(core: Core) -> Core:
    """Copy a core in training, so that what is done with the copy leaves its weights and random numbers alone."""
    generator, core.generator = core.generator, None
    copied = deepcopy(core)
    core.generator = generator
    if generator is not None:
        copied.generator = torch.Generator(generator.device)
        copied.generator.set_state(generator.get_state())
    return copied
