"""NCAE: Normality-Calibrated Autoencoder (Yu, Oh, Kim and Kim, 2021).

Training rows may hold anomalies. An autoencoder, f to a latent vector and g back, is to restore the normal rows well
and the contaminated ones badly. To tell them apart it makes rows that are normal with high confidence:

- A discriminator D_l drives the latents of all rows towards N(mu, I) (Eq. 3). Their mean mu is followed batch by batch,
  mu <- mu - gamma * mean_i(mu - z_i) (Eq. 4).
- Latents from the middle of that distribution, w ~ N(mu, sigma I), are decoded; a discriminator D_s drives the decoded
  rows g(w) towards the training rows (Eq. 5).
- The latents f(g(w)) of as many generated rows as the batch has are a dictionary. Eq. 6 compares each row with it: the
  mean product of its latent with all latents of the dictionary, all of them of length one. The ``tau`` share of the
  batch picked by it is taken for contaminated.
- f and g minimise the normality-calibrated reconstruction loss, part (a) of Eq. 7,

      mean_normal |x - g(f(x))|^2 - repulsion * mean_contaminated |x - x'|^2,

  where x' is the generated row whose latent is most similar to that of x, plus the adversarial loss (b). The generator
  g, which minimises (c), and its opponents D_l and D_s have optimisers of their own.

The score is the reconstruction error. With ``preprocessing="minmax"`` training rows lie in [0, 1] and g ends in a
sigmoid, which bounds what generated rows gain by moving away.

Where the default values come from
----------------------------------
- The paper, section 3.1: ``tau=0.1``, ``sigma=0.1``, ``batch_size=128``, Adam; Eq. 7: ``adversarial_weight=1``.
- The authors' program: ``preprocessing="minmax"``, ``lr=1e-3``, ``adversarial_lr=5e-4``,
  ``lr_schedule=(20, 50, 70, 90)``, ``weight_decay=5e-7``, Adam's first beta of 0.5 for the opponents, and the mean over
  features for |.|^2. The paper's rate of 0.01, divided by ten every ten epochs, diverges.
- Ours: ``repulsion=0.1``. Eq. 7 has 1, with a sum over features for |.|^2; with 1 the first goal is to generate rows
  far from contaminated ones.
- Ours, since both are silent on tables: ``gamma``, ``hidden_size``, ``latent_size``; and ``epoch_num=50``, of the
  program's 150, since its rates are 1e-5 and below from the 50th on.

What it can and cannot do
-------------------------
Where all training rows are normal, driving those away that are taken for contaminated gains nothing: on fifteen of
ADBench's tables (at most 2,000 rows, 2 seeds) AUROC and AUPRC are .781 and .527, with ``repulsion=0``, which only
leaves them out, .782 and .534, with 0.01 .782 and .533, and the autoencoder alone, without opponents either, has .791
and .550. Standardised features have .827 and .515, and .824 and .572 for the autoencoder alone; but where anomalies are
left in they have .775 and .294, instead of .762 and .365, on the fourteen that can be divided. No other size of the
networks is clearly better: 64, 256 and 512 hidden units have .782 and .526, .796 and .554, .784 and .547, latent
vectors of 8 and 16 .791 and .526, .786 and .534, both 256 and 16 .777 and .528; f and g with a second hidden layer,
of 256 units, have .780 and .528, with one layer and ReLU instead of SiLU .776 and .512 (unsupervised .744 and .338, and
.773 and .370, instead of .762 and .365); ``gamma=0.01`` has .801 and .504.
On images of the digit 5, with none to a fifth of other digits among them, AUROC after five epochs is .03 to .09 higher
than with ``tau=0`` (one seed).

Deviations from the paper
-------------------------
- The text sorts Eq. 6 in "descending" order and takes the top. But Eq. 6 is a similarity to normal rows: the least
  similar rows are the contaminated ones, and they are taken here (as in the authors' own program).
- Eq. 7 writes f . g(x) and D_x(w) where g(f(x)) and D_s(x) are meant.
- f and g minimise -log D instead of log(1 - D): the same goal, but with a gradient when the discriminator is ahead.
- mu starts at the mean latent of the first batch, not of all rows.
- At least one row of a batch counts as normal, so that batches of one row teach something.
- Images go through the package's LeNet; the paper gives no sizes. f and g have the batch normalisation of the authors'
  program after their convolutions. Without it g comes to restore every image as black, where its sigmoid has no
  gradient any more: on MNIST's digits 0 to 4 and Fashion-MNIST's sandals within an epoch or two. A linear output on
  standardised pixels is no way out: AUROC .41 and .53 on the digits 2 and 5. Over Fashion-MNIST's ten classes it is
  .873 and .834 (two seeds) at the last of ten epochs and .893 at the best, without the normalisation .876 and .902
  (one); over MNIST's, clean, .786 and .858 after five epochs. D_s has none, since statistics of real and of generated
  batches differ: with it AUROC on the digit 2 (2,000 images, 5 epochs) was .58, without .79.
- Tried on 2,000 images of the digits 2 and 5, shirts and boots, 8 epochs, where AUROC at the last is .81, .66, .78 and
  .87: no gradient of D_l in f, as in the program (on the digit 2, 5 epochs, .72 instead of .79); a weight of .001 for
  it, which makes of the mean over pixels Eq. 7's sum, .83, .81, .71 and .79; generated rows normalised by what is known
  of real ones, .89 and .70 on the digits, but between .37 and .98 from epoch to epoch on boots.
- The program takes no row for contaminated, its share being 0 there; here it is the paper's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import cast

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from pyod_synth.base import DeepDetector
from pyod_synth.core import Core, Player
from pyod_synth.detector import Floats
from pyod_synth.networks import decoder, encoder, lenet, lenet_decoder
from pyod_synth.training import by_blocks, computing
from pyod_synth.validation import Interval

_ADVERSARIAL_BETAS = (0.5, 0.999)  # of Adam, as usual where networks are opponents


def adversarial_loss(logit: Tensor, real: bool) -> Tensor:
    """Mean of -log D where a discriminator should answer real, else of -log(1 - D), given log(D / (1 - D))."""
    return softplus(-logit if real else logit).mean()


def similarity(latent: Tensor, dictionary: Tensor) -> Tensor:
    """Eq. 6: mean cosine of each latent with those of a dictionary, (batch,); low for contaminated rows."""
    return normalize(latent, dim=1) @ normalize(dictionary, dim=1).mean(dim=0)


def least_similar(similarities: Tensor, tau: float) -> Tensor:
    """Pick the share ``tau`` of a batch, rounded up but not all, that is taken for contaminated: bool (batch,)."""
    size = min(math.ceil(tau * len(similarities)), len(similarities) - 1)
    picked = torch.zeros_like(similarities, dtype=torch.bool)
    picked[similarities.argsort()[:size]] = True
    return picked


def most_similar(latent: Tensor, dictionary: Tensor) -> Tensor:
    """Index of the dictionary's entry with the largest cosine, for each latent: int64 of shape (batch,)."""
    return (normalize(latent, dim=1) @ normalize(dictionary, dim=1).T).argmax(dim=1)


def squared_distance(x: Tensor, other: Tensor) -> Tensor:
    """|x - x'|^2 of rows, both (batch, *input_shape), averaged over features: (batch,)."""
    return (x - other).flatten(1).square().mean(dim=1)


class NCAECore(Core):
    """Autoencoder, discriminators and latent mean, for rows of shape (d,) or (C, H, W)."""

    latent_mean: Tensor

    def __init__(self, input_shape: tuple[int, ...], clf: "NCAE"):
        super().__init__()
        self.tau, self.sigma, self.gamma = clf.tau, clf.sigma, clf.gamma
        self.repulsion, self.adversarial_weight = clf.repulsion, clf.adversarial_weight
        self.adversarial_lr, self.in_range = clf.adversarial_lr, clf.preprocessing == "minmax"
        hidden, latent_size = (clf.hidden_size,), clf.latent_size
        self.f = encoder(input_shape, hidden, latent_size, image=partial(lenet, normalized=True))
        self.g = decoder(latent_size, hidden, input_shape, image=partial(lenet_decoder, normalized=True))
        self.latent_discriminator = encoder((latent_size,), hidden, 1)
        self.sample_discriminator = encoder(input_shape, hidden, 1)
        self.register_buffer("latent_mean", torch.full((clf.latent_size,), math.nan))  # until the first batch

    def players(self) -> list[Player]:
        """Autoencoder, g as a generator, D_l and D_s."""

        def adversary(net: nn.Module, loss: Callable[[Tensor, Tensor | None], Tensor]) -> Player:
            options = {"lr": self.adversarial_lr, "betas": _ADVERSARIAL_BETAS}
            return Player([{"params": list(net.parameters())} | options], loss)

        return [
            Player([*self.f.parameters(), *self.g.parameters()], self.training_loss),
            adversary(self.g, self.generator_loss),
            adversary(self.latent_discriminator, self.latent_discriminator_loss),
            adversary(self.sample_discriminator, self.sample_discriminator_loss),
        ]

    def anomaly_score(self, x: Tensor) -> Tensor:
        """|x - g(f(x))|^2, averaged over features."""
        return squared_distance(x, self.decode(self.f(x)))

    def decode(self, latent: Tensor) -> Tensor:
        """Give g of latents, between 0 and 1 where rows are: (batch, latent_size) to (batch, *input_shape)."""
        return self.g(latent).sigmoid() if self.in_range else self.g(latent)

    def embed(self, x: Tensor) -> Tensor:
        """Latent vectors."""
        return self.f(x)

    def nearest_normal(self, x: Tensor, threshold: float) -> Tensor:
        """Restore rows."""
        return by_blocks(lambda rows: self.decode(self.f(rows)), x)

    def invent(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Refuse: what it makes up is normal."""
        raise NotImplementedError(
            "NCAE invents no anomalies: it generates rows that are normal with high confidence, generate(number); "
            "PLAD, AnoRand, GatedKNN and DHAG(space='input') invent anomalies"
        )

    def training_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Loss of f and g: their share of Eq. 7. Moves the latent mean (Eq. 4)."""
        latent = self.f(x)
        self.follow(latent.detach())
        generated = self.generate(len(x), self.generator)
        with torch.no_grad():
            dictionary = self.f(generated)
            contaminated = least_similar(similarity(latent, dictionary), self.tau)
            nearest = most_similar(latent[contaminated], dictionary)
        # a sum, since there may be no contaminated row
        away = squared_distance(x[contaminated], generated[nearest]).sum() / max(1, len(nearest))
        calibrated = squared_distance(x, self.decode(latent))[~contaminated].mean() - self.repulsion * away
        return calibrated + self.adversarial_weight * adversarial_loss(self.latent_discriminator(latent), real=True)

    def generator_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Loss of g as a generator: the rest of its share of Eq. 7."""
        return adversarial_loss(self.sample_discriminator(self.generate(len(x), self.generator)), real=True)

    def latent_discriminator_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Loss of D_l (Eq. 3)."""
        with torch.no_grad():
            latent = self.f(x)
            noise = torch.randn(latent.shape, generator=self.generator, device=x.device, dtype=x.dtype)
        return adversarial_loss(self.latent_discriminator(self.latent_mean + noise), real=True) + adversarial_loss(
            self.latent_discriminator(latent), real=False
        )

    def sample_discriminator_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Loss of D_s (Eq. 5)."""
        with torch.no_grad():
            generated = self.generate(len(x), self.generator)
        return adversarial_loss(self.sample_discriminator(x), real=True) + adversarial_loss(
            self.sample_discriminator(generated), real=False
        )

    def generate(self, number: int, generator: torch.Generator | None) -> Tensor:
        """Decode latents drawn from N(mu, sigma I): (number, *input_shape)."""
        mean = self.latent_mean
        noise = torch.randn(number, len(mean), generator=generator, device=mean.device, dtype=mean.dtype)
        return self.decode(mean + math.sqrt(self.sigma) * noise)

    def follow(self, latent: Tensor) -> None:
        """Move the latent mean towards that of a batch (Eq. 4)."""
        mean = latent.mean(dim=0)
        start = torch.where(self.latent_mean.isnan(), mean, self.latent_mean)
        self.latent_mean.copy_(start - self.gamma * (start - mean))


@dataclass(kw_only=True, eq=False, repr=False)
class NCAE(DeepDetector):
    """NCAE: a normality-calibrated autoencoder, for training rows with anomalies among them.

    Restores the training rows but for those least similar to rows that it generates, with high confidence, as normal;
    the reconstruction error is the score. See :mod:`pyod_synth.models.ncae` for the loss, where the default values come
    from, and the deviations from the paper [1]_.

    Parameters
    ----------
    tau : float in [0, 1), default=0.1
        Share of a batch taken for contaminated.
    sigma : float in [0, 1], default=0.1
        Variance of the latents that high-confidence normal rows are decoded from.
    gamma : float in (0, 1], default=0.1
        How fast the latent mean follows that of the batches.
    repulsion : float, default=0.1
        Weight of pushing generated rows away from contaminated ones.
    adversarial_weight : float, default=1.0
        Weight of deceiving the discriminator of latents, beside the error.
    hidden_size : int, default=128
        Units of the hidden layers, for images those of the latent discriminator alone.
    latent_size : int, default=32
        Length of the latent vector.
    adversarial_lr : float, default=5e-4
        Initial learning rate of the generator and of both discriminators.
    lr : float, default=1e-3
        Initial learning rate of the autoencoder.
    epoch_num : int or None, default=50
        Passes over the training rows. None takes as many as make 300 optimiser steps.
    batch_size : int, default=128
        Rows per optimiser step.
    weight_decay : float, default=5e-7
        Weight decay.
    {optimization}
    {verbose}
    {shared parameters}

    {attributes}
    {history}

    References
    ----------
    .. [1] J. Yu, H. Oh, M. Kim and J. Kim, "Normality-Calibrated Autoencoder for Unsupervised Anomaly Detection on Data
       Contamination", 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import NCAE
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = NCAE(contamination=0.05).fit(X)
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    >>> clf.generate(3).shape
    (3, 2)
    """

    tau: float = 0.1
    sigma: float = 0.1
    gamma: float = 0.1
    repulsion: float = 0.1
    preprocessing: bool | str = "minmax"
    adversarial_weight: float = 1.0
    adversarial_lr: float = 5e-4
    hidden_size: int = 128
    latent_size: int = 32
    lr: float = 1e-3
    epoch_num: int | None = 50
    batch_size: int = 128
    weight_decay: float = 5e-7
    optimizer_name: str = "adam"
    lr_schedule: str | Sequence[int] = (20, 50, 70, 90)

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "tau": [Interval(Real, 0, 1, closed="left")],
        "sigma": [Interval(Real, 0, 1, closed="both")],
        "gamma": [Interval(Real, 0, 1, closed="right")],
        "repulsion": [Interval(Real, 0, None, closed="left")],
        "adversarial_weight": [Interval(Real, 0, None, closed="left")],
        "adversarial_lr": [Interval(Real, 0, None, closed="neither")],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
    }

    def build_core(self, input_shape: tuple[int, ...]) -> NCAECore:
        """Make the networks; see :meth:`pyod_synth.detector.CoreDetector.build_core`."""
        return NCAECore(input_shape, self)

    def generate(self, number: int) -> Floats:
        """Make rows up that are normal with high confidence.

        Parameters
        ----------
        number : int

        Returns
        -------
        ndarray of shape (number, *input_shape_), float64
            In the units of the training rows; the same at every call unless ``random_state`` is None or a RandomState
            instance.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        core, generator = cast(NCAECore, self.core_), self._new_generator()
        with computing(core.latent_mean[None]), torch.no_grad():
            generated = core.generate(number, generator)
        return self.standardizer_.inverse_transform(generated.cpu().numpy())
