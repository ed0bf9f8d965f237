"""PLAD: Perturbation Learning based Anomaly Detection (Cai and Fan, NeurIPS 2022).

A perturbator g turns each normal row x into a perturbed one, x~ = x * alpha + beta with (alpha, beta) = g(x), and a
classifier f tells the two apart. Both minimise one loss, without opposition: g moves a row as little as it can for f
to notice. Eq. 3, with a deterministic g, is

    BCE(f(x), 0) + BCE(f(x~), 1) + lam * (|alpha - 1|^2 + |beta|^2)

averaged over rows. Eq. 5, the paper's method, draws the perturbation from a variational autoencoder: a code
z ~ N(mu(x), sigma(x)^2) is decoded to (alpha, beta), and KL(N(mu, sigma^2) || N(0, 1)) joins the loss. The classifier
is an MLP for tables and a LeNet for images, and the perturbator an MLP for both; for sequences both are recurrent. The
score is the classifier's logit.

Where the default values come from
----------------------------------
- The paper, section 4.2: ``perturbator="vae"``, ``lam=3`` (its Thyroid; Arrhythmia takes 2), Adam at ``lr=1e-3`` for
  ``epoch_num=100``.
- Ours, since the paper leaves them to an appendix that is not at hand: ``hidden_size``, ``latent_size``,
  ``batch_size``, a constant rate, no weight decay, standardised features, and leaky ReLUs, as the LeNet that it cites
  has them. Chosen on fifteen of ADBench's tables, of at most 2,000 rows, trained on normal rows, with a slope of 0.1
  (here torch's 0.01): AUROC and AUPRC were .70 and .39, with SiLU .61 and .34; on fourteen others .61 and .42, and .51
  and .34. The appendix also has ``lam``, the rate and Adam or SGD, ``optimizer_name="sgd"``, for each class of images.
- Tried for these, F1 on Arrhythmia (5 seeds) and Thyroid (3 seeds) as in Table 5, where the defaults have .40 ± .04 and
  .57 ± .13: ``hidden_size`` and ``latent_size`` as many as a row has features .41 and .38, ``preprocessing="minmax"``
  .36 and .22, ``optimizer_name="sgd"`` .32 ± .15 and .66 ± .26.
- Tried on the fifteen tables, 2 seeds, where the defaults have AUROC and AUPRC of .68 and .36: 32 and 256 hidden units
  .58 and .30, .59 and .34; codes of 4 and 64 .47 and .24, .63 and .35; batches of 32 and 512 .66 and .39, .61 and .32;
  a slope of 0.1 .68 and .38, of 0.3 .63 and .35; a cosine for the rate .61 and .32.
- Images of garments need a smaller ``lam``, since Eq. 5 sums the size of a perturbation over pixels, and a lower rate:
  on Fashion-MNIST's T-shirts, sandals, shirts and bags (2,000 images, 8 epochs) AUROC is .81 at the best epoch and .60
  at the last with 3, .82 and .71 with 0.01, .84 and .80 with 0.002, which is 3 for a mean over pixels; and with 0.001
  and ``lr=1e-4`` .91 and .90 on sandals, .84 and .79 on bags, after 30 epochs. Over its six other classes, in full, 20
  epochs have .92 and .88 with these, .88 and .80 with the defaults. The paper's 100 epochs change no best one and lower
  the last: over all ten classes, in full, 5 seeds, .87 and .71, with 20 .87 and .79. On CIFAR-10's airplanes, dogs and
  frogs, 10 epochs, the two are no better: .58 and .55, with the defaults .64 and .61. On tables a mean is worse (AUROC
  over the fifteen .59 instead of .69). Pixels in [0, 1] are worse (sandals .56 instead of .87), and so is global
  contrast normalisation (.26 instead of .61, with ``lam=3``). A perturbator of 512 hidden units and codes of 128 is no
  better: over the first four classes, 2,000 images, at the best epoch .89, .77 and .75 with three seeds, .86, .79 and
  .82 with 64 and 16.
- Ours for sequences, of which the paper says no more than that the networks are recurrent (sections 2 and 4.7; its
  appendix G is not at hand): the first hidden layer of the classifier and of the encoder is a gated recurrent one,
  whose state after the last step goes on; the hidden layer of the decoder is one that sees the code at every step, from
  whose states alpha and beta are read step by step.

What it can and cannot do
-------------------------
One direction of perturbation is enough for the loss, and the perturbator finds one: over ADBench's 29 tables the
perturbations of different rows have a cosine of .56 (median). The classifier then sees rows that are moved that way
(AUROC .97), takes those that are moved the opposite way for more normal than the rows themselves (.12), and is blind
to others of the same size (.51). It is a half-space, and which anomalies it finds depends on the direction, and so on
the seed.

Deviations from the paper
-------------------------
- The score is the logit rather than the probability, whose sigmoid would round distant rows to one and the same 1.
- The decoder gives the deviation of (alpha, beta) from (1, 0), so that training starts from small perturbations. With
  (alpha, beta) themselves it starts from rows of zeros, which are told apart at once: on ten small tables, one-class,
  AUROC .36 against .50.
- The exponential of a log variance overflows float32 at 88, where rows far from all others, or rows that are not
  standardised, easily begin. From 10 on its tangent takes its place in the divergence, and codes are drawn with the
  variance of exp(10). Below it nothing changes.
- The LeNet has no batch normalisation. Statistics of normal and of perturbed batches differ, which tells the two apart
  for a reason that no single test row has; and with both in one batch, AUROC on Fashion-MNIST's sandals and shirts
  after 8 epochs over 2,000 images was .19 and .45, against .59 and .60 without.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pyod_synth.base import DeepDetector
from pyod_synth.core import Core
from pyod_synth.detector import CoreDetector, Floats
from pyod_synth.networks import decoder, encoder
from pyod_synth.training import by_blocks
from pyod_synth.validation import Interval, Shape, StrOptions, check_sequence_shape

_BEND = 10.0  # log variance of a code from which its exponential is left for the tangent


class Perturbator(nn.Module, ABC):
    """Move rows by a learned perturbation.

    Parameters
    ----------
    input_shape : tuple of int
        (d,), (C, T) or (C, H, W).
    hidden_size : int
        Units of each hidden layer.
    latent_size : int
        Length of the code that a perturbation is decoded from.
    """

    statistics: int  # numbers that the encoder gives for each element of the code

    def __init__(self, input_shape: tuple[int, ...], hidden_size: int, latent_size: int):
        super().__init__()
        both = (2 * input_shape[0], *input_shape[1:])  # alpha and beta
        self.encoder = encoder(input_shape, (hidden_size,), self.statistics * latent_size, nn.LeakyReLU, image=None)
        self.decoder = decoder(latent_size, (hidden_size,), both, nn.LeakyReLU, image=None)

    @abstractmethod
    def encode(self, x: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Find the code of a perturbation for each row.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)
        generator : torch.Generator or None
            Of random codes.

        Returns
        -------
        code : Tensor of shape (batch, latent_size)
        divergence : Tensor of shape (batch,)
            What the code costs.
        """

    def forward(self, x: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor, Tensor]:
        """Perturb rows.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)
        generator : torch.Generator or None
            Of random codes.

        Returns
        -------
        perturbed : Tensor of shape (batch, *input_shape)
            x * alpha + beta.
        size : Tensor of shape (batch,)
            |alpha - 1|^2 + |beta|^2.
        divergence : Tensor of shape (batch,)
        """
        code, divergence = self.encode(x, generator)
        deviation = self.decoder(code)
        alpha, beta = deviation.chunk(2, dim=1)
        return x * (1 + alpha) + beta, deviation.flatten(1).square().sum(dim=1), divergence


class DeterministicPerturbator(Perturbator):
    """Eq. 3: one perturbation for each row, which costs nothing but its size."""

    statistics = 1

    def encode(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Take the encoder's output for the code."""
        code = self.encoder(x)
        return code, code.new_zeros(len(code))


class VariationalPerturbator(Perturbator):
    """Eq. 5: a variational autoencoder, from which each row draws its perturbation."""

    statistics = 2

    def encode(self, x: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Draw the code from N(mu, sigma^2); it costs KL(N(mu, sigma^2) || N(0, 1)), summed over the code."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        noise = torch.randn(mean.shape, generator=generator, device=x.device, dtype=x.dtype)
        inner, beyond = log_variance.clamp(max=_BEND), (log_variance - _BEND).clamp(min=0)
        divergence = 0.5 * (mean.square() + inner.exp() * (1 + beyond) - 1 - log_variance).sum(dim=1)
        return mean + noise * torch.exp(inner / 2), divergence


PERTURBATORS = {"vae": VariationalPerturbator, "deterministic": DeterministicPerturbator}


def plad_loss(normal_logit: Tensor, perturbed_logit: Tensor, size: Tensor, divergence: Tensor, lam: float) -> Tensor:
    """Eq. 5, and Eq. 3 where the divergence is zero, of logits of f(x) and f(x~): positive ones mean perturbed.

    All are of shape (batch,); ``size`` is |alpha - 1|^2 + |beta|^2.
    """
    # softplus(f) is the binary cross entropy of label 0, softplus(-f) that of label 1
    return (softplus(normal_logit) + softplus(-perturbed_logit) + divergence + lam * size).mean()


class PLADCore(Core):
    """Perturbator and classifier, for rows of shape (d,), (C, T) or (C, H, W)."""

    def __init__(self, input_shape: tuple[int, ...], clf: "PLAD"):
        super().__init__()
        self.lam = clf.lam
        self.perturbator = PERTURBATORS[clf.perturbator](input_shape, clf.hidden_size, clf.latent_size)
        self.classifier = encoder(input_shape, (clf.hidden_size, clf.hidden_size), 1, nn.LeakyReLU)

    def training_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Eq. 3 or 5."""
        perturbed, size, divergence = self.perturbator(x, self.generator)
        return plad_loss(self.anomaly_score(x), self.anomaly_score(perturbed), size, divergence, self.lam)

    def anomaly_score(self, x: Tensor) -> Tensor:
        """Logit of being perturbed."""
        return self.classifier(x).squeeze(1)

    def embed(self, x: Tensor) -> Tensor:
        """Last hidden layer of the classifier."""
        return self.classifier[:-1](x)

    def invent(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Perturb each row."""
        return by_blocks(lambda rows: self.perturbator(rows, generator)[0], x, in_turn=True)


@dataclass(kw_only=True, eq=False, repr=False)
class PLAD(DeepDetector):
    """PLAD: a classifier learns to tell rows from copies that are perturbed as little as it needs.

    A perturbator learns together with the classifier; the classifier's logit is the score. See
    :mod:`pyod_synth.models.plad` for the loss, where the default values come from, and the deviations from the paper
    [1]_.

    Parameters
    ----------
    perturbator : {"vae", "deterministic"}, default="vae"
        Draw perturbations from a variational autoencoder (the paper's Eq. 5), or give one for each row (Eq. 3).
    lam : float, default=3.0
        Weight of the size of perturbations, which is summed over features: images of many pixels may need less.
    hidden_size : int, default=64
        Units of the hidden layers of the perturbator, and of a table's classifier.
    latent_size : int, default=16
        Length of the code that perturbations are decoded from.
    lr : float, default=1e-3
        Initial learning rate.
    epoch_num : int or None, default=100
        Passes over the training rows. None takes as many as make 300 optimiser steps.
    batch_size : int, default=256
        Rows per optimiser step.
    weight_decay : float, default=0.0
        Weight decay.
    {optimization}
    {verbose}
    {shared parameters}
    sequence_shape : tuple (C, T) or None, default=None
        Channels and steps of sequences, in arrays of shape (n, C, T) or flattened rows (n, C * T); the networks are
        recurrent then. ``preprocessing`` scales each channel. Not together with ``image_shape``.
    channels_last : bool, default=False
        Whether sequences come as (n, T, C) or flattened rows (n, T * C): so do the windows that PyOD's
        :class:`~pyod.models.ts_od.TimeSeriesOD` cuts from a series of several channels.

    {attributes}
    {history}

    References
    ----------
    .. [1] J. Cai and J. Fan, "Perturbation Learning Based Anomaly Detection", NeurIPS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import PLAD
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = PLAD(contamination=0.05, epoch_num=20).fit(X)
    >>> clf.labels_.sum()
    np.int64(10)
    >>> clf.invent(X[:3]).shape
    (3, 2)

    Sequences of two channels and ten steps:

    >>> X = np.random.default_rng(0).normal(size=(200, 2, 10)).cumsum(axis=2)
    >>> PLAD(sequence_shape=(2, 10), epoch_num=2).fit(X).decision_function(X[:3]).shape
    (3,)

    Windows of a series of two channels, scored step by step:

    >>> from pyod.models.ts_od import TimeSeriesOD
    >>> series = np.random.default_rng(0).normal(size=(100, 2))
    >>> clf = PLAD(sequence_shape=(2, 10), channels_last=True, epoch_num=2)
    >>> TimeSeriesOD(clf, window_size=10).fit(series).decision_scores_.shape
    (100,)
    """

    perturbator: str = "vae"
    lam: float = 3.0
    hidden_size: int = 64
    latent_size: int = 16
    epoch_num: int | None = 100
    weight_decay: float = 0.0
    optimizer_name: str = "adam"
    lr_schedule: str | Sequence[int] = "constant"
    sequence_shape: tuple[int, ...] | None = None
    channels_last: bool = False

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "perturbator": [StrOptions(set(PERTURBATORS))],
        "lam": [Interval(Real, 0, None, closed="left")],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
        "sequence_shape": [tuple, list, None],
        "channels_last": ["boolean"],
    }

    def build_core(self, input_shape: tuple[int, ...]) -> PLADCore:
        """Make the networks; see :meth:`pyod_synth.detector.CoreDetector.build_core`."""
        return PLADCore(input_shape, self)

    def _check_rows(self, holder: CoreDetector, X: Any, shape: Shape | None, *, fitting: bool) -> Any:
        if fitting and self.sequence_shape is not None:
            if shape is not None:
                raise ValueError(
                    f"sequence_shape and image_shape cannot both be given, got {self.sequence_shape} and {shape}"
                )
            shape = check_sequence_shape(self.sequence_shape)
        elif fitting and self.channels_last:
            raise ValueError("channels_last=True is for sequences and needs sequence_shape=(channels, steps), got None")
        if shape is None or not self._transposes(shape):
            return super()._check_rows(holder, X, shape, fitting=fitting)
        return super()._check_rows(holder, X, shape[::-1], fitting=fitting).swapaxes(1, 2)

    def _as_given(self, rows: Floats, shape: Shape) -> Floats:
        return super()._as_given(rows.swapaxes(1, 2) if self._transposes(self.input_shape_) else rows, shape)

    def _transposes(self, shape: Shape) -> bool:
        """Tell whether rows of this shape are sequences that come with the channels last."""
        return self.channels_last and len(shape) == 2
