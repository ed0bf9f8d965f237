"""How far a row lies from its nearest training rows, in all its views.

A search takes most of the time. Tables are searched in one view alone, for twice as many rows as are wanted, of which
each view then takes those that are nearest in it. The views of images differ more, and each is searched.

The statistics of all views (:class:`~pyod_synth.gated_knn.neighbors.Memory`) are standardised over the remembered rows,
and joined: those of tables by the weights of :func:`~pyod_synth.gated_knn.gate.weigh`, those of images by equal ones.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from pyod_synth.gated_knn import inventions
from pyod_synth.gated_knn.gate import weigh
from pyod_synth.gated_knn.neighbors import Memories
from pyod_synth.gated_knn.views import Views
from pyod_synth.training import by_blocks

_CANDIDATES = 2  # times as many as neighbours, where one view finds them for all
_INVENTED = 500  # with noise, and twice as many for the gate; but not more than there are training rows
_LEAST_DEVIATION = 1e-6


class Near(nn.Module):
    """Memories in all views, what is usual for their statistics, and weights.

    Parameters
    ----------
    views : Views
        Which there are, and how they are searched and joined.
    n_neighbors : int
    """

    mean: Tensor
    deviation: Tensor
    weights: Tensor

    def __init__(self, views: Views, n_neighbors: int):
        super().__init__()
        count, self.searched = len(views.sizes), views.searched
        self.memories = Memories(views.sizes, n_neighbors, views.locality)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))
        self.register_buffer("weights", torch.full((count,), 1 / count))

    def fit(self, x: Tensor, views: list[Tensor], see: Views, generator: Generator | None) -> tuple[Tensor, Tensor]:
        """Remember training rows (n, *input_shape), given in all views too, and join the views.

        Returns
        -------
        evidence : Tensor of shape (n,)
            Of these rows.
        noise : Tensor of shape ()
            Mean evidence of rows with noise added to them: how many deviations it stands out.
        """
        for memory, view in self.memories.beside(views):
            memory.remember(view)

        def neighbors(numbers: Tensor) -> tuple[Tensor, Tensor]:
            find = self._finder([view[numbers] for view in views])
            distances, index = zip(*(find(number) for number in range(len(views))), strict=True)
            return torch.stack(distances, dim=1), torch.stack(index, dim=1)

        numbers = torch.arange(len(x), device=x.device)
        distances, index = by_blocks(neighbors, numbers, sum(view.shape[1] for view in views))
        found = zip(distances.unbind(dim=1), index.unbind(dim=1), strict=True)
        settled = [memory.settle(*next(found)) for memory, _ in self.memories.beside(views)]
        statistics = torch.stack(settled, dim=1)
        self.mean, self.deviation = statistics.mean(dim=0), statistics.std(dim=0, correction=0) + _LEAST_DEVIATION
        normal, count = (statistics - self.mean) / self.deviation, min(len(x), _INVENTED)

        def of_invented(function: Callable[..., Tensor], invented: Tensor, sources: Tensor) -> Tensor:
            numbers = torch.arange(len(invented), device=x.device)
            return by_blocks(lambda i: function(see(invented[i]), sources[i]), numbers, x[0].numel())

        weights = torch.full_like(self.mean, 1 / len(views))
        if see.gated:
            invented = of_invented(self.statistics, *inventions.for_gate(x, 2 * count, generator))
            invented = (invented - self.mean) / self.deviation
            weights = torch.from_numpy(weigh(normal.cpu().numpy(), invented.cpu().numpy())).to(x)
        self.weights = weights / ((normal @ weights).std(correction=0) + _LEAST_DEVIATION)
        return normal @ self.weights, of_invented(self, *inventions.noisy(x, count, generator)).mean()

    def forward(self, views: list[Tensor], left_out: Tensor | None = None) -> Tensor:
        """Give the evidence of rows, in each view (batch, size): (batch,), of unit deviation over training rows.

        ``left_out`` (batch,) are remembered rows that are not to be found, as of
        :func:`~pyod_synth.gated_knn.neighbors.nearest`.
        """
        find, evidence = self._finder(views, left_out), torch.zeros_like(views[0][:, 0])
        for number, (memory, _) in enumerate(self.memories.beside(views)):
            # the gate leaves some views out; a graph of operations cannot
            if torch.compiler.is_compiling() or self.weights[number] > 0:
                statistic = (memory(*find(number)) - self.mean[number]) / self.deviation[number]
                evidence = evidence + self.weights[number] * statistic
        return evidence

    def statistics(self, views: list[Tensor], left_out: Tensor | None = None) -> Tensor:
        """Give the statistics of all views side by side: (batch, views)."""
        find = self._finder(views, left_out)
        columns = [memory(*find(number)) for number, (memory, _) in enumerate(self.memories.beside(views))]
        return torch.stack(columns, dim=1)

    def shares(self, views: list[Tensor], see: Views) -> Tensor:
        """Divide the evidence among the inputs that differ from the nearest rows: (batch, *input_shape)."""
        find, parts = self._finder(views), []
        for number, (memory, view) in enumerate(self.memories.beside(views)):
            differences = memory.squared_differences(view, find(number)[1])
            parts.append(self.weights[number] * shares(see.locate(number, differences)))
        return torch.stack(parts).sum(dim=0)

    def _finder(self, views: list[Tensor], left_out: Tensor | None = None) -> Callable[[int], tuple[Tensor, Tensor]]:
        """Prepare to find the nearest remembered rows in a view, by its number, as :func:`nearest` gives them."""
        beside = self.memories.beside(views)

        def by_itself(number: int) -> tuple[Tensor, Tensor]:
            memory, view = beside[number]
            return memory.neighbors(view, left_out)

        if self.searched is None:
            return by_itself
        memory, view = beside[self.searched]
        _, candidates = memory.neighbors(view, left_out, _CANDIDATES)

        def among_candidates(number: int) -> tuple[Tensor, Tensor]:
            memory, view = beside[number]
            return memory.among(view, candidates)

        return among_candidates


def shares(parts: Tensor) -> Tensor:
    """Scale each row of non-negative numbers to a sum of one; equal shares where all are zero."""
    flat = parts.flatten(1)
    total = flat.sum(dim=1, keepdim=True)
    scaled = flat / total.clamp(min=torch.finfo(parts.dtype).tiny)
    return torch.where(total > 0, scaled, 1 / flat.shape[1]).view_as(parts)
