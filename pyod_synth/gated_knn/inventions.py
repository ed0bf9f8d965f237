"""Training rows -> invented anomalies, by which a detector chooses and weighs its evidence.

Each function draws rows with repetition, changes them, and returns the changed rows (count, *input_shape) and the
index (count,) of the training row that each came from. In tables a random share of the features changes, at least one.
"""

import math

import torch
from torch import Generator, Tensor


def _draw(x: Tensor, count: int, generator: Generator | None) -> Tensor:
    return torch.randint(len(x), (count,), generator=generator, device=x.device)


def _uniform(low: float, high: float, shape: tuple[int, ...], x: Tensor, generator: Generator | None) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)


def _some(x: Tensor, generator: Generator | None) -> Tensor:
    """Choose in each row of (count, d) a random share of the features, at least one."""
    chance = _uniform(0.0, 1.0, x.shape, x, generator)
    share = _uniform(0.0, 1.0, (len(x), 1), x, generator)
    return (chance < share) | (chance == chance.amin(dim=1, keepdim=True))


def extrapolated(x: Tensor, count: int, generator: Generator | None) -> tuple[Tensor, Tensor]:
    """Move features of rows (n, d) away from those of another row, by a tenth to the whole of the difference."""
    source = _draw(x, count, generator)
    other = (source + 1 + _draw(x[1:], count, generator)) % len(x) if len(x) > 1 else source
    rows = x[source]
    moved = rows + _uniform(0.1, 1.0, (count, 1), x, generator) * (rows - x[other])
    return torch.where(_some(rows, generator), moved, rows), source


def uniform(x: Tensor, count: int, generator: Generator | None) -> tuple[Tensor, Tensor]:
    """Replace features of rows (n, d) by uniform draws from the range of all rows."""
    source = _draw(x, count, generator)
    rows, low, high = x[source], x.amin(dim=0), x.amax(dim=0)
    drawn = low + (high - low) * _uniform(0.0, 1.0, rows.shape, x, generator)
    return torch.where(_some(rows, generator), drawn, rows), source


def noisy(x: Tensor, count: int, generator: Generator | None) -> tuple[Tensor, Tensor]:
    """Add Gaussian noise to all of each row (n, ...), of .2 to 3 deviations, drawn uniformly in its logarithm."""
    source = _draw(x, count, generator)
    rows = x[source]
    shape = (count,) + (1,) * (x.ndim - 1)
    deviation = torch.exp(_uniform(-1.609, 1.099, shape, x, generator))
    return rows + deviation * torch.randn(rows.shape, generator=generator, device=x.device, dtype=x.dtype), source


def turned(x: Tensor, count: int, generator: Generator | None) -> tuple[Tensor, Tensor]:
    """Turn images (n, C, H, W) by 90, 180 or 270 degrees; by 180 those that are not square."""
    source = _draw(x, count, generator)
    images = x[source]
    if x.shape[2] != x.shape[3]:
        return images.rot90(2, (2, 3)), source
    quarters = torch.randint(1, 4, (count, 1, 1, 1), generator=generator, device=x.device)
    turns = [images.rot90(turn, (2, 3)) for turn in (1, 2, 3)]
    return torch.where(quarters == 1, turns[0], torch.where(quarters == 2, turns[1], turns[2])), source


def for_gate(x: Tensor, count: int, generator: Generator | None) -> tuple[Tensor, Tensor]:
    """Change rows (n, d), half of them as :func:`extrapolated` and half as :func:`uniform`."""
    each = math.ceil(count / 2)
    rows, sources = zip(*(invent(x, each, generator) for invent in (extrapolated, uniform)), strict=True)
    return torch.cat(rows)[:count], torch.cat(sources)[:count]
