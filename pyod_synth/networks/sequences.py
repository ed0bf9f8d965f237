"""Recurrent networks for sequences."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from pyod_synth.networks.tables import mlp


class LastState(nn.Module):
    """Read sequences step by step, and keep what is known after the last step.

    Parameters
    ----------
    channels : int
        Numbers at each step.
    units : int
        Of the gated recurrent layer.
    """

    def __init__(self, channels: int, units: int):
        super().__init__()
        self.gru = nn.GRU(channels, units, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, steps) to (batch, units)."""
        states, _ = self.gru(x.transpose(1, 2))
        return states[:, -1]


class Steps(nn.Module):
    """Write sequences step by step, each step seeing the same vector and what was written before.

    Parameters
    ----------
    inputs : int
        Length of the vector.
    units : int
        Of the gated recurrent layer.
    output_shape : sequence of int
        (channels, steps).
    """

    def __init__(self, inputs: int, units: int, output_shape: Sequence[int]):
        super().__init__()
        channels, self.steps = output_shape
        self.gru = nn.GRU(inputs, units, batch_first=True)
        self.output = nn.Linear(units, channels)

    def forward(self, z: Tensor) -> Tensor:
        """Map (batch, inputs) to (batch, channels, steps)."""
        states, _ = self.gru(z[:, None].expand(-1, self.steps, -1))
        return self.output(states).transpose(1, 2)


def recurrent(
    input_shape: Sequence[int], hidden: Sequence[int], out_features: int, activation: type[nn.Module] = nn.SiLU
) -> nn.Sequential:
    """Map sequences to vectors: the first hidden layer is recurrent, its state after the last step goes on.

    Parameters
    ----------
    input_shape : sequence of int
        (channels, steps).
    hidden : sequence of int
        Units of each hidden layer, at least one.
    out_features : int
    activation : type of nn.Module, default=nn.SiLU
        What stands between the other layers.

    Returns
    -------
    nn.Sequential
        Maps (batch, channels, steps) to (batch, out_features).
    """
    return nn.Sequential(LastState(input_shape[0], hidden[0]), *mlp([*hidden, out_features], activation))


def recurrent_decoder(
    latent_size: int, hidden: Sequence[int], output_shape: Sequence[int], activation: type[nn.Module] = nn.SiLU
) -> nn.Sequential:
    """Mirror image of :func:`recurrent`: the last hidden layer is recurrent, and sees the same vector at every step.

    Parameters
    ----------
    latent_size : int
    hidden : sequence of int
        Units of each hidden layer, at least one.
    output_shape : sequence of int
        (channels, steps).
    activation : type of nn.Module, default=nn.SiLU
        What stands after the other layers.

    Returns
    -------
    nn.Sequential
        Maps (batch, latent_size) to (batch, channels, steps).
    """
    sizes = [latent_size, *hidden]
    dense = [layer for inputs, outputs in pairwise(sizes[:-1]) for layer in (nn.Linear(inputs, outputs), activation())]
    return nn.Sequential(*dense, Steps(sizes[-2], sizes[-1], output_shape))
