"""Training and scoring of a core: plain functions, and the only place with an optimiser.

Rows stay in one tensor that is sliced by index: a ``DataLoader`` over rows costs an order of magnitude more time
than the networks of this package do.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from tqdm import tqdm

from pyod_synth.core import Core

# Elements of one scoring block: small enough to stay in a processor's cache, large enough to amortise each call.
_BLOCK_ELEMENTS = 2**15
_LEAST_THREADED = 512  # elements of an image from which threads pay


def train(core: Core, x: Tensor, y: Tensor | None, **options) -> list[float]:
    """Fit a core: all epochs, and then what scoring needs beside the weights.

    Parameters
    ----------
    core, x, y, **options
        As in :func:`epochs`.

    Returns
    -------
    list of float
        What the epochs give.
    """
    history = list(epochs(core, x, y, **options))
    calibrate(core, x, y)
    return history


def epochs(
    core: Core,
    x: Tensor,
    y: Tensor | None,
    *,
    epoch_num: int,
    batch_size: int,
    lr: float,
    weight_decay: float,
    verbose: bool = False,
) -> Iterator[float]:
    """Train a core by AdamW with a cosine-decayed learning rate, an epoch for each item asked for.

    Batches are drawn from what ``core.prepare`` makes of the rows. Every batch gives each of ``core.players()`` one
    step, in order. The core stays in training mode, and is not calibrated.

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
        Initial learning rate of players that state none.
    weight_decay : float
        AdamW's decoupled weight decay.
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
    players = [player._replace(parameters=list(player.parameters)) for player in core.players()]
    training_x, training_y = core.prepare(x, y)
    batch_num = math.ceil(len(training_x) / batch_size)
    optimizers = [
        torch.optim.AdamW(player.parameters, lr=player.lr or lr, weight_decay=weight_decay, fused=True)
        for player in players
    ]
    schedulers = [torch.optim.lr_scheduler.CosineAnnealingLR(o, epoch_num * batch_num) for o in optimizers]
    core.train()
    for epoch in tqdm(range(epoch_num), desc=type(core).__name__, unit="epoch", disable=not verbose):
        total = torch.zeros((), device=x.device)
        with _threads_for(x):
            for rows in torch.randperm(len(training_x), device=x.device).tensor_split(batch_num):
                for player, optimizer, scheduler in zip(players, optimizers, schedulers, strict=True):
                    loss = player.loss(training_x[rows], None if training_y is None else training_y[rows])
                    optimizer.zero_grad()
                    loss.backward(inputs=player.parameters)  # opponents' gradients are not worth their time
                    optimizer.step()
                    scheduler.step()
                    total += loss.detach()
        loss = total.item() / batch_num
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss of {type(core).__name__} is {loss} in epoch {epoch + 1}; a smaller lr may help"
            )
        yield loss


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
    with _threads_for(x):
        # known anomalies are not what is usual; without any other row they have to do
        core.calibrate(x if y is None or y.all() else x[y == 0])


def score(core: Core, x: Tensor) -> Tensor:
    """Score rows.

    Parameters
    ----------
    core : Core
        In evaluation mode.
    x : Tensor of shape (n, *input_shape), float32
        Standardised rows, on the core's device.

    Returns
    -------
    Tensor of shape (n,), float32
        Higher is more anomalous.
    """
    return by_blocks(core.anomaly_score, x)


@torch.no_grad()
def by_blocks(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply to rows, block by block, what gives each row a result of its own.

    Every block has the same number of rows, the last one filled up with zeros: matrix products round differently for
    different batch shapes, so this is what gives a row the same result, to the bit, in whatever company it comes. That
    number is a power of two: processors compute what does not fill their vectors by other instructions, which round
    differently too.

    Parameters
    ----------
    function : callable
        From (batch, *input_shape) to (batch, ...).
    x : Tensor of shape (n, *input_shape), float32
        Standardised rows, on the core's device.

    Returns
    -------
    Tensor of shape (n, ...), float32
    """
    block = 2 ** (max(2, _BLOCK_ELEMENTS // x[0].numel()).bit_length() - 1)
    results = []
    with _threads_for(x):
        for rows in x.split(block):
            padded = torch.cat([rows, rows.new_zeros(block - len(rows), *rows.shape[1:])])
            results.append(function(padded)[: len(rows)])
    return torch.cat(results)


@contextmanager
def _threads_for(x):
    """Keep tables and tiny images on one thread while the block runs.

    Their matrices are small: threads gain little on an idle machine and, waiting for each other in a busy one, slowed a
    fit of 10,000 x 20 from 4 to 70 seconds on two cores. Convolutions over larger images keep all threads.
    """
    threads = torch.get_num_threads()
    if x.ndim == 2 or x[0].numel() < _LEAST_THREADED:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
