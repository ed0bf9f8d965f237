"""What one would write without the package: scaling, training, scoring and a threshold, around the same networks."""

import numpy as np
import torch

from pyod_synth.base import DeepDetector

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
_BLOCK = 8192  # rows that are scored at a time


def fit(clf: DeepDetector, X: np.ndarray) -> tuple[torch.Tensor, float]:
    """Train the core of a detector by a bare loop, at constant rates.

    Parameters
    ----------
    clf : DeepDetector
        Whose networks, players, optimiser, rates, epochs and batches to take.
    X : ndarray of shape (n, *input_shape)

    Returns
    -------
    scores : Tensor of shape (n,), float32
    threshold : float
    """
    axes = (0, *range(2, X.ndim))
    x = torch.from_numpy(((X - X.mean(axis=axes, keepdims=True)) / X.std(axis=axes, keepdims=True)).astype(np.float32))
    core = clf.build_core(tuple(x.shape[1:]))
    core.generator = torch.Generator().manual_seed(0)
    make = _OPTIMIZERS[clf.optimizer_name]
    players = [
        (player.loss, make(player.parameters, lr=clf.lr, weight_decay=clf.weight_decay, fused=True))
        for player in core.players()
    ]
    training_x, training_y = core.prepare(x, None)
    core.train()
    for _ in range(clf.epoch_num):
        for batch in torch.randperm(len(training_x)).split(clf.batch_size):
            for loss_of, optimizer in players:
                optimizer.zero_grad()
                loss_of(training_x[batch], None if training_y is None else training_y[batch]).backward()
                optimizer.step()
    core.eval()
    with torch.no_grad():
        core.calibrate(x)
        scores = torch.cat([core.anomaly_score(block) for block in x.split(_BLOCK)])
    return scores, float(np.quantile(scores.numpy(), 1 - clf.contamination))
