"""Random numbers that belong to one detector: torch's global generators are neither read nor changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch.utils._python_dispatch import TorchDispatchMode

# operations that make tensors of torch's default type
_MAKES_FLOATS = {"empty", "zeros", "ones", "rand", "randn", "eye", "linspace", "logspace"}

RandomState = int | np.random.RandomState | None


def draw_seed(random_state: RandomState) -> int:
    """Draw the seed of one fit.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        None draws a fresh seed from the operating system.

    Returns
    -------
    int
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    return int(check_random_state(random_state).randint(2**31 - 1))


def new_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Make a generator of one's own on a device."""
    return torch.Generator(device).manual_seed(seed)


@contextmanager
def initializing(generator: torch.Generator) -> Iterator[None]:
    """Build networks in the block with weights from a generator, as float32 on the CPU.

    torch's layers draw their first weights from the global generator, and take type and place from global defaults.
    Within the block, and in this thread only, they take all three from here.

    Parameters
    ----------
    generator : torch.Generator
        On the CPU.

    Raises
    ------
    NotImplementedError
        If something draws random numbers in a way that takes no generator.
    """
    with torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"), _DrawFrom(generator):
        yield


class _DrawFrom(TorchDispatchMode):
    """Hand a generator to every operation that draws random numbers, and float32 to those that make tensors."""

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        names = {argument.name for argument in func._schema.arguments}
        if func.overloadpacket.__name__ in _MAKES_FLOATS and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32  # and not what set_default_dtype may have made of it
        if torch.Tag.nondeterministic_seeded in func.tags and kwargs.get("generator") is None:
            if "generator" not in names:
                func = _with_generator(func)
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)


def _with_generator(func: Any) -> Any:
    """Find the form of an operation that takes a generator: ``randn.generator`` for ``randn.default``."""
    packet, name = func.overloadpacket, func._overloadname
    other = "generator" if name == "default" else f"{name}_generator"
    if other not in packet.overloads():
        raise NotImplementedError(f"{func} takes no generator, so that it would draw from torch's global one")
    return getattr(packet, other)
