"""A settings file's ``[[pictures]]`` -> figures of what detectors learned.

An entry names a ``kind`` (one of ``KINDS``), a ``dataset``, a ``protocol`` and ``detectors``, as the settings do, and a
``seed`` (0 if it does not say). Each detector is fitted as in the experiment's cells: with the same parameters, and on
as many rows. To add a kind, write a function (entry, cells, parts) -> figure and enter it in ``KINDS``.
"""

import json
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from sklearn.manifold import TSNE
from sklearn.metrics import roc_auc_score

from benchmarks import data, detectors, protocols
from benchmarks.running import runner
from benchmarks.running.cell import isolated
from pyod_synth import DHAG

_SHOWN = 500  # rows of each group that are embedded: more would cover each other
_IMAGES = 8  # before and after perturbing
_BINS = 40
_TAIL = 0.005  # share of the scores on either side that the outermost bins take in
_NEEDED = {"kind", "dataset", "protocol", "detectors"}
_KNOWN = _NEEDED | {"seed", "apart"}

# Of Okabe and Ito: colour-blind readers tell them apart. Markers differ as well, where points do.
_BLUE, _SKY, _GREEN, _VERMILION, _GREY = "#0072B2", "#56B4E9", "#009E73", "#D55E00", "#8C8C8C"
_LOOKS = {
    "training rows": {"color": _BLUE, "marker": "."},
    "normal test rows": {"color": _SKY, "marker": "^"},
    "anomalous test rows": {"color": _VERMILION, "marker": "s"},
    "perturbed": {"color": "black", "marker": "x"},
    "perturbed, called normal": {"color": _GREEN, "marker": "P"},
}


def check(settings, folder=None):
    """Check the entries, before anything is run for hours.

    Parameters
    ----------
    settings : benchmarks.experiments.Settings
    folder : path-like or None, default=None
        Where data that is not bundled lies.

    Raises
    ------
    ValueError
        If an entry lacks something, has something unknown, or asks for what its data or detectors do not have.
    """
    for entry in settings.pictures:
        _check(entry, settings, folder)


def draw(settings, out, folder=None):
    """Draw the pictures that are not there yet.

    Parameters
    ----------
    settings : benchmarks.experiments.Settings
    out : pathlib.Path
        Pictures go to its folder ``pictures``.
    folder : path-like or None, default=None
        Where data that is not bundled lies.

    Returns
    -------
    list of pathlib.Path
        A PNG for each entry, in their order.

    Raises
    ------
    ValueError
        As :func:`check`.
    """
    check(settings, folder)
    paths = []
    for number, entry in enumerate(settings.pictures, start=1):
        path = out / "pictures" / f"{number}-{entry['kind']}-{Path(entry['dataset']).name}.png"
        cells = _cells(entry, settings, folder)
        origin = json.dumps([entry, cells], sort_keys=True)
        if _origin(path) != origin:
            dataset = data.load(entry["dataset"], folder)
            parts = protocols.split(dataset, entry["protocol"], cells[0]["seed"], settings.max_rows)
            _save(KINDS[entry["kind"]](entry, cells, parts), path, origin)
        paths.append(path)
    return paths


def scores(entry, cells, parts):
    """Draw histograms of test scores, one class apart if the entry says so.

    Parameters
    ----------
    entry : dict
    cells : list of dict
        One for each detector.
    parts : benchmarks.protocols.Split

    Returns
    -------
    matplotlib.figure.Figure
    """
    normal, apart = parts.y_test == 0, np.zeros(len(parts.y_test), dtype=bool)
    if "apart" in entry:
        apart = parts.classes_test == entry["apart"]
    groups = [
        ("normal", normal, _BLUE),
        (f"class {entry.get('apart')}", apart, _VERMILION),
        ("all other classes" if apart.any() else "anomalies", ~normal & ~apart, _GREY),
    ]
    figure, axes = _panels(cells, f"Scores of the test rows of {entry['dataset']}")
    for axis, cell in zip(axes, cells, strict=True):
        with isolated(cell["seed"]):
            detector = _fit(cell, parts)
            values = detector.decision_function(detectors.shape_for(detectors.parse(cell["detector"])[0], parts.X_test))
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
        axis.set_title("\n".join([_name(cell["detector"]), *lines]), fontsize=10)
    _legend(figure, axes)
    return figure


def representations(entry, cells, parts):
    """Draw learned representations by t-SNE: training rows, what is made of them, and test rows.

    Where there are several perturbators, the marker of a perturbed row is the number of its perturbator.

    Parameters
    ----------
    entry, cells, parts
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
    rng = np.random.default_rng(cells[0]["seed"])
    rows = {name: _some(rng, X, _SHOWN) for name, X in rows.items()}
    figure, axes = _panels(cells, f"Representations of {entry['dataset']}, by t-SNE")
    for axis, cell in zip(axes, cells, strict=True):
        detector = _fit(cell, parts)
        vectors = np.concatenate([detector.embed(X) for X in rows.values()])
        groups = np.repeat(list(rows), [len(X) for X in rows.values()])
        makers = np.zeros(len(groups), dtype=int)
        if hasattr(detector, "perturb"):
            synthetic = _synthetic(rng, detector, rows["training rows"])
            vectors, groups, makers = (
                np.concatenate(both) for both in zip((vectors, groups, makers), synthetic, strict=True)
            )
        tsne = TSNE(perplexity=min(30, (len(vectors) - 1) / 3), random_state=cell["seed"])
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
        return detector.embed(detector.perturb(X)), np.repeat("perturbed", len(X)), np.zeros(len(X), dtype=int)
    perturbed, labels = detector.perturb(X, return_labels=True)
    n_perturbators = labels.shape[1]
    shown = rng.permutation(labels.size)[:_SHOWN]
    vectors = perturbed.reshape(labels.size, *perturbed.shape[2:])[shown]
    if detector.space == "input":
        vectors = detector.embed(vectors)
    names = np.where(labels.ravel()[shown] == 1, "perturbed", "perturbed, called normal")
    return vectors, names, shown % n_perturbators + (n_perturbators > 1)


def perturbed(entry, cells, parts):
    """Draw training images before and after they are perturbed, all on one scale, which goes as far as they do.

    Parameters
    ----------
    entry, cells, parts
        As in :func:`scores`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    before = _some(np.random.default_rng(cells[0]["seed"]), _training_rows(parts), _IMAGES)
    lines = [("before", before)]
    for cell in cells:
        after = _fit(cell, parts).perturb(before)
        several = after if after.ndim > before.ndim else after[:, None]  # of DHAG's perturbators, or the one of PLAD
        for number, images in enumerate(np.moveaxis(several, 1, 0), start=1):
            name = _name(cell["detector"], width=24) + (f"\nperturbator {number}" if several is after else "")
            lines.append((f"{name}\nmean change {np.abs(images - before).mean():.3f}", images))
    # perturbed images go below black and above white
    low, high = np.quantile([images for _, images in lines], [_TAIL, 1 - _TAIL])
    figure = Figure(figsize=(1.1 * len(before) + 1.8, 1.12 * len(lines) + 0.4), layout="constrained")
    figure.suptitle(f"Training images of {entry['dataset']}, before and after perturbing")
    axes = figure.subplots(len(lines), len(before), squeeze=False)
    for line, (name, images) in zip(axes, lines, strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, image in zip(line, images, strict=True):
            shown = (np.moveaxis(image, 0, -1) - low) / (high - low)
            axis.imshow(np.clip(shown, 0, 1), cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
    return figure


KINDS = {"scores": scores, "representations": representations, "perturbed": perturbed}


def _check(entry, settings, folder):
    if missing := sorted(_NEEDED - entry.keys()):
        raise ValueError(f"an entry of pictures needs {', '.join(missing)}, got {entry}")
    if unknown := sorted(entry.keys() - _KNOWN):
        raise ValueError(f"an entry of pictures knows {', '.join(sorted(_KNOWN))}, got {', '.join(unknown)}")
    kind = entry["kind"]
    if kind not in KINDS:
        raise ValueError(f"kind of a picture must be one of {', '.join(KINDS)}, got {kind!r}")
    cells = _cells(entry, settings, folder)
    dataset = data.load(cells[0]["dataset"], folder)
    if "apart" in entry:
        anomalous = [] if dataset.classes is None else np.unique(dataset.classes[dataset.y == 1]).tolist()
        if kind != "scores" or entry["apart"] not in anomalous:
            raise ValueError(
                f"apart is for pictures of kind 'scores', and one of the anomalous classes of {dataset.name}: "
                f"{anomalous}; got {entry['apart']!r} for kind {kind!r}"
            )
    if kind == "perturbed" and dataset.kind != "image":
        raise ValueError(f"pictures of kind 'perturbed' need images, got {dataset.name}, a table")
    for cell in cells:
        _check_detector(kind, cell)


def _check_detector(kind, cell):
    name, _ = detectors.parse(cell["detector"])
    if kind != "scores" and name not in detectors.OURS:
        raise ValueError(f"pictures of kind {kind!r} take {', '.join(detectors.OURS)}, got {name}")
    labels = protocols.named(cell["protocol"]).labels is not None
    detector = detectors.build(name, cell["seed"], cell["settings"], labels)
    if kind == "perturbed" and (not hasattr(detector, "perturb") or getattr(detector, "space", "input") != "input"):
        raise ValueError(f"pictures of kind 'perturbed' take PLAD and DHAG:space=input, got {cell['detector']}")


def _cells(entry, settings, folder):
    """List the cells of an entry's detectors."""
    names = data.expand([entry["dataset"]], folder)
    if len(names) != 1:
        raise ValueError(f"dataset of a picture must be one data set, got the group {entry['dataset']!r}")
    # The experiment's own data sets come along for what it says of a group that holds this one.
    grid = replace(
        settings,
        datasets=[*names, *settings.datasets],
        detectors=entry["detectors"],
        protocols=[entry["protocol"]],
        seeds=[entry.get("seed", 0)],
        oracle_epoch=False,
    )
    return [cell for cell in runner.grid(grid, folder) if cell["dataset"] == names[0]]


def _fit(cell, parts):
    name, _ = detectors.parse(cell["detector"])
    detector = detectors.build(name, cell["seed"], cell["settings"], labels=parts.y_train is not None)
    detector.fit(detectors.shape_for(name, parts.X_train), parts.y_train)
    return detector


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
        axis.set_title(_name(cell["detector"]), fontsize=10)
    return figure, axes[: len(cells)]


def _legend(figure, axes):
    """Name once, below the panels, what is in any of them."""
    handles = {}
    for axis in axes:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=len(handles))


def _name(label, width=50):
    """Break a detector's label into lines."""
    name, *parameters = label.split(":")
    return "\n".join([name, *textwrap.wrap(", ".join(parameters), width)])


def _save(figure, path, origin):
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")  # a picture that a kill cut short is none
    figure.savefig(unfinished, format="png", dpi=150, metadata={"Description": origin})
    unfinished.replace(path)


def _origin(path):
    """Read what a picture was made of; None if it is not there."""
    if not path.exists():
        return None
    with Image.open(path) as image:
        return image.text.get("Description")
