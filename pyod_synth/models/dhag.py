"""DHAG: Diversified and Hard-to-distinguish Anomaly Generation (Kim and Lee, CIKM 2024).

The paper
---------
An encoder maps each normal row x to a latent vector z. L perturbators, stochastic functions of the row, each draw a
perturbation e_l, and a discriminator tells z from the latent vectors z + e_l. In a batch of m = 512 rows, the K
perturbations of each perturbator with the smallest norms count as normal, the others as abnormal (Eq. 1), so that what
is called abnormal begins right beside what is called normal. All networks minimise (Eq. 2 and Algorithm 1)

    CE(D(z), 0) + mean_l CE(D(z + e_l), y_l) + lambda1 mean_l |e_l| + lambda2 mean_{l != k} cos(e_l, e_k)

averaged over rows: perturbations are to be small, and to point in different directions. Section 4.4 adds
CE(D(z), 1), averaged over known anomalies. The score is D(z). Perturbators are convolutional networks over the pixels,
or over the features of a table, with a channel of noise beside the input; section 5.5 lets them perturb the input
instead of the latent vector.

The discriminator
-----------------
``discriminator="free"`` is the paper's, an MLP; the score is its logit (the sigmoid would round distant rows to one and
the same 1). Nothing in the loss says what such a network answers away from the training rows and their perturbations.

``discriminator="restoring"``, the default, grows with distance by construction. A decoder R restores a row from its
latent vector, knowing the scale s of the noise in it, and a latent vector is as normal as it agrees with what the
encoder E makes of the restored row:

    D(z) = a_s log(mean_k (z - E(R(z, s)))_k^2) + b_s.

R and E learn to restore a clean row from its copy with Gaussian noise of a random scale, and from its latent vector
with a perturbation of the perturbators, at the same time as they learn Eq. 2. For tables, E and R have a linear map
beside the layers, so that distance in rows stays distance in latent vectors.

The score is the mean oddness (:class:`pyod_synth.restoration.Energies`) of two residuals at all scales: z - E(R(z, s)),
the discriminator's, and x - R(z, s), for what the encoder leaves out. At an infinite scale, where a restored row is the
mean of the training rows, they are the deviations from the means of latent vectors and of rows. With known anomalies,
D itself, averaged over scales, is the better score: it has seen what to look for.

Deviations from the paper
-------------------------
- The text calls the perturbators adversarial, but in Eq. 2 and Algorithm 1 all networks minimise one loss. We follow
  the latter.
- Section 5 gives the learning rates 5e-3 to encoder and discriminator and 1e-5 to the perturbators, Algorithm 1 one to
  encoder and perturbators and another to the discriminator. We follow section 5.
- The perturbators step after the other networks, with noise drawn anew, and not from the same gradient.
- K is given for 512 rows and scaled with the batch. Known anomalies of a batch are averaged within it, and leave it
  before its perturbations are drawn and sorted.
- Sizes of networks are not in the paper; ours are parameters. The perturbators' CNN has two convolutions and a linear
  map to the latent vector.
- With ``discriminator="restoring"``: the other discriminator, the restoring loss, and learning rates for 300 steps.
"""

import math
from abc import abstractmethod
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from pyod_synth.base import DeepDetector, Seeded
from pyod_synth.core import Core, Player
from pyod_synth.networks import decoder, encoder, mlp
from pyod_synth.restoration import Energies, check_scales

_BLOCK_ROWS = 1024  # that are averaged over at a time
_PUBLISHED_BATCH = 512  # rows of the batch that the paper's K is given for
_LEAST_SQUARE = 1e-4  # of a latent residual, which keeps the slope of its logarithm bounded while learning


class GroupedLinear(nn.Module):
    """L linear maps, each of its own share of the input.

    Parameters
    ----------
    groups, inputs, outputs : int
        L, and the sizes of each map.
    """

    def __init__(self, groups, inputs, outputs):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(groups, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, L * channels, *sizes) to (batch, L, outputs)."""
        x = x.reshape(len(x), *self.weight.shape[:2]).transpose(0, 1)
        return torch.baddbmm(self.bias, x, self.weight).transpose(0, 1)


class Perturbators(nn.Module):
    """L stochastic convolutional networks, computed as one by convolutions in groups.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    output_shape : tuple of int
        (latent_size,) for perturbations of latent vectors, or the input shape for perturbations of rows.
    n_perturbators : int
    n_filters : int
        Filters of each convolution of each perturbator.
    """

    def __init__(self, input_shape, output_shape, n_perturbators, n_filters):
        super().__init__()
        self.n_perturbators, self.output_shape = n_perturbators, tuple(output_shape)
        # a table is an image of one channel and one dimension
        self.channels, *self.sizes = input_shape if len(input_shape) == 3 else (1, *input_shape)
        same = self.output_shape == tuple(input_shape)
        convolution, kernel = (nn.Conv2d, 5) if len(self.sizes) == 2 else (nn.Conv1d, 3)
        stride = 1 if same else 2  # rows are halved twice on their way to a latent vector

        def layer(inputs, outputs, stride):
            inputs, outputs = n_perturbators * inputs, n_perturbators * outputs
            return convolution(inputs, outputs, kernel, stride, kernel // 2, groups=n_perturbators)

        body = [layer(self.channels + 1, n_filters, stride), nn.SiLU(), layer(n_filters, n_filters, stride), nn.SiLU()]
        if same:
            head = layer(n_filters, self.channels, 1)
        else:
            size = math.prod(math.ceil(math.ceil(s / 2) / 2) for s in self.sizes)
            head = GroupedLinear(n_perturbators, n_filters * size, math.prod(self.output_shape))
        self.net = nn.Sequential(*body, head)

    def forward(self, x: Tensor) -> Tensor:
        """Draw a perturbation of each row from each perturbator.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)

        Returns
        -------
        Tensor of shape (batch, L, *output_shape)
        """
        x = x.view(len(x), 1, self.channels, *self.sizes).expand(-1, self.n_perturbators, *[-1] * (1 + len(self.sizes)))
        noise = torch.randn_like(x[:, :, :1])
        return self.net(torch.cat([x, noise], dim=2).flatten(1, 2)).view(
            len(x), self.n_perturbators, *self.output_shape
        )


def pseudo_labels(norm, n_normal):
    """Eq. 1: the smallest perturbations of each perturbator are normal.

    Parameters
    ----------
    norm : Tensor of shape (batch, L)
        Norms of the perturbations.
    n_normal : int
        K of this batch.

    Returns
    -------
    Tensor of shape (batch, L)
        0 for normal, 1 for abnormal.
    """
    rank = norm.argsort(dim=0).argsort(dim=0)
    return (rank >= n_normal).to(norm.dtype)


def dhag_loss(normal_logit, perturbed_logit, perturbation, n_normal, lambda1, lambda2):
    """Eq. 2.

    Parameters
    ----------
    normal_logit : Tensor of shape (batch,)
        D of unperturbed rows before the sigmoid; positive means anomalous.
    perturbed_logit : Tensor of shape (batch, L)
    perturbation : Tensor of shape (batch, L, *shape)
    n_normal : int
        K of this batch.
    lambda1, lambda2 : float
        Weights of the norms and of the cosines.

    Returns
    -------
    Tensor of shape ()
    """
    perturbation = perturbation.flatten(2)
    n_perturbators = perturbation.shape[1]
    norm = perturbation.norm(dim=2)
    # softplus(f) is the cross entropy of label 0, softplus(f) - f that of label 1
    entropy = softplus(perturbed_logit) - pseudo_labels(norm.detach(), n_normal) * perturbed_logit
    loss = softplus(normal_logit).mean() + entropy.mean() + lambda1 * norm.mean()
    if n_perturbators > 1:
        direction = normalize(perturbation, dim=2)
        # the cosines of all pairs sum up to |sum of directions|^2; those of a direction with itself leave it
        cosines = direction.sum(dim=1).square().sum(dim=1) - direction.square().sum(dim=(1, 2))
        loss = loss + lambda2 * cosines.mean() / (n_perturbators * (n_perturbators - 1))
    return loss


class DHAGCore(Core):
    """What both discriminators share: perturbators, Eq. 2, section 4.4, and who learns how fast.

    Parameters
    ----------
    perturbators : Perturbators
    space : {"latent", "input"}
        Where perturbations are added.
    n_augmented : int
        The paper's K, of every 512 rows.
    lambda1, lambda2 : float
    perturbator_lr : float
        Learning rate of the perturbators.
    """

    def __init__(self, perturbators, space, n_augmented, lambda1, lambda2, perturbator_lr):
        super().__init__()
        self.perturbators = perturbators
        self.space = space
        self.n_augmented = n_augmented
        self.lambda1, self.lambda2 = lambda1, lambda2
        self.perturbator_lr = perturbator_lr

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Map rows (batch, *input_shape) to latent vectors (batch, latent_size)."""

    @abstractmethod
    def logit(self, z: Tensor) -> Tensor:
        """Judge latent vectors (batch, latent_size) while learning: (batch,), positive means anomalous."""

    def perturb(self, x: Tensor, perturbation: Tensor) -> Tensor:
        """Latent vectors of perturbed rows: (batch, *input_shape) and (batch, L, *shape) to (batch, L, latent_size)."""
        if self.space == "latent":
            return self.encode(x)[:, None] + perturbation
        return self.encode((x[:, None] + perturbation).flatten(0, 1)).unflatten(0, perturbation.shape[:2])

    def embed(self, x):
        """Latent vectors."""
        return self.encode(x)

    def n_normal(self, n: int) -> int:
        """K of a batch of n rows."""
        return round(self.n_augmented / _PUBLISHED_BATCH * n)

    def generation_loss(self, x, y, perturbation):
        """Eq. 2, with section 4.4's term for known anomalies.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)
        y : Tensor of shape (batch,) or None
        perturbation : Tensor of shape (normal rows of the batch, L, *shape)

        Returns
        -------
        Tensor of shape ()
        """
        loss = x.new_zeros(())
        if y is not None:
            known, x = x[y == 1], x[y == 0]
            if len(known):
                loss = loss + softplus(-self.logit(self.encode(known))).mean()
        if len(x):
            perturbed_logit = self.logit(self.perturb(x, perturbation).flatten(0, 1)).view(len(x), -1)
            normal_logit = self.logit(self.encode(x))
            loss = loss + dhag_loss(
                normal_logit, perturbed_logit, perturbation, self.n_normal(len(x)), self.lambda1, self.lambda2
            )
        return loss

    def training_loss(self, x, y=None):
        """Give what encoder and discriminator minimise; perturbators learn from :meth:`perturbators_loss` alone."""
        with torch.no_grad():
            perturbation = self.perturbators(x if y is None else x[y == 0])
        return self.generation_loss(x, y, perturbation)

    def perturbators_loss(self, x, y=None):
        """Give what perturbators minimise."""
        return self.generation_loss(x, y, self.perturbators(x if y is None else x[y == 0]))

    def players(self):
        """Let encoder and discriminator learn at the detector's rate, then the perturbators at their own."""
        perturbing = list(self.perturbators.parameters())
        own = {id(parameter) for parameter in perturbing}
        others = [parameter for parameter in self.parameters() if id(parameter) not in own]
        return [
            Player(others, self.training_loss),
            Player(perturbing, self.perturbators_loss, self.perturbator_lr),
        ]


class FreeCore(DHAGCore):
    """The paper's DHAG: a discriminator with one free output.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size : int
        Units of the hidden layers of a table's encoder and of the discriminator.
    latent_size : int
    **shared
        See :class:`DHAGCore`.
    """

    def __init__(self, input_shape, hidden_size, latent_size, **shared):
        super().__init__(**shared)
        self.encoder = encoder(input_shape, [hidden_size, hidden_size], latent_size)
        self.discriminator = mlp([latent_size, hidden_size, 1])

    def encode(self, x):
        """f_theta of the paper."""
        return self.encoder(x)

    def logit(self, z):
        """f_phi of the paper before its sigmoid."""
        return self.discriminator(z).squeeze(1)

    def anomaly_score(self, x):
        """Logit of being abnormal."""
        return self.logit(self.encode(x))


def latent_energy(residual):
    """Logarithm of the mean square of latent residuals, (..., latent_size): (...)."""
    return torch.log(residual.square().mean(dim=-1) + _LEAST_SQUARE)


class RestoringCore(DHAGCore):
    """DHAG with a discriminator that grows with distance; see the module's text.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size : int
        Units of the hidden layers of a table's encoder and decoder.
    latent_size : int
    scales : sequence of float
        Finite scales, in rising or falling order, to which the infinite one is added.
    restoring_weight : float
        Weight of the restoring loss beside Eq. 2.
    labelled : bool
        Whether to score by what was learned of known anomalies.
    **shared
        See :class:`DHAGCore`.
    """

    def __init__(self, input_shape, hidden_size, latent_size, scales, restoring_weight, labelled, **shared):
        super().__init__(**shared)
        self.labelled = labelled
        size = math.prod(input_shape)
        self.restoring_weight = restoring_weight
        self.least_scale, self.greatest_scale = min(scales), max(scales)
        # noise in rows spreads over as many coordinates as it has, or as the latent vector has
        self.noise_size = size if self.space == "input" else min(size, latent_size)
        self.encoder = encoder(input_shape, [hidden_size], latent_size)
        self.decoder = decoder(latent_size, [hidden_size, hidden_size], input_shape)
        self.scale_embedding = mlp([1, hidden_size, latent_size])
        self.linear = len(input_shape) == 1
        if self.linear:
            self.encoder_skip = nn.Linear(size, latent_size, bias=False)
            self.decoder_skip = nn.Linear(latent_size, size, bias=False)
            # at first, the linear maps alone give a row back, or its projection
            nn.init.orthogonal_(self.encoder_skip.weight)
            self.decoder_skip.weight.data = self.encoder_skip.weight.data.T.clone()
        self.log_slope = nn.Parameter(torch.zeros(len(scales)))
        self.intercept = nn.Parameter(torch.zeros(len(scales)))
        self.register_buffer("scales", torch.tensor([float(s) for s in scales]))
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("latent_mean", torch.zeros(latent_size))
        self.latent_energies = Energies(len(scales) + 1, latent_size)
        self.row_energies = Energies(len(scales) + 1, size)

    def encode(self, x):
        """E of the module's text."""
        return self.encoder(x) + self.encoder_skip(x) if self.linear else self.encoder(x)

    def restore(self, z: Tensor, scale: Tensor) -> Tensor:
        """R of the module's text: latent vectors (batch, latent_size), scales (batch,) to (batch, *input_shape)."""
        z = z + self.scale_embedding(scale.log()[:, None])
        return self.decoder(z) + self.decoder_skip(z) if self.linear else self.decoder(z)

    def logit(self, z):
        """D of the module's text, each latent vector at a scale of its own, drawn at random."""
        index = torch.randint(len(self.scales), (len(z),), device=z.device)
        residual = z - self.encode(self.restore(z, self.scales[index]))
        return self.log_slope[index].exp() * latent_energy(residual) + self.intercept[index]

    def training_loss(self, x, y=None):
        """Eq. 2, and the error of restoring normal rows."""
        normal = x if y is None else x[y == 0]
        with torch.no_grad():
            perturbation = self.perturbators(normal)
        loss = self.generation_loss(x, y, perturbation)
        return loss + self.restoring_weight * self.restoring_loss(normal, perturbation) if len(normal) else loss

    def restoring_loss(self, x: Tensor, perturbation: Tensor) -> Tensor:
        """Mean squared error of rows restored from Gaussian noise and from one perturbation each.

        Errors are relative to the variance, s^2 / (1 + s^2), that noise of scale s leaves of a standard normal value.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)
        perturbation : Tensor of shape (batch, L, *shape)

        Returns
        -------
        Tensor of shape ()
        """
        low, high = math.log(self.least_scale), math.log(self.greatest_scale)
        scale = torch.exp(torch.empty(len(x), device=x.device).uniform_(low, high))
        noisy = self.encode(x + scale.view(-1, *[1] * (x.ndim - 1)) * torch.randn_like(x))
        drawn = torch.randint(perturbation.shape[1], (len(x),), device=x.device)
        perturbation = perturbation[torch.arange(len(x), device=x.device), drawn]
        perturbed = self.perturb(x, perturbation[:, None]).squeeze(1)
        size = perturbation.flatten(1).norm(dim=1) / math.sqrt(self.noise_size)
        scale = torch.cat([scale, size.clamp(self.least_scale, self.greatest_scale)])
        restored = self.restore(torch.cat([noisy, perturbed]), scale)
        error = (restored - torch.cat([x, x])).flatten(1).square().mean(dim=1)
        return ((1 + scale.square()) / scale.square() * error).mean()

    def residuals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Measure what is not restored of latent vectors and of rows, at all scales and the infinite one.

        Parameters
        ----------
        x : Tensor of shape (batch, *input_shape)

        Returns
        -------
        latent : Tensor of shape (scales + 1, batch, latent_size)
        row : Tensor of shape (scales + 1, batch, size)
        """
        z, repeats = self.encode(x), len(self.scales)
        restored = self.restore(z.repeat(repeats, 1), self.scales.repeat_interleave(len(x)))
        again = self.encode(restored).view(repeats, *z.shape)
        rows = x.flatten(1)
        latent = torch.cat([z - again, (z - self.latent_mean)[None]])
        return latent, torch.cat([rows - restored.view(repeats, *rows.shape), (rows - self.mean)[None]])

    @torch.no_grad()
    def calibrate(self, x):
        """Learn means, usual residuals and usual energies of the training rows."""
        self.mean = x.flatten(1).mean(dim=0)
        self.latent_mean = sum(self.encode(block).sum(dim=0) for block in x.split(_BLOCK_ROWS)) / len(x)
        self.latent_energies.calibrate(lambda rows: self.residuals(rows)[0], x)
        self.row_energies.calibrate(lambda rows: self.residuals(rows)[1], x)

    def anomaly_score(self, x):
        """Mean oddness of both residuals; D, averaged over scales, if it learned from known anomalies."""
        latent, row = self.residuals(x)
        if self.labelled:
            # rows first: a mean over the first dimension rounds differently in a block's last rows
            energy = latent_energy(latent[:-1]).T.contiguous()
            return (self.log_slope.exp() * energy + self.intercept).mean(dim=1)
        return (self.latent_energies.oddness(latent) + self.row_energies.oddness(row)) / 2


class DHAG(DeepDetector):
    """Diversified and Hard-to-distinguish Anomaly Generation.

    Several perturbators learn to move the latent vectors of normal rows, a little and each in a direction of its own,
    and a discriminator learns to tell moved from unmoved. See :mod:`pyod_synth.models.dhag` for the loss, the two
    discriminators and the deviations from the paper.

    The paper's own form is ``DHAG(discriminator="free", lr=5e-3, perturbator_lr=1e-5, batch_size=512,
    weight_decay=0)``, with ``n_augmented`` of 30, 50 or 100, ``n_perturbators`` of 3, 5 or 10, and ``lambda1`` and
    ``lambda2`` between 1e-4 and 1, chosen for each data set.

    Parameters
    ----------
    discriminator : {"restoring", "free"}, default="restoring"
        "free" is the paper's, an MLP on the latent vector. "restoring" takes its logit from what cannot be restored of
        a row, and so grows with the distance from the training rows.
    space : {"latent", "input"}, default="latent"
        Where perturbations are added; "input" is the variant of the paper's section 5.5.
    n_perturbators : int, default=3
        The paper's L.
    n_augmented : int in [0, 512], default=50
        The paper's K: how many of every 512 perturbations, the smallest ones, count as normal.
    lambda1 : float, default=0.1
        Weight of the norms of perturbations.
    lambda2 : float, default=0.1
        Weight of the cosines between perturbations of different perturbators.
    use_labels : bool, default=False
        Whether ``fit`` learns from known anomalies, y = 1; rows with y = 0 count as normal.
    hidden_size : int, default=64
        Units of the hidden layers of a table's encoder, of its decoder, and of the free discriminator.
    latent_size : int, default=64
        Length of the latent vector.
    n_filters : int, default=8
        Filters of each convolution of a perturbator.
    scales : sequence of float, default=(0.1, 0.25, 0.6, 1.6, 4.0)
        Scales of the noise that rows are restored from, in standard deviations of a feature; only for the restoring
        discriminator.
    restoring_weight : float, default=10.0
        Weight of the restoring loss beside the paper's; only for the restoring discriminator.
    perturbator_lr : float, default=1e-3
        Initial learning rate of the perturbators; ``lr`` is that of the other networks.
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
        Mean loss of each epoch, of both players together.
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
    .. [1] H. Kim and C. Lee, "Enhancing Anomaly Detection via Generating Diversified and Hard-to-distinguish Synthetic
       Anomalies", CIKM 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import DHAG
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = DHAG(contamination=0.05, epoch_num=20).fit(X)
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    """

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "discriminator": [StrOptions({"restoring", "free"})],
        "space": [StrOptions({"latent", "input"})],
        "n_perturbators": [Interval(Integral, 1, None, closed="left")],
        "n_augmented": [Interval(Integral, 0, _PUBLISHED_BATCH, closed="both")],
        "lambda1": [Interval(Real, 0, None, closed="left")],
        "lambda2": [Interval(Real, 0, None, closed="left")],
        "use_labels": ["boolean"],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "scales": [tuple, list],
        "restoring_weight": [Interval(Real, 0, None, closed="left")],
        "perturbator_lr": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        discriminator="restoring",
        space="latent",
        n_perturbators=3,
        n_augmented=50,
        lambda1=0.1,
        lambda2=0.1,
        use_labels=False,
        hidden_size=64,
        latent_size=64,
        n_filters=8,
        scales=(0.1, 0.25, 0.6, 1.6, 4.0),
        restoring_weight=10.0,
        perturbator_lr=1e-3,
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
        self.discriminator = discriminator
        self.space = space
        self.n_perturbators = n_perturbators
        self.n_augmented = n_augmented
        self.lambda1 = lambda1
        self.lambda2 = lambda2
        self.use_labels = use_labels
        self.hidden_size = hidden_size
        self.latent_size = latent_size
        self.n_filters = n_filters
        self.scales = scales
        self.restoring_weight = restoring_weight
        self.perturbator_lr = perturbator_lr

    def build_core(self, input_shape):
        """Make the networks; see :meth:`DeepDetector.build_core`."""
        output_shape = (self.latent_size,) if self.space == "latent" else input_shape
        shared = {
            "perturbators": Perturbators(input_shape, output_shape, self.n_perturbators, self.n_filters),
            "space": self.space,
            "n_augmented": self.n_augmented,
            "lambda1": self.lambda1,
            "lambda2": self.lambda2,
            "perturbator_lr": self.perturbator_lr,
        }
        if self.discriminator == "free":
            return FreeCore(input_shape, self.hidden_size, self.latent_size, **shared)
        check_scales(self.scales)
        return RestoringCore(
            input_shape,
            self.hidden_size,
            self.latent_size,
            self.scales,
            self.restoring_weight,
            self.use_labels,
            **shared,
        )

    def perturb(self, X, return_labels=False):
        """Show what the perturbators make of rows.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
            Rows shaped as in ``fit``; images may come flattened.
        return_labels : bool, default=False
            Whether to tell which perturbed rows count as normal.

        Returns
        -------
        perturbed : ndarray of shape (n, L, latent_size) or (n, L, *X.shape[1:]), float64
            What each perturbator makes of each row: its latent vector, as from :meth:`embed`, with the perturbation
            added; or, with ``space="input"``, a row in the units of ``X``. The same at every call unless
            ``random_state`` is None or a RandomState instance.
        labels : ndarray of shape (n, L), int64
            Eq. 1, with the rows for the batch: 0 for the smallest perturbations of each perturbator, which count as
            normal, ``n_augmented`` of every 512; 1 for the others. Only with ``return_labels=True``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            As :meth:`decision_function`.
        """
        x, core = self._to_tensor(X), self.core_
        with Seeded(self.random_state), torch.no_grad():
            perturbation = torch.cat([core.perturbators(block) for block in x.split(_BLOCK_ROWS)])
        if core.space == "latent":
            perturbed = self.embed(X)[:, None] + perturbation.double().cpu().numpy()
        else:
            rows = (x[:, None] + perturbation).flatten(0, 1).cpu().numpy()
            perturbed = self.standardizer_.inverse_transform(rows).reshape(*perturbation.shape[:2], *np.shape(X)[1:])
        if not return_labels:
            return perturbed
        labels = pseudo_labels(perturbation.flatten(2).norm(dim=2), core.n_normal(len(x)))
        return perturbed, labels.long().cpu().numpy()
