"""How far a row lies from the whole of the training rows: evidence that anomalies among these cannot hide.

With d the mean distance to the 30 nearest of 300 remembered rows in the last view, e a tenth of its mean, c_k the
median of feature k and s_k its deviation, measured between the quantiles of .05 and .95, the evidence is the larger of

    log(d + e),        mean_k log(1 + (x_k - c_k)^2 / (2 s_k)^2),

each less its median over the remembered rows, and divided by the distance from there to their quantile of .84: a
deviation, if they were normally distributed. A few anomalies that lie close together are near to each other, but far
from the whole; and no feature can contribute more than a logarithm to the second statistic.

Images have the first statistic alone, for single pixels say little, with the 100 nearest of 1,000. Since gradients do
not see brightness, it grows by how far the mean of an image's channel lies outside the range of the remembered images,
in halves of that range.
"""

import torch
from torch import Tensor, nn

from pyod_synth.gated_knn.near import shares
from pyod_synth.gated_knn.neighbors import floor, nearest
from pyod_synth.gated_knn.views import Views
from pyod_synth.training import by_blocks

_TABLES, _IMAGES = (300, 30), (1000, 100)  # rows of the sample, and how many of them are near
_BOUND = 2.0  # deviations from which a feature contributes as a logarithm
_MIDDLE = 3.29  # deviations between the quantiles of .05 and .95 of a normal distribution
_LEAST_DEVIATION = 1e-6
_ROUNDING, _FARTHEST = 1e-4, 1e6  # of images outside the range of brightness
_UPPER = 0.84  # quantile one deviation above the median
_LEAST_SPREAD = 1e-2  # of a standard deviation
_COINCIDE = 2e-3  # relative to the length of a row: what float32's product of matrices makes of no distance


class Whole(nn.Module):
    """The statistics of the module's text.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    view_size : int
        Of the last view; 0 if it is not known before rows come.
    """

    sample: Tensor
    origin: Tensor
    floor: Tensor
    centre: Tensor
    scale: Tensor
    median: Tensor
    spread: Tensor

    def __init__(self, input_shape: tuple[int, ...], view_size: int):
        super().__init__()
        self.of_table = len(input_shape) == 1
        self.sample_size, self.n_neighbors = _TABLES if self.of_table else _IMAGES
        self.register_buffer("sample", torch.zeros(0, view_size))
        self.register_buffer("origin", torch.zeros(view_size))
        self.register_buffer("floor", torch.ones(()))
        # of images: the middle of the range of each channel's mean, and half of that range
        self.register_buffer("centre", torch.zeros(input_shape[0]))
        self.register_buffer("scale", torch.ones(input_shape[0]))
        self.register_buffer("median", torch.zeros(1 + self.of_table))
        self.register_buffer("spread", torch.ones(1 + self.of_table))

    def fit(self, x: Tensor, views: list[Tensor]) -> None:
        """Learn from training rows (n, *input_shape), in random order, given in all views too."""
        view = views[-1]
        self.origin = view.mean(dim=0)
        self.sample = view[: self.sample_size] - self.origin
        distances = by_blocks(self._distance, view, max(view.shape[1], len(self.sample)))
        self.floor = floor(distances)
        statistics = [torch.log(distances + self.floor)]
        if self.of_table:
            low, self.centre, high = _quantiles(x, 0.05, 0.5, 0.95)
            middle = (high - low) / _MIDDLE
            deviation = x.std(dim=0, correction=0).clamp(min=_LEAST_DEVIATION)
            self.scale = _BOUND * torch.where(middle > 0, middle, deviation)
            statistics.append(by_blocks(lambda block: self._bounded(block).mean(dim=1), x))
        else:
            low, high = x.mean(dim=(2, 3)).aminmax(dim=0)
            self.centre, self.scale = (low + high) / 2, ((high - low) / 2).clamp(min=_LEAST_DEVIATION)
        joined = torch.stack(statistics, dim=1)
        self.median, upper = _quantiles(joined, 0.5, _UPPER)
        self.spread = upper - self.median + _LEAST_SPREAD * (joined.std(dim=0, correction=0) + _LEAST_DEVIATION)

    def forward(self, x: Tensor, views: list[Tensor]) -> Tensor:
        """Give the evidence of rows (batch, *input_shape), given in all views too: (batch,)."""
        return self._statistics(x, views).amax(dim=1)

    def shares(self, x: Tensor, views: list[Tensor], see: Views) -> Tensor:
        """Divide the larger statistic among the inputs that it stems from: (batch, *input_shape)."""
        _, index = nearest(views[-1] - self.origin, self.sample, self.n_neighbors)
        squares = ((views[-1] - self.origin)[:, None] - self.sample[index]).square().mean(dim=1)
        far = shares(see.locate(len(views) - 1, squares))
        if not self.of_table:
            return far
        larger = self._statistics(x, views).argmax(dim=1, keepdim=True)
        return torch.where(larger == 0, far, shares(self._bounded(x)))

    def _statistics(self, x: Tensor, views: list[Tensor]) -> Tensor:
        statistics = [torch.log(self._distance(views[-1]) + self.floor)]
        if self.of_table:
            statistics.append(self._bounded(x).mean(dim=1))
        standardised = (torch.stack(statistics, dim=1) - self.median) / self.spread
        return standardised if self.of_table else standardised + self._outside(x)[:, None]

    def _distance(self, view: Tensor) -> Tensor:
        """Give the mean distance from the nearest rows of the sample, of which the row itself is none."""
        view = view - self.origin
        count = min(self.n_neighbors + 1, len(self.sample))
        # one way to compute, however many rows there are
        distances = torch.cdist(view, self.sample, compute_mode="use_mm_for_euclid_dist")
        distances = distances.topk(count, largest=False).values
        if count == 1:
            return distances[:, 0]
        itself = distances[:, :1] <= _COINCIDE * (1 + view.square().sum(dim=1, keepdim=True).sqrt())
        return torch.where(itself, distances[:, 1:], distances[:, :-1]).mean(dim=1)

    def _outside(self, images: Tensor) -> Tensor:
        """Give how far the mean of a channel, the farthest, lies outside the range of the remembered images."""
        off = (images.mean(dim=(2, 3)) - self.centre).abs() / self.scale
        return (off.amax(dim=1) - 1 - _ROUNDING).clamp(min=0.0, max=_FARTHEST)

    def _bounded(self, x: Tensor) -> Tensor:
        """Give each feature's contribution to the second statistic."""
        return torch.log1p(((x - self.centre) / self.scale).square())


def _quantiles(x: Tensor, *q: float) -> tuple[Tensor, ...]:
    """Give quantiles of each column, as values that are there; torch.quantile takes 16 million numbers at most."""
    ordered = x.sort(dim=0).values
    return tuple(ordered[round(share * (len(x) - 1))].clone() for share in q)
