"""Networks for tables, and for vectors of any kind."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.SiLU, bias: bool = True) -> nn.Sequential:
    """Fully connected layers.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer, input and output included; at least two.
    activation : type of nn.Module, default=nn.SiLU
        What stands between the layers.
    bias : bool, default=True
        Whether layers have biases.

    Returns
    -------
    nn.Sequential
        Maps (batch, sizes[0]) to (batch, sizes[-1]).
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, bias=bias), activation()]
    return nn.Sequential(*layers[:-1])
