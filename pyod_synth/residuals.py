"""Residuals of rows restored at several scales, made comparable and joined to a score.

With r the residual of a row at a scale s and m the mean square over training rows of each coordinate's residual, two
statistics measure its size,

    log E_1s = log mean_k r_k^2 / m_sk,        log E_2s = log mean_k log(1 + r_k^2 / m_sk),

and each is taken relative to its median, and its median absolute deviation, over training rows. The second statistic
bounds what one coordinate may contribute.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pyod_synth.training import by_blocks

TINY = 1e-6  # keeps logarithms and quotients of exact restorations finite
LEAST_DEVIATION = 1e-3  # bounds the slope where most training rows have one and the same statistic


def log_energy(residual: Tensor, mean_square: Tensor | None = None, bounded: bool = False) -> Tensor:
    """Logarithm of the size of residuals: log E_1 of the module's text, or log E_2.

    Parameters
    ----------
    residual : Tensor of shape (..., batch, size)
    mean_square : Tensor of shape (..., 1, size) or None, default=None
        Usual square of each coordinate; None takes 1.
    bounded : bool, default=False
        Whether coordinates count by their logarithm: log E_2, else log E_1.

    Returns
    -------
    Tensor of shape (..., batch)
    """
    square = residual.square() if mean_square is None else residual.square() / mean_square
    return torch.log((torch.log1p(square) if bounded else square).mean(dim=-1) + TINY)


class ResidualScore(nn.Module):
    """The two statistics of residuals at several scales, and the score that joins them.

    Parameters
    ----------
    n_scales : int
    size : int
        Coordinates of a residual.
    """

    mean_square: Tensor
    median: Tensor
    deviation: Tensor

    def __init__(self, n_scales: int, size: int):
        super().__init__()
        self.register_buffer("mean_square", torch.ones(n_scales, 1, size))
        self.register_buffer("median", torch.zeros(2, n_scales, 1))
        self.register_buffer("deviation", torch.ones(2, n_scales, 1))

    def statistics(self, residuals: Tensor) -> Tensor:
        """Log energies of residuals (scales, batch, size), not yet standardised: (2, scales, batch)."""
        return torch.stack([log_energy(residuals, self.mean_square, bounded) for bounded in (False, True)])

    def calibrate(self, residuals: Callable[[Tensor], Tensor], x: Tensor) -> None:
        """Learn what is usual.

        Parameters
        ----------
        residuals : callable
            From rows (batch, *input_shape) to residuals (scales, batch, size).
        x : Tensor of shape (n, *input_shape)
            All training rows.
        """
        squares = by_blocks(lambda rows: residuals(rows).square().sum(dim=1)[None], x).sum(dim=0)
        self.mean_square.copy_(squares[:, None] / len(x) + TINY)
        statistics = by_blocks(lambda rows: self.statistics(residuals(rows)).permute(2, 0, 1), x).permute(1, 2, 0)
        self.median.copy_(statistics.median(dim=2, keepdim=True).values)
        self.deviation.copy_((statistics - self.median).abs().median(dim=2, keepdim=True).values + LEAST_DEVIATION)

    def forward(self, residuals: Tensor) -> Tensor:
        """Join statistics and scales.

        Being far at one scale is enough: small ones ask whether a row resembles some training rows, an infinite one
        whether it lies within the whole.

        Parameters
        ----------
        residuals : Tensor of shape (scales, batch, size)

        Returns
        -------
        Tensor of shape (batch,)
            Mean over statistics of the maximum over scales; about 0 for a usual row.
        """
        return ((self.statistics(residuals) - self.median) / self.deviation).amax(dim=1).mean(dim=0)
