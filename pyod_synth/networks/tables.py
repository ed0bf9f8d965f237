"""Networks for tables, and for vectors of any kind."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.SiLU) -> nn.Sequential:
    """Fully connected layers.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer, input and output included; at least two.
    activation : type of nn.Module, default=nn.SiLU
        What stands between the layers.

    Returns
    -------
    nn.Sequential
        Maps (batch, sizes[0]) to (batch, sizes[-1]).
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])
