"""A random forest as arrays: it votes wherever torch computes, and is saved like the weights of a network."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

_ROWS = 256  # that walk down all trees at a time: what they need stays in a processor's cache


class Forest(nn.Module):
    """The trees of a fitted classifier of two classes, one after another in the same arrays.

    A leaf is its own child on both sides, so that rows which reached one stay there while others walk on.

    Parameters
    ----------
    size : int
        Number of features.
    """

    roots: Tensor  # (trees,), int32: their nodes
    branches: Tensor  # (nodes, 2), int32: where rows up to the threshold go, and the others; never backwards
    feature: Tensor  # (nodes,), int32
    threshold: Tensor  # (nodes,), float32
    votes: Tensor  # (nodes,), float32: share of class 1 among the training rows there

    def __init__(self, size: int):
        super().__init__()
        self.size = size
        self.depth = 0  # most steps from a root to a leaf
        self.register_buffer("roots", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("feature", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("branches", torch.zeros(0, 2, dtype=torch.int32))
        self.register_buffer("threshold", torch.zeros(0))
        self.register_buffer("votes", torch.zeros(0))
        self.register_load_state_dict_post_hook(_check_trees)

    @property
    def is_planted(self) -> bool:
        """Whether there are trees."""
        return len(self.roots) > 0

    def plant(self, forest: "RandomForestClassifier") -> None:
        """Take over the trees of a fitted forest, on the device that this one is on."""
        trees = [tree.tree_ for tree in forest.estimators_]
        starts = np.cumsum([0, *(tree.node_count for tree in trees)])
        itself = np.arange(starts[-1])
        own = [np.stack([tree.children_left, tree.children_right], axis=1) for tree in trees]
        children = np.concatenate([start + pair for start, pair in zip(starts[:-1], own, strict=True)])
        is_leaf = np.concatenate([tree.children_left < 0 for tree in trees])
        counts = np.concatenate([tree.value[:, 0] for tree in trees])
        arrays = {
            "roots": starts[:-1],
            "branches": np.where(is_leaf[:, None], itself[:, None], children),
            "feature": np.where(is_leaf, 0, np.concatenate([tree.feature for tree in trees])),
            "threshold": np.where(is_leaf, 0, _below(np.concatenate([tree.threshold for tree in trees]))),
            "votes": counts[:, 1] / counts.sum(axis=1),
        }
        for name, array in arrays.items():
            setattr(self, name, torch.from_numpy(array).to(getattr(self, name)))
        self.depth = max(tree.max_depth for tree in trees)

    def forward(self, x: Tensor) -> Tensor:
        """Give the mean vote of the trees for rows (batch, size): (batch,)."""
        if torch.compiler.is_compiling():  # to a graph, which has no loops
            return self._votes(x)
        return torch.cat([self._votes(rows) for rows in x.split(_ROWS)])

    def _votes(self, x: Tensor) -> Tensor:
        n, trees = x.shape[0], len(self.roots)
        children, values = self.branches.flatten(), x.flatten()
        node = self.roots.repeat(n)
        start = (x.shape[1] * torch.arange(n, dtype=torch.int32, device=x.device)).repeat_interleave(trees)
        for _ in range(self.depth):
            value = values.index_select(0, start + self.feature.index_select(0, node))
            right = value > self.threshold.index_select(0, node)
            node = children.index_select(0, 2 * node + right)
        return self.votes.index_select(0, node).view(n, trees).mean(dim=1)


def _below(threshold: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Round down to float32: float32 features are on the same side of it as of the float64 threshold."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _check_trees(forest: Forest, keys: Any) -> None:
    """Refuse loaded trees that lead somewhere else than to a leaf, and measure the others."""
    nodes = len(forest.feature)
    if {len(forest.branches), len(forest.threshold), len(forest.votes)} != {nodes}:
        raise ValueError("the arrays of the forest are not of the same length")
    if forest.feature.is_meta:  # sizes alone
        return
    own = torch.arange(nodes, device=forest.feature.device)[:, None]
    forward = (forest.branches >= own).all() and (forest.branches < nodes).all()
    within = all(
        ((numbers >= 0) & (numbers < limit)).all()
        for numbers, limit in ((forest.roots, nodes), (forest.feature, forest.size))
    )
    if not (forward and within):
        raise ValueError("the trees of the forest lead out of it")
    level, forest.depth = forest.roots.unique(), 0
    while not torch.equal(below := forest.branches[level].unique(), level):  # only leaves lead to themselves
        level, forest.depth = below, forest.depth + 1
