"""Building blocks made from an input shape: (d,) for tables, (C, H, W) for images."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Fully connected layers with SiLU between them.

    Parameters
    ----------
    sizes : sequence of int
        Units of each layer, input and output included; at least two.

    Returns
    -------
    nn.Sequential
        Maps (batch, sizes[0]) to (batch, sizes[-1]).
    """
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def lenet(input_shape: Sequence[int], out_features: int) -> nn.Sequential:
    """LeNet-type network of Deep SVDD: 5x5 convolutions, each with a leaky ReLU and a pooling, and one hidden layer.

    Grey images get two convolutions of 16 and 32 filters, as for Fashion-MNIST, others three of 32, 64 and 128, as for
    CIFAR-10. There is no batch normalisation: statistics of normal and of perturbed batches differ, which tells the two
    apart for a reason that no single test row has.

    Parameters
    ----------
    input_shape : sequence of int
        (C, H, W), of any size.
    out_features : int

    Returns
    -------
    nn.Sequential
        Maps (batch, C, H, W) to (batch, out_features).
    """
    channels, height, width = input_shape
    layers = []
    for filters in _filters(channels):
        layers += [nn.Conv2d(channels, filters, 5, padding=2), nn.LeakyReLU(), nn.MaxPool2d(2, ceil_mode=True)]
        channels, height, width = filters, math.ceil(height / 2), math.ceil(width / 2)
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(channels * height * width, 128), nn.LeakyReLU(), nn.Linear(128, out_features)
    )


def _filters(channels):
    # a noise scale beside a grey channel makes two
    return (16, 32) if channels <= 2 else (32, 64, 128)


def encoder(input_shape: Sequence[int], hidden: Sequence[int], latent_size: int) -> nn.Module:
    """Map rows to a latent vector: an MLP for tables, a LeNet for images.

    Parameters
    ----------
    input_shape : sequence of int
        (d,) or (C, H, W).
    hidden : sequence of int
        Units of the hidden layers of a table's MLP.
    latent_size : int

    Returns
    -------
    nn.Module
        Maps (batch, *input_shape) to (batch, latent_size).
    """
    if len(input_shape) == 1:
        return mlp([*input_shape, *hidden, latent_size])
    return lenet(input_shape, latent_size)


def decoder(latent_size: int, hidden: Sequence[int], output_shape: Sequence[int]) -> nn.Module:
    """Map a latent vector to rows: an encoder's mirror image, with upsampling for its pooling.

    Parameters
    ----------
    latent_size : int
    hidden : sequence of int
        Units of the hidden layers of a table's MLP, in their order here.
    output_shape : sequence of int
        (d,) or (C, H, W).

    Returns
    -------
    nn.Module
        Maps (batch, latent_size) to (batch, *output_shape).
    """
    if len(output_shape) == 1:
        return mlp([latent_size, *hidden, *output_shape])
    channels, height, width = output_shape
    filters = _filters(channels)
    sizes = [(height, width)]
    for _ in filters:
        sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
    smallest = (filters[-1], *sizes.pop())
    layers = [nn.Linear(latent_size, 128), nn.LeakyReLU(), nn.Linear(128, math.prod(smallest)), nn.LeakyReLU()]
    layers.append(nn.Unflatten(1, smallest))
    for inputs, outputs in pairwise((*reversed(filters), channels)):
        layers += [nn.Upsample(size=sizes.pop()), nn.Conv2d(inputs, outputs, 5, padding=2), nn.LeakyReLU()]
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
