"""DHAG: Diversified and Hard-to-distinguish Anomaly Generation (Kim and Lee, CIKM 2024).

An encoder maps each normal row x to a latent vector z. L perturbators, stochastic functions of the row, each draw a
perturbation e_l, and a discriminator D, an MLP, tells z from the latent vectors z + e_l. In a batch of m = 512 rows,
the K perturbations of each perturbator with the smallest norms count as normal, the others as abnormal (Eq. 1), so that
what is called abnormal begins right beside what is called normal. All networks minimise (Eq. 2 and Algorithm 1)

    CE(D(z), 0) + mean_l CE(D(z + e_l), y_l) + lambda1 mean_l |e_l| + lambda2 mean_{l != k} cos(e_l, e_k)

averaged over rows: perturbations are to be small, and to point in different directions. Section 4.4 adds
CE(D(z), 1), averaged over known anomalies. The score is D(z). Perturbators are convolutional networks over the pixels,
or over the features of a table, with a channel of noise beside the input; section 5.5 lets them perturb the input
instead of the latent vector (``space="input"``). The latent vector of an image is the map of the last convolution.

Where the default values come from
----------------------------------
- The paper, section 5: ``lr=5e-3`` of encoder and discriminator, ``perturbator_lr=1e-5``, ``batch_size=512``. It
  chooses K (``n_augmented``), L (``n_perturbators``), ``lambda1`` and ``lambda2``, by labels; ours are among them. Of
  its 30, 50 and 100 for K, 100 was chosen on fifteen of ADBench's tables (at most 2,000 rows, trained on normal ones,
  40 epochs), where AUROC and AUPRC are .77 and .50, with 50 .71 and .44, with 10 .62 and .39. On fourteen others, with
  up to 10,000 rows, they are .69 and .47, with 50 .67 and .46. Beyond the paper's, 250 has .77 and .55, 450 .79 and .48
  on the fifteen. With K = 50 a tenth and ten times ``lambda1``, ten times ``lambda2`` and a ``perturbator_lr`` of 1e-3
  have .70, .71, .70 and .66.
- The authors' program: encoder and perturbators of images; for tables ``hidden_size=64``, ``latent_size=64`` and
  ``epoch_num=100``. On the fifteen, with up to 10,000 rows, AUROC and AUPRC are .80 and .53, with 40 epochs .79 and
  .52, on the fourteen .73 and .51, and .69 and .47. With 40 epochs and at most 2,000 rows of the fifteen, where they
  are .76 and .49, 32 and 128 hidden units have .68 and .46, .75 and .53, latent vectors of 32 and 128 .68 and .39, .76
  and .50, ``preprocessing="minmax"`` .48 and .29.
- On KDD and KDDRev, with 198,371 and 48,639 training rows, F1 is .33 and .63 at the last epoch, .94 and .97 at the best
  by the test rows' labels (published .98 and .99); with K = 50 and 40 epochs .54 and .46 at the last.
- Ours, since both are silent on tables: ``n_filters``, and no weight decay.

The program learns from images otherwise than section 5 of the paper says, at the rates of Algorithm 1: with
``optimizer_name="amsgrad"``, ``lr_schedule="constant"``, ``alternating=False``, ``perturbator_lr=5e-3``,
``discriminator_lr=1e-5``, ``hidden_size=128`` and ``epoch_num=150``; for Fashion-MNIST with K = 50, L = 5,
``lambda1=5e-3`` and ``lambda2=0.1``, for CIFAR-10 with K = 30, L = 3, ``lambda1=4e-3`` and ``lambda2=3e-3``. There
lambda1 is 1e-4 and weighs the Frobenius norm of all perturbations of a batch, which is 50 and 39 times their usual
norm, and lambda2 is 1e-2 and 1e-3 and weighs the sum of the cosines of 10 and 3 pairs.

Deviations from the paper
-------------------------
- The score is the logit rather than the probability, whose sigmoid would round distant rows to one and the same 1.
- The text calls the perturbators adversarial, but in Eq. 2 and Algorithm 1, and here, all networks minimise one loss.
- Algorithm 1 has one learning rate for encoder and perturbators and another for the discriminator; the defaults follow
  section 5.
- Unless ``alternating=False``, the perturbators step after the other networks, with noise drawn anew.
- K is given for 512 rows and scaled with the batch. Known anomalies of a batch are averaged within it, and leave it
  before its perturbations are drawn and sorted.
- The perturbators' CNN of tables has two convolutions, which halve rows, and a linear map to the latent vector; that of
  images with ``space="input"`` has three convolutions that keep the size.
- The program's discriminator of images slows down to 1e-7 after 20 epochs and 1e-8 after 100. That for CIFAR-10 is
  stepped by SGD and has a hidden layer more, and leaky ReLUs.
- The optimiser is AdamW with a cosine-decayed learning rate. With the authors' program for tables (AMSGrad, 5e-3 and
  1e-5 for a linear discriminator, one joint gradient, perturbators of two layers, K = 100, lambda1 = 1, 100 epochs)
  AUROC over ADBench's 29 tables is .695 trained on normal rows and .598 unsupervised, here .765 and .708.
"""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from pyod_synth.base import DeepDetector
from pyod_synth.core import Core, Player
from pyod_synth.networks import encoder_and_discriminator, perturbators
from pyod_synth.training import by_blocks, computing
from pyod_synth.validation import Interval, StrOptions

_PUBLISHED_BATCH = 512  # rows of the batch that the paper's K is given for


def pseudo_labels(norm: Tensor, n_normal: int) -> Tensor:
    """Eq. 1 for norms (batch, L): 0 for the ``n_normal`` smallest of each perturbator, 1 for the others, (batch, L)."""
    rank = norm.argsort(dim=0).argsort(dim=0)
    return (rank >= n_normal).to(norm.dtype)


def dhag_loss(
    normal_logit: Tensor, perturbed_logit: Tensor, perturbation: Tensor, n_normal: int, lambdas: tuple[float, float]
) -> Tensor:
    """Eq. 2 for logits of D, of rows (batch,) and of perturbed rows (batch, L), and perturbations (batch, L, *shape).

    Positive logits mean anomalous. ``n_normal`` is K of this batch, ``lambdas`` the weights of norms and cosines.
    """
    perturbation = perturbation.flatten(2)
    n_perturbators = perturbation.shape[1]
    norm = perturbation.norm(dim=2)
    # softplus(f) is the cross entropy of label 0, softplus(f) - f that of label 1
    entropy = softplus(perturbed_logit) - pseudo_labels(norm.detach(), n_normal) * perturbed_logit
    loss = softplus(normal_logit).mean() + entropy.mean() + lambdas[0] * norm.mean()
    if n_perturbators > 1:
        direction = normalize(perturbation, dim=2)
        # the cosines of all pairs sum up to |sum of directions|^2; those of a direction with itself leave it
        cosines = direction.sum(dim=1).square().sum(dim=1) - direction.square().sum(dim=(1, 2))
        loss = loss + lambdas[1] * cosines.mean() / (n_perturbators * (n_perturbators - 1))
    return loss


class DHAGCore(Core):
    """Encoder, perturbators and discriminator, for rows of shape (d,) or (C, H, W)."""

    def __init__(self, input_shape: tuple[int, ...], clf: "DHAG"):
        super().__init__()
        self.n_augmented, self.lambdas = clf.n_augmented, (clf.lambda1, clf.lambda2)
        self.alternating, self.perturbator_lr = clf.alternating, clf.perturbator_lr
        self.discriminator_lr = clf.discriminator_lr
        self.in_latent_space = clf.space == "latent"
        perturbed_size = clf.latent_size if self.in_latent_space else None
        self.perturbators = perturbators(input_shape, perturbed_size, clf.n_perturbators, clf.n_filters)
        self.encoder, self.discriminator = encoder_and_discriminator(input_shape, clf.hidden_size, clf.latent_size)

    def players(self) -> list[Player]:
        """Let encoder and discriminator learn, then the perturbators; or all of them together."""
        encoding: dict[str, Any] = {"params": list(self.encoder.parameters())}
        discriminating: dict[str, Any] = {"params": list(self.discriminator.parameters())}
        if self.discriminator_lr is not None:
            discriminating["lr"] = self.discriminator_lr
        perturbing = {"params": list(self.perturbators.parameters()), "lr": self.perturbator_lr}
        if not self.alternating:
            return [Player([encoding, discriminating, perturbing], self.perturbators_loss)]
        return [Player([encoding, discriminating], self.training_loss), Player([perturbing], self.perturbators_loss)]

    def training_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Give what encoder and discriminator minimise; perturbators learn from :meth:`perturbators_loss` alone."""
        with torch.no_grad():
            perturbation = self.perturbators(x if y is None else x[y == 0], self.generator)
        return self.generation_loss(x, y, perturbation)

    def perturbators_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Give what perturbators minimise, and all networks if they learn together."""
        return self.generation_loss(x, y, self.perturbators(x if y is None else x[y == 0], self.generator))

    def generation_loss(self, x: Tensor, y: Tensor | None, perturbation: Tensor) -> Tensor:
        """Eq. 2, given perturbations (normal rows, L, *shape) of the normal rows, and section 4.4's term."""
        known = x[:0] if y is None else x[y == 1]
        normal = x if y is None else x[y == 0]
        latent, perturbed, of_known = self.latents(normal, perturbation, known)
        loss = softplus(-self.logit(of_known)).mean() if len(known) else x.new_zeros(())
        if len(normal):
            logit = self.logit(torch.cat([latent[:, None], perturbed], dim=1).flatten(0, 1)).view(len(normal), -1)
            n_normal = self.n_normal(len(normal))
            loss = loss + dhag_loss(logit[:, 0], logit[:, 1:], perturbation, n_normal, self.lambdas)
        return loss

    def n_normal(self, n: int) -> int:
        """K of a batch of n rows."""
        return round(self.n_augmented / _PUBLISHED_BATCH * n)

    def latents(self, x: Tensor, perturbation: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode rows, perturbed rows and known anomalies as one batch: a batch normalisation then tells none apart.

        From rows (n, *input_shape) with perturbations (n, L, *shape), and m known anomalies, to latent vectors (n, k),
        (n, L, k) and (m, k).
        """
        if self.in_latent_space:
            latent, of_known = self.encoder(torch.cat([x, known])).tensor_split([len(x)])
            return latent, latent[:, None] + perturbation, of_known
        rows = torch.cat([x, (x[:, None] + perturbation).flatten(0, 1), known])
        latent, perturbed, of_known = self.encoder(rows).tensor_split([len(x), len(rows) - len(known)])
        return latent, perturbed.unflatten(0, perturbation.shape[:2]), of_known

    def logit(self, z: Tensor) -> Tensor:
        """D of latent vectors (batch, latent_size) before its sigmoid: (batch,), positive means anomalous."""
        return self.discriminator(z).squeeze(1)

    def anomaly_score(self, x: Tensor) -> Tensor:
        """Logit of being abnormal."""
        return self.logit(self.encoder(x))

    def embed(self, x: Tensor) -> Tensor:
        """Latent vectors."""
        return self.encoder(x)

    def invent(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Perturb each row by one perturbator, drawn from those whose perturbation of it counts as abnormal (Eq. 1)."""
        if self.in_latent_space:
            raise NotImplementedError(
                "DHAG perturbs latent vectors, which perturb(X) gives, and no rows; DHAG(space='input') perturbs rows"
            )
        perturbation, labels = self.perturbations(x, generator)
        # where all count as normal, any is as good
        chosen = torch.multinomial(labels + torch.finfo(x.dtype).tiny, 1, generator=generator)[:, 0]
        return x + perturbation[torch.arange(len(x), device=x.device), chosen]

    def perturbations(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw perturbations of rows (n, *input_shape), (n, L, *shape), and label them with the rows for the batch."""
        perturbation = by_blocks(lambda rows: self.perturbators(rows, generator), x, in_turn=True)
        return perturbation, pseudo_labels(perturbation.flatten(2).norm(dim=2), self.n_normal(len(x)))


@dataclass(kw_only=True, eq=False, repr=False)
class DHAG(DeepDetector):
    """DHAG: a discriminator learns to tell latent vectors from several small and diverse perturbations of them.

    Perturbators learn together with it, each in a direction of its own; the discriminator's logit is the score. See
    :mod:`pyod_synth.models.dhag` for the loss, where the default values come from, those for images, and the deviations
    from the paper [1]_.

    Parameters
    ----------
    space : {"latent", "input"}, default="latent"
        Where perturbations are added; "input" is the variant of the paper's section 5.5.
    n_perturbators : int, default=5
        The paper's L.
    n_augmented : int in [0, 512], default=100
        The paper's K: how many of every 512 perturbations, the smallest ones, count as normal.
    lambda1 : float, default=0.1
        Weight of the norms of perturbations.
    lambda2 : float, default=0.1
        Weight of the cosines between perturbations of different perturbators.
    use_labels : bool, default=False
        Whether ``fit`` learns from known anomalies, y = 1; rows with y = 0 count as normal.
    hidden_size : int, default=64
        Units of the hidden layers of a table's encoder and of the discriminator.
    latent_size : int, default=64
        Length of a table's latent vector. That of an image is the encoder's map.
    n_filters : int, default=8
        Filters of each convolution of a perturbator, but for those of the maps of images.
    alternating : bool, default=True
        Whether the perturbators step after the other networks; else all learn from one gradient.
    perturbator_lr : float, default=1e-5
        Initial learning rate of the perturbators.
    discriminator_lr : float or None, default=None
        Initial learning rate of the discriminator. None takes ``lr``.
    lr : float, default=5e-3
        Initial learning rate of the encoder.
    epoch_num : int or None, default=100
        Passes over the training rows. None takes as many as make 300 optimiser steps.
    batch_size : int, default=512
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
    .. [1] H. Kim and C. Lee, "Enhancing Anomaly Detection via Generating Diversified and Hard-to-distinguish Synthetic
       Anomalies", CIKM 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import DHAG
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = DHAG(contamination=0.05, n_perturbators=3, epoch_num=20).fit(X)
    >>> clf.labels_.sum()
    np.int64(10)
    >>> clf.perturb(X[:4]).shape
    (4, 3, 64)
    """

    space: str = "latent"
    n_perturbators: int = 5
    n_augmented: int = 100
    lambda1: float = 0.1
    lambda2: float = 0.1
    use_labels: bool = False
    hidden_size: int = 64
    latent_size: int = 64
    n_filters: int = 8
    alternating: bool = True
    perturbator_lr: float = 1e-5
    discriminator_lr: float | None = None
    lr: float = 5e-3
    epoch_num: int | None = 100
    batch_size: int = 512
    weight_decay: float = 0.0

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "space": [StrOptions({"latent", "input"})],
        "n_perturbators": [Interval(Integral, 1, None, closed="left")],
        "n_augmented": [Interval(Integral, 0, _PUBLISHED_BATCH, closed="both")],
        "lambda1": [Interval(Real, 0, None, closed="left")],
        "lambda2": [Interval(Real, 0, None, closed="left")],
        "use_labels": ["boolean"],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "alternating": ["boolean"],
        "perturbator_lr": [Interval(Real, 0, None, closed="neither")],
        "discriminator_lr": [Interval(Real, 0, None, closed="neither"), None],
    }

    def build_core(self, input_shape: tuple[int, ...]) -> DHAGCore:
        """Make the networks; see :meth:`pyod_synth.detector.CoreDetector.build_core`."""
        return DHAGCore(input_shape, self)

    def perturb(self, X: Any, return_labels: bool = False) -> Any:
        """Show what each perturbator makes of rows; :meth:`invent` gives one anomaly for each row.

        Parameters
        ----------
        X : array-like of shape (n, d) or (n, C, H, W)
            Rows shaped as in ``fit``; images may come flattened.
        return_labels : bool, default=False
            Whether to tell which perturbed rows count as normal.

        Returns
        -------
        perturbed : ndarray of shape (n, L, k) or (n, L, *X.shape[1:]), float64
            The latent vector of :meth:`embed` with perturbations added; with ``space="input"`` rows in the units of
            ``X``. The same at every call unless ``random_state`` is None or a RandomState instance.
        labels : ndarray of shape (n, L), int64
            Eq. 1, with the rows for the batch: 0 for perturbations that count as normal. With ``return_labels`` only.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            As :meth:`decision_function`.
        """
        x, core, generator = self._to_tensor(X), cast(DHAGCore, self.core_), self._new_generator()
        with computing(x):
            perturbation, labels = core.perturbations(x, generator)
        if core.in_latent_space:
            perturbed = self.embed(X)[:, None] + perturbation.cpu().double().numpy()
        else:
            rows = (x[:, None] + perturbation).flatten(0, 1).cpu().numpy()
            perturbed = self.standardizer_.inverse_transform(rows).reshape(*perturbation.shape[:2], *np.shape(X)[1:])
        return (perturbed, labels.long().cpu().numpy()) if return_labels else perturbed
