"""Convolutional networks for images of any size, after Deep SVDD's."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, pad

_EPS = 1e-4  # of Deep SVDD's batch normalisation


def convolution(inputs: int, outputs: int, kernel: int, **options: Any) -> nn.Conv2d:
    """Make a convolution with weights whose channels are last in memory, as those of the images are."""
    layer = nn.Conv2d(inputs, outputs, kernel, **options)
    layer.weight.data = layer.weight.data.to(memory_format=torch.channels_last)
    return layer


class BatchNorm(nn.Module):
    """Batch normalisation without learned scale and shift, of vectors or images.

    A batch with one value per channel has no deviation, and is scaled by the running statistics, as in evaluation.

    Parameters
    ----------
    channels : int
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, *sizes) to the same shape."""
        return batch_norm(x, self.mean, self.variance, training=self.training and x[:, 0].numel() > 1, eps=_EPS)


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation with learned scale and shift, of images of one pixel too, which it makes zeros of."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, H, W) to the same shape."""
        return torch.instance_norm(x, self.weight, self.bias, None, None, True, 0.0, self.eps, False)


class Reflect(nn.Module):
    """Pad images by their reflection, and by zeros beyond it.

    Parameters
    ----------
    width : int
        Pixels that are added on each side.
    """

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, H, W) to (batch, channels, H + 2 width, W + 2 width)."""
        height, width = (min(self.width, size - 1) for size in x.shape[2:])
        x = pad(x, (width, width, height, height), mode="reflect")
        return pad(x, (self.width - width,) * 2 + (self.width - height,) * 2)


class Crop(nn.Module):
    """Leave the rows and columns of images beyond a size.

    Parameters
    ----------
    height, width : int
    """

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, H, W) to (batch, channels, height, width)."""
        return x[:, :, : self.height, : self.width]


def lenet(
    input_shape: Sequence[int], out_features: int, hidden: Sequence[int] = (128,), normalized: bool = False
) -> nn.Sequential:
    """LeNet-type network of Deep SVDD: 5x5 convolutions, each with a leaky ReLU and a pooling, and dense layers.

    Grey images get two convolutions of 16 and 32 filters, as for Fashion-MNIST, others three of 32, 64 and 128, as for
    CIFAR-10.

    Parameters
    ----------
    input_shape : sequence of int
        (C, H, W), of any size.
    out_features : int
    hidden : sequence of int, default=(128,)
        Units of the dense layers before the last, each with a leaky ReLU.
    normalized : bool, default=False
        Whether batch normalisation follows each convolution, in place of its bias.

    Returns
    -------
    nn.Sequential
        Maps (batch, C, H, W) to (batch, out_features).
    """
    channels, *size = input_shape
    filters = _filters(channels)
    features = filters[-1] * math.prod(_halved(size, len(filters)))
    return nn.Sequential(
        *(*_convolutions(channels, filters, normalized), nn.Flatten()),
        *_dense((features, *hidden)),
        nn.Linear((features, *hidden)[-1], out_features),
    )


def lenet_decoder(
    latent_size: int, output_shape: Sequence[int], hidden: Sequence[int] = (128,), normalized: bool = False
) -> nn.Sequential:
    """Mirror image of :func:`lenet`, with upsampling for its pooling.

    The papers' transposed convolutions have a stride of 1, and so are convolutions.

    Parameters
    ----------
    latent_size : int
    output_shape : sequence of int
        (C, H, W), of any size.
    hidden : sequence of int, default=(128,)
        Units of the dense layers before the one that gives the smallest map, each with a leaky ReLU.
    normalized : bool, default=False
        Whether batch normalisation follows each convolution but the last, and none has a bias.

    Returns
    -------
    nn.Sequential
        Maps (batch, latent_size) to (batch, C, H, W).
    """
    channels, *size = output_shape
    *filters, last = _filters(channels)
    smallest, *sizes = (_halved(size, times) for times in range(len(filters) + 1, -1, -1))
    return nn.Sequential(
        *_dense((latent_size, *hidden, last * math.prod(smallest))),
        nn.Unflatten(1, (last, *smallest)),
        *_growing((last, *reversed(filters), channels), sizes, normalized),
    )


def feature_map(input_shape: Sequence[int]) -> nn.Sequential:
    """Three convolutions of a LeNet with batch normalisation, whose flattened map is the latent vector.

    Grey images get 16, 32 and 64 filters, others 32, 64 and 128.

    Parameters
    ----------
    input_shape : sequence of int
        (C, H, W), of any size.

    Returns
    -------
    nn.Sequential
        Maps (batch, C, H, W) to (batch, k), k being :func:`map_size`.
    """
    channels, *size = _map_shape(input_shape)
    filters = (channels // 4, channels // 2, channels)
    return nn.Sequential(*_convolutions(input_shape[0], filters, normalized=True), Crop(*size), nn.Flatten())


def map_size(input_shape: Sequence[int]) -> int:
    """Length of what :func:`feature_map` makes of images (C, H, W)."""
    return math.prod(_map_shape(input_shape))


def _map_shape(input_shape: Sequence[int]) -> tuple[int, int, int]:
    """Channels, height and width after three poolings that drop what is odd."""
    channels, height, width = input_shape
    return 64 if channels <= 2 else 128, max(1, height // 8), max(1, width // 8)


class MapPerturbators(nn.Module):
    """L stochastic convolutional networks that perturb the map of :func:`feature_map`.

    Each sees the image and a channel of noise of its own, uniform between 0 and 1. A reflecting 9x9 convolution and
    reflecting 3x3 convolutions of stride 2, the first with 16 filters and each further one with twice as many, have
    instance normalisations and ReLUs between them; grey images are pooled at the end.

    Parameters
    ----------
    input_shape : sequence of int
        (C, H, W), of any size.
    n_perturbators : int
    """

    def __init__(self, input_shape: Sequence[int], n_perturbators: int):
        super().__init__()
        channels, *size = _map_shape(input_shape)
        self.nets = nn.ModuleList()
        for _ in range(n_perturbators):
            layers: list[nn.Module] = [Reflect(4), convolution(input_shape[0] + 1, 16, 9)]
            filters = 16
            while filters < channels:
                layers += [InstanceNorm(filters, affine=True), nn.ReLU(), Reflect(1)]
                layers.append(convolution(filters, 2 * filters, 3, stride=2))
                filters *= 2
            layers += [nn.MaxPool2d(2, ceil_mode=True)] if channels == 64 else []
            self.nets.append(nn.Sequential(*layers, Crop(*size), nn.Flatten()))

    def forward(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw a perturbation of each image from each perturbator: (batch, C, H, W) to (batch, L, k)."""
        shape = (len(self.nets), len(x), 1, *x.shape[2:])
        noise = torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)
        return torch.stack([net(torch.cat([x, own], dim=1)) for net, own in zip(self.nets, noise, strict=True)], dim=1)


def _filters(channels: int) -> tuple[int, ...]:
    return (16, 32) if channels <= 2 else (32, 64, 128)


def _halved(size: Sequence[int], times: int) -> tuple[int, ...]:
    """Height and width after so many poolings."""
    return tuple(math.ceil(length / 2**times) for length in size)


def _convolutions(channels: int, filters: Sequence[int], normalized: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((channels, *filters)):
        layers.append(convolution(inputs, outputs, 5, padding=2, bias=not normalized))
        layers += [BatchNorm(outputs)] if normalized else []
        # Deep SVDD pools after its leaky ReLU; that gives the same, as it keeps the order of numbers, and costs more
        layers += [nn.MaxPool2d(2, ceil_mode=True), nn.LeakyReLU()]
    return layers


def _dense(sizes: Sequence[int]) -> list[nn.Module]:
    return [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.LeakyReLU())]


def _growing(channels: Sequence[int], sizes: Sequence[tuple[int, ...]], normalized: bool) -> list[nn.Module]:
    """Enlarge a map to each of these sizes, and convolve it to the next number of channels; the output is free."""
    layers: list[nn.Module] = []
    for (inputs, outputs), size in zip(pairwise(channels), sizes, strict=True):
        if layers:
            layers += [BatchNorm(inputs), nn.LeakyReLU()] if normalized else [nn.LeakyReLU()]
        layers += [nn.Upsample(size=size), convolution(inputs, outputs, 5, padding=2, bias=not normalized)]
    return layers
