"""Known anomalies -> evidence that a row is like them: how near it is to them, and what a random forest says.

With d_v the distance to the nearest known anomaly in view v, and p the share of the forest's trees that say anomaly,

    -mean_v z(log(d_v + e_v)) + 2 log((p + .01) / (1.01 - p)),

z standardised over the other training rows. The first part serves a handful of known anomalies, the second many. The
forest learns to tell them from the half of the other training rows that look most normal: most of the anomalies that
nobody has labelled are in the other half.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyod_synth.gated_knn.forest import Forest
from pyod_synth.gated_knn.neighbors import Memories, floor

_TREES = 200
_FOREST_WEIGHT = 2.0
_LEAST_VOTE = 0.01
_LEAST_DEVIATION = 1e-6


class Likeness(nn.Module):
    """How like known anomalies rows are.

    Parameters
    ----------
    sizes : list of int
        Of the views.
    feature_size : int
        Number of features for the forest.

    Attributes
    ----------
    forest : Forest
        Without trees before :meth:`learn`: there are no known anomalies.
    """

    floors: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, sizes: list[int], feature_size: int):
        super().__init__()
        count = len(sizes)
        self.memories = Memories(sizes, 1)
        self.register_buffer("floors", torch.ones(count))
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))
        self.forest = Forest(feature_size)

    def remember(self, views: list[Tensor]) -> None:
        """Remember the known anomalies, given in each view as (a, size)."""
        for memory, view in self.memories.beside(views):
            memory.remember(view)

    def distances(self, views: list[Tensor]) -> Tensor:
        """Distances of rows, given in each view as (batch, size), from the nearest known anomaly: (batch, views)."""
        return torch.stack([memory.mean_distance(view) for memory, view in self.memories.beside(views)], dim=1)

    def learn(self, known: Tensor, others: Tensor, distances: Tensor, scores: Tensor, seed: int) -> tuple[Any, Any]:
        """Learn from the known anomalies and the other training rows.

        Parameters
        ----------
        known : Tensor of shape (a, k)
        others : Tensor of shape (n, k)
            Features for the forest.
        distances : Tensor of shape (n, views)
            Of the other rows, from :meth:`distances`.
        scores : Tensor of shape (n,)
            How anomalous the other rows look without labels.
        seed : int

        Returns
        -------
        normal : ndarray of int
            The other rows that the forest learned from.
        optimism : ndarray of shape (a + len(normal),), float32
            By how much a known anomaly, and then those rows, score higher than by trees that did not learn from them.
        """
        from sklearn.ensemble import RandomForestClassifier  # here, for it takes longer to import than all of GatedKNN

        self.floors = torch.stack([floor(column) for column in distances.T])
        logs = torch.log(distances + self.floors)
        self.mean, self.deviation = logs.mean(dim=0), logs.std(dim=0, correction=0) + _LEAST_DEVIATION
        normal = scores.argsort()[: math.ceil(len(scores) / 2)]
        x = torch.cat([known, others[normal]]).cpu().numpy()
        y = np.repeat([1, 0], [len(known), len(normal)])
        forest = RandomForestClassifier(_TREES, class_weight="balanced_subsample", oob_score=_count, random_state=seed)
        self.forest.plant(forest.fit(x, y))
        votes = self.forest(torch.from_numpy(x).to(known.device))
        others_votes = torch.from_numpy(forest.oob_decision_function_[:, 1]).to(votes)
        others_votes = torch.where(others_votes.isfinite(), others_votes, votes)
        optimism = _FOREST_WEIGHT * (_log_odds(votes) - _log_odds(others_votes))
        return normal.cpu().numpy(), optimism.cpu().numpy()

    def forward(self, views: list[Tensor], features: Tensor) -> Tensor:
        """Give the evidence of the module's text: (batch,)."""
        near = (torch.log(self.distances(views) + self.floors) - self.mean) / self.deviation
        return _FOREST_WEIGHT * _log_odds(self.forest(features)) - near.mean(dim=1)


def _log_odds(votes: Tensor) -> Tensor:
    return torch.log((votes + _LEAST_VOTE) / (1 + _LEAST_VOTE - votes))


def _count(y: np.ndarray[Any, Any], votes: np.ndarray[Any, Any]) -> float:
    """Stand for a score of the forest, which nobody asks for: out-of-bag votes come only with one."""
    return math.nan
