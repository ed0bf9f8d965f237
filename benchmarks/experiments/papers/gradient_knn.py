"""A rival for images that is no detector of PyOD: its KNN on histograms of the directions of gradients."""

import math

import torch

from benchmarks.detectors.adapters import Adapter
from benchmarks.detectors.rivals import RIVALS, Rival
from pyod_synth.gated_knn.views import directions, histograms

_CELLS = 4  # pixels across


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
    blocks = [histograms(directions(block), math.ceil(side / _CELLS)) for block in images.split(1000)]
    return torch.nn.functional.normalize(torch.cat(blocks)).numpy()


RIVALS["GradientKNN"] = Rival("pyod.models.knn.KNN", adapter=GradientHistograms)
