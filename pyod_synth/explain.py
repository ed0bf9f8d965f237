"""Why a row is anomalous: contributions of its features to its score, and drawings of them.

Every detector's ``explain`` gives the contributions. Their sum is the row's score less the score of a typical row, the
same for all rows; a feature with a positive contribution makes the row more anomalous than a typical one. Detectors
whose score is differentiable have integrated gradients [1]_ for that. The drawings need matplotlib, the extra ``plot``.

References
----------
.. [1] M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

_STEPS = 64
_MORE, _LESS = "tab:red", "tab:blue"


def integrated_gradients(score: Callable[[Tensor], Tensor], x: Tensor, baseline: Tensor) -> Tensor:
    """Divide a score among the entries of rows: (x - b) times the mean gradient between the baseline b and x.

    The mean is over the midpoints of 64 equal steps. What these miss of the score's difference, which has been some
    hundredths at most, is added in proportion to the absolute contributions.

    Parameters
    ----------
    score : callable
        From (batch, *input_shape) to (batch,), differentiable; a row's score depends on that row alone.
    x : Tensor of shape (batch, *input_shape)
    baseline : Tensor of shape (1, *input_shape)
        The row whose entries contribute nothing.

    Returns
    -------
    Tensor of shape (batch, *input_shape)
        The sum of each row is score(x) - score(baseline).
    """
    total = torch.zeros_like(x)
    for step in range(_STEPS):
        with torch.enable_grad():
            between = (baseline + (step + 0.5) / _STEPS * (x - baseline)).requires_grad_()
            (gradient,) = torch.autograd.grad(score(between).sum(), between)
        total += gradient
    contributions = (x - baseline) * total / _STEPS
    missed = score(x) - score(baseline) - contributions.flatten(1).sum(dim=1)
    size = contributions.abs().flatten(1)
    share = size / size.sum(dim=1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    return contributions + (share * missed[:, None]).view_as(x)


def plot_row(detector: Any, row: Any, *, n_features: int = 10, names: Any = None, ax: Any = None) -> Any:
    """Draw what the features of a row of a table add to its score, beside their values and usual ranges.

    Parameters
    ----------
    detector : CoreDetector
        Fitted on a table.
    row : array-like of shape (d,) or (1, d)
    n_features : int, default=10
        How many features to draw: those that contribute most, whether positively or negatively.
    names : sequence of str of length d or None, default=None
        What to call the features. None takes the column names that the detector was fitted with, else numbers.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw. None makes a figure, ``plot_row(...).figure``.

    Returns
    -------
    matplotlib.axes.Axes
        With a bar for each feature, the largest on top, labelled with the feature's value and the quantiles 0.05 and
        0.95 of the training rows.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If ``row`` is not one row of a table, or there is another number of names than of features.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import GatedKNN
    >>> from pyod_synth.explain import plot_row
    >>> clf = GatedKNN().fit(np.random.default_rng(0).normal(size=(200, 2)))
    >>> ax = plot_row(clf, [0.0, 9.0], names=["width", "height"])
    >>> [label.get_text().split(" = ")[0] for label in ax.get_yticklabels()]
    ['height', 'width']
    """
    row = _one_row(row, dimensions=1)
    contributions, score = detector.explain(row)[0], detector.decision_function(row)[0]
    value = np.asarray(row, dtype=np.float64)[0]
    if len(detector.input_shape_) != 1:
        raise ValueError(f"plot_row draws rows of tables, got a detector of images {detector.input_shape_}: plot_image")
    if names is None:
        names = getattr(detector, "feature_names_in_", [f"feature {number}" for number in range(len(value))])
    if len(names) != len(value):
        raise ValueError(f"names must hold a name for each of {len(value)} features, got {len(names)}")
    order = np.argsort(-np.abs(contributions), kind="stable")[:n_features]
    low, _, high = detector.usual_[:, order]
    if ax is None:
        ax = _new_axes(width=7.5, height=1.2 + 0.42 * len(order))
    ax.barh(range(len(order)), contributions[order], color=np.where(contributions[order] > 0, _MORE, _LESS))
    ax.axvline(0, color="black", linewidth=0.8)
    labels = [
        f"{names[feature]} = {value[feature]:.4g}\nusually {least:.4g} to {most:.4g}"
        for feature, least, most in zip(order, low, high, strict=True)
    ]
    ax.set_yticks(range(len(order)), labels, fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel("contribution to the score (right: more anomalous)")
    ax.set_title(_title(detector, score, contributions), fontsize=10)
    return ax


def plot_image(detector: Any, image: Any, *, ax: Any = None) -> Any:
    """Draw an image with what its pixels add to its score laid over it.

    Parameters
    ----------
    detector : CoreDetector
        Fitted on images.
    image : array-like of shape (C, H, W), (1, C, H, W) or (C * H * W,)
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw. None makes a figure, ``plot_image(...).figure``.

    Returns
    -------
    matplotlib.axes.Axes
        The image in grey, its channels averaged; over it, red where pixels make it more anomalous than a typical image
        and blue where less, summed over the channels. The stronger the contribution, the less transparent.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        If ``image`` is not one image of the detector's shape.

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import GatedKNN
    >>> from pyod_synth.explain import plot_image
    >>> X = np.random.default_rng(0).uniform(size=(60, 1, 8, 8))
    >>> clf = GatedKNN().fit(X)
    >>> len(plot_image(clf, X[0]).images)
    2
    """
    shape = detector.input_shape_
    if len(shape) != 3:
        raise ValueError(f"plot_image draws images, got a detector of tables with {shape[0]} features: plot_row")
    image = _one_row(image, dimensions=1 if np.ndim(image) in (1, 2) else 3)
    contributions, score = detector.explain(image).reshape(shape), detector.decision_function(image)[0]
    if ax is None:
        ax = _new_axes(width=4.6, height=4.4)
    pixels = np.asarray(image, dtype=np.float64).reshape(shape).mean(axis=0)
    summed = contributions.sum(axis=0)
    largest = max(np.abs(summed).max(), np.finfo(np.float64).tiny)
    # between dark and light grey, on which both colours stand out
    middle, span = (pixels.min() + pixels.max()) / 2, np.ptp(pixels) or 1.0
    ax.imshow(pixels, cmap="gray", vmin=middle - span, vmax=middle + span)
    overlay = ax.imshow(summed, cmap="bwr", vmin=-largest, vmax=largest, alpha=0.75 * np.abs(summed) / largest)
    bar = ax.figure.colorbar(overlay, ax=ax, shrink=0.8)
    bar.set_label("contribution to the score (red: more anomalous)")
    ax.set(xticks=[], yticks=[])
    ax.set_title(_title(detector, score, contributions), fontsize=10)
    return ax


def _one_row(row: Any, dimensions: int) -> Any:
    """Return what is one row, of so many dimensions by itself, with an axis of length one before them."""
    row = row if hasattr(row, "ndim") else np.asarray(row)
    if row.ndim == dimensions:
        row = np.asarray(row)[None]
    if row.ndim != dimensions + 1 or len(row) != 1:
        raise ValueError(f"one row is drawn at a time, got an array of shape {row.shape}")
    return row


def _title(detector: Any, score: float, contributions: Any) -> str:
    typical = score - contributions.sum()
    if abs(typical) < 1e-5 * np.abs(contributions).sum():  # what rounding leaves
        typical = 0.0
    return f"{type(detector).__name__}\nscore {score:.3g}, of a typical row {typical:.3g}"


def _new_axes(width: float, height: float) -> Any:
    """Make the axes of a figure that no window shows."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('drawing needs matplotlib, an extra: pip install "pyod_synth[plot]"') from error
    return Figure(figsize=(width, height), layout="constrained").subplots()
