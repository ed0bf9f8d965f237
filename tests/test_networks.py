"""The shapes of networks, and that they compute what they say."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pyod_synth.networks import decoder, encoder, mlp
from pyod_synth.networks.images import lenet
from tests.reference import array, convolve, run_mlp, run_recurrent, run_recurrent_decoder, seeded, silu


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


def leaky_relu(x):
    return np.where(x > 0, x, 0.01 * x)


def pool(x):
    """Maximum of each 2 x 2 pixels, of fewer at the lower and the right edge."""
    channels, height, width = x.shape
    padded = np.pad(x, [(0, 0), (0, height % 2), (0, width % 2)], constant_values=-np.inf)
    return padded.reshape(channels, math.ceil(height / 2), 2, math.ceil(width / 2), 2).max(axis=(2, 4))


def upsample(x, height, width):
    """Nearest pixel of a smaller image."""
    return x[:, np.arange(height) * x.shape[1] // height][:, :, np.arange(width) * x.shape[2] // width]


def of_kind(net, kind):
    return [layer for layer in net if isinstance(layer, kind)]


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 5, 7), (3, 9, 6)])
def test_lenet_against_numpy(shape):
    net, images = lenet(shape, 3), torch.randn(2, *shape, generator=seeded(0))
    expected = []
    for image in array(images):
        for layer in of_kind(net, nn.Conv2d):
            image = pool(leaky_relu(convolve(layer, image, len(image), slice(None), 1)))
        hidden, last = of_kind(net, nn.Linear)
        features = leaky_relu(array(hidden.weight) @ image.ravel() + array(hidden.bias))
        expected.append(array(last.weight) @ features + array(last.bias))
    np.testing.assert_allclose(array(net(images)), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 5, 7), (3, 9, 6)])
def test_decoder_of_images_against_numpy(shape):
    net, latent = decoder(3, (), shape), torch.randn(2, 3, generator=seeded(0))
    convolutions = of_kind(net, nn.Conv2d)
    sizes = [shape[1:]]
    for _ in convolutions:
        sizes.append(tuple(math.ceil(size / 2) for size in sizes[-1]))
    expected = []
    for z in array(latent):
        for layer in of_kind(net, nn.Linear):
            z = leaky_relu(array(layer.weight) @ z + array(layer.bias))
        image = z.reshape(-1, *sizes[-1])
        for layer, size in zip(convolutions, sizes[-2::-1], strict=True):
            image = convolve(layer, upsample(image, *size), len(image), slice(None), 1)
            image = image if layer is convolutions[-1] else leaky_relu(image)
        expected.append(image)
    np.testing.assert_allclose(array(net(latent)), expected, atol=1e-5)


def test_networks_of_tables_against_numpy():
    x = torch.randn(5, 4, generator=seeded(0))
    for net in (mlp([4, 6, 3]), encoder((4,), (6, 5), 3), decoder(4, (5, 6), (3,))):
        np.testing.assert_allclose(array(net(x)), run_mlp(net, array(x)), atol=1e-5)


def test_networks_of_flattened_images_against_numpy():
    x = torch.randn(5, 2, 3, 4, generator=seeded(0))
    net = encoder((2, 3, 4), (6, 5), 3, convolutional=False)
    np.testing.assert_allclose(array(net(x)), run_mlp(net, array(x).reshape(5, 24)), atol=1e-5)
    z = torch.randn(5, 3, generator=seeded(1))
    net = decoder(3, (5, 6), (2, 3, 4), convolutional=False)
    np.testing.assert_allclose(array(net(z)), run_mlp(net, array(z)).reshape(5, 2, 3, 4), atol=1e-5)


@pytest.mark.parametrize("convolutional", [True, False])
def test_networks_of_sequences_against_numpy(convolutional):
    x = torch.randn(5, 2, 7, generator=seeded(0))
    net = encoder((2, 7), (6, 4), 3, convolutional=convolutional)
    np.testing.assert_allclose(array(net(x)), run_recurrent(net, array(x)), atol=1e-5)
    z = torch.randn(5, 3, generator=seeded(1))
    net = decoder(3, (6,), (2, 7), convolutional=convolutional)
    np.testing.assert_allclose(array(net(z)), run_recurrent_decoder(net, array(z)), atol=1e-5)
    net = decoder(3, (4, 6), (2, 7), convolutional=convolutional)
    hidden = silu(array(z) @ array(net[0].weight).T + array(net[0].bias))
    np.testing.assert_allclose(array(net(z)), run_recurrent_decoder(net[2:], hidden), atol=1e-5)


def test_networks_of_sequences_see_the_order_of_steps():
    net, x = encoder((2, 7), (6,), 3), torch.randn(5, 2, 7, generator=seeded(0))
    assert (net(x) - net(x.flip(2))).abs().min() > 1e-4
    steps = decoder(3, (6,), (2, 7))(torch.randn(5, 3, generator=seeded(1)))
    assert (steps[:, :, 1:] - steps[:, :, :-1]).abs().min() > 1e-6


@pytest.mark.parametrize("shape", [(4,), (3, 9), (1, 1), (1, 28, 28), (3, 9, 6), (2, 1, 1)])
def test_decoder_undoes_the_shapes_of_the_encoder(shape):
    x = torch.randn(2, *shape)
    code = encoder(shape, (8, 6), 3)(x)
    assert code.shape == (2, 3)
    net = decoder(3, (6, 8), shape)
    assert net(code).shape == x.shape
    assert isinstance(getattr(net[-1], "output", net[-1]), nn.Linear | nn.Conv2d)  # the output is free
