"""Networks made from an input shape; only here it is asked whether that is a table's (d,) or an image's (C, H, W)."""

from collections.abc import Sequence

from torch import nn

from pyod_synth.networks.grouped import Perturbators
from pyod_synth.networks.images import lenet, lenet_decoder
from pyod_synth.networks.tables import Flat, mlp

__all__ = ["Flat", "Perturbators", "decoder", "encoder", "mlp"]


def encoder(
    input_shape: Sequence[int], hidden: Sequence[int], out_features: int, activation: type[nn.Module] = nn.SiLU
) -> nn.Sequential:
    """Map rows to vectors: an MLP for tables, a LeNet for images.

    Parameters
    ----------
    input_shape : sequence of int
        (d,) or (C, H, W).
    hidden : sequence of int
        Units of the hidden layers of a table's MLP.
    out_features : int
    activation : type of nn.Module, default=nn.SiLU
        Of a table's MLP.

    Returns
    -------
    nn.Sequential
        Maps (batch, *input_shape) to (batch, out_features).
    """
    if len(input_shape) == 1:
        return mlp([*input_shape, *hidden, out_features], activation)
    return lenet(input_shape, out_features)


def decoder(
    latent_size: int, hidden: Sequence[int], output_shape: Sequence[int], activation: type[nn.Module] = nn.SiLU
) -> nn.Sequential:
    """Map latent vectors to rows: an encoder's mirror image.

    Parameters
    ----------
    latent_size : int
    hidden : sequence of int
        Units of the hidden layers of a table's MLP, in their order here.
    output_shape : sequence of int
        (d,) or (C, H, W).
    activation : type of nn.Module, default=nn.SiLU
        Of a table's MLP.

    Returns
    -------
    nn.Sequential
        Maps (batch, latent_size) to (batch, *output_shape).
    """
    if len(output_shape) == 1:
        return mlp([latent_size, *hidden, *output_shape], activation)
    return lenet_decoder(latent_size, output_shape)
