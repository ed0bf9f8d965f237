"""A batch of rows or images -> the same in several views, as vectors whose distances mean something.

Tables are seen standardised, scaled to [0, 1], and through an inverse hyperbolic sine, which keeps a few large values
from deciding alone. Images are seen as a histogram h of the directions of their gradients [1]_, over 8 x 8 cells that
overlap: as h / |h|, in which long gradients count most, as photographs need it, or as sqrt(h / sum(h)), in which faint
ones count too, as clean drawings need it. It is the one in which turned training images are farther from the others.

References
----------
.. [1] Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pyod_synth.gated_knn import inventions
from pyod_synth.gated_knn.neighbors import nearest
from pyod_synth.training import by_blocks

_DIRECTIONS = 8
_FINE, _COARSE = 8, 4  # cells on a side: of the view, and of what a classifier is given
_POWERS = 0.5, 1.0
_SAMPLE, _NEIGHBORS = 1000, 5  # of the training images, and how many near ones, by which the power is chosen
_TINY = 1e-6


class Views(nn.Module):
    """What both kinds of input have in common: which views there are, and how to fit and compute them."""

    sizes: list[int]  # of each view; 0 where it is the encoder's
    searched: int | None = None  # the view whose neighbours are near in the others too, if there is one
    gated: bool  # whether the views are weighed by how they tell invented rows, and do not count alike
    locality: float  # how much counts what is usual in a place, from 0 to 1
    feature_size: int  # of what features gives

    @abstractmethod
    def fit(self, x: Tensor, generator: Generator | None) -> None:
        """Learn what a view needs to know of the training rows (n, *input_shape), in random order."""

    @abstractmethod
    def forward(self, x: Tensor) -> list[Tensor]:
        """Give each view of a batch (batch, *input_shape): tensors of shape (batch, size of the view)."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Describe a batch by a few numbers for a classifier: (batch, k)."""

    @abstractmethod
    def locate(self, view: int, parts: Tensor) -> Tensor:
        """Divide what stems from the coordinates of a view, (batch, size), by place: (batch, *input_shape)."""


class TableViews(Views):
    """Standardised, scaled to the range of the training rows, and asinh(2 x)."""

    searched, gated, locality = 1, True, 0.5
    low: Tensor
    span: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.sizes, self.feature_size = [size] * 3, size
        self.register_buffer("low", torch.zeros(size))
        self.register_buffer("span", torch.ones(size))

    def fit(self, x: Tensor, generator: Generator | None) -> None:
        """Learn the range of each feature."""
        self.low = x.amin(dim=0)
        span = x.amax(dim=0) - self.low
        self.span = torch.where(span > 0, span, 1.0)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Give the three views of rows (batch, d)."""
        return [x, (x - self.low) / self.span, torch.asinh(2 * x)]

    def features(self, x: Tensor) -> Tensor:
        """Give the rows themselves."""
        return x

    def locate(self, view: int, parts: Tensor) -> Tensor:
        """Coordinates are features."""
        return parts


class ImageViews(Views):
    """A histogram of gradient directions, and a given encoder's features if there is one.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W).
    encoder : callable or None
        From images (batch, C, H, W) to features (batch, ...).

    Attributes
    ----------
    power : Tensor of shape ()
        p of the view h^p / |h^p|: 1/2 or 1.
    """

    gated, locality = False, 0.0  # that turned images are told says nothing of an encoder
    power: Tensor

    def __init__(self, input_shape: tuple[int, ...], encoder: Callable[[Tensor], Tensor] | None = None):
        super().__init__()
        self.input_shape, self.encoder = input_shape, deepcopy(encoder)  # it moves and is cast with the core
        self.sizes = [_DIRECTIONS * _FINE**2] + [0] * (encoder is not None)
        self.feature_size = _DIRECTIONS * _COARSE**2
        self.register_buffer("power", torch.ones(()))

    def fit(self, x: Tensor, generator: Generator | None) -> None:
        """Choose the power in whose view a sample of the images is told best from the same images, turned."""
        from sklearn.metrics import roc_auc_score  # here, as the forest of known anomalies is imported

        x = x[:_SAMPLE]
        turned, sources = inventions.turned(x, len(x), generator)
        both = torch.cat([by_blocks(self._histogram, images, x[0].numel()) for images in (x, turned)])
        own = torch.cat([torch.arange(len(x), device=x.device), sources])

        def auroc(power: float) -> float:
            view = _normalized(both, power)
            view = view - view[: len(x)].mean(dim=0)
            distances = nearest(view, view[: len(x)], _NEIGHBORS, own)[0].mean(dim=1)
            return float(roc_auc_score(np.repeat([0, 1], len(x)), distances.cpu()))

        self.power.fill_(max(_POWERS, key=auroc))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Give all views of images (batch, C, H, W)."""
        views = [_normalized(self._histogram(x), self.power)]
        return views if self.encoder is None else [*views, self.encoder(x).flatten(1)]

    def _histogram(self, x: Tensor) -> Tensor:
        return histograms(directions(x), _FINE)

    def features(self, x: Tensor) -> Tensor:
        """Give the histograms over few cells."""
        return histograms(directions(x), _COARSE)

    def locate(self, view: int, parts: Tensor) -> Tensor:
        """Give each pixel its share of its cell's; an encoder's features are everywhere."""
        channels, height, width = self.input_shape
        if view == 0:
            cells = parts.view(-1, _DIRECTIONS, _FINE, _FINE).sum(dim=1, keepdim=True)
        else:
            cells = parts.sum(dim=1).view(-1, 1, 1, 1)
        pixels = F.interpolate(cells, size=(height, width), mode="bilinear")
        return pixels.expand(-1, channels, -1, -1) / channels


def directions(x: Tensor) -> Tensor:
    """Divide the length of each pixel's gradient among the two nearest of eight directions.

    Parameters
    ----------
    x : Tensor of shape (batch, C, H, W)
        Of several channels the one with the longest gradient counts.

    Returns
    -------
    Tensor of shape (batch, 8, H, W)
        Towards what is brighter: to the right, and on in steps of 45 degrees, by way of down.
    """
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    length, channel = (across.square() + down.square()).max(dim=1, keepdim=True)
    angle = torch.atan2(down.gather(1, channel), across.gather(1, channel)) / (2 * math.pi) * _DIRECTIONS
    distance = (angle - torch.arange(_DIRECTIONS, device=x.device).view(1, -1, 1, 1)).remainder(_DIRECTIONS)
    distance = torch.minimum(distance, _DIRECTIONS - distance)
    return length.sqrt() * (1 - distance).clamp(min=0)


def histograms(maps: Tensor, grid: int) -> Tensor:
    """Average the maps (batch, 8, H, W) of :func:`directions` over grid x grid cells: (batch, 8 * grid * grid).

    A pixel counts for the cells whose middles are less than the size of a cell away, the more the nearer it is.
    """
    rows, columns = (_nearness(size, grid, maps) for size in maps.shape[2:])
    return (rows @ maps @ columns.T).flatten(1)


def _normalized(histogram: Tensor, power: float | Tensor) -> Tensor:
    return F.normalize(histogram**power, dim=1, eps=_TINY)


def _nearness(size: int, grid: int, like: Tensor) -> Tensor:
    """Give what each of ``size`` pixels in a line counts for each of so many cells: (grid, size), with sums of 1."""
    cell = max(size / grid, 1.0)
    middles = (torch.arange(grid, device=like.device, dtype=like.dtype) + 0.5) * (size / grid) - 0.5
    distance = (torch.arange(size, device=like.device, dtype=like.dtype) - middles[:, None]).abs()
    return F.normalize((1 - distance / cell).clamp(min=0), p=1, dim=1)


def make_views(input_shape: tuple[int, ...], encoder: Callable[[Tensor], Tensor] | None = None) -> Views:
    """Make the views of a kind of input.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    encoder : callable or None, default=None
        See :class:`ImageViews`.

    Returns
    -------
    Views
    """
    return TableViews(*input_shape) if len(input_shape) == 1 else ImageViews(input_shape, encoder)
