"""Near evidence, evidence of the whole, and evidence of known anomalies, joined to a score."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from pyod_synth.core import Core, Player
from pyod_synth.gated_knn import inventions
from pyod_synth.gated_knn.known import Likeness
from pyod_synth.gated_knn.near import Near, shares
from pyod_synth.gated_knn.neighbors import Memory
from pyod_synth.gated_knn.views import make_views
from pyod_synth.gated_knn.whole import Whole
from pyod_synth.training import by_blocks

_SEEN = 3.0  # deviations by which noise may stand out in near evidence before that of the whole is discounted


class GatedKNNCore(Core):
    """All evidence, and how it is joined.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    n_neighbors, memory_size, contaminated, use_labels, encoder
        As of :class:`pyod_synth.gated_knn.GatedKNN`.
    """

    discount: Tensor

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        n_neighbors: int,
        memory_size: int,
        contaminated: bool | None,
        use_labels: bool,
        encoder: Callable[[Tensor], Tensor] | None,
    ):
        super().__init__()
        self.memory_size = memory_size
        self.views = make_views(input_shape, encoder)
        self.near = None if contaminated else Near(self.views, n_neighbors)
        self.whole = None if contaminated is False else Whole(input_shape, self.views.sizes[-1])
        self.likeness = Likeness(self.views.sizes, self.views.feature_size) if use_labels else None
        self.register_buffer("discount", torch.zeros(()))
        self.register_load_state_dict_pre_hook(_make_room)
        self.known: Tensor | None = None  # known anomalies, until the core is calibrated
        self.learned_from: tuple[Any, Any] | None = None  # what Likeness.learn gave
        self.remembered: tuple[Tensor, Tensor] | None = None  # their numbers and near evidence, until they are scored

    def training_loss(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Nothing is trained.

        Raises
        ------
        NotImplementedError
        """
        raise NotImplementedError("GatedKNN has nothing to train")

    def players(self) -> list[Player]:
        """Nobody."""
        return []

    def calibrate(self, x: Tensor) -> None:
        """Remember training rows, join their views, and learn what is usual."""
        order = torch.randperm(len(x), generator=self.generator, device=x.device)
        rows = x[order[: self.memory_size]]
        self.views.fit(rows, self.generator)
        views = self._all_views(rows)
        if self.near is not None:
            evidence, noise = self.near.fit(rows, views, self.views, self.generator)
            self.remembered = order[: self.memory_size], evidence
            self.discount = torch.log(noise.clamp(min=_SEEN) / _SEEN)
        if self.whole is not None:
            self.whole.fit(rows, views)
        if self.likeness is not None and self.known is not None:
            self.learned_from = self._learn(self.likeness, self.known, x)
            self.known = None

    def anomaly_score(self, x: Tensor) -> Tensor:
        """Score of the package's text."""
        return self._score(x)

    def training_scores(self, x: Tensor) -> Tensor:
        """Score the training rows; if all are remembered, it is known already which are near to each."""
        remembered, self.remembered = self.remembered, None
        if remembered is None or len(remembered[0]) < len(x):
            return by_blocks(self.anomaly_score, x)
        near = torch.empty_like(remembered[1]).scatter(0, *remembered)
        numbers = torch.arange(len(x), device=x.device)
        return by_blocks(lambda some: self._score(x[some], near[some]), numbers, x[0].numel())

    def _score(self, x: Tensor, near: Tensor | None = None) -> Tensor:
        views = self.views(x)
        score = self._evidence(x, views, near).amax(dim=1)
        if self.likeness is not None and self.likeness.forest.is_planted:
            score = score + self.likeness(views, self.views.features(x))
        return score

    def embed(self, x: Tensor) -> Tensor:
        """Give the rows in all views, side by side."""
        return torch.cat(self.views(x), dim=1)

    def contributions(self, x: Tensor, typical: Tensor) -> Tensor:
        """Divide the larger of near evidence and that of the whole among inputs: (batch, *input_shape)."""
        views, column = self.views(x), (-1,) + (1,) * (x.ndim - 1)
        parts = [] if self.near is None else [self.near.shares(views, self.views)]
        parts += [] if self.whole is None else [self.whole.shares(x, views, self.views)]
        evidence, larger = (found.view(column) for found in self._evidence(x, views).max(dim=1))
        divided = shares(torch.where(larger == 0, parts[0], parts[-1]))
        return evidence.clamp(min=0) * divided + evidence.clamp(max=0) / x[0].numel()

    def nearest_normal(self, x: Tensor, threshold: float) -> Tensor:
        """Find the nearest of the remembered rows that score as normal.

        Raises
        ------
        NotImplementedError
            For images, of which histograms alone are remembered.
        """
        if x.ndim != 2:
            raise NotImplementedError(
                "GatedKNN remembers histograms of images and no images; NCAE and NoveltyNormalization restore images"
            )
        if self.near is not None:
            memory = cast(Memory, self.near.memories[0])  # rows as they are
            rows = memory.rows + memory.centre
        else:
            assert self.whole is not None
            rows = torch.sinh(self.whole.sample + self.whole.origin) / 2  # the last view is asinh(2 x)
        scores = by_blocks(self.anomaly_score, rows)
        normal = rows[scores <= max(threshold, scores.min().item())]
        index = by_blocks(lambda block: torch.cdist(block, normal).argmin(dim=1), x, max(x.shape[1], len(normal)))
        return normal[index]

    def invent(self, x: Tensor, generator: Generator) -> Tensor:
        """Turn images, and change rows of a table as for the gate.

        Raises
        ------
        ValueError
            If there is but one row of a table, since two are needed to go beyond one of them.
        """
        if x.ndim > 2:
            return inventions.turned(x, len(x), generator)[0]
        if len(x) == 1:
            raise ValueError("X must hold at least two rows to invent anomalies from, got 1")
        return inventions.for_gate(x, len(x), generator)[0]

    def _evidence(self, x: Tensor, views: list[Tensor], near: Tensor | None = None) -> Tensor:
        """Give near evidence, unless it is known, and that of the whole, where there are both: (batch, 1 or 2)."""
        evidence = [] if self.near is None else [self.near(views) if near is None else near]
        evidence += [] if self.whole is None else [self.whole(x, views) - self.discount]
        return torch.stack(evidence, dim=1)

    def _all_views(self, rows: Tensor) -> list[Tensor]:
        """Compute each view of all rows, block by block."""
        sizes = [view.shape[1] for view in self.views(rows[:1])]
        return list(by_blocks(self.embed, rows, max(rows[0].numel(), sum(sizes))).split(sizes, dim=1))

    def _learn(self, likeness: Likeness, known: Tensor, others: Tensor) -> tuple[Any, Any]:
        """Learn from known anomalies (a, ...) and the other training rows (n, ...)."""
        likeness.remember(self._all_views(known))
        return likeness.learn(
            by_blocks(self.views.features, known),
            by_blocks(self.views.features, others),
            by_blocks(lambda block: likeness.distances(self.views(block)), others),
            by_blocks(self.anomaly_score, others),
            int(torch.randint(2**31, (), generator=self.generator, device=known.device)),
        )


def _make_room(core: nn.Module, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
    """Let a fresh core load memories of any length: what has the size 0 takes the size that comes."""
    for name, buffer in list(core.named_buffers()):
        given = state.get(f"{prefix}{name}")
        if given is not None and given.ndim == buffer.ndim:
            owner, _, attribute = name.rpartition(".")
            shape = [size or other for size, other in zip(buffer.shape, given.shape, strict=True)]
            setattr(core.get_submodule(owner), attribute, buffer.new_empty(shape))
