"""DHAG: Diversified and Hard-to-distinguish Anomaly Generation (Kim and Lee, CIKM 2024).

An encoder maps each normal row x to a latent vector z. L perturbators, stochastic functions of the row, each draw a
perturbation e_l, and a discriminator D, an MLP, tells z from the latent vectors z + e_l. In a batch of m = 512 rows,
the K perturbations of each perturbator with the smallest norms count as normal, the others as abnormal (Eq. 1), so that
what is called abnormal begins right beside what is called normal. All networks minimise (Eq. 2 and Algorithm 1)

    CE(D(z), 0) + mean_l CE(D(z + e_l), y_l) + lambda1 mean_l |e_l| + lambda2 mean_{l != k} cos(e_l, e_k)

averaged over rows: perturbations are to be small, and to point in different directions. Section 4.4 adds
CE(D(z), 1), averaged over known anomalies. The score is D(z). Perturbators are convolutional networks over the pixels,
or over the features of a table, with a channel of noise beside the input; section 5.5 lets them perturb the input
instead of the latent vector (``space="input"``).

Where the default values come from
----------------------------------
- The paper, section 5: ``lr=5e-3`` of encoder and discriminator, ``perturbator_lr=1e-5``, ``batch_size=512``. It
  chooses K (``n_augmented``), L (``n_perturbators``), ``lambda1`` and ``lambda2`` for each data set, by labels; the
  defaults are among its values.
- Ours, since the paper is silent: ``epoch_num``, ``hidden_size``, ``latent_size``, ``n_filters``, and no weight decay.

Deviations from the paper
-------------------------
- The score is the logit rather than the probability, whose sigmoid would round distant rows to one and the same 1.
- The text calls the perturbators adversarial, but in Eq. 2 and Algorithm 1 all networks minimise one loss. We follow
  the latter.
- Section 5 gives the learning rates 5e-3 to encoder and discriminator and 1e-5 to the perturbators, Algorithm 1 one to
  encoder and perturbators and another to the discriminator. We follow section 5.
- The perturbators step after the other networks, with noise drawn anew, and not from the same gradient.
- K is given for 512 rows and scaled with the batch. Known anomalies of a batch are averaged within it, and leave it
  before its perturbations are drawn and sorted.
- The perturbators' CNN has two convolutions and a linear map to the latent vector, which may halve rows on their way.
- The optimiser is AdamW with a cosine-decayed learning rate. The authors' program has AMSGrad at constant rates, 5e-3
  for encoder and perturbators and 1e-5 for a linear discriminator, one joint gradient, perturbators of two layers for
  tables, and for its Thyroid K = 100, lambda1 = 1 and 100 epochs. With all of that AUROC over ADBench's 29 tables is
  .695 trained on normal rows and .598 unsupervised, where it is .729 and .686 as it is here.
"""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from pyod_synth.base import DeepDetector
from pyod_synth.core import Core, Player
from pyod_synth.networks import Perturbators, encoder, mlp
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
    """Eq. 2.

    Parameters
    ----------
    normal_logit : Tensor of shape (batch,)
        D of unperturbed rows before the sigmoid; positive means anomalous.
    perturbed_logit : Tensor of shape (batch, L)
    perturbation : Tensor of shape (batch, L, *shape)
    n_normal : int
        K of this batch.
    lambdas : tuple of float
        Weights of the norms and of the cosines, lambda1 and lambda2.

    Returns
    -------
    Tensor of shape ()
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
    """Encoder, perturbators and discriminator.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    clf : DHAG
        Whose parameters to take.
    """

    encoder: nn.Module

    def __init__(self, input_shape: tuple[int, ...], clf: Any):
        super().__init__()
        self.n_augmented, self.lambdas = clf.n_augmented, (clf.lambda1, clf.lambda2)
        self.perturbator_lr = clf.perturbator_lr
        self.in_latent_space = getattr(clf, "space", "latent") == "latent"
        perturbed_size = clf.latent_size if self.in_latent_space else None
        self.perturbators = Perturbators(input_shape, perturbed_size, clf.n_perturbators, clf.n_filters)
        self.build(input_shape, clf)

    def build(self, input_shape: tuple[int, ...], clf: Any) -> None:
        """Make encoder and discriminator."""
        self.encoder = encoder(input_shape, (clf.hidden_size, clf.hidden_size), clf.latent_size)
        self.discriminator = mlp([clf.latent_size, clf.hidden_size, 1])

    def players(self) -> list[Player]:
        """Let encoder and discriminator learn at the detector's rate, then the perturbators at their own."""
        others = [parameter for name, parameter in self.named_parameters() if not name.startswith("perturbators.")]
        perturbing = {"params": list(self.perturbators.parameters()), "lr": self.perturbator_lr}
        return [Player(others, self.training_loss), Player([perturbing], self.perturbators_loss)]

    def training_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Give what encoder and discriminator minimise; perturbators learn from :meth:`perturbators_loss` alone."""
        with torch.no_grad():
            perturbation = self.perturbators(x if y is None else x[y == 0], self.generator)
        return self.generation_loss(x, y, perturbation)

    def perturbators_loss(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Give what perturbators minimise."""
        return self.generation_loss(x, y, self.perturbators(x if y is None else x[y == 0], self.generator))

    def generation_loss(self, x: Tensor, y: Tensor | None, perturbation: Tensor) -> Tensor:
        """Eq. 2, given perturbations (normal rows, L, *shape) of the normal rows, and section 4.4's term."""
        loss = x.new_zeros(())
        if y is not None:
            known, x = x[y == 1], x[y == 0]
            if len(known):
                loss = loss + softplus(-self.logit(self.encoder(known))).mean()
        if len(x):
            perturbed_logit = self.logit(self.perturb(x, perturbation).flatten(0, 1)).view(len(x), -1)
            normal_logit, n_normal = self.logit(self.encoder(x)), self.n_normal(len(x))
            loss = loss + dhag_loss(normal_logit, perturbed_logit, perturbation, n_normal, self.lambdas)
        return loss

    def n_normal(self, n: int) -> int:
        """K of a batch of n rows."""
        return round(self.n_augmented / _PUBLISHED_BATCH * n)

    def perturb(self, x: Tensor, perturbation: Tensor) -> Tensor:
        """Latent vectors of perturbed rows: (batch, *input_shape) and (batch, L, *shape) to (batch, L, latent_size)."""
        if self.in_latent_space:
            return self.encoder(x)[:, None] + perturbation
        return self.encoder((x[:, None] + perturbation).flatten(0, 1)).unflatten(0, perturbation.shape[:2])

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
        """Perturb each row by one perturbator, drawn from those whose perturbation of it counts as abnormal (Eq. 1).

        Raises
        ------
        NotImplementedError
            If latent vectors are perturbed and not rows.
        """
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
    :mod:`pyod_synth.models.dhag` for the loss, where the default values come from, and the deviations from the paper
    [1]_.

    Parameters
    ----------
    space : {"latent", "input"}, default="latent"
        Where perturbations are added; "input" is the variant of the paper's section 5.5.
    n_perturbators : int, default=5
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
        Units of the hidden layers of a table's encoder and of the discriminator.
    latent_size : int, default=64
        Length of the latent vector.
    n_filters : int, default=8
        Filters of each convolution of a perturbator.
    perturbator_lr : float, default=1e-5
        Initial learning rate of the perturbators.
    lr : float, default=5e-3
        Initial learning rate of encoder and discriminator.
    epoch_num : int or None, default=40
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
    n_augmented: int = 50
    lambda1: float = 0.1
    lambda2: float = 0.1
    use_labels: bool = False
    hidden_size: int = 64
    latent_size: int = 64
    n_filters: int = 8
    perturbator_lr: float = 1e-5
    lr: float = 5e-3
    epoch_num: int | None = 40
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
        "perturbator_lr": [Interval(Real, 0, None, closed="neither")],
    }

    def build_core(self, input_shape: tuple[int, ...]) -> DHAGCore:
        """Make the networks; see :meth:`pyod_synth.base.CoreDetector.build_core`."""
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
        x, core, generator = self._to_tensor(X), cast(DHAGCore, self.core_), self._new_generator()
        with computing(x):
            perturbation, labels = core.perturbations(x, generator)
        if core.in_latent_space:
            perturbed = self.embed(X)[:, None] + perturbation.cpu().double().numpy()
        else:
            rows = (x[:, None] + perturbation).flatten(0, 1).cpu().numpy()
            perturbed = self.standardizer_.inverse_transform(rows).reshape(*perturbation.shape[:2], *np.shape(X)[1:])
        return (perturbed, labels.long().cpu().numpy()) if return_labels else perturbed
