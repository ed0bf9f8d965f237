"""The estimator around cores that are trained, epoch by epoch."""

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from typing_extensions import Self

from pyod_synth.core import Core
from pyod_synth.detector import CoreDetector, Rows
from pyod_synth.training import OPTIMIZERS, computing, epochs
from pyod_synth.validation import Interval, StrOptions, check_lr_schedule, real_parameters

# Optimiser steps with epoch_num=None: small tables get many epochs and large ones few.
_DEFAULT_STEPS = 300
_MUCH_LARGER = 10  # times its default, from which a parameter may well be why training diverges


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
        losses = self._losses(core, rows)
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
        return {"history_": list(self._losses(core, rows))}

    def _losses(self, core: Core, rows: Rows) -> Iterator[float]:
        """Train a core in place, an epoch for each loss asked for; a divergence says which parameter may be why."""
        try:
            yield from epochs(core, rows.x, rows.y, **self._training_options(len(rows.x)))
        except FloatingPointError as error:
            defaults, given = type(self)().get_params(deep=False), self.get_params(deep=False)
            named = [name for name in real_parameters(self) if given[name] is not None]
            sizes = {name: given[name] / (defaults[name] or 1) for name in named}
            name = max(sizes, key=lambda name: sizes[name])
            if sizes[name] >= _MUCH_LARGER:
                reason = f"a smaller {name} may help: it is {given[name]:g}, and {defaults[name]} by default"
            elif not self.preprocessing:
                reason = f"preprocessing=True may help: without it there are values up to {rows.x.abs().max():.3g}"
            else:
                reason = "a smaller lr may help"
            raise FloatingPointError(f"{error}; {reason}") from error

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


def _copy_core(core: Core) -> Core:
    """Copy a core in training, so that what is done with the copy leaves its weights and random numbers alone."""
    generator, core.generator = core.generator, None
    copied = deepcopy(core)
    core.generator = generator
    if generator is not None:
        copied.generator = torch.Generator(generator.device)
        copied.generator.set_state(generator.get_state())
    return copied
