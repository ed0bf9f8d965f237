"""Rows and a memory of rows -> the nearest remembered ones, and what is usual among them.

A row never counts as its own neighbour: if it coincides with a remembered row, that row is left out. Training rows are
thus treated as new ones are.

The search is a matrix product and a selection in two steps, in float32: on one thread it takes half the time of
scikit-learn's brute-force reduction, runs on any device, and gives blocks of rows to whoever splits them.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

_GROUP = 16
_PRODUCT = 2**21  # numbers of a product of matrices at a time
_FEW = 16  # rows for which remembered ones are not worth copying
_COINCIDE = 1e-4  # relative to the length of a row: what rounding may make of equals, before and after scaling
_FLOOR = 0.1  # of the mean distance
_TINY = 1e-9


def floor(distances: Tensor) -> Tensor:
    """Give what to add to distances before a logarithm: those far below the mean one are alike."""
    return _FLOOR * distances.mean() + _TINY


def smallest(values: Tensor, k: int) -> Tensor:
    """Find the k smallest values of each row.

    The values are divided into groups; the k smallest are members of the k groups with the smallest minima.

    Parameters
    ----------
    values : Tensor of shape (batch, n)
    k : int
        At most n.

    Returns
    -------
    Tensor of shape (batch, k), int64
        Their columns, in no order.
    """
    groups = values.shape[1] // _GROUP
    if groups <= 4 * k:
        return values.topk(k, largest=False, sorted=False).indices
    grouped = groups * _GROUP
    minima = values[:, :grouped].view(-1, _GROUP, groups).amin(dim=1)
    members = torch.arange(0, grouped, groups, device=values.device)
    columns = (minima.topk(k, largest=False, sorted=False).indices[:, :, None] + members).flatten(1)
    rest = torch.arange(grouped, values.shape[1], device=values.device).expand(len(values), -1)
    columns = torch.cat([columns, rest], dim=1)
    return columns.gather(1, values.gather(1, columns).topk(k, largest=False, sorted=False).indices)


def nearest(
    x: Tensor, rows: Tensor, k: int, left_out: Tensor | None = None, squares: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Find the nearest remembered rows.

    Parameters
    ----------
    x : Tensor of shape (batch, size)
    rows : Tensor of shape (n, size)
        The remembered rows, about the origin: far from it, close distances lose digits.
    k : int
    left_out : Tensor of shape (batch,), int64, or None, default=None
        For each row of ``x`` a remembered row that is not to be found. None leaves out the one that the row coincides
        with, if it does.
    squares : Tensor of shape (n,) or None, default=None
        :func:`squared_lengths` of ``rows``, if they are known.

    Returns
    -------
    distances : Tensor of shape (batch, min(k, n - 1) or 1)
        In ascending order.
    index : Tensor of the same shape, int64
        Of the remembered rows.
    """
    squares = squared_lengths(rows) if squares is None else squares
    index = _nearest_by_product(x, rows, squares, min(k + 1, len(rows)), left_out)
    # the product rounds; the differences do not
    distances = (x[:, None] - rows[index]).square().sum(dim=2).sqrt()
    if left_out is not None:
        distances.masked_fill_(index == left_out[:, None], torch.inf)
    distances, order = distances.sort(dim=1)
    index = index.gather(1, order)
    if len(rows) == 1:
        return distances, index
    if left_out is not None:
        return distances[:, :-1], index[:, :-1]
    itself = distances[:, :1] <= _COINCIDE * (1 + x.square().sum(dim=1, keepdim=True).sqrt())
    return (
        torch.where(itself, distances[:, 1:], distances[:, :-1]),
        torch.where(itself, index[:, 1:], index[:, :-1]),
    )


def squared_lengths(rows: Tensor) -> Tensor:
    """Give |r|^2 of rows (n, size): (n,)."""
    return rows.square().sum(dim=1)


def _nearest_by_product(x: Tensor, rows: Tensor, squares: Tensor, k: int, left_out: Tensor | None) -> Tensor:
    """Find the k nearest remembered rows up to rounding, in no order: their index, (batch, k)."""
    # |r|^2 - 2 x r in one product, without |x|^2, which changes no order
    is_graph = torch.compiler.is_compiling()  # which has no loops, and no number of rows
    if not is_graph and len(x) <= _FEW and left_out is None:
        return smallest(torch.addmm(squares, x, rows.T, alpha=-2), k)
    keys = torch.cat([-2 * rows, squares[:, None]], dim=1).T
    padded = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
    if is_graph:
        return (padded @ keys).topk(k, largest=False, sorted=False).indices
    step = max(1, _PRODUCT // len(rows))
    products = x.new_empty(min(step, len(x)), len(rows))  # once: fresh memory takes longer than the product
    found = []
    for start in range(0, len(x), step):
        part = torch.mm(padded[start : start + step], keys, out=products[: len(x) - start])
        if left_out is not None:
            part.scatter_(1, left_out[start : start + step, None], torch.inf)
        found.append(smallest(part, k))
    return torch.cat(found)


class Memory(nn.Module):
    """Remembered rows in one view, and how far a row is from those near to it.

    With d the mean distance to the nearest ``n_neighbors`` remembered rows, d' the mean of the same for those rows, and
    e a tenth of the mean d of all remembered rows,

        log(d + e) - locality log(d' + e),

    which is a distance (0), a local outlier factor (1), or between them: relative to what is usual in that place.

    Parameters
    ----------
    size : int
        Of the view; 0 if it is not known before rows come.
    n_neighbors : int
    locality : float
    """

    rows: Tensor
    centre: Tensor
    reach: Tensor
    floor: Tensor
    squares: Tensor

    def __init__(self, size: int, n_neighbors: int, locality: float):
        super().__init__()
        self.n_neighbors, self.locality = n_neighbors, locality
        self.register_buffer("rows", torch.zeros(0, size))
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("reach", torch.zeros(0))
        self.register_buffer("floor", torch.ones(()))
        self.register_buffer("squares", torch.zeros(0), persistent=False)  # of the rows: for one row, half of the time
        self.register_load_state_dict_post_hook(_check_lengths)

    def remember(self, rows: Tensor) -> None:
        """Remember rows of shape (n, size)."""
        self.centre = rows.mean(dim=0)
        self.rows = rows - self.centre
        self.squares = squared_lengths(self.rows)
        self.reach = rows.new_zeros(len(rows))

    def settle(self, distances: Tensor, index: Tensor) -> Tensor:
        """Learn what is usual from the :meth:`neighbors` of the remembered rows, and give their statistic: (n,)."""
        self.reach = distances.mean(dim=1)
        self.floor = floor(self.reach)
        return self(distances, index)

    def neighbors(self, x: Tensor, left_out: Tensor | None = None, times: int = 1) -> tuple[Tensor, Tensor]:
        """Find the nearest remembered rows of rows (batch, size), as :func:`nearest`; or several times as many."""
        return nearest(x - self.centre, self.rows, times * self.n_neighbors, left_out, self.squares)

    def among(self, x: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Find the nearest of some remembered rows, of which there is an index (batch, count); else as neighbors."""
        distances = ((x - self.centre)[:, None] - self.rows[candidates]).square().sum(dim=2).sqrt()
        distances, order = distances.topk(min(self.n_neighbors, candidates.shape[1]), largest=False, sorted=False)
        return distances, candidates.gather(1, order)

    def mean_distance(self, x: Tensor) -> Tensor:
        """Give the mean distance of rows (batch, size) from their nearest: (batch,)."""
        return self.neighbors(x)[0].mean(dim=1)

    def squared_differences(self, x: Tensor, index: Tensor) -> Tensor:
        """Give the mean squared difference from remembered rows, coordinate by coordinate: (batch, size)."""
        return ((x - self.centre)[:, None] - self.rows[index]).square().mean(dim=1)

    def forward(self, distances: Tensor, index: Tensor) -> Tensor:
        """Give the statistic of rows, of :meth:`neighbors` (batch, count): (batch,)."""
        usual = torch.log(self.reach[index].mean(dim=1) + self.floor)
        return torch.log(distances.mean(dim=1) + self.floor) - self.locality * usual


class Memories(nn.ModuleList):
    """A memory for each view, of the sizes of which there is a list."""

    def __init__(self, sizes: list[int], n_neighbors: int, locality: float = 0.0):
        super().__init__([Memory(size, n_neighbors, locality) for size in sizes])

    def beside(self, views: list[Tensor]) -> list[tuple[Memory, Tensor]]:
        """Give each memory with the rows in its view."""
        return list(zip(cast(Sequence[Memory], self), views, strict=True))


def _check_lengths(memory: Memory, keys: object) -> None:
    """Refuse to load rows of which it is not known what is usual beside them, and measure the others."""
    if len(memory.rows) != len(memory.reach):
        raise ValueError("a memory does not hold as many reaches as rows")
    memory.squares = squared_lengths(memory.rows)
