"""Convolutional networks for images."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn


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
    layers: list[nn.Module] = []
    for filters in _filters(channels):
        layers += [nn.Conv2d(channels, filters, 5, padding=2), nn.LeakyReLU(), nn.MaxPool2d(2, ceil_mode=True)]
        channels, height, width = filters, math.ceil(height / 2), math.ceil(width / 2)
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(channels * height * width, 128), nn.LeakyReLU(), nn.Linear(128, out_features)
    )


def lenet_decoder(latent_size: int, output_shape: Sequence[int]) -> nn.Sequential:
    """Mirror image of :func:`lenet`, with upsampling for its pooling.

    Parameters
    ----------
    latent_size : int
    output_shape : sequence of int
        (C, H, W), of any size.

    Returns
    -------
    nn.Sequential
        Maps (batch, latent_size) to (batch, C, H, W).
    """
    channels, height, width = output_shape
    filters = _filters(channels)
    sizes = [(height, width)]
    for _ in filters:
        sizes.append((math.ceil(sizes[-1][0] / 2), math.ceil(sizes[-1][1] / 2)))
    smallest = (filters[-1], *sizes.pop())
    layers: list[nn.Module] = [nn.Linear(latent_size, 128), nn.LeakyReLU(), nn.Linear(128, math.prod(smallest))]
    layers += [nn.LeakyReLU(), nn.Unflatten(1, smallest)]
    for inputs, outputs in pairwise((*reversed(filters), channels)):
        layers += [nn.Upsample(size=sizes.pop()), nn.Conv2d(inputs, outputs, 5, padding=2), nn.LeakyReLU()]
    return nn.Sequential(*layers[:-1])


def _filters(channels: int) -> tuple[int, ...]:
    return (16, 32) if channels <= 2 else (32, 64, 128)
