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


def leaky_relu(x):
    return np.where(x > 0, x, 0.01 * x)


def run_mlp(net, x):
    """Linear layers, and activations between them."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            x = x @ array(layer.weight).T + array(layer.bias)
        elif isinstance(layer, (nn.SiLU, nn.LeakyReLU)):
            x = silu(x) if isinstance(layer, nn.SiLU) else leaky_relu(x)
    return x


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


def run_gru(gru, x):
    """Hidden states (batch, steps, units) of a gated recurrent layer for (batch, steps, channels)."""
    weight_x, weight_h, bias_x, bias_h = (
        array(parameter) for parameter in (gru.weight_ih_l0, gru.weight_hh_l0, gru.bias_ih_l0, gru.bias_hh_l0)
    )
    state, states = np.zeros((len(x), gru.hidden_size)), []
    for step in range(x.shape[1]):
        reset_x, update_x, new_x = np.split(x[:, step] @ weight_x.T + bias_x, 3, axis=1)
        reset_h, update_h, new_h = np.split(state @ weight_h.T + bias_h, 3, axis=1)
        update = sigmoid(update_x + update_h)
        new = np.tanh(new_x + sigmoid(reset_x + reset_h) * new_h)
        state = (1 - update) * new + update * state
        states.append(state)
    return np.stack(states, axis=1)


def run_recurrent(net, x):
    """A gated recurrent layer over (batch, channels, steps), and dense layers on its last state."""
    return run_mlp(net[1:], run_gru(net[0].gru, x.swapaxes(1, 2))[:, -1])


def run_recurrent_decoder(net, z):
    """A gated recurrent layer that sees z at each step, and one dense layer on each of its states."""
    states = run_gru(net[0].gru, np.repeat(z[:, None], net[0].steps, axis=1))
    return (states @ array(net[0].output.weight).T + array(net[0].output.bias)).swapaxes(1, 2)


def seeded(seed):
    """Make a generator of torch's; another one of the same seed gives the same numbers again."""
    return torch.Generator().manual_seed(seed)
