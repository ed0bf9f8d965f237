import pytest
import torch
from torch import nn

from pyod_synth.networks import Flat, lenet, mlp


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
    assert [layer.out_channels for layer in net if isinstance(layer, nn.Conv2d)] == [32, 64, 128]


def test_flat():
    net = nn.Linear(12, 2)
    x = torch.randn(4, 3, 2, 2)
    torch.testing.assert_close(Flat(net)(x), net(x.reshape(4, 12)))
