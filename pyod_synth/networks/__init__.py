"""Networks made from an input shape.

Only here it is asked whether that is a table's (d,), a sequence's (C, T) or an image's (C, H, W).
"""

import math
from collections.abc import Callable, Sequence

from torch import nn

from pyod_synth.networks.grouped import Perturbators
from pyod_synth.networks.images import (
    MapPerturbators,
    feature_map,
    lenet,
    lenet_decoder,
    map_size,
)
from pyod_synth.networks.sequences import recurrent, recurrent_decoder
from pyod_synth.networks.tables import mlp

__all__ = [
    "decoder",
    "encoder",
    "encoder_and_discriminator",
    "lenet",
    "lenet_decoder",
    "mlp",
    "perturbators",
]


def encoder(
    input_shape: Sequence[int],
    hidden: Sequence[int],
    out_features: int,
    activation: type[nn.Module] = nn.SiLU,
    image: Callable[[Sequence[int], int], nn.Sequential] | None = lenet,
) -> nn.Sequential:
    """Map rows to vectors: an MLP for tables, a recurrent network for sequences, a LeNet for images.

    Parameters
    ----------
    input_shape : sequence of int
        (d,), (C, T) or (C, H, W).
    hidden : sequence of int
        Units of the hidden layers of an MLP; the first one is recurrent for sequences.
    out_features : int
    activation : type of nn.Module, default=nn.SiLU
        Of an MLP.
    image : callable or None, default=lenet
        Makes the network for images, of their shape and ``out_features``; None takes an MLP, of flattened images.

    Returns
    -------
    nn.Sequential
        Maps (batch, *input_shape) to (batch, out_features).
    """
    if len(input_shape) == 1:
        return mlp([*input_shape, *hidden, out_features], activation)
    if len(input_shape) == 2:
        return recurrent(input_shape, hidden, out_features, activation)
    if image is not None:
        return image(input_shape, out_features)
    return nn.Sequential(nn.Flatten(), *mlp([math.prod(input_shape), *hidden, out_features], activation))


def decoder(
    latent_size: int,
    hidden: Sequence[int],
    output_shape: Sequence[int],
    activation: type[nn.Module] = nn.SiLU,
    image: Callable[[int, Sequence[int]], nn.Sequential] | None = lenet_decoder,
) -> nn.Sequential:
    """Map latent vectors to rows: an encoder's mirror image.

    Parameters
    ----------
    latent_size : int
    hidden : sequence of int
        Units of the hidden layers of an MLP, in their order here; the last one is recurrent for sequences.
    output_shape : sequence of int
        (d,), (C, T) or (C, H, W).
    activation : type of nn.Module, default=nn.SiLU
        Of an MLP.
    image : callable or None, default=lenet_decoder
        Makes the network for images, of ``latent_size`` and their shape; None takes an MLP.

    Returns
    -------
    nn.Sequential
        Maps (batch, latent_size) to (batch, *output_shape).
    """
    if len(output_shape) == 1:
        return mlp([latent_size, *hidden, *output_shape], activation)
    if len(output_shape) == 2:
        return recurrent_decoder(latent_size, hidden, output_shape, activation)
    if image is not None:
        return image(latent_size, output_shape)
    flat = mlp([latent_size, *hidden, math.prod(output_shape)], activation)
    return nn.Sequential(*flat, nn.Unflatten(1, tuple(output_shape)))


def encoder_and_discriminator(
    input_shape: Sequence[int], hidden_size: int, latent_size: int
) -> tuple[nn.Sequential, nn.Sequential]:
    """Map rows to latent vectors, and these to a logit: two MLPs for tables.

    Those of images are a LeNet without dense layers, whose map is the latent vector, and an MLP without biases.

    Parameters
    ----------
    input_shape : sequence of int
        (d,) or (C, H, W).
    hidden_size : int
        Units of the hidden layers of a table's encoder and of the discriminator.
    latent_size : int
        Length of a table's latent vector.

    Returns
    -------
    encoder : nn.Sequential
        Maps (batch, *input_shape) to (batch, k).
    discriminator : nn.Sequential
        Maps (batch, k) to (batch, 1).
    """
    if len(input_shape) == 1:
        return mlp([*input_shape, hidden_size, hidden_size, latent_size]), mlp([latent_size, hidden_size, 1])
    return feature_map(input_shape), mlp([map_size(input_shape), hidden_size, 1], nn.ReLU, bias=False)


def perturbators(
    input_shape: tuple[int, ...], latent_size: int | None, n_perturbators: int, n_filters: int
) -> nn.Module:
    """Make L networks that draw perturbations of rows, or of the latent vectors of :func:`encoder_and_discriminator`.

    Parameters
    ----------
    input_shape : tuple of int
        (d,) or (C, H, W).
    latent_size : int or None
        Length of a table's latent vectors; None perturbs rows.
    n_perturbators, n_filters : int
        Number of networks, and filters of each convolution of each, but for the latent vectors of images.

    Returns
    -------
    nn.Module
        Maps (batch, *input_shape) and a generator to (batch, L, k), or to (batch, L, *input_shape).
    """
    if len(input_shape) == 1 or latent_size is None:
        return Perturbators(input_shape, latent_size, n_perturbators, n_filters)
    return MapPerturbators(input_shape, n_perturbators)
