"""GatedKNN without one of its parts, to see what each is worth."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar
from unittest.mock import patch

import numpy as np
import torch

from pyod_synth import GatedKNN
from pyod_synth.gated_knn import gate, inventions
from pyod_synth.gated_knn.known import Likeness
from pyod_synth.gated_knn.whole import Whole


def _weigh_some(keep):
    """Make a gate that weighs some statistics, and gives the others no weight."""

    def weigh(normal, invented):
        weights = np.zeros(normal.shape[1])
        weights[keep] = gate.weigh(normal[:, keep], invented[:, keep])
        return weights

    return weigh


def _distance(self, distances, index):
    """Give the distance from near rows, without what is usual in that place."""
    return torch.log(distances.mean(dim=1) + self.floor)


def _likeness_of(parts):
    """Make evidence of known anomalies of some of its parts: the nearness, the forest."""
    forward = Likeness.forward

    def part(self, views, features):
        near = -((torch.log(self.distances(views) + self.floors) - self.mean) / self.deviation).mean(dim=1)
        return near if parts == "memory" else forward(self, views, features) - near

    return part


def _learn_from_all(self, known, others, distances, scores, seed, learn=Likeness.learn):
    """Let the forest learn from all other rows, by repeating them in the half that would be left out."""
    twice = [torch.cat([x, x]) for x in (others, distances)]
    scores = torch.cat([torch.zeros_like(scores), torch.ones_like(scores)])
    return learn(self, known, *twice, scores, seed)


class _Ablated(GatedKNN):
    patches: ClassVar[dict] = {}

    def fit(self, X, y=None):
        with self._patched():
            return super().fit(X, y)

    def decision_function(self, X):
        with self._patched():
            return super().decision_function(X)

    def _patched(self):
        stack = ExitStack()
        for target, new in self.patches.items():
            stack.enter_context(patch(f"pyod_synth.gated_knn.{target}", new))
        return stack


def _without(name, target, new):
    base = dataclass(kw_only=True, eq=False, repr=False)
    return base(type(name, (_Ablated,), {"patches": {target: new}, "__module__": __name__, "__doc__": name}))


WithoutStandardized = _without("WithoutStandardized", "near.weigh", _weigh_some([1, 2]))
WithoutRange = _without("WithoutRange", "near.weigh", _weigh_some([0, 2]))
WithoutAsinh = _without("WithoutAsinh", "near.weigh", _weigh_some([0, 1]))
WithoutLocality = _without("WithoutLocality", "neighbors.Memory.forward", _distance)
WithoutGate = _without(
    "WithoutGate", "near.weigh", lambda normal, invented: np.full(normal.shape[1], 1 / normal.shape[1])
)
WithoutExtrapolated = _without("WithoutExtrapolated", "inventions.for_gate", inventions.uniform)
WithoutUniform = _without("WithoutUniform", "inventions.for_gate", inventions.extrapolated)
NoiseForBoth = _without("NoiseForBoth", "inventions.for_gate", inventions.noisy)
DiscountFrom1 = _without("DiscountFrom1", "core._SEEN", 1.0)
DiscountFrom10 = _without("DiscountFrom10", "core._SEEN", 10.0)
WithoutDiscount = _without("WithoutDiscount", "core._SEEN", 1e9)
WithoutFar = _without(
    "WithoutFar", "whole.Whole.forward", lambda self, x, views: Whole._statistics(self, x, views)[:, 1]
)
WithoutBounded = _without(
    "WithoutBounded", "whole.Whole.forward", lambda self, x, views: Whole._statistics(self, x, views)[:, 0]
)
WithoutForest = _without("WithoutForest", "known.Likeness.forward", _likeness_of("memory"))
WithoutMemoryOfKnown = _without("WithoutMemoryOfKnown", "known.Likeness.forward", _likeness_of("forest"))
ForestOfAllRows = _without("ForestOfAllRows", "known.Likeness.learn", _learn_from_all)
SquareRoots = _without("SquareRoots", "views._POWERS", [0.5])
Lengths = _without("Lengths", "views._POWERS", [1.0])
