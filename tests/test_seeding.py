"""Random numbers of one detector: first weights as torch gives them, whatever its global state is."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from pyod_synth.seeding import draw_seed, initializing, new_generator


def build():
    """Everything that draws, or takes its type and place from defaults."""
    layers = [nn.Linear(3, 4), nn.Conv1d(2, 4, 3), nn.Conv2d(1, 2, 3), nn.LSTM(3, 4), nn.BatchNorm1d(3)]
    drawn = [torch.randn(20), torch.rand(3), torch.randperm(5), torch.randint(7, (3,)), torch.rand(3, 2).uniform_(1, 2)]
    drawn += [nn.init.orthogonal_(torch.empty(4, 4)), torch.randn_like(drawn[0]), torch.zeros(2), torch.full((2,), 0.5)]
    return [*(parameter for layer in layers for parameter in layer.parameters()), *drawn]


def seeded_build(seed=7):
    with initializing(new_generator(seed)):
        return build()


def as_torch_gives_them(seed=7):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def assert_equal(built, expected):
    for tensor, other in zip(built, expected, strict=True):
        assert tensor.dtype == other.dtype
        assert tensor.device.type == "cpu"
        assert torch.equal(tensor, other)


def test_first_weights_are_those_of_torch():
    state = torch.get_rng_state()
    assert_equal(seeded_build(), as_torch_gives_them())
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(seeded_build(8)[0], seeded_build(7)[0])


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_that_are_off(off):
    expected = as_torch_gives_them()
    with off():
        built = seeded_build()
    assert_equal(built, expected)
    assert built[0].requires_grad
    assert not any(tensor.is_inference() for tensor in built)


def test_other_default_type():
    expected = as_torch_gives_them()
    torch.set_default_dtype(torch.float64)
    try:
        built = seeded_build()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_equal([tensor.float() for tensor in built], [tensor.float() for tensor in expected])
    assert all(parameter.dtype == torch.float32 for parameter in built[:8])


def test_other_default_device():
    expected = as_torch_gives_them()
    torch.set_default_device("meta")
    try:
        assert_equal(seeded_build(), expected)
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)


def test_two_threads_at_once():
    expected = [as_torch_gives_them(seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        for built, alone in zip(pool.map(seeded_build, range(6)), expected, strict=True):
            assert_equal(built, alone)


def test_draws_elsewhere_are_those_of_the_user():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    seeded_build()
    assert torch.equal(torch.rand(2), expected)


def test_seeds():
    assert draw_seed(3) == draw_seed(np.int64(3)) == draw_seed(np.random.RandomState(3))
    generator = np.random.RandomState(3)
    assert draw_seed(generator) != draw_seed(generator)
    assert draw_seed(None) != draw_seed(None)
    assert torch.equal(
        torch.rand(3, generator=new_generator(5)), torch.rand(3, generator=torch.Generator().manual_seed(5))
    )
