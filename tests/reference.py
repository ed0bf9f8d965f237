"""What several papers have in common, in numpy and float64, written from its definitions."""

import math

import numpy as np
import torch
from torch import nn


def array(tensor):
    return tensor.detach().double().numpy()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def softplus(x):
    return np.log(1 + np.exp(x))


def run_mlp(net, x):
    """Linear layers with SiLU between them."""
    *hidden, last = [layer for layer in net.modules() if isinstance(layer, nn.Linear)]
    for layer in hidden:
        x = silu(x @ array(layer.weight).T + array(layer.bias))
    return x @ array(last.weight).T + array(last.bias)


def convolve(layer, x, channels, filters, stride):
    """One group of a convolution: (inputs, *sizes) to (outputs, *sizes / stride), as sums over the kernel."""
    weight = array(layer.weight)[filters]
    bias = np.zeros(len(weight)) if layer.bias is None else array(layer.bias)[filters]
    assert weight.shape[1] == channels
    kernel = weight.shape[2:]
    padded = np.pad(x, [(0, 0)] + [(k // 2, k // 2) for k in kernel])
    sizes = [math.ceil(size / stride) for size in x.shape[1:]]
    output = np.zeros((len(weight), *sizes)) + bias.reshape(-1, *[1] * len(kernel))
    for offset in np.ndindex(*kernel):
        window = padded[(slice(None), *(slice(o, o + s, stride) for o, s in zip(offset, x.shape[1:], strict=True)))]
        output += np.tensordot(weight[(slice(None), slice(None), *offset)], window, axes=1)
    return output


def seeded(seed):
    """Make a generator of torch's; another one of the same seed gives the same numbers again."""
    return torch.Generator().manual_seed(seed)
