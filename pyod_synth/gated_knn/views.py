"""A batch of rows or images -> the same in several views, as vectors whose distances mean something.

Tables are seen standardised, scaled to [0, 1], and through an inverse hyperbolic sine, which keeps a few large values
from deciding alone. Images are seen as histograms h of the directions of their gradients [1]_, of overlapping cells:
over 8 x 8 cells as sqrt(h), sqrt(h / sum(h)) and h / |h|, and over 4 x 4 cells as h / |h|.

References
----------
.. [1] Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_DIRECTIONS = 8
_FINE, _COARSE = 8, 4
_TINY = 1e-6


class Views(nn.Module):
    """What both kinds of input have in common: which views there are, and how to fit and compute them."""

    sizes: list[int]  # of each view; 0 where it is the encoder's
    searched: int | None = None  # the view whose neighbours are near in the others too, if there is one
    locality: float  # how much counts what is usual in a place, from 0 to 1
    feature_size: int  # of what features gives

    def fit(self, x: Tensor) -> None:
        """Learn what a view needs to know of the training rows (n, *input_shape). By default nothing."""

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

    searched, locality = 1, 0.5
    low: Tensor
    span: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.sizes, self.feature_size = [size] * 3, size
        self.register_buffer("low", torch.zeros(size))
        self.register_buffer("span", torch.ones(size))

    def fit(self, x: Tensor) -> None:
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
    """Histograms of gradient directions, and a given encoder's features if there is one.

    Parameters
    ----------
    input_shape : tuple of int
        (C, H, W).
    encoder : callable or None
        From images (batch, C, H, W) to features (batch, ...).
    """

    locality = 0.0

    def __init__(self, input_shape: tuple[int, ...], encoder: Callable[[Tensor], Tensor] | None = None):
        super().__init__()
        self.input_shape, self.encoder = input_shape, deepcopy(encoder)  # it moves and is cast with the core
        self.grids = (_FINE, _FINE, _FINE, _COARSE)
        self.sizes = [_DIRECTIONS * grid**2 for grid in self.grids] + [0] * (encoder is not None)
        self.feature_size = _DIRECTIONS * _COARSE**2

    def forward(self, x: Tensor) -> list[Tensor]:
        """Give all views of images (batch, C, H, W)."""
        maps = directions(x)
        fine, coarse = histograms(maps, _FINE), histograms(maps, _COARSE)
        views = [fine.sqrt(), F.normalize(fine, p=1, dim=1, eps=_TINY).sqrt(), F.normalize(fine, dim=1, eps=_TINY)]
        views.append(F.normalize(coarse, dim=1, eps=_TINY))
        if self.encoder is not None:
            views.append(self.encoder(x).flatten(1))
        return views

    def features(self, x: Tensor) -> Tensor:
        """Give the histograms over the fewest cells."""
        return histograms(directions(x), _COARSE)

    def locate(self, view: int, parts: Tensor) -> Tensor:
        """Give each pixel its share of its cell's; an encoder's features are everywhere."""
        channels, height, width = self.input_shape
        if view < len(self.grids):
            grid = self.grids[view]
            cells = parts.view(-1, _DIRECTIONS, grid, grid).sum(dim=1, keepdim=True)
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
