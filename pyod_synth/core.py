"""The torch contract that every paper fulfils.

A core is a :class:`torch.nn.Module` that holds all networks of one method. It knows tensors only: nothing of
numpy, PyOD or optimisers. ``training.py`` drives it, ``detector.py`` wraps it into a PyOD detector.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pyod_synth.explain import integrated_gradients

_FEW = 0.1  # of the training rows: so many may be far


class Player(NamedTuple):
    """One optimiser's share of a core: who moves, to lower which loss, how fast.

    Parameters
    ----------
    parameters : iterable of torch.nn.Parameter or of dict
        The parameters that this player may change; or torch's parameter groups, ``{"params": [...], "lr": 1e-4}``,
        whose options go before the detector's.
    loss : callable (x, y) -> Tensor of shape ()
        What the player minimises; called with a batch just as :meth:`Core.training_loss` is.
    """

    parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]]
    loss: Callable[[Tensor, Tensor | None], Tensor]


class Core(nn.Module, ABC):
    """Networks, loss and score of one method.

    A subclass gives :meth:`training_loss`, :meth:`anomaly_score` and :meth:`embed`. State that scoring needs beside the
    weights (running minima, quantiles, a centre) is registered as a buffer, so that it travels with the weights.

    Subclasses must give every row a score that depends on that row alone, and must work for a batch of one.

    Attributes
    ----------
    generator : torch.Generator or None
        Where random numbers come from in :meth:`prepare`, :meth:`training_loss` and :meth:`calibrate`, on the device of
        the rows: ``torch.randn(x.shape, generator=self.generator, device=x.device)``. Functions that are given none
        draw from torch's global generator, which a detector must leave alone. None outside a fit.
    """

    generator: torch.Generator | None = None
    reach: Tensor
    highest: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, value in {"reach": torch.inf, "highest": 0.0, "spread": 1.0}.items():
            self.register_buffer(name, torch.full((), value))

    @abstractmethod
    def training_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Loss of one batch.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape), float32
            Standardised rows.
        y : Tensor of shape (batch,), int64, or None
            1 = known anomaly, 0 = normal or unlabelled; None when the detector does not use labels.

        Returns
        -------
        Tensor of shape (), float32
        """

    @abstractmethod
    def anomaly_score(self, x: Tensor) -> Tensor:
        """Score rows; called in evaluation mode, with gradients only by :meth:`contributions`.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape), float32
            Standardised rows.

        Returns
        -------
        Tensor of shape (batch,), float32
            Higher is more anomalous.
        """

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """Represent rows as the networks see them; called in evaluation mode and without gradients.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape), float32
            Standardised rows.

        Returns
        -------
        Tensor of shape (batch, k), float32
        """

    def contributions(self, x: Tensor, typical: Tensor) -> Tensor:
        """Divide the scores of rows among their features or pixels; called in evaluation mode.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape), float32
            Standardised rows.
        typical : Tensor of shape (1, *input_shape), float32
            Median of the training rows, feature by feature.

        Returns
        -------
        Tensor of shape (batch, *input_shape), float32
            The sum of each row is its score less a constant, the score of a typical row. By default integrated
            gradients, from ``typical`` on; a core whose score is not differentiable has to replace them.
        """
        return integrated_gradients(self.anomaly_score, x, typical)

    def nearest_normal(self, x: Tensor, threshold: float) -> Tensor:
        """Say what rows would be if they were normal; called in evaluation mode and without gradients.

        Parameters
        ----------
        x : Tensor of shape (n, *input_shape), float32
            Standardised rows.
        threshold : float
            Score above which rows are anomalies.

        Returns
        -------
        Tensor of shape (n, *input_shape), float32
            Rows that are restored or remembered.

        Raises
        ------
        NotImplementedError
            By default: what neither restores rows nor remembers any has nothing to give.
        """
        raise NotImplementedError(
            f"{type(self).__name__} neither restores rows nor remembers any; GatedKNN().fit(X).nearest_normal(rows) "
            "gives the nearest training row, and NCAE and NoveltyNormalization restore rows"
        )

    def invent(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Invent anomalies as in training; called in evaluation mode and without gradients.

        Parameters
        ----------
        x : Tensor of shape (n, *input_shape), float32
            Standardised rows to make them from.
        generator : torch.Generator
            On the device of the rows.

        Returns
        -------
        Tensor of shape (n, *input_shape), float32

        Raises
        ------
        NotImplementedError
            By default: a method that invents no rows has none to give.
        """
        raise NotImplementedError(
            f"{type(self).__name__} invents no anomalous rows; PLAD, AnoRand, GatedKNN and DHAG(space='input') do"
        )

    def prepare(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Choose what to train on; called once, before training.

        A method that invents its anomalies once, from all training rows, joins them here.

        Parameters
        ----------
        x : Tensor of shape (n, *input_shape), float32
            All training rows.
        y : Tensor of shape (n,), int64, or None
            Their labels, as in :meth:`training_loss`.

        Returns
        -------
        x : Tensor of shape (m, *input_shape), float32
            Rows that batches are drawn from. By default those that came.
        y : Tensor of shape (m,), int64, or None
            Their labels.
        """
        return x, y

    def calibrate(self, x: Tensor) -> None:
        """Fix what scoring needs beside the weights; called once, after training, in evaluation mode, no gradients.

        Parameters
        ----------
        x : Tensor of shape (n, *input_shape), float32
            The training rows that are not known to be anomalies. By default nothing is done with them.
        """

    def players(self) -> list[Player]:
        """Who is optimised, in the order of their steps within a batch.

        Returns
        -------
        list of Player
            By default one: all parameters against :meth:`training_loss`. A method with opponents returns several.
        """
        return [Player(self.parameters(), self.training_loss)]

    def score(self, x: Tensor) -> Tensor:
        """Score rows as detectors do: by :meth:`anomaly_score`, and far ones above what is usual.

        No method says what is to come of values that hardly a training row has, and a classifier may well call them
        normal. A row with a value z, the largest in size, beyond ``reach`` scores at least
        ``highest + spread * |z| / reach``.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape), float32
            Standardised rows.

        Returns
        -------
        Tensor of shape (batch,), float32
        """
        return self._raise_far(self.anomaly_score(x), _size(x))

    def explain(self, x: Tensor, typical: Tensor) -> Tensor:
        """Divide what :meth:`score` gives: :meth:`contributions`, and to the largest value what a far row is raised by.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape), float32
            Standardised rows.
        typical : Tensor of shape (1, *input_shape), float32
            As of :meth:`contributions`.

        Returns
        -------
        Tensor of shape (batch, *input_shape), float32
        """
        contributions, scores = self.contributions(x, typical), self.anomaly_score(x)
        raised = self._raise_far(scores, _size(x)) - scores
        largest = x.flatten(1).abs().argmax(dim=1, keepdim=True)
        return contributions.flatten(1).scatter_add(1, largest, raised[:, None]).view_as(x)

    def settle(self, x: Tensor, scores: Tensor, limit: float) -> Tensor:
        """Learn what :meth:`score` takes for far; called once, when all else is calibrated.

        Parameters
        ----------
        x : Tensor of shape (n, *input_shape), float32
            The training rows.
        scores : Tensor of shape (n,), float32
            Their :meth:`anomaly_score`.
        limit : float
            Size of values that may be far. ``reach`` is as large, or so large that nine tenths of the training rows
            are within it; ``highest`` and ``spread`` are the highest score and the deviation of those that are.

        Returns
        -------
        Tensor of shape (n,), float32
            Their :meth:`score`.
        """
        size = _size(x)
        self.reach = size.kthvalue(math.ceil((1 - _FEW) * len(size))).values.clamp(min=limit)
        within = scores[size <= self.reach]
        self.highest = within.max()
        self.spread = within.std(correction=0).clamp(min=1e-6).maximum(1e-3 * self.highest.abs())
        return self._raise_far(scores, size)

    def _raise_far(self, scores: Tensor, size: Tensor) -> Tensor:
        least = self.highest + self.spread * (size / self.reach)
        return torch.where(size > self.reach, torch.maximum(scores, least), scores)


def _size(x: Tensor) -> Tensor:
    """Give the largest size of a value in each row: (batch,)."""
    return x.flatten(1).abs().max(dim=1).values  # of few features, a fourth of the time of amax and norms
