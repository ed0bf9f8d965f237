"""Several networks of the same form, computed as one."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pyod_synth.networks.images import convolution


class GroupedLinear(nn.Module):
    """Linear maps, each of its own share of the input.

    Parameters
    ----------
    groups, inputs, outputs : int
        Number of maps, and the sizes of each.
    """

    def __init__(self, groups: int, inputs: int, outputs: int):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(groups, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, groups * channels, *sizes) to (batch, groups, outputs)."""
        x = x.reshape(len(x), *self.weight.shape[:2]).transpose(0, 1)
        return torch.baddbmm(self.bias, x, self.weight).transpose(0, 1)


def grouped_cnn(
    groups: int, input_shape: Sequence[int], filters: int, output_channels: int, output_size: int | None
) -> nn.Sequential:
    """Convolutional networks side by side, each with two hidden layers.

    Parameters
    ----------
    groups : int
    input_shape : sequence of int
        (channels, *sizes) of what each network sees, with one size for tables and two for images.
    filters : int
        Of each hidden layer of each network.
    output_channels : int
        Of an output with the sizes of the input.
    output_size : int or None
        Length of an output that is a vector instead; the hidden layers then halve the sizes twice.

    Returns
    -------
    nn.Sequential
        Maps (batch, groups * channels, *sizes) to (batch, groups * output_channels, *sizes) or (batch, groups,
        output_size).
    """
    channels, *sizes = input_shape
    kind, kernel = (convolution, 5) if len(sizes) == 2 else (nn.Conv1d, 3)
    stride = 1 if output_size is None else 2

    def layer(inputs: int, outputs: int) -> nn.Module:
        padding = kernel // 2
        return kind(groups * inputs, groups * outputs, kernel, stride=stride, padding=padding, groups=groups)

    body = [layer(channels, filters), nn.SiLU(), layer(filters, filters), nn.SiLU()]
    if output_size is None:
        return nn.Sequential(*body, layer(filters, output_channels))
    smallest = math.prod(math.ceil(math.ceil(size / 2) / 2) for size in sizes)
    return nn.Sequential(*body, GroupedLinear(groups, filters * smallest, output_size))


class Perturbators(nn.Module):
    """L stochastic convolutional networks, computed as one by convolutions in groups.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    latent_size : int or None
        Length of the latent vectors that are perturbed; None perturbs rows.
    n_perturbators, n_filters : int
        Number of networks, and filters of each convolution of each.
    """

    def __init__(self, input_shape: tuple[int, ...], latent_size: int | None, n_perturbators: int, n_filters: int):
        super().__init__()
        self.n_perturbators = n_perturbators
        self.output_shape = tuple(input_shape) if latent_size is None else (latent_size,)
        # a table is an image of one channel and one dimension
        self.channels, *self.sizes = input_shape if len(input_shape) == 3 else (1, *input_shape)
        self.net = grouped_cnn(n_perturbators, (self.channels + 1, *self.sizes), n_filters, self.channels, latent_size)

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw a perturbation of each row from each perturbator: (batch, *input_shape) to (batch, L, *output_shape)."""
        x = x.view(len(x), 1, self.channels, *self.sizes).expand(-1, self.n_perturbators, *[-1] * (1 + len(self.sizes)))
        noise = torch.randn(x[:, :, :1].shape, generator=generator, device=x.device, dtype=x.dtype)
        perturbation = self.net(torch.cat([x, noise], dim=2).flatten(1, 2))
        return perturbation.view(len(x), self.n_perturbators, *self.output_shape)
