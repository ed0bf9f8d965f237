"""NCAE: Normality-Calibrated Autoencoder (Yu, Oh, Kim and Kim, 2021).

The paper
---------
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

  where x' is the generated row whose latent is most similar to that of x, plus the adversarial losses (b) and (c). The
  paper has ``repulsion=1`` and ``adversarial_weight=1``; D_l and D_s are opponents with optimisers of their own.

The score is the reconstruction error.

Two autoencoders
----------------
``autoencoder="plain"`` is the paper's. Nothing keeps it from restoring rows far from the training rows, and the second
term of its loss has no lower bound.

``autoencoder="restoring"``, the default, is a :class:`pyod_synth.restoration.Denoiser`: it restores the clean row x
from a noisy copy, at scales of the noise from small to large, as a fixed multiple of the copy plus what g decodes. At
large scales g alone gives the row: a decoded latent of the largest scale *is* a row, and so the latents of Eq. 3 to 6
are those of clean rows at the largest scale, and D_s and the dictionary need no second decoder. f and g minimise, with
e the error of what g adds,

    mean_normal mean_k 2 (sqrt(1 + e_k^2) - 1) - repulsion * mean_contaminated log(1 + mean_k (x_k - x'_k)^2)
    + adversarial_weight * (what D_l and D_s hold against f and g),

in which a contaminated row that was not picked counts by the size of its error, not the square, and in which pushing
generated rows away from the contaminated ones pays ever less. The score is the oddness of what is not restored, as two
judges find it at each scale (:class:`pyod_synth.restoration.Energies`). At the infinite scale that is the deviation
from the mean of the training rows: anomalies may form a cluster that the autoencoder learns to restore, and are then
still odd for where they lie.

Deviations from the paper
-------------------------
- The text sorts Eq. 6 in "descending" order and takes the top. But Eq. 6 is a similarity to normal rows: the least
  similar rows are the contaminated ones, and they are taken here (as in the authors' own program).
- Eq. 7 writes f . g(x) and D_x(w) where g(f(x)) and D_s(x) are meant.
- f and g minimise -log D instead of log(1 - D): the same goal, but with a gradient when the discriminator is ahead.
- mu starts at the mean latent of the first batch, not of all rows.
- At least one row of a batch counts as normal, so that batches of one row teach something.
- The optimiser is the package's: AdamW with a cosine-decayed learning rate, the same for all players. The paper has
  Adam and divides the rate by 10 every 10 epochs. Images go through the package's LeNet; the paper gives no sizes.
- With ``autoencoder="restoring"``, everything said above of it.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.nn.functional import normalize, softplus

from pyod_synth.base import DeepDetector, Seeded
from pyod_synth.core import Core, Player
from pyod_synth.networks import decoder, encoder
from pyod_synth.restoration import Denoiser, check_scales


def adversarial_loss(logit, real):
    """Binary cross entropy of a discriminator's answers.

    Parameters
    ----------
    logit : Tensor of shape (batch, 1)
        log(D / (1 - D)).
    real : bool
        What the answer should be.

    Returns
    -------
    Tensor of shape ()
        Mean of -log D if it should be real, else of -log(1 - D).
    """
    return softplus(-logit if real else logit).mean()


def similarity(latent, dictionary):
    """Eq. 6: mean cosine of each latent with those of a dictionary.

    Parameters
    ----------
    latent : Tensor of shape (batch, latent_size)
    dictionary : Tensor of shape (entries, latent_size)

    Returns
    -------
    Tensor of shape (batch,)
        Between -1 and 1; low for contaminated rows.
    """
    return normalize(latent, dim=1) @ normalize(dictionary, dim=1).mean(dim=0)


def least_similar(similarities, tau):
    """Pick the rows of a batch that are taken for contaminated.

    Parameters
    ----------
    similarities : Tensor of shape (batch,)
        From :func:`similarity`.
    tau : float
        Share of rows to pick, rounded up; one row at least is left.

    Returns
    -------
    Tensor of shape (batch,), bool
    """
    size = min(math.ceil(tau * len(similarities)), len(similarities) - 1)
    picked = torch.zeros_like(similarities, dtype=torch.bool)
    picked[similarities.argsort()[:size]] = True
    return picked


def most_similar(latent, dictionary):
    """Index of the dictionary's entry with the largest cosine, for each latent: int64 of shape (batch,)."""
    return (normalize(latent, dim=1) @ normalize(dictionary, dim=1).T).argmax(dim=1)


class CalibratedCore(Core):
    """Autoencoder, discriminators, latent mean and contaminated rows: what both forms share.

    Parameters
    ----------
    f : nn.Module
        Encoder.
    g : nn.Module
        Decoder, from (batch, latent_size) to (batch, *input_shape).
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size : int
        Units of the hidden layer of D_l, and of D_s for tables.
    latent_size, tau, sigma, gamma, repulsion, adversarial_weight
        See :class:`NCAE`.
    """

    def __init__(self, f, g, input_shape, hidden_size, latent_size, tau, sigma, gamma, repulsion, adversarial_weight):
        super().__init__()
        self.f, self.g = f, g
        self.latent_discriminator = encoder((latent_size,), (hidden_size,), 1)
        self.sample_discriminator = encoder(input_shape, (hidden_size,), 1)
        self.tau = tau
        self.sigma = sigma
        self.gamma = gamma
        self.repulsion = repulsion
        self.adversarial_weight = adversarial_weight
        self.register_buffer("latent_mean", torch.full((latent_size,), math.nan))  # until the first batch

    def players(self):
        """Autoencoder against D_l and D_s."""
        return [
            Player([*self.f.parameters(), *self.g.parameters()], self.training_loss),
            Player(self.latent_discriminator.parameters(), self.latent_discriminator_loss),
            Player(self.sample_discriminator.parameters(), self.sample_discriminator_loss),
        ]

    @abstractmethod
    def latent(self, x: Tensor) -> Tensor:
        """Encode rows (batch, *input_shape) as what the discriminator and the dictionary see: (batch, latent_size)."""

    @abstractmethod
    def restoring_loss(self, x: Tensor) -> Tensor:
        """How badly rows (batch, *input_shape) are restored: (batch,)."""

    @abstractmethod
    def distance(self, x: Tensor, generated: Tensor) -> Tensor:
        """How far apart rows are, both (batch, *input_shape): (batch,)."""

    def embed(self, x):
        """Latent vectors."""
        return self.latent(x)

    def training_loss(self, x, y=None):
        """Loss of f and g: their share of Eq. 7. Moves the latent mean (Eq. 4)."""
        latent = self.latent(x)
        self.follow(latent.detach())
        generated = self.generate(len(x))
        with torch.no_grad():
            dictionary = self.latent(generated)
            contaminated = least_similar(similarity(latent, dictionary), self.tau)
            nearest = most_similar(latent[contaminated], dictionary)
        # a sum, since there may be no contaminated row
        away = self.distance(x[contaminated], generated[nearest]).sum() / max(1, len(nearest))
        deception = adversarial_loss(self.latent_discriminator(latent), real=True)
        deception = deception + adversarial_loss(self.sample_discriminator(generated), real=True)
        calibrated = self.restoring_loss(x[~contaminated]).mean() - self.repulsion * away
        return calibrated + self.adversarial_weight * deception

    def latent_discriminator_loss(self, x, y=None):
        """Loss of D_l (Eq. 3)."""
        with torch.no_grad():
            latent = self.latent(x)
            normal = self.latent_mean + torch.randn_like(latent)
        return adversarial_loss(self.latent_discriminator(normal), real=True) + adversarial_loss(
            self.latent_discriminator(latent), real=False
        )

    def sample_discriminator_loss(self, x, y=None):
        """Loss of D_s (Eq. 5)."""
        with torch.no_grad():
            generated = self.generate(len(x))
        return adversarial_loss(self.sample_discriminator(x), real=True) + adversarial_loss(
            self.sample_discriminator(generated), real=False
        )

    def generate(self, number: int) -> Tensor:
        """Decode latents drawn from N(mu, sigma I): (number, *input_shape)."""
        noise = torch.randn(number, len(self.latent_mean), device=self.latent_mean.device)
        return self.g(self.latent_mean + math.sqrt(self.sigma) * noise)

    def follow(self, latent: Tensor) -> None:
        """Move the latent mean towards that of a batch (Eq. 4)."""
        mean = latent.mean(dim=0)
        start = torch.where(self.latent_mean.isnan(), mean, self.latent_mean)
        self.latent_mean.copy_(start - self.gamma * (start - mean))


class PlainCore(CalibratedCore):
    """The paper's NCAE: an autoencoder scored by its squared error.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size : int
        Units of the hidden layers.
    latent_size, tau, sigma, gamma, repulsion, adversarial_weight
        See :class:`NCAE`.
    """

    def __init__(self, input_shape, hidden_size, latent_size, **parameters):
        f = encoder(input_shape, (hidden_size,), latent_size)
        g = decoder(latent_size, (hidden_size,), input_shape)
        super().__init__(f, g, input_shape, hidden_size, latent_size, **parameters)

    def latent(self, x):
        """f(x)."""
        return self.f(x)

    def restoring_loss(self, x):
        """|x - g(f(x))|^2."""
        return self.distance(x, self.g(self.f(x)))

    def distance(self, x, generated):
        """|x - x'|^2."""
        return (x - generated).flatten(1).square().sum(dim=1)

    def anomaly_score(self, x):
        """|x - g(f(x))|^2."""
        return self.restoring_loss(x)


class RestoringCore(CalibratedCore):
    """NCAE with an autoencoder that restores rows from noisy copies; see the module's text.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size : int
        Units of the hidden layers.
    scales : sequence of float
        Deviations of the noise.
    latent_size, tau, sigma, gamma, repulsion, adversarial_weight
        See :class:`NCAE`.
    """

    def __init__(self, input_shape, hidden_size, latent_size, scales: Sequence[float], **parameters):
        f = encoder((input_shape[0] + 1, *input_shape[1:]), (hidden_size,), latent_size)
        g = decoder(latent_size, (hidden_size,), input_shape)
        super().__init__(f, g, input_shape, hidden_size, latent_size, **parameters)
        self.denoiser = Denoiser(input_shape, f, g, scales)

    def latent(self, x):
        """Latents at the largest scale, without noise."""
        return self.denoiser.encode(x, self.denoiser.scales[-1].expand(len(x)))

    def restoring_loss(self, x):
        """Error of the denoiser."""
        return self.denoiser.loss(x)

    def distance(self, x, generated):
        """log(1 + mean_k (x_k - x'_k)^2)."""
        return torch.log1p((x - generated).flatten(1).square().mean(dim=1))

    def calibrate(self, x):
        """Learn what is usual."""
        self.denoiser.calibrate(x)

    def anomaly_score(self, x):
        """Oddness of what is not restored."""
        return self.denoiser.oddness(x)


class NCAE(DeepDetector):
    """Normality-Calibrated Autoencoder, for training rows with anomalies among them.

    Restores the training rows but for those least similar to rows that it makes up, with high confidence, as normal;
    what it cannot restore of a row is the score. See :mod:`pyod_synth.models.ncae` for the loss, the two autoencoders
    and the deviations from the paper.

    Parameters
    ----------
    autoencoder : {"restoring", "plain"}, default="restoring"
        "plain" is the paper's. "restoring" restores rows from noisy copies of many scales, under a robust loss, and its
        score grows with the distance from the training rows.
    tau : float in [0, 1), default=0.1
        Share of a batch taken for contaminated. The paper takes 0.1.
    sigma : float in [0, 1], default=0.1
        Variance of the latents that high-confidence normal rows are decoded from. The paper takes 0.1.
    gamma : float in (0, 1], default=0.1
        How fast the latent mean follows that of the batches.
    repulsion : float, default=0.1
        Weight of pushing generated rows away from contaminated ones. The paper has 1.
    adversarial_weight : float, default=0.1
        Weight of deceiving the discriminators. The paper has 1.
    hidden_size : int, default=128
        Units of the hidden layers, for images those of the latent discriminator alone.
    latent_size : int, default=16
        Length of the latent vector.
    scales : sequence of float, default=(0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
        Deviations of the noise that rows are restored from, in standard deviations of a feature: learned between the
        smallest and the largest, scored at each and at the infinite scale; only for the restoring autoencoder.
    contamination, preprocessing, lr, epoch_num, batch_size, weight_decay, device, random_state, verbose, image_shape
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
        Mean loss of each epoch, summed over autoencoder and discriminators.
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
    .. [1] J. Yu, H. Oh, M. Kim and J. Kim, "Normality-Calibrated Autoencoder for Unsupervised Anomaly Detection on Data
       Contamination", 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import NCAE
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> X[:10] += 8
    >>> clf = NCAE(contamination=0.05, epoch_num=20).fit(X)
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    """

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "autoencoder": [StrOptions({"restoring", "plain"})],
        "tau": [Interval(Real, 0, 1, closed="left")],
        "sigma": [Interval(Real, 0, 1, closed="both")],
        "gamma": [Interval(Real, 0, 1, closed="right")],
        "repulsion": [Interval(Real, 0, None, closed="left")],
        "adversarial_weight": [Interval(Real, 0, None, closed="left")],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
        "scales": [tuple, list],
    }

    def __init__(
        self,
        autoencoder="restoring",
        tau=0.1,
        sigma=0.1,
        gamma=0.1,
        repulsion=0.1,
        adversarial_weight=0.1,
        hidden_size=128,
        latent_size=16,
        scales=(0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4),
        contamination=0.1,
        preprocessing=True,
        lr=1e-3,
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
        self.tau = tau
        self.sigma = sigma
        self.gamma = gamma
        self.repulsion = repulsion
        self.adversarial_weight = adversarial_weight
        self.hidden_size = hidden_size
        self.latent_size = latent_size
        self.scales = scales

    def build_core(self, input_shape):
        """Make the networks; see :meth:`DeepDetector.build_core`."""
        shared = {
            "tau": self.tau,
            "sigma": self.sigma,
            "gamma": self.gamma,
            "repulsion": self.repulsion,
            "adversarial_weight": self.adversarial_weight,
        }
        if self.autoencoder == "plain":
            return PlainCore(input_shape, self.hidden_size, self.latent_size, **shared)
        check_scales(self.scales)
        return RestoringCore(input_shape, self.hidden_size, self.latent_size, self.scales, **shared)

    def generate(self, number):
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
        with Seeded(self.random_state), torch.no_grad():
            generated = self.core_.generate(number)
        return self.standardizer_.inverse_transform(generated.cpu().numpy())
