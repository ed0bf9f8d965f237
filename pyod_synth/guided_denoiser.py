"""GuidedDenoiser: rows restored from noise, beside a block that learns to detect invented anomalies.

A network restores clean rows from noisy copies, at scales of the noise from small to large: it cannot learn to copy
everything, however wide it is, and what it changes in a row tells how far the row lies from the training rows, as seen
at each scale. As in AnoRand (:mod:`pyod_synth.models.anorand`), a detection block learns beside it from a few rows that
were moved by noise and grown by SMOTE, and its last hidden layer z0 goes into the decoder.

With noise e from N(0, I), a row x is restored from u = x + s e, for scales s log-uniform between the least and the
greatest, by

    restored(u, s) = u / (1 + s^2) + s / sqrt(1 + s^2) * decode(z0(u'), encode(u', log(s) / 2)),

with u' = asinh(u / sqrt(1 + s^2)). The first term is the best linear guess for a standardised feature, so that the
networks add what there is to know beyond it, and their targets have unit variance at every scale (Karras et al., 2022).
The asinh bounds what they can add far out to the logarithm of the distance: the residual of far rows grows with their
distance. The scale goes in as one more feature, or one more channel.

The loss is w CE(detection) + (1 - w) (1 - y) error, the error of a restored row relative to s / sqrt(1 + s^2) being
2 (sqrt(1 + e^2) - 1), averaged over features: squared while it is small, and by its size when it is large, so that
anomalies among the training rows are not learned at any price.

The residuals of a row without noise, at each scale and at an infinite one, where a row is restored to the mean of the
training rows, give the residual score (:class:`pyod_synth.residuals.ResidualScore`). The score is a quarter of that and
three quarters of the detection block's probability.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from pyod_synth.base import DeepDetector
from pyod_synth.core import Core
from pyod_synth.models.anorand import AnoRand, anorand_loss, invent_anomalies
from pyod_synth.networks import decoder, encoder
from pyod_synth.residuals import ResidualScore
from pyod_synth.validation import check_scales

_TABLE_COPIES = 4  # of each row of a table in a step: steadier gradients for less time than more steps
_DETECTION_SHARE = 0.75  # of the score


class GuidedDenoiserCore(Core):
    """Detection block and denoiser.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    clf : GuidedDenoiser
        Whose parameters to take.
    """

    scales: Tensor
    mean: Tensor

    def __init__(self, input_shape: tuple[int, ...], clf: "GuidedDenoiser"):
        super().__init__()
        narrow = math.ceil(clf.hidden_size / 2)
        first, *rest = input_shape
        self.w = clf.w
        self.invention = (clf.anomaly_share, clf.grown_share, clf.noise_level)
        self.detection = encoder(input_shape, (clf.hidden_size,), narrow)
        self.detection_output = nn.Linear(narrow, 1)
        self.copies = _TABLE_COPIES if len(input_shape) == 1 else 1
        self.encoder = encoder((first + 1, *rest), (clf.hidden_size, narrow), clf.latent_size)
        self.decoder = decoder(narrow + clf.latent_size, (narrow, clf.hidden_size), input_shape)
        self.register_buffer("scales", torch.tensor(sorted(float(s) for s in clf.scales), dtype=torch.float32))
        self.register_buffer("mean", torch.zeros(tuple(input_shape)))
        self.residual_score = ResidualScore(len(clf.scales) + 1, math.prod(input_shape))

    def prepare(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """Join invented anomalies."""
        return invent_anomalies(x, *self.invention, self.generator)

    def training_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Give the loss of the module's text, the error averaged over noisy copies of each row."""
        assert y is not None  # prepare sees to it
        clean = x.repeat(self.copies, *[1] * (x.ndim - 1))
        low, high = self.scales[0].log(), self.scales[-1].log()
        uniform = torch.rand(len(clean), generator=self.generator, device=x.device, dtype=x.dtype)
        scale = torch.exp(low + (high - low) * uniform)
        noise = torch.randn(clean.shape, generator=self.generator, device=x.device, dtype=x.dtype)
        s = _as_rows(scale, x)
        added = self.decoder(self.encode(clean + s * noise, scale))
        # with this target of the decoder, the restored row is the clean one
        error = (added - (s * clean - noise) / (1 + s**2).sqrt()).flatten(1)
        distance = (2 * ((1 + error.square()).sqrt() - 1)).mean(dim=1).view(self.copies, -1).mean(dim=0)
        return anorand_loss(distance, self.logit(x), y, self.w)

    def encode(self, x: Tensor, scale: Tensor) -> Tensor:
        """Join z0 and the latent of rows (batch, *input_shape) with noise of a scale each, (batch,)."""
        s = _as_rows(scale, x)
        bounded = torch.asinh(x / (1 + s**2).sqrt())
        with_scale = torch.cat([bounded, (s.log() / 2).expand(-1, 1, *x.shape[2:])], dim=1)
        return torch.cat([silu(self.detection(bounded)), self.encoder(with_scale)], dim=1)

    def residuals(self, x: Tensor) -> Tensor:
        """Subtract from rows (batch, *input_shape) what is restored of them: (scales + 1, batch, size)."""
        residuals = []
        for s in self.scales:
            factor = s / (1 + s**2).sqrt()
            added = self.decoder(self.encode(x, s.expand(len(x))))
            residuals.append((factor * (factor * x - added)).flatten(1))
        return torch.stack([*residuals, (x - self.mean).flatten(1)])

    def logit(self, x: Tensor) -> Tensor:
        """Logit of the detection block for rows (batch, *input_shape): (batch,)."""
        return self.detection_output(silu(self.detection(x))).squeeze(1)

    def calibrate(self, x: Tensor) -> None:
        """Learn what is usual for residuals."""
        self.mean.copy_(x.mean(dim=0))
        self.residual_score.calibrate(self.residuals, x)

    def anomaly_score(self, x: Tensor) -> Tensor:
        """Join the residual score and the probability of the detection block."""
        residual_score = self.residual_score(self.residuals(x))
        return (1 - _DETECTION_SHARE) * residual_score + _DETECTION_SHARE * torch.sigmoid(self.logit(x))

    def embed(self, x: Tensor) -> Tensor:
        """Join z0 and the latent, at the smallest scale."""
        return self.encode(x, self.scales[0].expand(len(x)))

    def row_cost(self, x: Tensor) -> int:
        """Rows restored at all scales."""
        return len(self.scales) * x[0].numel()


def _as_rows(scale: Tensor, x: Tensor) -> Tensor:
    """Shape (batch,) like rows: (batch, 1) or (batch, 1, 1, 1)."""
    return scale.view(-1, *[1] * (x.ndim - 1))


@dataclass(kw_only=True, eq=False, repr=False)
class GuidedDenoiser(DeepDetector):
    """Rows restored from noise, beside a block that detects invented anomalies; both are scored.

    Takes AnoRand's synthetic labels [1]_ for an autoencoder that restores rows from noise, so that the score grows with
    the distance from the training rows. See :mod:`pyod_synth.guided_denoiser` for networks, loss and score.

    Parameters
    ----------
    scales : sequence of float, default=(0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
        Deviations of the noise that rows are restored from, in standard deviations of a feature: learned between the
        smallest and the largest, scored at each and at the infinite scale.
    w : float in [0, 1], default=0.2
        Weight of the detection block in the loss.
    anomaly_share : float in (0, 0.5], default=0.02
        Share of training rows that become synthetic anomalies.
    grown_share : float in (0, 0.5], default=0.05
        Share that SMOTE grows them to.
    noise_level : float, default=1.0
        Standard deviation of the noise on synthetic anomalies, in standard deviations of a feature.
    hidden_size : int, default=128
        Units of the first hidden layer of each block of a table; the second has half as many.
    latent_size : int, default=16
        Length of the autoencoder's latent.
    lr : float, default=1e-3
        Initial learning rate.
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
    .. [1] M. Zoubeirou a Mayaki and M. Riveill, "AnoRand: A Semi Supervised Deep Learning Anomaly Detection Method by
       Random Labeling", hal-04116457, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import GuidedDenoiser
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = GuidedDenoiser(contamination=0.05, epoch_num=50).fit(X)
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    """

    scales: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
    w: float = 0.2
    anomaly_share: float = 0.02
    grown_share: float = 0.05
    noise_level: float = 1.0
    hidden_size: int = 128
    latent_size: int = 16

    _parameter_constraints = {
        **{name: allowed for name, allowed in AnoRand._parameter_constraints.items() if name != "use_labels"},
        "scales": [tuple, list],
    }

    def build_core(self, input_shape: tuple[int, ...]) -> GuidedDenoiserCore:
        """Make the networks; see :meth:`pyod_synth.base.CoreDetector.build_core`."""
        check_scales(self.scales)
        return GuidedDenoiserCore(input_shape, self)
