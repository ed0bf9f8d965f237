"""One-class anomaly detection via novelty normalization (Wu, Lu, Fuh and Liu, CVIU 2021).

The paper
---------
An autoencoder restores a row from its latent vector z = En(x), and a novelty-scoring (NS) module, an MLP with a
sigmoid, reads a novelty in [0, 1] from z. For a row x_i,

    L_r(x_i)  = |x_i - De(z_i)|^2, averaged over features                          Eq. 1
    L_ns(x_i) = MLP(z_i; W)                                                        Eq. 2
    S_i       = (1 - lam1) * L_r(x_i) + lam1 * L_ns(x_i)                           Eq. 7, and Eq. 5 of a test row
    Reg(S_i)  = (S_i - S_min) / (S_max - S_min)                                    Eq. 6

with S_min and S_max those of the batch. The loss is the mean of Reg(S_i) over the batch, minus lam2 * |W|_0 (Eq. 3 and
4), which rewards weights that are not zero: all training rows are normal, so that L_ns alone would have the module give
up its weights. The score is Reg(S_i) with the averages of S_min and S_max over all batches of training.

``autoencoder="plain"`` is this. ``normalization`` and ``novelty_scoring`` switch the two additions off, which gives the
rows of the paper's Table 4.

The default
-----------
With normal rows only, nothing tells the NS module what novelty is, and a plain autoencoder restores well what lies
between normal rows and beyond them. ``autoencoder="restoring"`` is a :class:`pyod_synth.restoration.Denoiser`: it
learns from noisy copies x~ of the training rows, at scales s of the noise from small to large, and so does the NS
module,

    L_r(x)  = the denoiser's error in restoring x from x~
    L_ns(x) = -log(1 - MLP(En(x, s))) - log MLP(En(x~, s))                          clean is 0, noisy is 1

averaged over the copies of a row. In the score, L_r(x) is the oddness of what is not restored of the row itself
(:class:`pyod_synth.restoration.Energies`), and L_ns(x) the novelty of Eq. 2, averaged over scales. The novelty is
bounded and the oddness is not, so that the score grows with distance.

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
  is lowest where one row of a batch is restored worst, not where all are restored well.
- Eq. 1 writes a norm, and the text calls it the mean square error; the latter is what is minimised.
- With ``autoencoder="restoring"``, S_min and S_max are averaged over batches of the training rows after training, since
  residuals are scored relative to those of the trained network.
- The learning rate decays along a cosine, not by steps; grey images get two convolutional layers of 16 and 32 filters,
  others three of 32, 64 and 128.
"""

import math
from abc import abstractmethod
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid, silu

from pyod_synth.base import DeepDetector
from pyod_synth.core import Core
from pyod_synth.networks import decoder, encoder
from pyod_synth.restoration import Denoiser, check_scales

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

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(nn.Linear(inputs, outputs, bias=False).weight.detach())
        self.gate_logit = nn.Parameter(torch.full_like(self.weight, _OPEN))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs) to (batch, outputs)."""
        if self.training:
            uniform = torch.rand_like(self.gate_logit).clamp(1e-6, 1 - 1e-6)
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

    def __init__(self, latent_size, layers):
        super().__init__()
        self.layers = nn.ModuleList(GatedLinear(latent_size, latent_size) for _ in range(layers - 1))
        self.layers.append(GatedLinear(latent_size, 1))

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., latent_size) to (...)."""
        for layer in self.layers[:-1]:
            z = silu(layer(z))
        return self.layers[-1](z).squeeze(-1)

    def expected_count(self) -> Tensor:
        """Eq. 3, in expectation over the gates, of shape ()."""
        return sum(layer.expected_count() for layer in self.layers)


def batch_bounds(scores):
    """S_min and S_max of a batch, (batch,): two of shape (), without gradient."""
    return scores.detach().aminmax()


def normalize(scores, low, high):
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
    """What both autoencoders share: Eq. 4, 6 and 7, and the bounds.

    Parameters
    ----------
    novelty : NoveltyScorer or None
        None scores by restoration only.
    normalization : bool
    lam1, lam2 : float
    """

    def __init__(self, novelty, normalization, lam1, lam2):
        super().__init__()
        self.novelty = novelty
        self.normalization = normalization
        self.lam1 = lam1
        self.lam2 = lam2
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.ones(()))
        self.register_buffer("batches", torch.zeros(()))

    @abstractmethod
    def novelty_scores(self, x: Tensor) -> Tensor:
        """Eq. 5 for rows (batch, *input_shape): S, of shape (batch,)."""

    def combine(self, restoration: Tensor, novelty: Tensor | None) -> Tensor:
        """Eq. 7 for tensors of one shape."""
        return restoration if novelty is None else (1 - self.lam1) * restoration + self.lam1 * novelty

    def total_loss(self, scores: Tensor) -> Tensor:
        """Eq. 4 and 6 for S of shape (batch,)."""
        loss = (normalize(scores, *batch_bounds(scores)) if self.normalization else scores).mean()
        return loss if self.novelty is None else loss - self.lam2 * self.novelty.expected_count()

    def keep_bounds(self, scores: Tensor) -> None:
        """Let the bounds of one more batch (batch,) join the averages."""
        self.batches += 1
        for average, bound in zip((self.low, self.high), batch_bounds(scores), strict=True):
            average += (bound - average) / self.batches

    def anomaly_score(self, x):
        """Eq. 6 with the averages of the bounds."""
        scores = self.novelty_scores(x)
        return normalize(scores, self.low, self.high) if self.normalization else scores


class PlainCore(NoveltyCore):
    """The paper's form.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size, latent_size : int
    **shared
        See :class:`NoveltyCore`.
    """

    def __init__(self, input_shape, hidden_size, latent_size, **shared):
        super().__init__(**shared)
        self.encoder = encoder(input_shape, (hidden_size,), latent_size)
        self.decoder = decoder(latent_size, (hidden_size,), input_shape)

    def novelty_scores(self, x):
        """Eq. 1, 2 and 5."""
        z = self.encoder(x)
        restoration = (x - self.decoder(z)).flatten(1).square().mean(dim=1)
        return self.combine(restoration, None if self.novelty is None else self.novelty(z).sigmoid())

    def embed(self, x):
        """Latent vectors."""
        return self.encoder(x)

    def training_loss(self, x, y=None):
        """Eq. 4, of S normalised by Eq. 6."""
        scores = self.novelty_scores(x)
        self.keep_bounds(scores)
        return self.total_loss(scores)


class RestoringCore(NoveltyCore):
    """The default form; see the module's text.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size, latent_size : int
    scales : sequence of float
        Of the noise.
    batch_size : int
        Rows of the batches whose bounds are averaged.
    **shared
        See :class:`NoveltyCore`.
    """

    def __init__(self, input_shape, hidden_size, latent_size, scales, batch_size, **shared):
        super().__init__(**shared)
        self.batch_size = batch_size
        self.denoiser = Denoiser(
            input_shape,
            encoder((input_shape[0] + 1, *input_shape[1:]), (hidden_size,), latent_size),
            decoder(latent_size, (hidden_size,), input_shape),
            scales,
        )

    def training_loss(self, x, y=None):
        """Eq. 4 of the noisy rows' restoration and of the NS module's cross entropy."""
        clean, noisy, scale = self.denoiser.draw(x)
        z = self.denoiser.encode(noisy, scale)
        restoration = self.denoiser.error(z, clean, noisy, scale)
        cross_entropy = None
        if self.novelty is not None:
            # logsigmoid of f is log MLP, and of -f log(1 - MLP)
            normal_logit = self.novelty(self.denoiser.encode(clean, scale))
            cross_entropy = -logsigmoid(-normal_logit) - logsigmoid(self.novelty(z))
        return self.total_loss(self.denoiser.over_copies(self.combine(restoration, cross_entropy)))

    def novelty_scores(self, x):
        """S of rows without noise."""
        z = self.denoiser.latents(x)
        novelty = None
        if self.novelty is not None:
            # rows first: a mean over the first dimension rounds differently in a block's last rows
            novelty = self.novelty(z).sigmoid().T.contiguous().mean(dim=1)
        return self.combine(self.denoiser.oddness(x, z), novelty)

    def embed(self, x):
        """Latent vectors at the smallest scale."""
        return self.denoiser.embed(x)

    @torch.no_grad()
    def calibrate(self, x):
        """Learn what is usual of all training rows, and then the bounds of batches of them."""
        self.denoiser.calibrate(x)
        batches = x[torch.randperm(len(x), device=x.device)].tensor_split(math.ceil(len(x) / self.batch_size))
        for rows in batches:
            self.keep_bounds(self.novelty_scores(rows))


class NoveltyNormalization(DeepDetector):
    """One-class anomaly detection via novelty normalization.

    An autoencoder's restoration error and a novelty read from its latent vector are added and min-max scaled, in the
    loss over each batch and in the score by bounds kept from training. See
    :mod:`pyod_synth.models.novelty_normalization` for the equations, the two autoencoders and the deviations from the
    paper, whose form is ``NoveltyNormalization(autoencoder="plain", lam1=0.5, latent_size=32, lr=1e-3)``.

    Parameters
    ----------
    autoencoder : {"restoring", "plain"}, default="restoring"
        "plain" is the paper's. "restoring" restores rows from noisy copies at several scales, from which the NS module
        too learns what is novel.
    normalization : bool, default=True
        Whether to min-max scale in the loss and in the score.
    novelty_scoring : bool, default=True
        Whether to have the NS module. Without it and without normalization the autoencoder is left alone.
    lam1 : float in [0, 1), default=0.3
        Share of novelty, beside restoration, in loss and score; the paper takes 0.5.
    lam2 : float, default=1e-5
        Reward for each weight of the NS module that is not zero.
    novelty_layers : int, default=2
        Layers of the NS module; the paper takes 3 for CIFAR-10.
    hidden_size : int, default=128
        Units of the hidden layers of a table's encoder and decoder.
    latent_size : int, default=16
        Length of the latent vector, and units of the NS module's hidden layers; the paper takes 32 for MNIST and 64 for
        CIFAR-10.
    scales : sequence of float, default=(0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
        Deviations of the noise that rows are restored from, in standard deviations of a feature: learned between the
        smallest and the largest, scored at each and at the infinite scale; only for the restoring autoencoder.
    lr : float, default=3e-3
        Initial learning rate; each step of the restoring autoencoder averages over all scales, and so may be larger.
    contamination, preprocessing, epoch_num, batch_size, weight_decay, device, random_state, verbose, image_shape
        See :class:`pyod_synth.base.DeepDetector`.

    Attributes
    ----------
    decision_scores_ : ndarray of shape (n,), float64
        Scores of the training rows; higher is more anomalous.
    threshold_ : float
        Score above which ``predict`` says anomaly.
    labels_ : ndarray of shape (n,), int
        1 for training rows above the threshold, else 0.
    history_ : list of float
        Mean loss of each epoch.
    core_ : Core
        The trained networks.
    device_ : torch.device
        Where they are.
    input_shape_ : tuple of int
        (d,) or (C, H, W).
    n_features_in_ : int
        d, or C * H * W.
    feature_names_in_ : ndarray of shape (d,), object
        Column names, if fitted on a data frame.

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

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "autoencoder": [StrOptions({"restoring", "plain"})],
        "normalization": ["boolean"],
        "novelty_scoring": ["boolean"],
        "lam1": [Interval(Real, 0, 1, closed="left")],
        "lam2": [Interval(Real, 0, None, closed="left")],
        "novelty_layers": [Interval(Integral, 1, None, closed="left")],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
        "scales": [tuple, list],
    }

    def __init__(
        self,
        autoencoder="restoring",
        normalization=True,
        novelty_scoring=True,
        lam1=0.3,
        lam2=1e-5,
        novelty_layers=2,
        hidden_size=128,
        latent_size=16,
        scales=(0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4),
        contamination=0.1,
        preprocessing=True,
        lr=3e-3,
        epoch_num=None,
        batch_size=256,
        weight_decay=1e-4,
        device=None,
        random_state=42,
        verbose=0,
        image_shape=None,
    ):
        super().__init__(
            contamination=contamination,
            preprocessing=preprocessing,
            lr=lr,
            epoch_num=epoch_num,
            batch_size=batch_size,
            weight_decay=weight_decay,
            device=device,
            random_state=random_state,
            verbose=verbose,
            image_shape=image_shape,
        )
        self.autoencoder = autoencoder
        self.normalization = normalization
        self.novelty_scoring = novelty_scoring
        self.lam1 = lam1
        self.lam2 = lam2
        self.novelty_layers = novelty_layers
        self.hidden_size = hidden_size
        self.latent_size = latent_size
        self.scales = scales

    def build_core(self, input_shape):
        """Make the networks; see :meth:`DeepDetector.build_core`."""
        sizes = (input_shape, self.hidden_size, self.latent_size)
        shared = {
            "novelty": NoveltyScorer(self.latent_size, self.novelty_layers) if self.novelty_scoring else None,
            "normalization": self.normalization,
            "lam1": self.lam1,
            "lam2": self.lam2,
        }
        if self.autoencoder == "plain":
            return PlainCore(*sizes, **shared)
        check_scales(self.scales)
        return RestoringCore(*sizes, self.scales, self.batch_size, **shared)
