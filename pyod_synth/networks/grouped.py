"""Several networks of the same form, computed as one."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class GroupedLinear(nn.Module):
    """Linear maps, each of its own share of the input.

    Parameters
    ----------
    groups, inputs, outputs : int
        Number of maps, and the sizes of each.
    bias : bool, default=True
    """

    def __init__(self, groups: int, inputs: int, outputs: int, bias: bool = True):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(groups, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, 1, outputs).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, groups * channels, *sizes) to (batch, groups, outputs)."""
        x = x.reshape(len(x), *self.weight.shape[:2]).transpose(0, 1)
        mapped = x @ self.weight if self.bias is None else torch.baddbmm(self.bias, x, self.weight)
        return mapped.transpose(0, 1)


def grouped_cnn(
    groups: int, input_shape: Sequence[int], filters: int, output_channels: int, output_size: int | None
) -> nn.Sequential:
    """Convolutional networks for images side by side, each with two hidden layers.

    Parameters
    ----------
    groups : int
    input_shape : sequence of int
        (C, H, W) of what each network sees.
    filters : int
        Of each hidden layer of each network.
    output_channels : int
        Of an output with the sizes of the input.
    output_size : int or None
        Length of an output that is a vector instead; the hidden layers then halve the sizes twice.

    Returns
    -------
    nn.Sequential
        Maps (batch, groups * C, H, W) to (batch, groups * output_channels, H, W) or (batch, groups, output_size).
    """
    channels, *sizes = input_shape
    stride = 1 if output_size is None else 2

    def layer(inputs: int, outputs: int) -> nn.Module:
        return nn.Conv2d(groups * inputs, groups * outputs, 5, stride, 2, groups=groups)

    body = [layer(channels, filters), nn.SiLU(), layer(filters, filters), nn.SiLU()]
    if output_size is None:
        return nn.Sequential(*body, layer(filters, output_channels))
    smallest = math.prod(math.ceil(math.ceil(size / 2) / 2) for size in sizes)
    return nn.Sequential(*body, GroupedLinear(groups, filters * smallest, output_size))


class Perturbators(nn.Module):
    """L stochastic networks, computed as one.

    Each sees its own uniform noise beside the row: one number beside a table's features, through two layers; one more
    channel beside an image's, through convolutions.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    latent_size : int or None
        Length of the latent vectors that are perturbed; None perturbs rows.
    n_perturbators, hidden_size, n_filters : int
        Number of networks, units of the hidden layer of each for tables, and filters of each convolution for images.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        latent_size: int | None,
        n_perturbators: int,
        hidden_size: int,
        n_filters: int,
    ):
        super().__init__()
        self.n_perturbators = n_perturbators
        self.output_shape = tuple(input_shape) if latent_size is None else (latent_size,)
        channels, *sizes = input_shape
        if sizes:
            self.net = grouped_cnn(n_perturbators, (channels + 1, *sizes), n_filters, channels, latent_size)
        else:
            self.net = nn.Sequential(
                GroupedLinear(n_perturbators, channels + 1, hidden_size, bias=False),
                nn.ReLU(),
                GroupedLinear(n_perturbators, hidden_size, latent_size or channels),
            )

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw a perturbation of each row from each perturbator: (batch, *input_shape) to (batch, L, *output_shape)."""
        x = x[:, None].expand(-1, self.n_perturbators, *x.shape[1:])
        noise = torch.rand(x[:, :, :1].shape, generator=generator, device=x.device, dtype=x.dtype)
        perturbation = self.net(torch.cat([x, noise], dim=2).flatten(1, 2))
        return perturbation.view(len(x), self.n_perturbators, *self.output_shape)
