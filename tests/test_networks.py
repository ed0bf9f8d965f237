"""The shapes of networks, and that they compute what they say."""

import pytest
import torch
from torch import nn

from pyod_synth.networks import Flat, decoder, encoder, mlp
from pyod_synth.networks.images import lenet


def test_mlp_sizes_and_activations():
    net = mlp([3, 5, 4, 2])
    assert [(layer.in_features, layer.out_features) for layer in net if isinstance(layer, nn.Linear)] == [
        (3, 5),
        (5, 4),
        (4, 2),
    ]
    assert isinstance(net[-1], nn.Linear)
    assert net(torch.randn(7, 3)).shape == (7, 2)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 5, 7), (1, 1, 1)])
def test_lenet_takes_any_size(shape):
    net = lenet(shape, 3)
    assert net(torch.randn(2, *shape)).shape == (2, 3)
    filters = [layer.out_channels for layer in net if isinstance(layer, nn.Conv2d)]
    assert filters == ([16, 32] if shape[0] < 3 else [32, 64, 128])


def test_flat():
    net = nn.Linear(12, 2)
    x = torch.randn(4, 3, 2, 2)
    torch.testing.assert_close(Flat(net)(x), net(x.reshape(4, 12)))


@pytest.mark.parametrize("shape", [(4,), (1, 28, 28), (3, 9, 6), (2, 1, 1)])
def test_decoder_undoes_the_shapes_of_the_encoder(shape):
    x = torch.randn(2, *shape)
    code = encoder(shape, (8, 6), 3)(x)
    assert code.shape == (2, 3)
    net = decoder(3, (6, 8), shape)
    assert net(code).shape == x.shape
    assert isinstance(net[-1], nn.Linear | nn.Conv2d)  # the output is free
