"""AnoRand: anomaly detection by random labelling (Zoubeirou a Mayaki and Riveill, 2023).

The paper
---------
*Synthetic labels* (section 5.1). A few training rows, 2 %, become anomalies: SMOTE grows them to 5 % of the training
set and Gaussian noise of a standard deviation of at least 0.52 moves them. They get the label 1, all other rows 0.

*Networks* (Eq. 1). The noise-detection block F is an MLP whose last hidden layer z0 gives the probability y_mlp of
being noise. An encoder E gives the latent z1, and a decoder restores the row from both: x^ = D(z0, z1).

*Loss* (Eq. 2 to 4), averaged over rows rather than summed, so that it does not depend on the batch size:

    L_AE = (1 - y) |x - x^|_2        only rows of label 0 are to be restored
    L_CE = -[y log y_mlp + (1 - y) log(1 - y_mlp)]
    L = w L_CE + (1 - w) L_AE

*Score* (Eq. 6 to 8). With Q3 the third quartile over the training rows,

    y_AE = sigmoid(|x - x^|_2),    alpha = Q3(y_AE) / (Q3(y_mlp) + Q3(y_AE)),
    score = (1 - alpha) y_AE + alpha y_mlp.

With real labels (section 6, Table 2) they take the place of the synthetic ones.

Where the paper is unclear or misprinted
----------------------------------------
- Eq. 3 lacks the minus sign of a cross entropy, and the expanded form of Eq. 4 puts one before everything, which would
  reward bad restoring. We minimise both terms, as Eq. 4 and 5 say.
- Eq. 2 calls its norm a mean square, and the text a squared difference; we take the norm that is printed.
- Whether SMOTE sees rows before or after the noise is left open. It comes first here: between noisy rows, it would
  average the noise away. A row without neighbours is repeated, each copy with noise of its own.
- Eq. 6 rounds to exactly 1 in float32 from norms of 17 on, the norm of an ordinary image, and so does y_mlp: all such
  rows would tie. From 8 on the sigmoid is continued along its tangent, which keeps the order.

Where the default values come from
----------------------------------
- The paper, section 6: blocks of 32 and 16 units (``hidden_size``, ``latent_size``), ``lr=1e-4``, ``epoch_num=200``,
  ``batch_size=128``; section 5.1: ``anomaly_share`` and ``grown_share``.
- Ours, since the paper is silent: ``w``, no weight decay, ``noise_level``, of which the paper says that it be at least
  0.52, and ``preprocessing="minmax"``, by which the noise is measured. Chosen on fifteen of ADBench's tables, at most
  2,000 rows, trained on normal rows, where AUROC and AUPRC are .637 and .370 (.569 and .283 standardised); on fourteen
  others they are .719 and .545 (.682 and .492). Where all labels are known, ``preprocessing=True`` is better, AUPRC
  .80 against .57 on thyroid, and so is ``lr_schedule="constant"``: on fourteen tables, at most 3,000 rows, .66 against
  .55. ReLUs and Glorot's initial values, of common programs, have .59 there.

What it can and cannot do
-------------------------
Eq. 7 gives the noise-detection block most of the weight, alpha of about .7, and what the block has learned of noise
says little of anomalies: on ten tables AUROC is .44 for y_mlp alone, .82 for y_AE alone and .77 for the score that
joins them (.44, .84 and .62 with standardised features).

Deviations from the paper
-------------------------
- The optimiser is AdamW with a cosine-decayed learning rate; activations are SiLU. The paper names none of them. With a
  constant rate AUROC and AUPRC on the fifteen tables fall to .605 and .265, with ReLU too to .629 and .305.
"""

import math
import warnings
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from pyod_synth.base import DeepDetector
from pyod_synth.core import Core
from pyod_synth.networks import decoder, encoder
from pyod_synth.training import by_blocks
from pyod_synth.validation import Interval

_NEIGHBOURS = 5  # of SMOTE, as its authors and imbalanced-learn have it
_BEND = 8.0  # where the sigmoid is left for its tangent, whose slope is still far above float32's resolution there
_THIRD_QUARTILE = 0.75


def invent_anomalies(
    x: Tensor, anomaly_share: float, grown_share: float, noise_level: float, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Turn a few rows into synthetic anomalies (section 5.1).

    Parameters
    ----------
    x : Tensor of shape (n, *input_shape), float32
        At least two rows.
    anomaly_share : float
        Share of rows that become anomalies; at least one does, and at least one does not.
    grown_share : float
        Share of the result that anomalies have after SMOTE; never less than before.
    noise_level : float
        Standard deviation of the noise on them.
    generator : torch.Generator or None
        On the device of the rows.

    Returns
    -------
    x : Tensor of shape (m, *input_shape), float32
        The rows that were left alone, then the anomalies.
    y : Tensor of shape (m,), int64
        1 for anomalies.
    """
    normal, chosen = x[torch.randperm(len(x), generator=generator, device=x.device)].tensor_split(
        [len(x) - min(max(1, round(anomaly_share * len(x))), len(x) - 1)]
    )
    number = max(len(chosen), round(len(normal) * grown_share / (1 - grown_share)))
    noisy = grow(chosen, normal, number, noise_level, generator)
    y = torch.cat([x.new_zeros(len(normal)), x.new_ones(number)]).long()
    return torch.cat([normal, noisy]), y


def grow(chosen: Tensor, others: Tensor, number: int, noise_level: float, generator: torch.Generator | None) -> Tensor:
    """Grow rows by SMOTE, and add noise to all of them (section 5.1).

    Parameters
    ----------
    chosen : Tensor of shape (k, *input_shape), float32
        At least one row.
    others : Tensor of shape (n, *input_shape), float32
        The rows that were not chosen, at least one if there are rows to grow.
    number : int
        How many rows to give, at least k.
    noise_level : float
        Standard deviation of the noise.
    generator : torch.Generator or None
        On the device of the rows.

    Returns
    -------
    Tensor of shape (number, *input_shape), float32
    """
    if len(chosen) == 1:
        grown = chosen.expand(number, *chosen.shape[1:])
    elif number == len(chosen):
        grown = chosen
    else:
        from imblearn.over_sampling import SMOTE  # here, for it takes longer to import than all else together

        smote = SMOTE(
            sampling_strategy={1: number},
            k_neighbors=min(_NEIGHBOURS, len(chosen) - 1),
            random_state=int(torch.randint(2**31 - 1, (), generator=generator, device=chosen.device)),
        )
        rows = torch.cat([others, chosen]).flatten(1).cpu().numpy()
        with threadpool_limits(1, user_api="openmp"):  # else its neighbours hang in a forked process
            rows, labels = smote.fit_resample(rows, np.repeat([0, 1], [len(others), len(chosen)]))
        grown = torch.from_numpy(rows[labels == 1]).to(chosen).view(number, *chosen.shape[1:])
    noise = torch.randn(grown.shape, generator=generator, device=chosen.device, dtype=chosen.dtype)
    return grown + noise_level * noise


def anorand_loss(distance: Tensor, logit: Tensor, y: Tensor, w: float) -> Tensor:
    """Eq. 4, averaged over rows: of distances |x - x^|_2, logits of y_mlp and labels, all of shape (batch,)."""
    # softplus(l) is -log(1 - sigmoid(l)), and l less of it -log(sigmoid(l))
    return (w * (softplus(logit) - y * logit) + (1 - w) * (1 - y) * distance).mean()


def continued_sigmoid(v: Tensor) -> Tensor:
    """Sigmoid up to 8, and beyond that its tangent there: it never saturates upwards."""
    bend = torch.sigmoid(v.new_tensor(_BEND))
    return torch.where(v < _BEND, torch.sigmoid(v), bend + bend * (1 - bend) * (v - _BEND))


class AnoRandCore(Core):
    """Noise-detection block and autoencoder, for rows of shape (d,) or (C, H, W)."""

    quartiles: Tensor

    def __init__(self, input_shape: tuple[int, ...], clf: "AnoRand"):
        super().__init__()
        hidden_size, narrow, latent_size = clf.hidden_size, math.ceil(clf.hidden_size / 2), clf.latent_size
        self.w = clf.w
        self.invention = (clf.anomaly_share, clf.grown_share, clf.noise_level)
        self.detection = encoder(input_shape, (hidden_size,), narrow)
        self.detection_output = nn.Linear(narrow, 1)
        self.encoder = encoder(input_shape, (hidden_size, narrow), latent_size)
        self.decoder = decoder(narrow + latent_size, (narrow, hidden_size), input_shape)
        self.register_buffer("quartiles", torch.ones(2))  # of y_mlp and y_AE: Q3^0 and Q3^1

    def prepare(self, x: Tensor, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """Join synthetic anomalies, unless real labels came."""
        if y is None:
            return invent_anomalies(x, *self.invention, self.generator)
        if (y == y[0]).all():
            warnings.warn(f"AnoRand learns to tell 0 and 1 in y apart, and y holds {int(y[0])} alone", stacklevel=2)
        return x, y

    def training_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Eq. 4."""
        assert y is not None  # prepare sees to it
        distance, logit = self.distance_and_logit(x)
        return anorand_loss(distance, logit, y, self.w)

    def calibrate(self, x: Tensor) -> None:
        """Keep the quartiles of Eq. 7."""
        probabilities = by_blocks(lambda rows: torch.stack(self.probabilities(rows), dim=1), x)
        self.quartiles.copy_(probabilities.kthvalue(math.ceil(_THIRD_QUARTILE * len(x)), dim=0).values)

    def anomaly_score(self, x: Tensor) -> Tensor:
        """Eq. 8."""
        noise, poor = self.probabilities(x)
        # alpha of Eq. 7 is the second of these
        others, alpha = self.quartiles / self.quartiles.sum()
        return others * poor + alpha * noise

    def embed(self, x: Tensor) -> Tensor:
        """Join z0 and z1, as the decoder sees them."""
        return torch.cat([silu(self.detection(x)), self.encoder(x)], dim=1)

    def nearest_normal(self, x: Tensor, threshold: float) -> Tensor:
        """Restore rows."""
        return by_blocks(lambda rows: self.decoder(self.embed(rows)), x)

    def invent(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Choose some of the rows, grow them to as many as there are in the proportion of training, and add noise."""
        anomaly_share, grown_share, noise_level = self.invention
        count = min(max(1, round(len(x) * min(1.0, anomaly_share / grown_share))), len(x))
        order = torch.randperm(len(x), generator=generator, device=x.device)
        return grow(x[order[:count]], x[order[count:]], len(x), noise_level, generator)

    def distance_and_logit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Find |x - x^|_2 and the logit of y_mlp for rows (batch, *input_shape): two of (batch,)."""
        z0 = silu(self.detection(x))
        restored = self.decoder(torch.cat([z0, self.encoder(x)], dim=1))
        return torch.linalg.vector_norm((x - restored).flatten(1), dim=1), self.detection_output(z0).squeeze(1)

    def probabilities(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Find y_mlp and y_AE of Eq. 6, both continued, for rows (batch, *input_shape): two of (batch,)."""
        distance, logit = self.distance_and_logit(x)
        return continued_sigmoid(logit), continued_sigmoid(distance)


@dataclass(kw_only=True, eq=False, repr=False)
class AnoRand(DeepDetector):
    """AnoRand: a noise detector and an autoencoder trained together on random synthetic labels.

    Moves a few training rows by noise and labels them anomalies; one block learns to detect them, and hands what it
    sees to an autoencoder that restores the other rows. Both are scored. See :mod:`pyod_synth.models.anorand` for the
    equations, where the default values come from, and the deviations from the paper [1]_.

    Parameters
    ----------
    w : float in [0, 1], default=0.2
        Weight of the noise-detection block in the loss (Eq. 4).
    anomaly_share : float in (0, 0.5], default=0.02
        Share of training rows that become synthetic anomalies.
    grown_share : float in (0, 0.5], default=0.05
        Share that SMOTE [2]_ grows them to.
    noise_level : float, default=1.0
        Standard deviation of the noise on synthetic anomalies, in features scaled as ``preprocessing`` says: of the
        range of a feature, by default.
    use_labels : bool, default=False
        Whether to train on real labels, given to ``fit``, instead of synthetic ones.
    hidden_size : int, default=32
        Units of the first hidden layer of each block of a table; the second has half as many.
    latent_size : int, default=16
        Length of the autoencoder's latent.
    lr : float, default=1e-4
        Initial learning rate.
    epoch_num : int or None, default=200
        Passes over the training rows. None takes as many as make 300 optimiser steps.
    batch_size : int, default=128
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
    .. [1] M. Zoubeirou a Mayaki and M. Riveill, "AnoRand: A Semi Supervised Deep Learning Anomaly Detection Method by
       Random Labeling", hal-04116457, 2023.
    .. [2] N. V. Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique", JAIR 16, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import AnoRand
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = AnoRand(contamination=0.05, epoch_num=20).fit(X)
    >>> clf.labels_.sum()
    np.int64(10)
    """

    w: float = 0.2
    anomaly_share: float = 0.02
    grown_share: float = 0.05
    noise_level: float = 1.0
    use_labels: bool = False
    preprocessing: bool | str = "minmax"
    hidden_size: int = 32
    latent_size: int = 16
    lr: float = 1e-4
    epoch_num: int | None = 200
    batch_size: int = 128
    weight_decay: float = 0.0

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "w": [Interval(Real, 0, 1, closed="both")],
        "anomaly_share": [Interval(Real, 0, 0.5, closed="right")],
        "grown_share": [Interval(Real, 0, 0.5, closed="right")],
        "noise_level": [Interval(Real, 0, None, closed="left")],
        "use_labels": ["boolean"],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
    }

    def build_core(self, input_shape: tuple[int, ...]) -> AnoRandCore:
        """Make the networks; see :meth:`pyod_synth.detector.CoreDetector.build_core`."""
        return AnoRandCore(input_shape, self)
