"""Restoring rows from noise, and scoring what cannot be restored: what the papers' default forms have in common.

A network that restores clean rows from noisy copies, at scales of the noise from small to large, cannot learn to copy
everything, however wide it is; and what it changes in a row tells how far the row lies from the training rows, as seen
at each scale. :class:`Denoiser` is such a network, :class:`Energies` makes its residuals comparable across scales.
"""

import math
from collections.abc import Callable, Sequence
from numbers import Real

import torch
from torch import Tensor, nn

TINY = 1e-6  # keeps logarithms and quotients of exact restorations finite
LEAST_DEVIATION = 1e-3  # bounds the slope where most training rows have one and the same energy
_BLOCK_ELEMENTS = 2**15  # of the rows that are calibrated at a time
_TABLE_COPIES = 4  # of each row of a table in a step: steadier gradients for less time than more steps


class Denoiser(nn.Module):
    """Restore rows from Gaussian noise of known scale.

    With noise e from N(0, I), a row x is restored from x + s e, for scales s log-uniform between the least and the
    greatest, by

        restored(u, s) = u / (1 + s^2) + s / sqrt(1 + s^2) * decode(encode(asinh(u / sqrt(1 + s^2)), log(s) / 2)).

    The first term is the best linear guess for a standardised feature, so that the networks add what there is to know
    beyond it, and their targets have unit variance at every scale (Karras et al., 2022). The asinh bounds what they can
    add far out to the logarithm of the distance: the residual of far rows grows with their distance. The scale goes
    in as one more feature, or one more channel.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    encode : nn.Module
        From (batch, d + 1) or (batch, C + 1, H, W) to latent vectors (batch, latent_size).
    decode : nn.Module
        From (batch, latent_size) to (batch, *input_shape).
    scales : sequence of float
        Scales at which rows are scored, beside an infinite one: there a row is restored to the mean of the training
        rows.
    """

    def __init__(self, input_shape: Sequence[int], encode: nn.Module, decode: nn.Module, scales: Sequence[float]):
        super().__init__()
        self.encoder, self.decoder = encode, decode
        self.copies = _TABLE_COPIES if len(input_shape) == 1 else 1
        self.register_buffer("scales", torch.tensor(sorted(scales), dtype=torch.float32))
        self.register_buffer("mean", torch.zeros(tuple(input_shape)))
        self.energies = Energies(len(scales) + 1, math.prod(input_shape))

    def draw(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Make noisy copies of rows.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)

        Returns
        -------
        clean, noisy : Tensor of shape (copies * batch, *input_shape)
            Copy by copy.
        scale : Tensor of shape (copies * batch,)
            Of the noise in each.
        """
        clean = x.repeat(self.copies, *[1] * (x.ndim - 1))
        low, high = self.scales[0].log(), self.scales[-1].log()
        scale = torch.exp(low + (high - low) * torch.rand(len(clean), device=x.device))
        return clean, clean + _as_rows(scale, x) * torch.randn_like(clean), scale

    def encode(self, x: Tensor, scale: Tensor) -> Tensor:
        """Encode rows (batch, *input_shape) with noise of a scale each, (batch,): (batch, latent_size)."""
        s = _as_rows(scale, x)
        told = (s.log() / 2).expand(-1, 1, *x.shape[2:])
        return self.encoder(torch.cat([torch.asinh(x / (1 + s**2).sqrt()), told], dim=1))

    def error(self, z: Tensor, clean: Tensor, noisy: Tensor, scale: Tensor) -> Tensor:
        """Robust error of what is decoded: 2 (sqrt(1 + e^2) - 1), averaged over features.

        e is the error of the restored row relative to s / sqrt(1 + s^2). It counts squared while it is small, and by
        its size when it is large: anomalies among the training rows are not to be learned at any price.

        Parameters
        ----------
        z : Tensor of shape (batch, latent_size)
            What :meth:`encode` makes of ``noisy``.
        clean, noisy : Tensor of shape (batch, *input_shape)
        scale : Tensor of shape (batch,)

        Returns
        -------
        Tensor of shape (batch,)
        """
        s = _as_rows(scale, clean)
        # with this target of the decoder, the restored row is the clean one
        error = (self.decoder(z) - (s * clean - (noisy - clean) / s) / (1 + s**2).sqrt()).flatten(1)
        return (2 * ((1 + error.square()).sqrt() - 1)).mean(dim=1)

    def loss(self, x: Tensor) -> Tensor:
        """Error of restoring rows (batch, *input_shape), averaged over their copies: (batch,)."""
        clean, noisy, scale = self.draw(x)
        return self.over_copies(self.error(self.encode(noisy, scale), clean, noisy, scale))

    def over_copies(self, values: Tensor) -> Tensor:
        """Average over the copies that :meth:`draw` makes: (copies * batch,) to (batch,)."""
        return values.view(self.copies, -1).mean(dim=0)

    def latents(self, x: Tensor) -> Tensor:
        """Encode rows (batch, *input_shape), without noise, at each finite scale: (scales, batch, latent_size)."""
        return torch.stack([self.encode(x, s.expand(len(x))) for s in self.scales])

    def embed(self, x: Tensor) -> Tensor:
        """Encode rows (batch, *input_shape), without noise, at the smallest scale: (batch, latent_size)."""
        return self.encode(x, self.scales[0].expand(len(x)))

    def residuals(self, x: Tensor, latents: Tensor | None = None) -> Tensor:
        """Subtract from rows what is restored of them, at each scale.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)
        latents : Tensor of shape (scales, batch, latent_size) or None
            From :meth:`latents`, where they are at hand.

        Returns
        -------
        Tensor of shape (scales + 1, batch, size)
            The infinite scale is the last.
        """
        residuals = []
        for s, z in zip(self.scales, self.latents(x) if latents is None else latents, strict=True):
            factor = s / (1 + s**2).sqrt()
            residuals.append((factor * (factor * x - self.decoder(z))).flatten(1))
        return torch.stack([*residuals, (x - self.mean).flatten(1)])

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Learn from all training rows (n, *input_shape) what is usual; called once, after training."""
        self.mean.copy_(x.mean(dim=0))
        self.energies.calibrate(self.residuals, x)

    def oddness(self, x: Tensor, latents: Tensor | None = None) -> Tensor:
        """Score rows as :meth:`Energies.oddness` does; parameters as in :meth:`residuals`. Of shape (batch,)."""
        return self.energies.oddness(self.residuals(x, latents))


class Energies(nn.Module):
    """Sizes of residuals at several scales, made comparable.

    With m the mean square over training rows of each coordinate's residual r at a scale s, two judges measure

        log E_1s = log mean_k r_k^2 / m_sk,        log E_2s = log mean_k log(1 + r_k^2 / m_sk),

    and each is taken relative to its median, and its median absolute deviation, over training rows. The second judge
    bounds what one coordinate may claim.

    Parameters
    ----------
    n_scales : int
    size : int
        Coordinates of a residual.
    """

    def __init__(self, n_scales: int, size: int):
        super().__init__()
        self.register_buffer("mean_square", torch.ones(n_scales, 1, size))
        self.register_buffer("median", torch.zeros(2, n_scales, 1))
        self.register_buffer("deviation", torch.ones(2, n_scales, 1))

    def forward(self, residuals: Tensor) -> Tensor:
        """Log energies of residuals (scales, batch, size), not yet standardised: (2, scales, batch)."""
        return torch.stack([log_energy(residuals, self.mean_square, bounded) for bounded in (False, True)])

    @torch.no_grad()
    def calibrate(self, residuals: Callable[[Tensor], Tensor], x: Tensor) -> None:
        """Learn what is usual.

        Parameters
        ----------
        residuals : callable
            From rows (batch, *input_shape) to residuals (scales, batch, size).
        x : Tensor of shape (n, *input_shape)
            All training rows.
        """
        blocks = x.split(max(1, _BLOCK_ELEMENTS // x[0].numel()))
        squares = sum(residuals(block).square().sum(dim=1, keepdim=True) for block in blocks)
        self.mean_square.copy_(squares / len(x) + TINY)
        energies = torch.cat([self(residuals(block)) for block in blocks], dim=2)
        self.median.copy_(energies.median(dim=2, keepdim=True).values)
        self.deviation.copy_((energies - self.median).abs().median(dim=2, keepdim=True).values + LEAST_DEVIATION)

    def oddness(self, residuals: Tensor) -> Tensor:
        """Join judges and scales.

        Being odd at one scale is enough: the small ones ask whether a row resembles some training rows, the infinite
        one whether it lies within the whole.

        Parameters
        ----------
        residuals : Tensor of shape (scales, batch, size)

        Returns
        -------
        Tensor of shape (batch,)
            Mean over judges of the maximum over scales; about 0 for a usual row.
        """
        first, second = ((self(residuals) - self.median) / self.deviation).amax(dim=1)
        return (first + second) / 2


def log_energy(residual: Tensor, mean_square: Tensor, bounded: bool) -> Tensor:
    """Logarithm of the size of residuals relative to what is usual.

    Parameters
    ----------
    residual : Tensor of shape (..., batch, size)
    mean_square : Tensor that broadcasts to that
        Usual square of each coordinate.
    bounded : bool
        Whether coordinates count by their logarithm: log E_2 of :class:`Energies`, else log E_1.

    Returns
    -------
    Tensor of shape (..., batch)
    """
    relative = residual.square() / mean_square
    return torch.log((torch.log1p(relative) if bounded else relative).mean(dim=-1) + TINY)


def usual_square(residual: Tensor) -> Tensor:
    """Mean square of each coordinate's residual, never zero: (..., batch, size) to (..., 1, size)."""
    return residual.square().mean(dim=-2, keepdim=True) + TINY


def check_scales(scales: Sequence[float], name: str = "scales") -> None:
    """Raise ValueError unless there is a scale, and all are positive and finite."""
    if not scales or not all(isinstance(s, Real) and 0 < s < math.inf for s in scales):
        raise ValueError(f"{name} must be positive finite numbers, at least one, got {scales!r}")


def _as_rows(scale, x):
    """Shape (batch,) like rows: (batch, 1) or (batch, 1, 1, 1)."""
    return scale.view(-1, *[1] * (x.ndim - 1))
