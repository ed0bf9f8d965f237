"""An experiment's pictures -> files: what is to be drawn, and what is there already.

Each detector is fitted as in the experiment's cells: with the same parameters, and on as many rows.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import data, detectors, protocols
from benchmarks.experiments import Experiment, Picture
from benchmarks.reporting.kinds import KINDS, PERTURBING
from benchmarks.running.grid import grid
from benchmarks.running.records import Cell


def plan(experiment: Experiment, folder: str | Path | None = None) -> list[tuple[Picture, list[Cell]]]:
    """List what is to be drawn, and check it before anything is run for hours.

    Parameters
    ----------
    experiment : Experiment
    folder : path-like or None, default=None
        Where data that is not bundled lies.

    Returns
    -------
    list of (Picture, list of Cell)
        Each with the cells of its detectors.

    Raises
    ------
    ValueError
        If a picture has something unknown, or asks for what its data or detectors do not have.
    """
    planned = [(picture, _cells(picture, experiment, folder)) for picture in experiment.pictures]
    for picture, cells in planned:
        _check(picture, cells, folder)
    return planned


def draw(planned: list[tuple[Picture, list[Cell]]], out: Path, folder: str | Path | None = None) -> list[Path]:
    """Draw the pictures that are not there yet.

    Parameters
    ----------
    planned : list of (Picture, list of Cell)
        See :func:`plan`.
    out : pathlib.Path
        Pictures go to its folder ``pictures``.
    folder : path-like or None, default=None
        Where data that is not bundled lies.

    Returns
    -------
    list of pathlib.Path
        A PNG for each picture, in their order.
    """
    paths = []
    for number, (picture, cells) in enumerate(planned, start=1):
        path = out / "pictures" / f"{number}-{picture.kind}-{Path(picture.dataset).name}.png"
        origin = json.dumps([picture.kind, picture.apart, *(cell.to_dict() for cell in cells)], sort_keys=True)
        if _origin(path) != origin:
            dataset = data.load(picture.dataset, folder)
            parts = protocols.split(dataset, picture.protocol, picture.seed, cells[0].max_rows)
            _save(KINDS[picture.kind](picture, cells, parts), path, origin)
        paths.append(path)
    return paths


def _check(picture, cells, folder):
    kind = picture.kind
    if kind not in KINDS:
        raise ValueError(f"kind of a picture must be one of {', '.join(KINDS)}, got {kind!r}")
    dataset = data.load(cells[0].dataset, folder)
    if picture.apart is not None:
        anomalous = [] if dataset.classes is None else np.unique(dataset.classes[dataset.y == 1]).tolist()
        if kind != "scores" or picture.apart not in anomalous:
            raise ValueError(
                f"apart is for pictures of kind 'scores', and one of the anomalous classes of {dataset.name}: "
                f"{anomalous}; got {picture.apart!r} for kind {kind!r}"
            )
    if kind == "perturbed" and dataset.kind != "image":
        raise ValueError(f"pictures of kind 'perturbed' need images, got {dataset.name}, a {dataset.kind}")
    labels = protocols.named(picture.protocol).labels is not None
    for cell in cells:
        detector = detectors.build(cell.detector, cell.seed, labels)
        if kind == "representations" and not hasattr(detector, "embed"):
            raise ValueError(f"pictures of kind {kind!r} take detectors that embed rows, got {cell.detector}")
        if kind == "perturbed" and (
            not isinstance(detector, PERTURBING) or getattr(detector, "space", "input") != "input"
        ):
            raise ValueError(f"pictures of kind {kind!r} take detectors that perturb rows, got {cell.detector}")


def _cells(picture, experiment, folder):
    """List the cells of a picture's detectors."""
    names = data.expand([picture.dataset], folder)
    if len(names) != 1:
        raise ValueError(f"dataset of a picture must be one data set, got the group {picture.dataset!r}")
    changes = {"detectors": picture.detectors, "protocols": [picture.protocol], "seeds": [picture.seed]}
    return grid(replace(experiment, datasets=names, **changes, oracle_epoch=False), folder)


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
