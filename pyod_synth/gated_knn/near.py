"""How far a row lies from its nearest training rows, in several views that invented anomalies have weighed.

The statistics of all views (:class:`~pyod_synth.gated_knn.neighbors.Memory`) are standardised over the remembered rows,
and joined by the weights of :func:`~pyod_synth.gated_knn.gate.weigh`.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from pyod_synth.gated_knn import inventions
from pyod_synth.gated_knn.gate import weigh
from pyod_synth.gated_knn.neighbors import Memories
from pyod_synth.gated_knn.views import Views
from pyod_synth.training import by_blocks

_INVENTED = 500  # of each kind, but not more than there are training rows
_LEAST_DEVIATION = 1e-6


class Near(nn.Module):
    """Memories in all views, what is usual for their statistics, and weights.

    Parameters
    ----------
    sizes : list of int
        Of the views.
    n_neighbors : int
    """

    mean: Tensor
    deviation: Tensor
    weights: Tensor

    def __init__(self, sizes: list[int], n_neighbors: int):
        super().__init__()
        count = len(sizes)
        self.memories = Memories(sizes, n_neighbors)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))
        self.register_buffer("weights", torch.full((count,), 1 / count))

    def fit(self, x: Tensor, views: list[Tensor], see: Views, generator: Generator | None) -> Tensor:
        """Remember training rows (n, *input_shape), given in all views too, and weigh the views.

        Returns
        -------
        Tensor of shape ()
            Mean evidence of rows with noise added to them: how many deviations it stands out.
        """
        columns = []
        for memory, view in self.memories.beside(views):
            memory.remember(view)
            columns.append(memory.settle(*by_blocks(memory.neighbors, view)))
        statistics = torch.stack(columns, dim=1)
        self.mean, self.deviation = statistics.mean(dim=0), statistics.std(dim=0, correction=0) + _LEAST_DEVIATION
        normal, count = (statistics - self.mean) / self.deviation, min(len(x), _INVENTED)

        def of_invented(function: Callable[..., Tensor], invented: Tensor, sources: Tensor) -> Tensor:
            numbers = torch.arange(len(invented), device=x.device)
            return by_blocks(lambda i: function(see(invented[i]), sources[i]), numbers, x[0].numel())

        invented = of_invented(self.statistics, *inventions.for_gate(x, count, generator))
        invented = (invented - self.mean) / self.deviation
        weights = torch.from_numpy(weigh(normal.cpu().numpy(), invented.cpu().numpy())).to(x)
        self.weights = weights / ((normal @ weights).std(correction=0) + _LEAST_DEVIATION)
        return of_invented(self, *inventions.noisy(x, count, generator)).mean()

    def forward(self, views: list[Tensor], left_out: Tensor | None = None) -> Tensor:
        """Give the evidence of rows, in each view (batch, size): (batch,), of unit deviation over training rows.

        ``left_out`` (batch,) are remembered rows that are not to be found, as of
        :func:`~pyod_synth.gated_knn.neighbors.nearest`.
        """
        evidence = torch.zeros_like(views[0][:, 0])
        for number, (memory, view) in enumerate(self.memories.beside(views)):
            # the gate leaves some views out; a graph of operations cannot
            if torch.compiler.is_compiling() or self.weights[number] > 0:
                statistic = (memory(view, left_out) - self.mean[number]) / self.deviation[number]
                evidence = evidence + self.weights[number] * statistic
        return evidence

    def statistics(self, views: list[Tensor], left_out: Tensor | None = None) -> Tensor:
        """Give the statistics of all views side by side: (batch, views)."""
        return torch.stack([memory(view, left_out) for memory, view in self.memories.beside(views)], dim=1)

    def shares(self, views: list[Tensor], see: Views) -> Tensor:
        """Divide the evidence among the inputs that differ from the nearest rows: (batch, *input_shape)."""
        parts = []
        for number, (memory, view) in enumerate(self.memories.beside(views)):
            parts.append(self.weights[number] * shares(see.locate(number, memory.squared_differences(view))))
        return torch.stack(parts).sum(dim=0)


def shares(parts: Tensor) -> Tensor:
    """Scale each row of non-negative numbers to a sum of one; equal shares where all are zero."""
    flat = parts.flatten(1)
    total = flat.sum(dim=1, keepdim=True)
    scaled = flat / total.clamp(min=torch.finfo(parts.dtype).tiny)
    return torch.where(total > 0, scaled, 1 / flat.shape[1]).view_as(parts)
