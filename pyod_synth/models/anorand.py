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

What we add
-----------
``autoencoder="restoring"`` makes the autoencoder a :class:`pyod_synth.restoration.Denoiser`: it restores the clean row
from a noisy copy, at scales of the noise from small to large, and both blocks see the copy. Without noise, an
autoencoder wide enough to hold the data learns to copy anything. |x - x^|_2 in Eq. 2 becomes the denoiser's error, and
y_AE of Eq. 6 the oddness of what it cannot restore of the row itself (:class:`pyod_synth.restoration.Energies`), which
keeps growing where the sigmoid makes all distant rows nearly equal.

A number for ``alpha`` takes the place of Eq. 7, which usually gives the noise-detection block almost all the weight
(its probabilities are near 0 on training rows). What a classifier answers away from its training rows is a matter of
chance; with real labels it is worth that weight.
"""

import math
from abc import abstractmethod
from numbers import Integral, Real

import numpy as np
import torch
from imblearn.over_sampling import SMOTE
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn
from torch.nn.functional import pad, silu, softplus

from pyod_synth.base import DeepDetector
from pyod_synth.core import Core
from pyod_synth.networks import decoder, encoder
from pyod_synth.restoration import Denoiser, check_scales

_NEIGHBOURS = 5  # of SMOTE, as its authors and imbalanced-learn have it
_BEND = 8.0  # where the sigmoid is left for its tangent, whose slope is still far above float32's resolution there
_THIRD_QUARTILE = 0.75
_BLOCK_ROWS = 1024  # that the quartiles are taken of at a time
_DEFAULT_ALPHA = 0.75


def invent_anomalies(x, anomaly_share, grown_share, noise_level):
    """Turn a few rows into synthetic anomalies (section 5.1), by the global generator of torch.

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

    Returns
    -------
    x : Tensor of shape (m, *input_shape), float32
        The rows that were left alone, then the anomalies.
    y : Tensor of shape (m,), int64
        1 for anomalies.
    """
    normal, chosen = x[torch.randperm(len(x), device=x.device)].tensor_split(
        [len(x) - min(max(1, round(anomaly_share * len(x))), len(x) - 1)]
    )
    number = max(len(chosen), round(len(normal) * grown_share / (1 - grown_share)))
    if len(chosen) == 1:
        grown = chosen.expand(number, *chosen.shape[1:])
    elif number == len(chosen):
        grown = chosen
    else:
        smote = SMOTE(
            sampling_strategy={1: number},
            k_neighbors=min(_NEIGHBOURS, len(chosen) - 1),
            random_state=int(torch.randint(2**31 - 1, ())),
        )
        rows = torch.cat([normal, chosen]).flatten(1).cpu().numpy()
        rows, labels = smote.fit_resample(rows, np.repeat([0, 1], [len(normal), len(chosen)]))
        grown = torch.from_numpy(rows[labels == 1]).to(x).view(number, *x.shape[1:])
    anomalies = grown + noise_level * torch.randn_like(grown)
    y = torch.cat([torch.zeros(len(normal)), torch.ones(number)]).long().to(x.device)
    return torch.cat([normal, anomalies]), y


def anorand_loss(distance, logit, y, w):
    """Eq. 4, averaged over rows.

    Parameters
    ----------
    distance : Tensor of shape (batch,)
        |x - x^|_2.
    logit : Tensor of shape (batch,)
        Of y_mlp.
    y : Tensor of shape (batch,)
        1 for anomalies, else 0.
    w : float

    Returns
    -------
    Tensor of shape ()
    """
    # softplus(l) is -log(1 - sigmoid(l)), and l less of it -log(sigmoid(l))
    return (w * (softplus(logit) - y * logit) + (1 - w) * (1 - y) * distance).mean()


def continued_sigmoid(v):
    """Sigmoid up to 8, and beyond that its tangent there: it never saturates upwards."""
    bend = torch.sigmoid(v.new_tensor(_BEND))
    return torch.where(v < _BEND, torch.sigmoid(v), bend + bend * (1 - bend) * (v - _BEND))


class Blocks(nn.Module):
    """Noise-detection block and encoder side by side, each seeing the row in its own form.

    Parameters
    ----------
    detection : nn.Module
        F of Eq. 1 up to its last hidden layer z0: from (batch, *input_shape).
    encoder : nn.Module
        E of Eq. 1: from rows that may have more features, or channels, than those.
    channels : int
        Features, or channels, that ``detection`` takes.
    fill : int
        Zeros to append.
    """

    def __init__(self, detection, encoder, channels, fill):
        super().__init__()
        self.detection, self.encoder, self.channels, self.fill = detection, encoder, channels, fill

    def forward(self, x):
        """Join z0 and z1: (batch, narrow + latent_size + fill)."""
        return pad(torch.cat([silu(self.detection(x[:, : self.channels])), self.encoder(x)], dim=1), (0, self.fill))


class AnoRandCore(Core):
    """What both autoencoders share: the noise-detection block, synthetic labels, Eq. 4 and the score.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size : int
        Units of the first hidden layer of each block; the second has half as many.
    latent_size : int
    told : int
        Features, or channels, that the encoder sees beyond those of the row.
    w : float
    alpha : float or None
        Weight of the noise-detection block in the score; None takes Eq. 6 to 8.
    anomaly_share, grown_share, noise_level : float
        See :func:`invent_anomalies`.
    """

    def __init__(self, input_shape, hidden_size, latent_size, told, w, alpha, anomaly_share, grown_share, noise_level):
        super().__init__()
        narrow = math.ceil(hidden_size / 2)
        self.w, self.alpha = w, alpha
        self.invention = (anomaly_share, grown_share, noise_level)
        first, *rest = input_shape
        self.detection = encoder(input_shape, (hidden_size,), narrow)
        self.detection_output = nn.Linear(narrow, 1)
        # Products over a length that is no multiple of four add up in an order that depends on a row's place, where
        # few numbers come out: zeros fill the decoder's input up to one.
        fill = -(narrow + latent_size) % 4
        self.blocks = Blocks(
            self.detection, encoder((first + told, *rest), (hidden_size, narrow), latent_size), first, fill
        )
        self.decoder = decoder(narrow + latent_size + fill, (narrow, hidden_size), input_shape)
        self.register_buffer("quartiles", torch.ones(2))  # of y_mlp and y_AE: Q3^0 and Q3^1

    @abstractmethod
    def restoring_loss(self, x: Tensor) -> Tensor:
        """How badly rows (batch, *input_shape) are restored while learning: (batch,)."""

    @abstractmethod
    def restoring_score(self, x: Tensor) -> Tensor:
        """How badly rows (batch, *input_shape) are restored in the end: (batch,)."""

    def prepare(self, x, y):
        """Join synthetic anomalies, unless real labels came."""
        return invent_anomalies(x, *self.invention) if y is None else (x, y)

    def training_loss(self, x, y):
        """Eq. 4."""
        return anorand_loss(self.restoring_loss(x), self.logit(x), y, self.w)

    @torch.no_grad()
    def calibrate(self, x):
        """Keep the quartiles of Eq. 7."""
        probabilities = torch.cat([torch.stack(self.probabilities(block)) for block in x.split(_BLOCK_ROWS)], dim=1)
        self.quartiles = probabilities.kthvalue(math.ceil(_THIRD_QUARTILE * len(x)), dim=1).values

    def anomaly_score(self, x):
        """Eq. 8; the module's text says what a number for alpha changes."""
        if self.alpha is not None:
            return (1 - self.alpha) * self.restoring_score(x) + self.alpha * torch.sigmoid(self.logit(x))
        noise, poor = self.probabilities(x)
        # alpha of Eq. 7 is the second of these
        others, alpha = self.quartiles / self.quartiles.sum()
        return others * poor + alpha * noise

    def logit(self, x):
        """Logit of y_mlp for rows (batch, *input_shape): (batch,)."""
        return self.detection_output(silu(self.detection(x))).squeeze(1)

    def probabilities(self, x):
        """Find y_mlp and y_AE of Eq. 6, both continued, for rows (batch, *input_shape): two of (batch,)."""
        return continued_sigmoid(self.logit(x)), continued_sigmoid(self.restoring_score(x))


class PlainCore(AnoRandCore):
    """The paper's form: an autoencoder that restores rows from themselves.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size, latent_size : int
    **shared
        See :class:`AnoRandCore`.
    """

    def __init__(self, input_shape, hidden_size, latent_size, **shared):
        super().__init__(input_shape, hidden_size, latent_size, told=0, **shared)

    def restoring_loss(self, x):
        """|x - x^|_2."""
        return torch.linalg.vector_norm((x - self.decoder(self.blocks(x))).flatten(1), dim=1)

    def restoring_score(self, x):
        """|x - x^|_2."""
        return self.restoring_loss(x)

    def embed(self, x):
        """Join z0 and z1, as the decoder sees them."""
        return self.blocks(x)


class RestoringCore(AnoRandCore):
    """AnoRand with an autoencoder that restores rows from noisy copies; see the module's text.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    hidden_size, latent_size : int
    scales : sequence of float
        Scales of the noise.
    **shared
        See :class:`AnoRandCore`.
    """

    def __init__(self, input_shape, hidden_size, latent_size, scales, **shared):
        super().__init__(input_shape, hidden_size, latent_size, told=1, **shared)
        self.denoiser = Denoiser(input_shape, self.blocks, self.decoder, scales)

    def restoring_loss(self, x):
        """Error of the denoiser."""
        return self.denoiser.loss(x)

    def restoring_score(self, x):
        """Oddness of what is not restored."""
        return self.denoiser.oddness(x)

    def embed(self, x):
        """Join z0 and z1 at the smallest scale."""
        return self.denoiser.embed(x)

    def calibrate(self, x):
        """Learn what is usual, and keep the quartiles of Eq. 7."""
        self.denoiser.calibrate(x)
        super().calibrate(x)


class AnoRand(DeepDetector):
    """AnoRand: a noise detector and an autoencoder trained together on random synthetic labels.

    Moves a few training rows by noise and labels them anomalies; one block learns to detect them, and hands what it
    sees to an autoencoder that restores the other rows. Both are scored. See :mod:`pyod_synth.models.anorand` for the
    equations and the deviations from the paper.

    The paper's own form is ``AnoRand(autoencoder="plain", alpha="quartiles", hidden_size=32, latent_size=16, lr=1e-4,
    epoch_num=200, batch_size=128)``, with noise of at least 0.52.

    Parameters
    ----------
    autoencoder : {"restoring", "plain"}, default="restoring"
        "plain" is the paper's. "restoring" restores rows from noisy copies at several scales, and what it cannot
        restore grows with the distance from the training rows.
    scales : sequence of float, default=(0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
        Deviations of the noise that rows are restored from, in standard deviations of a feature: learned between the
        smallest and the largest, scored at each and at the infinite scale; only for the restoring autoencoder.
    w : float in [0, 1], default=0.2
        Weight of the noise-detection block in the loss (Eq. 4).
    alpha : float in [0, 1], "quartiles" or None, default=None
        Weight of the noise-detection block in the score. A number weighs its probability against what could not be
        restored; "quartiles" is the paper's score (Eq. 6 to 8). None takes 0.75 without labels and "quartiles" with
        them.
    anomaly_share : float in (0, 0.5], default=0.02
        Share of training rows that become synthetic anomalies.
    grown_share : float in (0, 0.5], default=0.05
        Share that SMOTE grows them to.
    noise_level : float, default=1.0
        Standard deviation of the noise on synthetic anomalies, in standard deviations of a feature.
    use_labels : bool, default=False
        Whether to train on real labels, given to ``fit``, instead of synthetic ones.
    hidden_size : int, default=128
        Units of the first hidden layer of each block of a table; the second has half as many.
    latent_size : int, default=16
        Length of the autoencoder's latent.
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
    .. [1] M. Zoubeirou a Mayaki and M. Riveill, "AnoRand: A Semi Supervised Deep Learning Anomaly Detection Method by
       Random Labeling", hal-04116457, 2023.
    .. [2] N. V. Chawla et al., "SMOTE: Synthetic Minority Over-sampling Technique", JAIR 16, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import AnoRand
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = AnoRand(contamination=0.05, epoch_num=50).fit(X)
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    """

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "autoencoder": [StrOptions({"restoring", "plain"})],
        "scales": [tuple, list],
        "w": [Interval(Real, 0, 1, closed="both")],
        "alpha": [Interval(Real, 0, 1, closed="both"), StrOptions({"quartiles"}), None],
        "anomaly_share": [Interval(Real, 0, 0.5, closed="right")],
        "grown_share": [Interval(Real, 0, 0.5, closed="right")],
        "noise_level": [Interval(Real, 0, None, closed="left")],
        "use_labels": ["boolean"],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        autoencoder="restoring",
        scales=(0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4),
        w=0.2,
        alpha=None,
        anomaly_share=0.02,
        grown_share=0.05,
        noise_level=1.0,
        use_labels=False,
        hidden_size=128,
        latent_size=16,
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
        self.scales = scales
        self.w = w
        self.alpha = alpha
        self.anomaly_share = anomaly_share
        self.grown_share = grown_share
        self.noise_level = noise_level
        self.use_labels = use_labels
        self.hidden_size = hidden_size
        self.latent_size = latent_size

    def build_core(self, input_shape):
        """Make the networks; see :meth:`DeepDetector.build_core`."""
        alpha = ("quartiles" if self.use_labels else _DEFAULT_ALPHA) if self.alpha is None else self.alpha
        sizes = (input_shape, self.hidden_size, self.latent_size)
        shared = {
            "w": self.w,
            "alpha": None if alpha == "quartiles" else alpha,
            "anomaly_share": self.anomaly_share,
            "grown_share": self.grown_share,
            "noise_level": self.noise_level,
        }
        if self.autoencoder == "plain":
            return PlainCore(*sizes, **shared)
        check_scales(self.scales)
        return RestoringCore(*sizes, self.scales, **shared)
