"""One-class anomaly detection via novelty normalization (Wu, Lu, Fuh and Liu, CVIU 2021).

An autoencoder restores a row from its latent vector z = En(x), and a novelty-scoring (NS) module, an MLP with a
sigmoid, reads a novelty in [0, 1] from z. For a row x_i,

    L_r(x_i)  = |x_i - De(z_i)|^2, averaged over features                          Eq. 1
    L_ns(x_i) = MLP(z_i; W)                                                        Eq. 2
    S_i       = (1 - lam1) * L_r(x_i) + lam1 * L_ns(x_i)                           Eq. 7, and Eq. 5 of a test row
    Reg(S_i)  = (S_i - S_min) / (S_max - S_min)                                    Eq. 6

with S_min and S_max those of the batch. The loss is the mean of Reg(S_i) over the batch, minus lam2 * |W|_0 (Eq. 3 and
4), which rewards weights that are not zero: all training rows are normal, so that L_ns alone would have the module give
up its weights. The score is Reg(S_i) with the averages of S_min and S_max over all batches of training.

``normalization`` and ``novelty_scoring`` switch the two additions off, which gives the rows of the paper's Table 4.

Where the default values come from
----------------------------------
- The paper, section 4.2, for MNIST: ``lam1=0.5``, ``lam2=1e-5``, ``latent_size=32`` (64 for CIFAR-10),
  ``novelty_layers=2`` (3 for CIFAR-10).
- The paper, ibid.: Adam, with a rate divided by ten every 30 epochs, ``lr_schedule=(30, 60)``.
- Ours, since the paper is silent: ``lr``, ``epoch_num``, ``batch_size``, ``hidden_size``, no weight decay, and one
  hidden layer with SiLU for tables, of which the paper has none. Trained on normal rows of ADBench's 29 tables AUROC
  and AUPRC are .838 and .593 (3 seeds, .836 to .840 and .592 to .594), with 256 hidden units .831 and .604, with AdamW
  and a rate along a cosine .835 and .598. On fifteen of them (3 seeds), where they are .843 and .593, a second hidden
  layer of 128 units has .840 and .587, one of 256 .836 and .598, the leaky ReLU of the paper's convolutions .829 and
  .550, with a second layer of 64 .833 and .555; 512 units change them (2 seeds) by .003 and .000; on seven 64 units,
  batches of 64, 128 and 512, rates of 3e-4 and 3e-3 and 150 epochs change AUROC by -.009 to .004.

Deviations from the paper
-------------------------
- Eq. 3 counts weights, and a count has no gradient, so that it could not change what is learned. It is replaced by its
  expectation under the gates of Louizos et al. (2017), which the paper is inspired by: every weight of the NS module is
  multiplied by a gate drawn from a hard concrete distribution, which is zero with a probability that is learned.
- The text says that the count is of weights below 1e-10, that is of the zeros, but Eq. 4 subtracts it, which would
  reward zeros and bring on the collapse that it is to prevent. Eq. 3 counts what is not zero, and so do we.
- |W|_0 is the same for all rows of a batch, and Eq. 6 would cancel it: it joins the loss after the normalization.
- The NS module has no biases. W is then all it has, as Eq. 2 writes it; a bias would reach novelty 0 for every row
  while W is what it was, whatever Eq. 3 rewards.
- S_min and S_max are constants to the gradient. A gradient through them would make the loss blind to the size of S: it
  is lowest where one row of a batch is restored worst, not where all are restored well. On Fashion-MNIST's sandals and
  bags (2,000 images, 10 epochs) AUROC is .89 and .55 with it, .82 and .76 without.
- Eq. 1 writes a norm, and the text calls it the mean square error; the latter is what is minimised.
- Grey images get two convolutional layers of 16 and 32 filters, others three of 32, 64 and 128; the paper gives their
  number alone, and that a dense layer follows. With the batch normalisation of Deep SVDD, whose network it calls
  similar and whose layers it lists without, AUROC on Fashion-MNIST's sandals and shirts after 10 epochs over 2,000
  images was .857 and .785, against .833 and .790. On another draw, where it was .82 and .81, pixels in [0, 1] had .87
  and .79, global contrast normalisation before .42 and .74, a rate of 3e-4 .85 and .80.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from pyod_synth.base import DeepDetector
from pyod_synth.core import Core
from pyod_synth.networks import decoder, encoder, lenet, lenet_decoder
from pyod_synth.training import by_blocks
from pyod_synth.validation import Interval

# The hard concrete distribution of Louizos et al.: temperature, and the interval that is clipped to [0, 1].
_TEMPERATURE, _LOWER, _UPPER = 2 / 3, -0.1, 1.1
_OPEN = 2.0  # initial logit of a gate: open more often than not, since Eq. 4 wants weights that are not zero
_LEAST_RANGE = 1e-3  # of a batch's scores, so that a batch of one row, or of equal rows, divides by no zero


class GatedLinear(nn.Module):
    """Linear layer without bias, each weight of which has a gate (Louizos et al., 2017).

    While training, gates are drawn anew at each call, the same for all rows; in evaluation they are fixed.

    Parameters
    ----------
    inputs, outputs : int
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(nn.Linear(inputs, outputs, bias=False).weight.detach())
        self.gate_logit = nn.Parameter(torch.full_like(self.weight, _OPEN))

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Map (batch, inputs) to (batch, outputs), with gates drawn from a generator."""
        if self.training:
            uniform = torch.rand(self.gate_logit.shape, generator=generator, device=x.device, dtype=x.dtype)
            uniform = uniform.clamp(1e-6, 1 - 1e-6)
            concrete = torch.sigmoid((torch.logit(uniform) + self.gate_logit) / _TEMPERATURE)
        else:
            concrete = torch.sigmoid(self.gate_logit)
        gate = (concrete * (_UPPER - _LOWER) + _LOWER).clamp(0, 1)
        return linear(x, self.weight * gate)

    def expected_count(self) -> Tensor:
        """Give the expected number of weights that are not zero, of shape ()."""
        return torch.sigmoid(self.gate_logit - _TEMPERATURE * math.log(-_LOWER / _UPPER)).sum()


class NoveltyScorer(nn.Module):
    """The NS module: latent vectors to the logit of their novelty.

    Parameters
    ----------
    latent_size : int
        Also the units of each hidden layer.
    layers : int
    """

    def __init__(self, latent_size: int, layers: int):
        super().__init__()
        self.hidden = nn.ModuleList(GatedLinear(latent_size, latent_size) for _ in range(layers - 1))
        self.output = GatedLinear(latent_size, 1)

    def forward(self, z: Tensor, generator: torch.Generator | None) -> Tensor:
        """Map (batch, latent_size) to (batch,), with gates drawn from a generator while training."""
        for layer in self.hidden:
            z = silu(layer(z, generator))
        return self.output(z, generator).squeeze(-1)

    def expected_count(self) -> Tensor:
        """Eq. 3, in expectation over the gates, of shape ()."""
        layers = [layer for layer in self.modules() if isinstance(layer, GatedLinear)]
        return torch.stack([layer.expected_count() for layer in layers]).sum()


def batch_bounds(scores: Tensor) -> tuple[Tensor, Tensor]:
    """S_min and S_max of a batch, (batch,): two of shape (), without gradient."""
    return scores.detach().aminmax()


def normalize(scores: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Eq. 6.

    Parameters
    ----------
    scores : Tensor of shape (batch,)
    low, high : Tensor of shape ()
        S_min and S_max.

    Returns
    -------
    Tensor of shape (batch,)
    """
    return (scores - low) / (high - low).clamp(min=_LEAST_RANGE)


class NoveltyCore(Core):
    """Autoencoder, NS module, and the bounds of training batches.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    clf : NoveltyNormalization
        Whose parameters to take.
    """

    low: Tensor
    high: Tensor
    batches: Tensor

    def __init__(self, input_shape: tuple[int, ...], clf: "NoveltyNormalization"):
        super().__init__()
        self.normalization, self.lam1, self.lam2 = clf.normalization, clf.lam1, clf.lam2
        self.novelty = NoveltyScorer(clf.latent_size, clf.novelty_layers) if clf.novelty_scoring else None
        hidden, latent_size = (clf.hidden_size,), clf.latent_size
        self.encoder = encoder(input_shape, hidden, latent_size, image=partial(lenet, hidden=()))
        self.decoder = decoder(latent_size, hidden, input_shape, image=partial(lenet_decoder, hidden=()))
        for name, value in {"low": 0.0, "high": 1.0, "batches": 0.0}.items():
            self.register_buffer(name, torch.full((), value))

    def training_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Eq. 4, of S normalised by Eq. 6; the bounds of the batch join the averages."""
        scores = self.novelty_scores(x)
        bounds = batch_bounds(scores)
        self.batches += 1
        for average, bound in zip((self.low, self.high), bounds, strict=True):
            average += (bound - average) / self.batches
        loss = (normalize(scores, *bounds) if self.normalization else scores).mean()
        return loss if self.novelty is None else loss - self.lam2 * self.novelty.expected_count()

    def anomaly_score(self, x: Tensor) -> Tensor:
        """Eq. 6 with the averages of the bounds."""
        scores = self.novelty_scores(x)
        return normalize(scores, self.low, self.high) if self.normalization else scores

    def embed(self, x: Tensor) -> Tensor:
        """Latent vectors."""
        return self.encoder(x)

    def nearest_normal(self, x: Tensor, threshold: float) -> Tensor:
        """Restore rows."""
        return by_blocks(lambda rows: self.decoder(self.encoder(rows)), x)

    def novelty_scores(self, x: Tensor) -> Tensor:
        """Eq. 5 for rows (batch, *input_shape): S, of shape (batch,)."""
        z = self.encoder(x)
        restoration = (x - self.decoder(z)).flatten(1).square().mean(dim=1)
        if self.novelty is None:
            return restoration
        return (1 - self.lam1) * restoration + self.lam1 * self.novelty(z, self.generator).sigmoid()


@dataclass(kw_only=True, eq=False, repr=False)
class NoveltyNormalization(DeepDetector):
    """Novelty Normalization: an autoencoder's error and a novelty read from its latent vector, min-max scaled.

    Both are added and scaled in the loss over each batch, and in the score by bounds kept from training. See
    :mod:`pyod_synth.models.novelty_normalization` for the equations, where the default values come from, and the
    deviations from the paper [1]_.

    Parameters
    ----------
    normalization : bool, default=True
        Whether to min-max scale in the loss and in the score.
    novelty_scoring : bool, default=True
        Whether to have the NS module. Without it and without normalization the autoencoder is left alone.
    lam1 : float in [0, 1), default=0.5
        Share of novelty, beside restoration, in loss and score.
    lam2 : float, default=1e-5
        Reward for each weight of the NS module that is not zero, whose number [2]_ makes differentiable.
    novelty_layers : int, default=2
        Layers of the NS module.
    hidden_size : int, default=128
        Units of the hidden layers of a table's encoder and decoder.
    latent_size : int, default=32
        Length of the latent vector, and units of the NS module's hidden layers.
    lr : float, default=1e-3
        Initial learning rate.
    epoch_num : int or None, default=90
        Passes over the training rows. None takes as many as make 300 optimiser steps.
    batch_size : int, default=256
        Rows per optimiser step.
    weight_decay : float, default=0.0
        Weight decay.
    {optimization}
    {verbose}
    {shared parameters}

    {attributes}
    {history}

    References
    ----------
    .. [1] J.-C. Wu, S. Lu, C.-S. Fuh and T.-L. Liu, "One-class anomaly detection via novelty normalization", Computer
       Vision and Image Understanding, 2021.
    .. [2] C. Louizos, M. Welling and D. P. Kingma, "Learning sparse neural networks through L0 regularization", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import NoveltyNormalization
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = NoveltyNormalization(contamination=0.05, epoch_num=20).fit(X)
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    """

    normalization: bool = True
    novelty_scoring: bool = True
    lam1: float = 0.5
    lam2: float = 1e-5
    novelty_layers: int = 2
    hidden_size: int = 128
    latent_size: int = 32
    epoch_num: int | None = 90
    weight_decay: float = 0.0
    optimizer_name: str = "adam"
    lr_schedule: str | Sequence[int] = (30, 60)

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "normalization": ["boolean"],
        "novelty_scoring": ["boolean"],
        "lam1": [Interval(Real, 0, 1, closed="left")],
        "lam2": [Interval(Real, 0, None, closed="left")],
        "novelty_layers": [Interval(Integral, 1, None, closed="left")],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
    }

    def build_core(self, input_shape: tuple[int, ...]) -> NoveltyCore:
        """Make the networks; see :meth:`pyod_synth.detector.CoreDetector.build_core`."""
        return NoveltyCore(input_shape, self)
