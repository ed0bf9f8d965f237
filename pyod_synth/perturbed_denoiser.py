"""PerturbedDenoiser: latent vectors and rows restored from noise and from learned perturbations.

Perturbators learn with the loss of DHAG (:mod:`pyod_synth.models.dhag`), but the discriminator's logit is not that of a
free network. A decoder R restores a row from its latent vector, given the scale s of the noise in it, and a latent
vector z = E(x) is as normal as it agrees with what the encoder E makes of the restored row:

    D(z) = a_s log(mean_k (z - E(R(z, s)))_k^2) + b_s.

R and E learn to restore a clean row from its copy with Gaussian noise of a random scale, and from its latent vector
with a perturbation of the perturbators, at the same time as they learn DHAG's Eq. 2. For tables, E and R have a linear
map beside the layers, so that distance in rows stays distance in latent vectors.

The score joins (:class:`pyod_synth.residuals.ResidualScore`) two residuals at all scales: z - E(R(z, s)), the
discriminator's, and x - R(z, s), for what the encoder leaves out. At an infinite scale, where a restored row is the
mean of the training rows, they are the deviations from the means of latent vectors and of rows. With known anomalies,
D itself, averaged over scales, is the score: it has seen what to look for.
"""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from pyod_synth.base import DeepDetector
from pyod_synth.models.dhag import DHAG, DHAGCore
from pyod_synth.networks import decoder, encoder, mlp
from pyod_synth.residuals import ResidualScore
from pyod_synth.training import by_blocks
from pyod_synth.validation import Interval, check_scales

_LEAST_SQUARE = 1e-4  # of a latent residual, which keeps the slope of its logarithm bounded while learning


def latent_energy(residual: Tensor) -> Tensor:
    """Logarithm of the mean square of latent residuals, (..., latent_size): (...)."""
    return torch.log(residual.square().mean(dim=-1) + _LEAST_SQUARE)


class WithLinearMap(nn.Module):
    """A network on vectors, and a linear map beside it.

    Parameters
    ----------
    net, linear : nn.Module
        Both map (batch, inputs) to (batch, outputs).
    """

    def __init__(self, net: nn.Module, linear: nn.Module):
        super().__init__()
        self.net, self.linear = net, linear

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs) to (batch, outputs)."""
        return self.net(x) + self.linear(x)


class PerturbedDenoiserCore(DHAGCore):
    """Encoder, decoder and perturbators, and what is usual for residuals.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    clf : PerturbedDenoiser
        Whose parameters to take.
    """

    scales: Tensor
    mean: Tensor
    latent_mean: Tensor

    def build(self, input_shape: tuple[int, ...], clf: Any) -> None:
        """Make encoder, decoder and what the discriminator adds to them."""
        size, hidden_size, latent_size = math.prod(input_shape), clf.hidden_size, clf.latent_size
        self.use_labels, self.restoring_weight = clf.use_labels, clf.restoring_weight
        # noise in rows spreads over as many coordinates of the latent vector as there are
        self.noise_size = min(size, latent_size)
        encode: nn.Module = encoder(input_shape, [hidden_size], latent_size)
        decode: nn.Module = decoder(latent_size, [hidden_size, hidden_size], input_shape)
        self.scale_embedding = mlp([1, hidden_size, latent_size])
        if len(input_shape) == 1:
            into, back = nn.Linear(size, latent_size, bias=False), nn.Linear(latent_size, size, bias=False)
            # at first, the linear maps alone give a row back, or its projection
            nn.init.orthogonal_(into.weight)
            back.weight.data.copy_(into.weight.data.T)
            encode, decode = WithLinearMap(encode, into), WithLinearMap(decode, back)
        self.encoder, self.decoder = encode, decode
        self.log_slope = nn.Parameter(torch.zeros(len(clf.scales)))
        self.intercept = nn.Parameter(torch.zeros(len(clf.scales)))
        self.register_buffer("scales", torch.tensor([float(s) for s in clf.scales], dtype=torch.float32))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("latent_mean", torch.zeros(latent_size))
        self.latent_score = ResidualScore(len(clf.scales) + 1, latent_size)
        self.row_score = ResidualScore(len(clf.scales) + 1, size)

    def restore(self, z: Tensor, scale: Tensor) -> Tensor:
        """R of the module's text: latent vectors (batch, latent_size), scales (batch,) to (batch, *input_shape)."""
        return self.decoder(z + self.scale_embedding(scale.log()[:, None]))

    def logit(self, z: Tensor) -> Tensor:
        """D of the module's text, each latent vector at a scale of its own, drawn at random."""
        index = torch.randint(len(self.scales), (len(z),), generator=self.generator, device=z.device)
        residual = z - self.encoder(self.restore(z, self.scales[index]))
        return self.log_slope[index].exp() * latent_energy(residual) + self.intercept[index]

    def training_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """DHAG's Eq. 2, and the error of restoring normal rows."""
        normal = x if y is None else x[y == 0]
        with torch.no_grad():
            perturbation = self.perturbators(normal, self.generator)
        loss = self.generation_loss(x, y, perturbation)
        return loss + self.restoring_weight * self.restoring_loss(normal, perturbation) if len(normal) else loss

    def restoring_loss(self, x: Tensor, perturbation: Tensor) -> Tensor:
        """Mean squared error of rows restored from Gaussian noise and from one perturbation each.

        Errors are relative to the variance, s^2 / (1 + s^2), that noise of scale s leaves of a standard normal value.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)
        perturbation : Tensor of shape (batch, L, latent_size)

        Returns
        -------
        Tensor of shape ()
        """
        least, greatest = self.scales.min(), self.scales.max()
        drawn: dict[str, Any] = {"generator": self.generator, "device": x.device}
        scale = torch.exp(least.log() + (greatest / least).log() * torch.rand(len(x), dtype=x.dtype, **drawn))
        noise = torch.randn(x.shape, dtype=x.dtype, **drawn)
        noisy = self.encoder(x + scale.view(-1, *[1] * (x.ndim - 1)) * noise)
        index = torch.randint(perturbation.shape[1], (len(x),), **drawn)
        perturbation = perturbation[torch.arange(len(x), device=x.device), index]
        size = perturbation.norm(dim=1) / math.sqrt(self.noise_size)
        scale = torch.cat([scale, size.clamp(least, greatest)])
        restored = self.restore(torch.cat([noisy, self.encoder(x) + perturbation]), scale)
        error = (restored - torch.cat([x, x])).flatten(1).square().mean(dim=1)
        return ((1 + scale.square()) / scale.square() * error).mean()

    def residuals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Subtract what is restored from latent vectors and from rows, at all scales and the infinite one.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)

        Returns
        -------
        latent : Tensor of shape (scales + 1, batch, latent_size)
        row : Tensor of shape (scales + 1, batch, size)
        """
        z, repeats = self.encoder(x), len(self.scales)
        restored = self.restore(z.repeat(repeats, 1), self.scales.repeat_interleave(len(x)))
        again = self.encoder(restored).view(repeats, *z.shape)
        rows = x.flatten(1)
        latent = torch.cat([z - again, (z - self.latent_mean)[None]])
        return latent, torch.cat([rows - restored.view(repeats, *rows.shape), (rows - self.mean)[None]])

    def calibrate(self, x: Tensor) -> None:
        """Learn means, and what is usual for the residuals of the training rows."""
        self.mean.copy_(x.flatten(1).mean(dim=0))
        self.latent_mean.copy_(by_blocks(self.encoder, x).mean(dim=0))
        self.latent_score.calibrate(lambda rows: self.residuals(rows)[0], x)
        self.row_score.calibrate(lambda rows: self.residuals(rows)[1], x)

    def anomaly_score(self, x: Tensor) -> Tensor:
        """Mean score of both residuals; D, averaged over scales, if it learned from known anomalies."""
        latent, row = self.residuals(x)
        if self.use_labels:
            return (self.log_slope.exp() * latent_energy(latent[:-1]).T + self.intercept).mean(dim=1)
        return (self.latent_score(latent) + self.row_score(row)) / 2

    def row_cost(self, x: Tensor) -> int:
        """Rows and latent vectors restored at all scales."""
        return len(self.scales) * (len(self.mean) + len(self.latent_mean))


@dataclass(kw_only=True, eq=False, repr=False)
class PerturbedDenoiser(DeepDetector):
    """Latent vectors restored from noise and from learned perturbations; what cannot be restored is the score.

    Takes DHAG's perturbations [1]_, small and each in a direction of its own, for what is to be told from normal rows,
    and measures that by how badly rows are restored, so that the score grows with the distance from the training rows.
    Its strength is to learn from a few known anomalies. See :mod:`pyod_synth.perturbed_denoiser` for networks, loss and
    score.

    Parameters
    ----------
    n_perturbators : int, default=3
        Number of perturbators.
    n_augmented : int in [0, 512], default=50
        How many of every 512 perturbations, the smallest ones, count as normal.
    lambda1 : float, default=0.1
        Weight of the norms of perturbations.
    lambda2 : float, default=0.1
        Weight of the cosines between perturbations of different perturbators.
    use_labels : bool, default=False
        Whether ``fit`` learns from known anomalies, y = 1; rows with y = 0 count as normal.
    hidden_size : int, default=64
        Units of the hidden layers of a table's encoder and decoder.
    latent_size : int, default=64
        Length of the latent vector.
    n_filters : int, default=8
        Filters of each convolution of a perturbator.
    scales : sequence of float, default=(0.1, 0.25, 0.6, 1.6, 4.0)
        Scales of the noise that rows are restored from, in standard deviations of a feature.
    restoring_weight : float, default=10.0
        Weight of the restoring loss beside DHAG's.
    perturbator_lr : float, default=1e-3
        Initial learning rate of the perturbators.
    lr : float, default=1e-3
        Initial learning rate of the other networks.
    epoch_num : int or None, default=None
        Passes over the training rows. None takes as many as make 300 optimiser steps.
    batch_size : int, default=256
        Rows per optimiser step.
    weight_decay : float, default=1e-4
        AdamW's decoupled weight decay.
    {verbose}
    {shared parameters}

    {attributes}
    {history}

    References
    ----------
    .. [1] H. Kim and C. Lee, "Enhancing Anomaly Detection via Generating Diversified and Hard-to-distinguish Synthetic
       Anomalies", CIKM 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import PerturbedDenoiser
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = PerturbedDenoiser(contamination=0.05, epoch_num=20).fit(X)
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    """

    n_perturbators: int = 3
    n_augmented: int = 50
    lambda1: float = 0.1
    lambda2: float = 0.1
    use_labels: bool = False
    hidden_size: int = 64
    latent_size: int = 64
    n_filters: int = 8
    scales: tuple[float, ...] = (0.1, 0.25, 0.6, 1.6, 4.0)
    restoring_weight: float = 10.0
    perturbator_lr: float = 1e-3

    _parameter_constraints = {
        **{name: allowed for name, allowed in DHAG._parameter_constraints.items() if name != "space"},
        "scales": [tuple, list],
        "restoring_weight": [Interval(Real, 0, None, closed="left")],
    }

    def build_core(self, input_shape: tuple[int, ...]) -> PerturbedDenoiserCore:
        """Make the networks; see :meth:`pyod_synth.base.CoreDetector.build_core`."""
        check_scales(self.scales)
        return PerturbedDenoiserCore(input_shape, self)
