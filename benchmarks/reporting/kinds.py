"""Cells and their rows -> a figure of what detectors learned.

To add a kind of picture, write a function (picture, cells, parts) -> figure and enter it in ``KINDS``.
"""

import textwrap

import numpy as np
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.metrics import roc_auc_score

from benchmarks import detectors
from benchmarks.experiments import Picture
from benchmarks.protocols import Split
from benchmarks.running.cell import isolated
from benchmarks.running.records import Cell
from pyod_synth import DHAG, PLAD

PERTURBING = (PLAD, DHAG)  # whose inventions are rows, or their latent vectors, moved a little
_SHOWN = 500  # rows of each group that are embedded: more would cover each other
_IMAGES = 8  # before and after perturbing
_BINS = 40
_TAIL = 0.005  # share of the scores on either side that the outermost bins take in

# Of Okabe and Ito: colour-blind readers tell them apart. Markers differ as well, where points do.
_BLUE, _SKY, _GREEN, _VERMILION, _GREY = "#0072B2", "#56B4E9", "#009E73", "#D55E00", "#8C8C8C"
_LOOKS = {
    "training rows": {"color": _BLUE, "marker": "."},
    "normal test rows": {"color": _SKY, "marker": "^"},
    "anomalous test rows": {"color": _VERMILION, "marker": "s"},
    "perturbed": {"color": "black", "marker": "x"},
    "perturbed, called normal": {"color": _GREEN, "marker": "P"},
}


def scores(picture: Picture, cells: list[Cell], parts: Split) -> Figure:
    """Draw histograms of test scores, one class apart if the picture says so.

    Parameters
    ----------
    picture : Picture
    cells : list of Cell
        One for each detector.
    parts : benchmarks.protocols.Split

    Returns
    -------
    matplotlib.figure.Figure
    """
    normal, apart = parts.y_test == 0, np.zeros(len(parts.y_test), dtype=bool)
    if picture.apart is not None:
        apart = np.equal(parts.classes_test, picture.apart)
    groups = [
        ("normal", normal, _BLUE),
        (f"class {picture.apart}", apart, _VERMILION),
        ("all other classes" if apart.any() else "anomalies", ~normal & ~apart, _GREY),
    ]
    figure, axes = _panels(cells, f"Scores of the test rows of {picture.dataset}")
    for axis, cell in zip(axes, cells, strict=True):
        with isolated(cell.seed):
            detector = _fit(cell, parts)
            values = detector.decision_function(detectors.shape_for(cell.detector, parts.X_test))
        low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
        lines = []
        for name, rows, color in groups:
            if not rows.any():
                continue
            shown = np.clip(values[rows], low, high)
            bins, weights = np.linspace(low, high, _BINS + 1), np.full(len(shown), 100 / len(shown))
            axis.hist(shown, bins, weights=weights, histtype="stepfilled", color=color, alpha=0.25)
            axis.hist(shown, bins, weights=weights, histtype="step", color=color, linewidth=1.5, label=name)
            if name != "normal":
                both = normal | rows
                lines.append(f"{name}: AUROC {roc_auc_score(rows[both], values[both]):.3f}")
        axis.set(xlabel="score (tails in the outermost bins)", ylabel="% of the group")
        axis.set_title("\n".join([_name(cell.detector), *lines]), fontsize=10)
    _legend(figure, axes)
    return figure


def representations(picture: Picture, cells: list[Cell], parts: Split) -> Figure:
    """Draw learned representations by t-SNE: training rows, what is made of them, and test rows.

    Where there are several perturbators, the marker of a perturbed row is the number of its perturbator.

    Parameters
    ----------
    picture, cells, parts
        As in :func:`scores`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = {
        "training rows": _training_rows(parts),
        "normal test rows": parts.X_test[parts.y_test == 0],
        "anomalous test rows": parts.X_test[parts.y_test == 1],
    }
    rng = np.random.default_rng(cells[0].seed)
    rows = {name: _some(rng, X, _SHOWN) for name, X in rows.items()}
    figure, axes = _panels(cells, f"Representations of {picture.dataset}, {picture.protocol}, by t-SNE")
    for axis, cell in zip(axes, cells, strict=True):
        detector = _fit(cell, parts)
        vectors = np.concatenate([detector.embed(X) for X in rows.values()])
        groups = np.repeat(list(rows), [len(X) for X in rows.values()])
        makers = np.zeros(len(groups), dtype=int)
        if isinstance(detector, PERTURBING):
            synthetic = _synthetic(rng, detector, rows["training rows"])
            vectors, groups, makers = (
                np.concatenate(both) for both in zip((vectors, groups, makers), synthetic, strict=True)
            )
        tsne = TSNE(perplexity=min(30, (len(vectors) - 1) / 3), random_state=cell.seed)
        _scatter(axis, tsne.fit_transform(vectors.astype(np.float32)), groups, makers)
    _legend(figure, axes)
    return figure


def _scatter(axis, places, groups, makers):
    """Draw points, those of a numbered perturbator as its number."""
    for name in dict.fromkeys(groups):
        for maker in np.unique(makers[groups == name]):
            own = places[(groups == name) & (makers == maker)]
            look = {"s": 14, "linewidths": 0.7, "alpha": 0.7} | _LOOKS[name]
            axis.scatter(*own.T, **(look | {"marker": f"${maker}$", "s": 26, "linewidths": 0} if maker else look))
        axis.scatter([], [], label=name, **_LOOKS[name])
    axis.set(xticks=[], yticks=[], xlabel="numbers are perturbators" if makers.any() else "")


def _synthetic(rng, detector, X):
    """Represent some of what a detector makes of rows.

    Returns
    -------
    vectors : ndarray of shape (m, k), float64
    names : ndarray of shape (m,), str
        "perturbed", or "perturbed, called normal".
    makers : ndarray of shape (m,), int
        Number of the perturbator, from 1; 0 if there is but one.
    """
    if not isinstance(detector, DHAG):
        return detector.embed(detector.invent(X)), np.repeat("perturbed", len(X)), np.zeros(len(X), dtype=int)
    perturbed, labels = detector.perturb(X, return_labels=True)
    n_perturbators = labels.shape[1]
    shown = rng.permutation(labels.size)[:_SHOWN]
    vectors = perturbed.reshape(labels.size, *perturbed.shape[2:])[shown]
    if detector.space == "input":
        vectors = detector.embed(vectors)
    names = np.where(labels.ravel()[shown] == 1, "perturbed", "perturbed, called normal")
    return vectors, names, shown % n_perturbators + (n_perturbators > 1)


def perturbed(picture: Picture, cells: list[Cell], parts: Split) -> Figure:
    """Draw training images before and after they are perturbed, all on one scale, which goes as far as they do.

    Parameters
    ----------
    picture, cells, parts
        As in :func:`scores`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    before = _some(np.random.default_rng(cells[0].seed), _training_rows(parts), _IMAGES)
    lines = [("before", before)]
    for cell in cells:
        detector = _fit(cell, parts)
        after = detector.perturb(before) if isinstance(detector, DHAG) else detector.invent(before)
        several = after if after.ndim > before.ndim else after[:, None]  # of DHAG's perturbators, or the one of PLAD
        for number, images in enumerate(np.moveaxis(several, 1, 0), start=1):
            name = _name(cell.detector, width=24) + (f"\nperturbator {number}" if several is after else "")
            lines.append((f"{name}\nmean change {np.abs(images - before).mean():.3f}", images))
    # perturbed images go below black and above white
    low, high = np.quantile([images for _, images in lines], [_TAIL, 1 - _TAIL])
    figure = Figure(figsize=(1.1 * len(before) + 1.8, 1.12 * len(lines) + 0.4), layout="constrained")
    figure.suptitle(f"Training images of {picture.dataset}, before and after perturbing")
    axes = figure.subplots(len(lines), len(before), squeeze=False)
    for line, (name, images) in zip(axes, lines, strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, image in zip(line, images, strict=True):
            shown = (np.moveaxis(image, 0, -1) - low) / (high - low)
            axis.imshow(np.clip(shown, 0, 1), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
    return figure


KINDS = {"scores": scores, "representations": representations, "perturbed": perturbed}


def _fit(cell, parts):
    detector = detectors.build(cell.detector, cell.seed, labels=parts.y_train is not None)
    return detector.fit(detectors.shape_for(cell.detector, parts.X_train), parts.y_train)


def _training_rows(parts):
    """Keep the training rows that are not known to be anomalies."""
    return parts.X_train if parts.y_train is None else parts.X_train[parts.y_train == 0]


def _some(rng, X, count):
    """Draw rows without repetition, at most ``count``."""
    return X[rng.permutation(len(X))[:count]]


def _panels(cells, title):
    """Make a figure with a panel for each detector, three in a line."""
    columns = min(3, len(cells))
    lines = -(-len(cells) // columns)
    figure = Figure(figsize=(4.6 * columns + 0.4, 4.4 * lines + 0.9), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis in axes[len(cells) :]:
        axis.remove()
    for axis, cell in zip(axes, cells, strict=False):
        axis.set_title(_name(cell.detector), fontsize=10)
    return figure, axes[: len(cells)]


def _legend(figure, axes):
    """Name once, below the panels, what is in any of them."""
    handles = {}
    for axis in axes:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))


def _name(detector, width=50):
    """Break what a detector is called into lines."""
    name, bracket, parameters = detector.label.partition("(")
    return "\n".join([name, *textwrap.wrap(parameters.removesuffix(")"), width)]) if bracket else name
