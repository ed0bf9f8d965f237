"""Training and scoring of a core: plain functions, and the only place with an optimiser.

Rows stay in one tensor that is sliced by index: a ``DataLoader`` over rows costs an order of magnitude more time
than the networks of this package do.
"""

import ctypes
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from threading import local
from typing import Any, TypeVar

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor
from tqdm import tqdm

from pyod_synth.core import Core

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "amsgrad": partial(torch.optim.Adam, amsgrad=True),
    "sgd": torch.optim.SGD,
}

# A block of rows that is computed at a time: small enough for a processor's cache, large enough to amortise each call.
_BLOCK_ROWS, _BLOCK_ELEMENTS = 8192, 2**18
_LEAST_THREADED = 512  # elements of an image from which threads pay
_LEAST_BLOCKS = 8  # for each thread, where blocks are computed side by side

Result = TypeVar("Result", Tensor, tuple[Tensor, Tensor])


def place(rows: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """Put rows into a tensor on a device.

    Images go there with their channels last, in memory alone: networks on processors are 1.2 to 1.9 times faster so.

    Parameters
    ----------
    rows : ndarray of shape (n, *input_shape), float32
    device : torch.device

    Returns
    -------
    Tensor of shape (n, *input_shape), float32
    """
    x = torch.from_numpy(rows).to(device)
    return x.to(memory_format=torch.channels_last) if x.ndim == 4 else x


def epochs(
    core: Core,
    x: Tensor,
    y: Tensor | None,
    *,
    epoch_num: int,
    batch_size: int,
    lr: float,
    optimizer_name: str = "adamw",
    lr_schedule: str | Sequence[int] = "cosine",
    weight_decay: float = 0.0,
    verbose: bool = False,
) -> Iterator[float]:
    """Train a core, an epoch for each item asked for.

    Batches are drawn from what ``core.prepare`` makes of the rows. Every batch gives each of ``core.players()`` one
    step, in order. The core stays in training mode, and is not calibrated. Its generator draws all random numbers.

    Parameters
    ----------
    core : Core
        Changed in place.
    x : Tensor of shape (n, *input_shape), float32
        Standardised rows, on the core's device.
    y : Tensor of shape (n,), int64, or None
        Labels, on the core's device.
    epoch_num : int
        Passes over the rows.
    batch_size : int
        Rows per step; smaller when there are fewer rows. The rows of an epoch are spread evenly over its batches, so
        that no epoch ends with a batch of a few rows.
    lr : float
        Initial learning rate of parameters for which no player states one.
    optimizer_name : {"adam", "adamw", "amsgrad", "sgd"}, default="adamw"
        Torch's optimiser of every player.
    lr_schedule : {"cosine", "constant"} or sequence of int, default="cosine"
        How rates go on: along a cosine to zero, not at all, or divided by ten after each of these epochs.
    weight_decay : float, default=0.0
        Decoupled from the loss for "adamw", else added to it as half of its square norm.
    verbose : bool, default=False
        Whether to show a progress bar on standard error.

    Yields
    ------
    float
        Mean loss of the epoch, summed over the players.

    Raises
    ------
    FloatingPointError
        If a loss stops being finite.
    """
    losses, optimizers = [], []
    for player in core.players():
        losses.append(player.loss)
        parameters = list(player.parameters)
        optimizer = OPTIMIZERS[optimizer_name](parameters, lr=lr, weight_decay=weight_decay, fused=True)
        # Before each step torch would ask a GPU whether it captures a graph, which starts CUDA for work on the CPU too:
        # it takes memory of the GPU, and forked processes could not fit any more.
        vars(optimizer)["_accelerator_graph_capture_health_check"] = lambda: None
        optimizers.append(optimizer)
    moved: list[list[Tensor]] = [
        [entry for group in optimizer.param_groups for entry in group["params"]] for optimizer in optimizers
    ]
    training_x, training_y = core.prepare(x, y)
    batch_num = math.ceil(len(training_x) / batch_size)
    schedulers = [_scheduler(optimizer, lr_schedule, epoch_num * batch_num) for optimizer in optimizers]
    each_batch = lr_schedule == "cosine"  # or each epoch
    core.train()
    silent = not verbose or sys.stderr is None  # as in a program without a console
    for epoch in tqdm(range(epoch_num), desc=type(core).__name__, unit="epoch", disable=silent):
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        order = torch.randperm(len(training_x), generator=core.generator, device=x.device)
        for rows in order.tensor_split(batch_num):
            batch = training_x[rows], None if training_y is None else training_y[rows]
            for loss_of, own, optimizer, scheduler in zip(losses, moved, optimizers, schedulers, strict=True):
                loss = loss_of(*batch)
                # as optimizer.zero_grad() does, which takes a twelfth of a step of small networks
                for parameter in own:
                    parameter.grad = None
                loss.backward(inputs=own)  # opponents' gradients are not worth their time
                optimizer.step()
                if each_batch:
                    scheduler.step()
                total += loss.detach()
        if not each_batch:
            for scheduler in schedulers:
                scheduler.step()
        mean = total.item() / batch_num
        if not math.isfinite(mean):
            raise FloatingPointError(f"the loss of {type(core).__name__} is {mean} in epoch {epoch + 1}")
        yield mean


def _scheduler(
    optimizer: torch.optim.Optimizer, lr_schedule: str | Sequence[int], step_num: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Make what changes a rate: along a cosine batch by batch, in drops epoch by epoch."""
    if lr_schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, step_num)
    drops = () if lr_schedule == "constant" else lr_schedule
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, [int(epoch) for epoch in drops])


@torch.no_grad()
def calibrate(core: Core, x: Tensor, y: Tensor | None) -> None:
    """Make a trained core ready to score: calibrated on the rows not known to be anomalies, in evaluation mode.

    Parameters
    ----------
    core : Core
        Changed in place.
    x, y
        As in :func:`epochs`.
    """
    core.eval()
    # known anomalies are not what is usual; without any other row they have to do
    core.calibrate(x if y is None or y.all() else x[y == 0])


@torch.no_grad()
def by_blocks(
    function: Callable[[Tensor], Result], x: Tensor, cost: int | None = None, *, in_turn: bool = False
) -> Result:
    """Apply to rows, block by block, what gives each row a result of its own.

    Within :func:`computing`, many blocks of a table are computed side by side, each on one thread.

    Parameters
    ----------
    function : callable
        From (batch, *input_shape) to (batch, ...), or to a pair of such.
    x : Tensor of shape (n, *input_shape), float32
        Standardised rows, on the core's device.
    cost : int or None, default=None
        Numbers that the function holds for each row at a time. None takes a row's own.
    in_turn : bool, default=False
        Whether blocks are computed one after the other, as those have to be for which random numbers are drawn.

    Returns
    -------
    Tensor of shape (n, ...), or a pair of such
        A row's result depends on the rows of its block by rounding alone.
    """
    block = max(1, min(_BLOCK_ROWS, _BLOCK_ELEMENTS // (cost or x[0].numel())))
    blocks = x.split(block)
    spare = getattr(_here, "spare", 1) if x.device.type == "cpu" and not in_turn else 1
    workers = min(spare, len(blocks) // _LEAST_BLOCKS)
    if workers < 2:
        return _join([function(rows) for rows in blocks])
    with ThreadPoolExecutor(workers, initializer=_begin_worker) as pool:
        return _join(list(pool.map(torch.no_grad()(function), blocks)))


def _join(results: list[Result]) -> Result:
    if isinstance(results[0], tuple):
        first, second = zip(*results, strict=True)
        return torch.cat(first), torch.cat(second)
    return torch.cat(results)


@contextmanager
def computing(x: Tensor) -> Iterator[None]:
    """Compute with rows in the block under one rule, for building, training, calibrating and scoring alike.

    Tables, sequences and tiny images are kept on one thread: their matrices are small, threads gain little on an idle
    machine and, waiting for each other in a busy one, slowed a fit of 10,000 x 20 from 4 to 70 seconds on two cores. It
    also lets them be fitted in a forked process, where threads that the parent process has used do not exist. Only the
    blocks of :func:`by_blocks` are divided among threads. Convolutions over larger images keep all threads.

    Gradients are on, whatever the caller has turned off.

    Parameters
    ----------
    x : Tensor of shape (n, *input_shape)
    """
    alone = x.ndim < 4 or x[0].numel() < _LEAST_THREADED
    with torch.inference_mode(False), torch.enable_grad(), _one_thread() if alone else nullcontext():
        yield


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep what this thread computes on one thread, and leave all others, and those that begin meanwhile, alone.

    ``torch.set_num_threads`` would set the number of the process, which every thread begins with and then keeps.
    """
    number, outer = torch.get_num_threads(), getattr(_here, "spare", 1)
    _here.spare = max(number, outer)
    before = _set_mkl_threads(1)
    try:
        with _openmp.limit(limits=1):
            yield
    finally:
        _set_mkl_threads(before)
        _here.spare = outer


def _begin_worker() -> None:
    """Keep a thread that is about to begin on one thread, for all its life."""
    torch.get_num_threads()  # has torch choose the thread's number now, and not with its first work
    _set_mkl_threads(1)
    _openmp.limit(limits=1)


def _find_mkl() -> Callable[[int], int]:
    """Find what sets the calling thread's number in the MKL within torch, where there is one; it gives the former."""
    for library in (Path(torch.__file__).parent / "lib").glob("libtorch_cpu.so"):
        found = getattr(ctypes.CDLL(str(library)), "MKL_Set_Num_Threads_Local", None)
        if found is not None:
            return found
    return lambda number: 0


_here = local()  # spare: the threads that torch may use here, while it is kept on one
_openmp = ThreadpoolController().select(user_api="openmp")
_set_mkl_threads = _find_mkl()
