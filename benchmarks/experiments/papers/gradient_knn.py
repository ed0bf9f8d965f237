"""A rival for images that is no detector of PyOD: its KNN on histograms of the directions of gradients."""

import math

import torch
from torch.nn.functional import adaptive_avg_pool2d, normalize, pad

from benchmarks.detectors.adapters import Adapter
from benchmarks.detectors.rivals import RIVALS, Rival

_CELLS, _DIRECTIONS = 4, 8  # pixels across; of lines, so that dark to bright is as bright to dark


class GradientHistograms(Adapter):
    """A model that sees square images, grey or in colour, as histograms over cells of 4 x 4 pixels, of length 1."""

    def _fit(self, X, y):
        self.model.fit(_describe(X), y)

    def _score(self, X):
        return self.model.decision_function(_describe(X))


def _describe(X):
    channels = 1 if math.isqrt(X.shape[1]) ** 2 == X.shape[1] else 3
    side = math.isqrt(X.shape[1] // channels)
    images = torch.as_tensor(X, dtype=torch.float32).view(-1, channels, side, side)
    blocks = [adaptive_avg_pool2d(_directions(block), math.ceil(side / _CELLS)) for block in images.split(1000)]
    return normalize(torch.cat(blocks).flatten(1)).numpy()


def _directions(images):
    """Divide the length of each pixel's gradient, of the channel with the longest, among the two nearest directions."""
    padded = pad(images, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    length, channel = (across.square() + down.square()).max(dim=1, keepdim=True)
    angle = torch.atan2(down.gather(1, channel), across.gather(1, channel)) / math.pi * _DIRECTIONS
    distance = (angle - torch.arange(_DIRECTIONS).view(1, -1, 1, 1)).remainder(_DIRECTIONS)
    return length.sqrt() * (1 - torch.minimum(distance, _DIRECTIONS - distance)).clamp(min=0)


RIVALS["GradientKNN"] = Rival("pyod.models.knn.KNN", adapter=GradientHistograms)
