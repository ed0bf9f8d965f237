"""PLAD: Perturbation Learning based Anomaly Detection (Cai and Fan, NeurIPS 2022).

The paper
---------
A perturbator g turns each normal row x into a perturbed one, x~ = x * alpha + beta with (alpha, beta) = g(x), and a
classifier f tells the two apart. Both minimise one loss, without opposition: g moves a row as little as it can for f
to notice. Eq. 3, with a deterministic g, is

    BCE(f(x), 0) + BCE(f(x~), 1) + lam * (|alpha - 1|^2 + |beta|^2)

averaged over rows. Eq. 5, the paper's method, draws the perturbation from a variational autoencoder: a code
z ~ N(mu(x), sigma(x)^2) is decoded to (alpha, beta), and KL(N(mu, sigma^2) || N(0, 1)) joins the loss.

The classifier
--------------
``classifier="free"`` is the paper's: an MLP for tables, a LeNet for images; the score is its logit (the sigmoid would
round distant rows to one and the same 1). Nothing in the loss says what such a classifier answers away from the
training rows and their small perturbations, and it often calls far anomalies normal.

``classifier="restoring"``, the default, grows with distance by construction. It restores a row as a mean of remembered
training rows p_j, at several scales s, with a learned weight w for each feature,

    h_s(x) = sum_j softmax_j(-|w * (x - p_j)|^2 / (2 s^2)) p_j,

and its logit comes from the energy of what could not be restored, r = x - h_s(x), as two judges measure it,

    E_1s(x) = mean_k r_k^2                    h from the whole memory
    E_2s(x) = mean_k log(1 + r_k^2 / m_k)     h from the trusted part of the memory

    f(x) = 1/2 sum_i max_s (a_is log E_is(x) + b_is),

with m_k the mean square of the k-th feature's residual over training rows. Small scales ask whether x resembles some
training rows; the infinite scale, where h is their mean, asks whether it lies within the whole; being odd at one scale
is enough. The first judge is the sharper one if training rows are clean. The second bounds what one feature may claim,
and trusts no row of the ``trim`` share that lies farthest out, so that anomalies among the training rows do not vouch
for their like. The weights w, and a and b, are learned with Eq. 3 or 5.

Deviations from the paper, with ``classifier="restoring"``
----------------------------------------------------------
- While learning, the other rows of the batch are the remembered ones.
- After training, the memory is filled with training rows, and a and b are set so that the logit of each judge and scale
  has median 0 and median absolute deviation 1 over them: perturbations near the data would teach f to look near the
  data only.
- A row never vouches for itself: if it coincides with a remembered row, its kernel leaves that row out. Training rows
  are thus scored as new ones are.

The paper leaves the sizes of its networks to an appendix; ours are parameters.
"""

import math
from abc import ABC, abstractmethod
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.nn.functional import softplus

from pyod_synth.base import DeepDetector, Seeded
from pyod_synth.core import Core
from pyod_synth.networks import Flat, lenet, mlp
from pyod_synth.restoration import LEAST_DEVIATION, TINY, check_scales, log_energy, usual_square

_ROUNDING = 4e-6  # relative error of a squared distance in float32
_FAR = 1e30  # squared distance of a row that is not to be seen; finite, so that a row alone with it stays finite
_BLOCK_ELEMENTS = 2**15  # of the rows that are compared with the memory at a time


class Perturbator(nn.Module, ABC):
    """Move rows by a learned perturbation.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size : int
        Units of each hidden layer.
    latent_size : int
        Length of the code that a perturbation is decoded from.
    """

    def __init__(self, input_shape, hidden_size, latent_size):
        super().__init__()
        size = math.prod(input_shape)
        self.encoder = Flat(mlp([size, hidden_size, self.statistics * latent_size]))
        self.decoder = mlp([latent_size, hidden_size, 2 * size])

    @property
    @abstractmethod
    def statistics(self) -> int:
        """Numbers that the encoder gives for each element of the code."""

    @abstractmethod
    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Find the code of a perturbation for each row.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)

        Returns
        -------
        code : Tensor of shape (batch, latent_size)
        divergence : Tensor of shape (batch,)
            What the code costs.
        """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Perturb rows.

        The decoder gives the deviation of (alpha, beta) from (1, 0), so that training starts from small perturbations.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)

        Returns
        -------
        perturbed : Tensor of shape (batch, *input_shape)
            x * alpha + beta.
        size : Tensor of shape (batch,)
            |alpha - 1|^2 + |beta|^2.
        divergence : Tensor of shape (batch,)
        """
        code, divergence = self.encode(x)
        deviation = self.decoder(code)
        alpha, beta = (part.view_as(x) for part in deviation.chunk(2, dim=1))
        return x * (1 + alpha) + beta, deviation.square().sum(dim=1), divergence


class DeterministicPerturbator(Perturbator):
    """Eq. 3: one perturbation for each row, which costs nothing but its size."""

    statistics = 1

    def encode(self, x):
        """Take the encoder's output for the code."""
        code = self.encoder(x)
        return code, code.new_zeros(len(code))


class VariationalPerturbator(Perturbator):
    """Eq. 5: a variational autoencoder, from which each row draws its perturbation."""

    statistics = 2

    def encode(self, x):
        """Draw the code from N(mu, sigma^2); it costs KL(N(mu, sigma^2) || N(0, 1)), summed over the code."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        code = mean + torch.randn_like(mean) * torch.exp(log_variance / 2)
        return code, 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


PERTURBATORS = {"vae": VariationalPerturbator, "deterministic": DeterministicPerturbator}


def plad_loss(normal_logit, perturbed_logit, size, divergence, lam):
    """Eq. 5, and Eq. 3 where the divergence is zero.

    Parameters
    ----------
    normal_logit, perturbed_logit : Tensor of shape (batch,)
        f(x) and f(x~) before the sigmoid; positive means perturbed.
    size : Tensor of shape (batch,)
        |alpha - 1|^2 + |beta|^2.
    divergence : Tensor of shape (batch,)
    lam : float

    Returns
    -------
    Tensor of shape ()
    """
    # softplus(f) is the binary cross entropy of label 0, softplus(-f) that of label 1
    return (softplus(normal_logit) + softplus(-perturbed_logit) + divergence + lam * size).mean()


def squared_distances(x, memory, weight, excluded=None):
    """Weighted squared distances of rows from remembered rows; those that may not vouch are very far.

    Parameters
    ----------
    x : Tensor of shape (batch, size)
    memory : Tensor of shape (rows, size)
    weight : Tensor of shape (size,)
        Weight of each feature.
    excluded : Tensor of shape (batch, rows), bool, or None
        Remembered rows that may not vouch for a row. By default, for a row that coincides with a remembered row up to
        rounding, that one row.

    Returns
    -------
    Tensor of shape (batch, rows)
    """
    weighted, keys = x * weight, memory * weight
    squares, key_squares = weighted.square().sum(dim=1, keepdim=True), keys.square().sum(dim=1)
    distance = torch.addmm(squares + key_squares, weighted, keys.T, alpha=-2).clamp(min=0)
    if excluded is not None:
        return distance.masked_fill(excluded, _FAR)
    nearest, index = distance.min(dim=1, keepdim=True)
    coincides = nearest <= _ROUNDING * (squares + key_squares[index])
    return distance.scatter(1, index, torch.where(coincides, _FAR, nearest))


def restore(distance, memory, scales):
    """Restore rows as means of remembered rows, weighted by a Gaussian kernel of their distance.

    Parameters
    ----------
    distance : Tensor of shape (batch, rows)
        From :func:`squared_distances`.
    memory : Tensor of shape (rows, size)
    scales : sequence of float
        Widths of the kernel; an infinite one gives the plain mean of the memory.

    Returns
    -------
    Tensor of shape (scales, batch, size)
    """
    mean = memory.mean(dim=0).expand(len(distance), -1)
    return torch.stack(
        [mean if math.isinf(s) else torch.softmax(distance / (-2 * s**2), dim=1) @ memory for s in scales]
    )


def log_energies(residual, mean_square):
    """Size of residuals as the two judges see it.

    Parameters
    ----------
    residual : sequence of two Tensors of shape (scales, batch, size)
        Left by the whole memory, and by the trusted part.
    mean_square : Tensor of shape (scales, 1, size)
        Usual square of each feature's residual, from :func:`pyod_synth.restoration.usual_square`.

    Returns
    -------
    Tensor of shape (2, scales, batch)
        log E_1 and log E_2 of the module's text.
    """
    whole, trusted = residual
    plain = log_energy(whole, torch.ones_like(mean_square), bounded=False)
    return torch.stack([plain, log_energy(trusted, mean_square, bounded=True)])


class FreeCore(Core):
    """The paper's PLAD: a classifier with one free output.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    perturbator : Perturbator
    hidden_size : int
        Units of each of the two hidden layers of a table's classifier.
    lam : float
    """

    def __init__(self, input_shape, perturbator, hidden_size, lam):
        super().__init__()
        self.perturbator = perturbator
        self.lam = lam
        if len(input_shape) == 1:
            self.classifier = mlp([*input_shape, hidden_size, hidden_size, 1])
        else:
            self.classifier = lenet(input_shape, 1)

    def training_loss(self, x, y=None):
        """Eq. 3 or 5."""
        perturbed, size, divergence = self.perturbator(x)
        return plad_loss(self.anomaly_score(x), self.anomaly_score(perturbed), size, divergence, self.lam)

    def anomaly_score(self, x):
        """Logit of being perturbed."""
        return self.classifier(x).squeeze(1)

    def embed(self, x):
        """Last hidden layer of the classifier."""
        return self.classifier[:-1](x)


class RestoringCore(Core):
    """PLAD with a classifier that grows with distance; see the module's text.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    perturbator : Perturbator
    lam : float
    scales : sequence of float
        Finite scales, to which the infinite one is added.
    memory_size : int
        Most rows to remember.
    trim : float
        Share of the memory not to trust.
    """

    def __init__(self, input_shape, perturbator, lam, scales, memory_size, trim):
        super().__init__()
        size = math.prod(input_shape)
        self.perturbator = perturbator
        self.lam = lam
        self.memory_size = memory_size
        self.trim = trim
        self.scales = (*scales, math.inf)
        self.log_weight = nn.Parameter(torch.zeros(size))
        self.log_slope = nn.Parameter(torch.zeros(2, len(self.scales), 1))
        self.intercept = nn.Parameter(torch.zeros(2, len(self.scales), 1))
        self.register_buffer("memory", torch.zeros(1, size))
        self.register_buffer("mean_square", torch.ones(len(self.scales), 1, size))

    @property
    def trusted(self) -> Tensor:
        """Part of the memory that the second judge restores from; rows stand in the order of their distance."""
        return self.memory[: max(1, len(self.memory) - math.ceil(self.trim * len(self.memory)))]

    def training_loss(self, x, y=None):
        """Eq. 3 or 5. The rows of the batch serve as memory for both judges, none of them for itself."""
        perturbed, size, divergence = self.perturbator(x)
        x, perturbed = x.flatten(1), perturbed.flatten(1)
        itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
        residual, perturbed_residual = (self.residual(rows, x, excluded=itself) for rows in (x, perturbed))
        mean_square = usual_square(residual.detach())
        normal_logit, perturbed_logit = (
            self.logit(log_energies((r, r), mean_square)) for r in (residual, perturbed_residual)
        )
        return plad_loss(normal_logit, perturbed_logit, size, divergence, self.lam)

    @torch.no_grad()
    def calibrate(self, x):
        """Remember training rows, and learn what energies are usual for each judge at each scale."""
        rows = x[torch.randperm(len(x), device=x.device)[: self.memory_size]].flatten(1)
        deviation = rows - rows.mean(dim=0)
        self.memory = rows[torch.log1p(deviation.square() / usual_square(deviation)).mean(dim=1).argsort()]
        blocks = self.trusted.split(self._block())
        squares = sum(self.residual(block, self.trusted).square().sum(dim=1, keepdim=True) for block in blocks)
        self.mean_square = squares / len(self.trusted) + TINY
        energies = torch.cat([self.energies(block) for block in self.memory.split(self._block())], dim=2)
        for judge, count in enumerate((len(self.memory), len(self.trusted))):
            own = energies[judge, :, :count]
            median = own.median(dim=1, keepdim=True).values
            spread = (own - median).abs().median(dim=1, keepdim=True).values + LEAST_DEVIATION
            self.log_slope[judge] = -torch.log(spread)
            self.intercept[judge] = -median / spread

    def anomaly_score(self, x):
        """Logit f of the module's text."""
        return self.logit(self.energies(x.flatten(1)))

    def embed(self, x):
        """Weigh features as in the distances from the memory: w * x of the module's text."""
        return x.flatten(1) * self.log_weight.exp()

    def logit(self, energies: Tensor) -> Tensor:
        """Join the log energies of both judges at all scales, (2, scales, batch), to f: (batch,)."""
        return (self.log_slope.exp() * energies + self.intercept).amax(dim=1).mean(dim=0)

    def energies(self, x: Tensor) -> Tensor:
        """Judge rows (batch, size) by what memory cannot restore: log energies (2, scales, batch)."""
        return log_energies((self.residual(x, self.memory), self.residual(x, self.trusted)), self.mean_square)

    def residual(self, x: Tensor, memory: Tensor, excluded: Tensor | None = None) -> Tensor:
        """Subtract from rows (batch, size) what a memory restores: (scales, batch, size)."""
        distance = squared_distances(x, memory, self.log_weight.exp(), excluded)
        return x - restore(distance, memory, self.scales)

    def _block(self):
        """Rows of the memory to compare with all of it at a time."""
        return max(1, _BLOCK_ELEMENTS // self.memory.shape[1])


class PLAD(DeepDetector):
    """Perturbation Learning based Anomaly Detection.

    Learns to perturb normal rows as little as a classifier needs to tell them from unperturbed ones; the classifier's
    logit is the score. See :mod:`pyod_synth.models.plad` for the loss, the two classifiers and the deviations from the
    paper.

    Parameters
    ----------
    perturbator : {"vae", "deterministic"}, default="vae"
        Draw perturbations from a variational autoencoder (the paper's Eq. 5), or give one for each row (Eq. 3).
    classifier : {"restoring", "free"}, default="restoring"
        "free" is the paper's, an MLP for tables and a LeNet for images. "restoring" takes its logit from what memory
        cannot restore of a row, and so grows with the distance from the training rows.
    lam : float, default=1.0
        Weight of the size of perturbations; the paper takes 3 for Thyroid and 2 for Arrhythmia.
    hidden_size : int, default=64
        Units of the hidden layers of the perturbator, and of a table's free classifier.
    latent_size : int, default=16
        Length of the code that perturbations are decoded from.
    scales : sequence of float, default=(0.2, 0.8, 3.2)
        Finite scales of restoring, in standard deviations of a feature; only for the restoring classifier.
    memory_size : int, default=4096
        Most training rows to remember; only for the restoring classifier.
    trim : float in [0, 1), default=0.1
        Share of remembered rows that the second judge does not trust, those farthest out; only for the restoring
        classifier.
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
    .. [1] J. Cai and J. Fan, "Perturbation Learning Based Anomaly Detection", NeurIPS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import PLAD
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = PLAD(contamination=0.05, epoch_num=20).fit(X)
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    """

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "perturbator": [StrOptions(set(PERTURBATORS))],
        "classifier": [StrOptions({"restoring", "free"})],
        "lam": [Interval(Real, 0, None, closed="left")],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
        "scales": [tuple, list],
        "memory_size": [Interval(Integral, 1, None, closed="left")],
        "trim": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        perturbator="vae",
        classifier="restoring",
        lam=1.0,
        hidden_size=64,
        latent_size=16,
        scales=(0.2, 0.8, 3.2),
        memory_size=4096,
        trim=0.1,
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
        self.perturbator = perturbator
        self.classifier = classifier
        self.lam = lam
        self.hidden_size = hidden_size
        self.latent_size = latent_size
        self.scales = scales
        self.memory_size = memory_size
        self.trim = trim

    def build_core(self, input_shape):
        """Make the networks; see :meth:`DeepDetector.build_core`."""
        perturbator = PERTURBATORS[self.perturbator](input_shape, self.hidden_size, self.latent_size)
        if self.classifier == "free":
            return FreeCore(input_shape, perturbator, self.hidden_size, self.lam)
        check_scales(self.scales)
        return RestoringCore(
            input_shape,
            perturbator,
            self.lam,
            self.scales,
            self.memory_size,
            self.trim,
        )

    def perturb(self, X):
        """Show what the perturbator makes of rows.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
            Rows shaped as in ``fit``; images may come flattened.

        Returns
        -------
        ndarray of the shape of X, float64
            One perturbed row for each, in the units of ``X``; the same at every call unless ``random_state`` is None
            or a RandomState instance.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            As :meth:`decision_function`.
        """
        x = self._to_tensor(X)
        with Seeded(self.random_state), torch.no_grad():
            perturbed, _, _ = self.core_.perturbator(x)
        return self.standardizer_.inverse_transform(perturbed.cpu().numpy()).reshape(np.shape(X))
