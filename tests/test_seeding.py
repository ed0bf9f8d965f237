"""Random numbers of one detector: first weights as torch gives them, whatever its global state is."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

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
    parameters = [tensor for tensor in built if isinstance(tensor, nn.Parameter)]
    assert len(parameters) == 12
    assert all(parameter.dtype == torch.float32 for parameter in parameters)


def test_other_default_device():
    expected = as_torch_gives_them()
    torch.set_default_device("meta")
    try:
        assert_equal(seeded_build(), expected)
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)


def test_two_threads_at_once():
    def build_beside(seed, barrier):
        with initializing(new_generator(seed)):
            layers = []
            for _ in range(5):
                barrier.wait(10)
                layers.append(nn.Linear(3, 4).weight)
        return layers

    both = Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        beside = list(pool.map(build_beside, (1, 2), (both, both)))
    for seed, built in zip((1, 2), beside, strict=True):
        assert_equal(built, build_beside(seed, Barrier(1)))
    assert not torch.equal(beside[0][0], beside[1][0])


def test_other_threads_draw_from_the_global_generator():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    with initializing(new_generator(7)), ThreadPoolExecutor(1) as pool:
        torch.rand(5)
        assert torch.equal(pool.submit(torch.rand, 2).result(10), expected)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: nn.functional.dropout(torch.ones(50)),
        lambda: nn.LSTM(3, 4, 2, dropout=0.5)(torch.ones(5, 2, 3))[0].detach(),
        lambda: torch.ones(50).bernoulli_(0.5),
        lambda: torch.normal(0.0, 1.0, (50,)),
        lambda: torch.ones(50).multinomial(5),
        lambda: nn.init.trunc_normal_(torch.empty(50)),
        lambda: nn.init.sparse_(torch.empty(5, 10), 0.5),
    ],
    ids=["dropout", "LSTM with dropout", "bernoulli_", "normal", "multinomial", "trunc_normal_", "sparse_"],
)
def test_other_draws_are_those_of_torch_too(draw):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        expected = draw()
    state = torch.get_rng_state()
    with initializing(new_generator(7)):
        assert torch.equal(draw(), expected)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_takes_no_generator_is_an_error():
    state = torch.get_rng_state()
    with (
        pytest.raises(NotImplementedError, match="native_dropout.* takes no generator"),
        initializing(new_generator(7)),
    ):
        torch.native_dropout(torch.ones(50), 0.5, True)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(2)  # the error has ended the block
    assert not torch.equal(torch.get_rng_state(), state)


def test_draws_elsewhere_are_those_of_the_user():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    seeded_build()
    assert torch.equal(torch.rand(2), expected)


def test_seeds():
    assert len({draw_seed(seed) for seed in range(300)}) == 300
    assert draw_seed(3) == draw_seed(np.int64(3)) == draw_seed(np.random.RandomState(3))
    generator = np.random.RandomState(3)
    assert draw_seed(generator) != draw_seed(generator)
    assert draw_seed(None) != draw_seed(None)
    assert torch.equal(
        torch.rand(3, generator=new_generator(5)), torch.rand(3, generator=torch.Generator().manual_seed(5))
    )


def test_a_generator_that_is_given_is_used():
    with initializing(new_generator(7)):
        drawn = torch.randn(3, generator=new_generator(1))
    assert torch.equal(drawn, torch.randn(3, generator=new_generator(1)))
