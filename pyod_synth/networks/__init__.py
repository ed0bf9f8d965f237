"""Networks made from an input shape.

Only here it is asked whether that is a table's (d,), a sequence's (C, T) or an image's (C, H, W).
"""

import math
from collections.abc import Sequence

from torch import nn

from pyod_synth.networks.grouped import Perturbators
from pyod_synth.networks.images import lenet, lenet_decoder
from pyod_synth.networks.sequences import recurrent, recurrent_decoder
from pyod_synth.networks.tables import mlp

__all__ = ["Perturbators", "decoder", "encoder", "mlp"]


def encoder(
    input_shape: Sequence[int],
    hidden: Sequence[int],
    out_features: int,
    activation: type[nn.Module] = nn.SiLU,
    convolutional: bool = True,
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
    convolutional : bool, default=True
        If False, images go through an MLP, flattened.

    Returns
    -------
    nn.Sequential
        Maps (batch, *input_shape) to (batch, out_features).
    """
    if len(input_shape) == 1:
        return mlp([*input_shape, *hidden, out_features], activation)
    if len(input_shape) == 2:
        return recurrent(input_shape, hidden, out_features, activation)
    if convolutional:
        return lenet(input_shape, out_features)
    return nn.Sequential(nn.Flatten(), *mlp([math.prod(input_shape), *hidden, out_features], activation))


def decoder(
    latent_size: int,
    hidden: Sequence[int],
    output_shape: Sequence[int],
    activation: type[nn.Module] = nn.SiLU,
    convolutional: bool = True,
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
    convolutional : bool, default=True
        If False, images come from an MLP.

    Returns
    -------
    nn.Sequential
        Maps (batch, latent_size) to (batch, *output_shape).
    """
    if len(output_shape) == 1:
        return mlp([latent_size, *hidden, *output_shape], activation)
    if len(output_shape) == 2:
        return recurrent_decoder(latent_size, hidden, output_shape, activation)
    if convolutional:
        return lenet_decoder(latent_size, output_shape)
    flat = mlp([latent_size, *hidden, math.prod(output_shape)], activation)
    return nn.Sequential(*flat, nn.Unflatten(1, tuple(output_shape)))
