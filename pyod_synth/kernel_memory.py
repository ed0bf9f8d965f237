"""KernelMemory: rows restored from remembered training rows, at several scales.

A row x is restored as a mean of remembered training rows p_j, at several scales s,

    h_s(x) = sum_j softmax_j(-|x - p_j|^2 / (2 s^2)) p_j,

and two statistics measure the residual r = x - h_s(x), what could not be restored:

    E_1s(x) = mean_k r_k^2                    h from the whole memory
    E_2s(x) = mean_k log(1 + r_k^2 / m_k)     h from the trusted part of the memory

with m_k the mean square of the k-th feature's residual over training rows. The score is

    1/2 sum_i max_s (log E_is(x) - median) / deviation,

with median and median absolute deviation of each statistic at each scale over the training rows. Small scales ask
whether x resembles some training rows; the infinite scale, where h is their mean, asks whether it lies within the
whole; being far at one scale is enough. The first statistic is the sharper one if training rows are clean. The second
bounds what one feature may contribute, and uses no row of the ``trim`` share that lies farthest out, so that anomalies
among the training rows do not hide their like.

A row never restores itself: if it coincides with a remembered row, its kernel leaves that row out. Training rows are
thus scored as new ones are. Nothing is trained.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real

import torch
from torch import Tensor

from pyod_synth.base import CoreDetector
from pyod_synth.core import Core, Player
from pyod_synth.residuals import LEAST_DEVIATION, TINY, log_energy
from pyod_synth.training import by_blocks
from pyod_synth.validation import Interval, check_scales

_ROUNDING = 4e-6  # relative error of a squared distance in float32
_FAR = 1e30  # squared distance of a row that is not to be seen; finite, so that a row alone with it stays finite


def squared_distances(x: Tensor, memory: Tensor) -> Tensor:
    """Squared distances of rows from remembered rows; one that coincides with the row, up to rounding, is very far.

    Parameters
    ----------
    x : Tensor of shape (batch, size)
    memory : Tensor of shape (rows, size)

    Returns
    -------
    Tensor of shape (batch, rows)
    """
    squares, memory_squares = x.square().sum(dim=1, keepdim=True), memory.square().sum(dim=1)
    distance = torch.addmm(squares + memory_squares, x, memory.T, alpha=-2).clamp(min=0)
    nearest, index = distance.min(dim=1, keepdim=True)
    coincides = nearest <= _ROUNDING * (squares + memory_squares[index])
    return distance.scatter(1, index, torch.where(coincides, _FAR, nearest))


def restore(distance: Tensor, memory: Tensor, scales: tuple[float, ...]) -> Tensor:
    """Restore rows as means of remembered rows, weighted by a Gaussian kernel of their distance.

    Parameters
    ----------
    distance : Tensor of shape (batch, rows)
        From :func:`squared_distances`.
    memory : Tensor of shape (rows, size)
    scales : tuple of float
        Widths of the kernel; an infinite one gives the plain mean of the memory.

    Returns
    -------
    Tensor of shape (scales, batch, size)
    """
    mean = memory.mean(dim=0).expand(len(distance), -1)
    return torch.stack(
        [mean if math.isinf(s) else torch.softmax(distance / (-2 * s**2), dim=1) @ memory for s in scales]
    )


class KernelMemoryCore(Core):
    """The memory, and what is usual for each statistic at each scale.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    clf : KernelMemory
        Whose parameters to take.
    """

    memory: Tensor
    mean_square: Tensor
    median: Tensor
    deviation: Tensor

    def __init__(self, input_shape: tuple[int, ...], clf: "KernelMemory"):
        super().__init__()
        size = math.prod(input_shape)
        self.memory_size, self.trim, self.scales = clf.memory_size, clf.trim, (*clf.scales, math.inf)
        self.register_buffer("memory", torch.zeros(0, size))
        self.register_buffer("mean_square", torch.ones(len(self.scales), 1, size))
        self.register_buffer("median", torch.zeros(2, len(self.scales), 1))
        self.register_buffer("deviation", torch.ones(2, len(self.scales), 1))
        self.register_load_state_dict_pre_hook(_make_room)

    @property
    def trusted(self) -> Tensor:
        """Part of the memory that the second statistic is of; rows stand in the order of their distance."""
        return self.memory[: max(1, len(self.memory) - math.ceil(self.trim * len(self.memory)))]

    def training_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Nothing is trained.

        Raises
        ------
        NotImplementedError
        """
        raise NotImplementedError("KernelMemory has nothing to train")

    def players(self) -> list[Player]:
        """Nobody."""
        return []

    def calibrate(self, x: Tensor) -> None:
        """Remember training rows, and learn what is usual for each statistic at each scale."""
        order = torch.randperm(len(x), generator=self.generator, device=x.device)
        rows = x[order[: self.memory_size]].flatten(1)
        squares = (rows - rows.mean(dim=0)).square()
        self.memory = rows[torch.log1p(squares / (squares.mean(dim=0) + TINY)).mean(dim=1).argsort()]
        cost = self.row_cost(self.memory)
        residuals = by_blocks(lambda rows: self.residual(rows, self.trusted).transpose(0, 1), self.trusted, cost)
        self.mean_square = residuals.square().mean(dim=0)[:, None] + TINY
        energies = by_blocks(self.energies, self.memory, cost).permute(1, 2, 0)
        for statistic, count in enumerate((len(self.memory), len(self.trusted))):
            own = energies[statistic, :, :count]
            self.median[statistic] = own.median(dim=1, keepdim=True).values
            self.deviation[statistic] = (own - self.median[statistic]).abs().median(dim=1, keepdim=True).values
        self.deviation += LEAST_DEVIATION

    def anomaly_score(self, x: Tensor) -> Tensor:
        """Score of the module's text."""
        energies = self.energies(x.flatten(1)).permute(1, 2, 0)
        return ((energies - self.median) / self.deviation).amax(dim=1).mean(dim=0)

    def embed(self, x: Tensor) -> Tensor:
        """Give the rows themselves, in the units that distances are measured in."""
        return x.flatten(1)

    def row_cost(self, x: Tensor) -> int:
        """Distances from all remembered rows, or what is restored at all scales, whichever is more."""
        return max(len(self.memory), len(self.scales) * self.memory.shape[1])

    def energies(self, x: Tensor) -> Tensor:
        """Log energies of both statistics at all scales, for rows (batch, size): (batch, 2, scales)."""
        plain = log_energy(self.residual(x, self.memory))
        bounded = log_energy(self.residual(x, self.trusted), self.mean_square, bounded=True)
        return torch.stack([plain, bounded]).permute(2, 0, 1)

    def residual(self, x: Tensor, memory: Tensor) -> Tensor:
        """Subtract from rows (batch, size) what a memory restores: (scales, batch, size)."""
        return x - restore(squared_distances(x, memory), memory, self.scales)


def _make_room(core: KernelMemoryCore, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
    """Let a fresh core load a memory of any length."""
    if f"{prefix}memory" in state:
        core.memory = core.memory.new_empty(state[f"{prefix}memory"].shape)


@dataclass(kw_only=True, eq=False, repr=False)
class KernelMemory(CoreDetector):
    """Rows restored from remembered training rows by kernel means; what cannot be restored is the score.

    Looks at several scales at once, from the nearest remembered rows to the mean of all. One default serves training
    rows that are clean and training rows with anomalies among them. See :mod:`pyod_synth.kernel_memory` for the score.

    Parameters
    ----------
    scales : sequence of float, default=(0.2, 0.8, 3.2)
        Finite widths of the kernel, in standard deviations of a feature.
    memory_size : int, default=4096
        Most training rows to remember.
    trim : float in [0, 1), default=0.1
        Share of remembered rows that the second statistic does not use, those farthest out.
    {shared parameters}

    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import KernelMemory
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = KernelMemory(contamination=0.05).fit(X)
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    """

    scales: tuple[float, ...] = (0.2, 0.8, 3.2)
    memory_size: int = 4096
    trim: float = 0.1

    _parameter_constraints = {
        **CoreDetector._parameter_constraints,
        "scales": [tuple, list],
        "memory_size": [Interval(Integral, 1, None, closed="left")],
        "trim": [Interval(Real, 0, 1, closed="left")],
    }

    def build_core(self, input_shape: tuple[int, ...]) -> KernelMemoryCore:
        """Make the empty memory; see :meth:`pyod_synth.base.CoreDetector.build_core`."""
        check_scales(self.scales)
        return KernelMemoryCore(input_shape, self)
