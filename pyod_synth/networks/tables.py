"""Networks for tables, and for vectors of any kind."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


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


class Flat(nn.Module):
    """Apply a network on vectors to rows of any shape.

    Parameters
    ----------
    net : nn.Module
        Maps (batch, inputs) to (batch, outputs).
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, *shape) with prod(shape) = inputs to (batch, outputs)."""
        return self.net(x.flatten(1))
