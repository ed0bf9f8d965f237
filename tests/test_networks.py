"""The shapes of networks, and that they compute what they say."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pyod_synth.networks import (
    decoder,
    encoder,
    encoder_and_discriminator,
    lenet,
    lenet_decoder,
    mlp,
)
from pyod_synth.networks.images import (
    BatchNorm,
    Crop,
    InstanceNorm,
    MapPerturbators,
    Reflect,
    feature_map,
    map_size,
)
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


def pool(x):
    """Maximum of each 2 x 2 pixels, of fewer at the lower and the right edge."""
    height, width = x.shape[2:]
    padded = np.pad(x, [(0, 0), (0, 0), (0, height % 2), (0, width % 2)], constant_values=-np.inf)
    return padded.reshape(*x.shape[:2], math.ceil(height / 2), 2, math.ceil(width / 2), 2).max(axis=(3, 5))


def upsample(x, height, width):
    """Nearest pixel of a smaller image."""
    return x[:, :, np.arange(height) * x.shape[2] // height][:, :, :, np.arange(width) * x.shape[3] // width]


def reflect(x, width):
    """Mirror what there is of an image beyond its edges, and fill up with zeros."""
    there = [min(width, size - 1) for size in x.shape[2:]]
    x = np.pad(x, [(0, 0), (0, 0), *[(pixels, pixels) for pixels in there]], mode="reflect")
    return np.pad(x, [(0, 0), (0, 0), *[(width - pixels, width - pixels) for pixels in there]])


def normalize(x, axes, eps, mean=None, variance=None):
    """Zero mean and unit variance over axes, or with a mean and a variance for each channel."""
    if mean is None:
        return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    shape = (1, -1, *[1] * (x.ndim - 2))
    return (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + eps)


def convolve_all(layer, x):
    """A convolution of images as they are, or padded to keep their size."""
    edge = 0 if layer.padding[0] else layer.kernel_size[0] // 2  # that lacks pixels beyond it
    same = np.stack([convolve(layer, image, len(image), slice(None), 1) for image in x])
    inner = same[:, :, edge : same.shape[2] - edge, edge : same.shape[3] - edge]
    return inner[:, :, :: layer.stride[0], :: layer.stride[0]]


def run(net, x):
    """Layers one after another, in numpy and float64; with the statistics of the batch while training."""
    for layer in net:
        match layer:
            case nn.Linear():
                x = x @ array(layer.weight).T + (0 if layer.bias is None else array(layer.bias))
            case nn.Conv2d():
                x = convolve_all(layer, x)
            case BatchNorm(training=True):
                x = normalize(x, (0, *range(2, x.ndim)), 1e-4)
            case BatchNorm():
                x = normalize(x, None, 1e-4, array(layer.mean), array(layer.variance))
            case InstanceNorm():
                scale, shift = (array(learned)[:, None, None] for learned in (layer.weight, layer.bias))
                x = normalize(x, (2, 3), 1e-5) * scale + shift
            case nn.LeakyReLU():
                x = np.where(x > 0, x, 0.01 * x)
            case nn.ReLU():
                x = np.maximum(x, 0)
            case nn.MaxPool2d():
                x = pool(x)
            case nn.Upsample():
                x = upsample(x, *layer.size)
            case Reflect():
                x = reflect(x, layer.width)
            case Crop():
                x = x[:, :, : layer.height, : layer.width]
            case nn.Flatten():
                x = x.reshape(len(x), -1)
            case nn.Unflatten():
                x = x.reshape(len(x), *layer.unflattened_size)
            case _:
                raise AssertionError(layer)
    return x


def forms(net):
    """Layers in a line: what they are, with the numbers of convolutions and of dense layers."""
    numbers = {nn.Conv2d: ("out_channels", "kernel_size", "stride"), nn.Linear: ("out_features",)}
    found = []
    for layer in net:
        values = [getattr(layer, name) for name in numbers.get(type(layer), ())]
        values = [value[0] if isinstance(value, tuple) else value for value in values]
        bias = ["b"] * (getattr(layer, "bias", None) is not None and not isinstance(layer, InstanceNorm))
        found.append(" ".join(map(str, [type(layer).__name__, *values, *bias])))
    return found


def scramble(net):
    """Let batch and instance normalisations have statistics, scales and shifts that are not those of the start."""
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, BatchNorm):
                layer.mean.normal_(generator=seeded(5))
                layer.variance.uniform_(0.5, 2, generator=seeded(6))
            elif isinstance(layer, InstanceNorm):
                layer.weight.normal_(generator=seeded(5))
                layer.bias.normal_(generator=seeded(6))


SHAPES = [(1, 1, 1), (1, 3, 5), (1, 28, 28), (3, 32, 32), (2, 17, 9), (3, 1, 4)]
IMAGE_NETS = {
    "lenet": lambda shape: lenet(shape, 3),
    "lenet without hidden layers": lambda shape: lenet(shape, 3, hidden=()),
    "lenet with hidden layers": lambda shape: lenet(shape, 3, hidden=(6, 4)),
    "lenet with batch normalisation": lambda shape: lenet(shape, 3, normalized=True),
    "feature map": feature_map,
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("net", IMAGE_NETS.values(), ids=IMAGE_NETS)
def test_encoders_of_images_against_numpy(net, shape, training):
    torch.manual_seed(0)
    net, images = net(shape).train(training), torch.randn(2, *shape, generator=seeded(0))
    scramble(net)
    np.testing.assert_allclose(array(net(images)), run(net, array(images)), atol=1e-4)


DECODERS = {
    "lenet": lenet_decoder,
    "lenet without hidden layers": lambda latent, shape: lenet_decoder(latent, shape, hidden=()),
    "lenet with batch normalisation": lambda latent, shape: lenet_decoder(latent, shape, normalized=True),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("net", DECODERS.values(), ids=DECODERS)
def test_decoders_of_images_against_numpy(net, shape, training):
    torch.manual_seed(0)
    net, latent = net(3, shape).train(training), torch.randn(3, 3, generator=seeded(0))
    scramble(net)
    restored = net(latent)
    assert restored.shape == (3, *shape)
    np.testing.assert_allclose(array(restored), run(net, array(latent)), atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_perturbators_of_feature_maps_against_numpy(shape):
    torch.manual_seed(0)
    perturbators, images = MapPerturbators(shape, 2), torch.randn(2, *shape, generator=seeded(0))
    scramble(perturbators)
    drawn = array(perturbators(images, seeded(1)))
    assert drawn.shape == (2, 2, map_size(shape)) == (2, 2, feature_map(shape)(images).shape[1])
    noise = array(torch.rand(2, 2, 1, *shape[1:], generator=seeded(1)))
    for own, net in enumerate(perturbators.nets):
        expected = run(net, np.concatenate([array(images), noise[own]], axis=1))
        np.testing.assert_allclose(drawn[:, own], expected, atol=1e-4)


def convolutions(*filters, normalized):
    layers = ("Conv2d {} 5 1", "BatchNorm") if normalized else ("Conv2d {} 5 1 b",)
    return [form.format(n) for n in filters for form in (*layers, "MaxPool2d", "LeakyReLU")]


def test_networks_of_images_are_those_of_the_papers():
    grey, colour = (1, 28, 28), (3, 32, 32)
    dense = ["Flatten", "Linear 128 b", "LeakyReLU", "Linear 32 b"]
    assert forms(lenet(grey, 32)) == [*convolutions(16, 32, normalized=False), *dense]
    assert forms(lenet(colour, 32)) == [*convolutions(32, 64, 128, normalized=False), *dense]
    assert forms(lenet(grey, 32, normalized=True)) == [*convolutions(16, 32, normalized=True), *dense]
    growing = ["Upsample", "Conv2d 16 5 1", "BatchNorm", "LeakyReLU", "Upsample", "Conv2d 1 5 1"]
    assert forms(lenet_decoder(32, grey, normalized=True))[-6:] == growing
    assert forms(feature_map(grey)) == [*convolutions(16, 32, 64, normalized=True), "Crop", "Flatten"]
    assert forms(feature_map(colour)) == [*convolutions(32, 64, 128, normalized=True), "Crop", "Flatten"]
    assert (map_size(grey), map_size(colour)) == (64 * 3 * 3, 128 * 4 * 4)
    between = ["InstanceNorm", "ReLU", "Reflect"]
    body = ["Reflect", "Conv2d 16 9 1 b", *between, "Conv2d 32 3 2 b", *between, "Conv2d 64 3 2 b"]
    assert forms(MapPerturbators(grey, 2).nets[1]) == [*body, "MaxPool2d", "Crop", "Flatten"]
    assert forms(MapPerturbators(colour, 1).nets[0]) == [*body, *between, "Conv2d 128 3 2 b", "Crop", "Flatten"]
    assert forms(encoder_and_discriminator(grey, 128, 7)[1]) == ["Linear 128", "ReLU", "Linear 1"]


@pytest.mark.parametrize("shape", [(1, 9, 7), (3, 8, 8)], ids=str)
def test_pooling_before_the_leaky_relu_gives_what_pooling_after_it_gives(shape):
    net = lenet(shape, 3, normalized=True)
    layers = list(net)
    for place, layer in enumerate(net):
        if isinstance(layer, nn.MaxPool2d):
            layers[place], layers[place + 1] = net[place + 1], layer
    as_published = nn.Sequential(*layers)
    assert forms(as_published) != forms(net)
    x = torch.randn(20, *shape, generator=seeded(0), requires_grad=True)
    results = [each(x) for each in (net, as_published)]
    assert torch.equal(*results)
    gradients = [torch.autograd.grad(result.square().sum(), [x, *net.parameters()]) for result in results]
    assert all(torch.equal(got, published) for got, published in zip(*gradients, strict=True))


@pytest.mark.parametrize("shape", [(5,), (3, 4, 2)], ids=str)
def test_batch_normalisation_remembers_what_it_has_seen(shape):
    layer, reference = (
        BatchNorm(shape[0]),
        (nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d)(shape[0], eps=1e-4, affine=False),
    )
    for seed in range(3):
        x = 2 * torch.randn(6, *shape, generator=seeded(seed)) + 1
        torch.testing.assert_close(layer(x), reference(x))
    torch.testing.assert_close(layer.mean, reference.running_mean)
    torch.testing.assert_close(layer.variance, reference.running_var)
    layer.eval()
    together = layer(x)
    torch.testing.assert_close(torch.cat([layer(row[None]) for row in x]), together)  # no row needs company


def test_batch_with_one_value_a_channel_has_no_deviation():
    layer = BatchNorm(3)
    layer.mean += 2
    x = torch.tensor([[1.0, 2.0, 3.0]])
    torch.testing.assert_close(layer(x), (x - 2) / math.sqrt(1 + 1e-4))
    torch.testing.assert_close(layer(x[:, :, None, None]), layer(x)[:, :, None, None])
    assert layer.mean.tolist() == [2, 2, 2]
    assert layer(x[:0]).shape == (0, 3)


def test_networks_of_tables_against_numpy():
    x = torch.randn(5, 4, generator=seeded(0))
    for net in (mlp([4, 6, 3]), encoder((4,), (6, 5), 3), decoder(4, (5, 6), (3,))):
        np.testing.assert_allclose(array(net(x)), run_mlp(net, array(x)), atol=1e-5)


def test_networks_of_flattened_images_against_numpy():
    x = torch.randn(5, 2, 3, 4, generator=seeded(0))
    net = encoder((2, 3, 4), (6, 5), 3, image=None)
    np.testing.assert_allclose(array(net(x)), run_mlp(net, array(x).reshape(5, 24)), atol=1e-5)
    z = torch.randn(5, 3, generator=seeded(1))
    net = decoder(3, (5, 6), (2, 3, 4), image=None)
    np.testing.assert_allclose(array(net(z)), run_mlp(net, array(z)).reshape(5, 2, 3, 4), atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"image": None}])
def test_networks_of_sequences_against_numpy(options):
    x = torch.randn(5, 2, 7, generator=seeded(0))
    net = encoder((2, 7), (6, 4), 3, **options)
    np.testing.assert_allclose(array(net(x)), run_recurrent(net, array(x)), atol=1e-5)
    z = torch.randn(5, 3, generator=seeded(1))
    net = decoder(3, (6,), (2, 7), **options)
    np.testing.assert_allclose(array(net(z)), run_recurrent_decoder(net, array(z)), atol=1e-5)
    net = decoder(3, (4, 6), (2, 7), **options)
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
