"""Docstrings that all detectors share, written once: ``help`` shows them with each detector."""

from typing import Any

PARAMETERS = """contamination : float in (0, 0.5] or PyThresh object, default=0.1
        Expected share of anomalies in the training rows; sets ``threshold_`` and nothing else.
    preprocessing : bool or "minmax", default=True
        Whether to standardise each feature of a table, or each channel of an image; "minmax" scales it to [0, 1].
    device : str, torch.device or None, default=None
        Where to compute. None takes a CUDA device if there is one, else the CPU.
    random_state : int, RandomState instance or None, default=42
        Seed of all random numbers. None draws a fresh one. Global generators are left alone.
    image_shape : tuple (C, H, W) or None, default=None
        Shape of the images in flattened rows; None takes 2-D input for a table."""

OPTIMIZATION = """optimizer_name : {"adam", "adamw", "amsgrad", "sgd"}, default={optimizer_name}
        Torch's optimiser of all networks; "adamw" decouples the weight decay from the loss, "amsgrad" is Adam with it.
    lr_schedule : {"cosine", "constant"} or sequence of int, default={lr_schedule}
        How learning rates go on: along a cosine to zero, not at all, or divided by ten after each of these epochs."""

VERBOSE = """verbose : int, default=0
        0 is silent, 1 shows a progress bar on standard error."""

ATTRIBUTES = """Attributes
    ----------
    decision_scores_ : ndarray of shape (n,), float64
        Scores of the training rows; higher is more anomalous.
    threshold_ : float
        Score above which ``predict`` says anomaly.
    labels_ : ndarray of shape (n,), int
        1 for training rows above the threshold, else 0.
    core_ : pyod_synth.core.Core
        What scores: the trained networks.
    device_ : torch.device
        Where it is.
    input_shape_ : tuple of int
        (d,) or (C, H, W).
    usual_ : ndarray of shape (3, d) or (3, C, H, W), float64
        Quantiles 0.05, 0.5 and 0.95 of each feature or pixel over the training rows not known to be anomalies.
    n_features_in_ : int
        d, or C * H * W.
    feature_names_in_ : ndarray of shape (d,), object
        Column names, if fitted on a data frame."""

HISTORY = """history_ : list of float
        Mean loss of each epoch, summed over the networks that have losses of their own."""


def complete(docstring: str | None, optimizer_name: Any = None, lr_schedule: Any = None) -> str | None:
    """Put the shared parts in the place of their names in braces, as of ``{shared parameters}``.

    Parameters
    ----------
    docstring : str or None
    optimizer_name, lr_schedule : object
        The detector's defaults, if it trains.
    """
    defaults = {"{optimizer_name}": optimizer_name, "{lr_schedule}": lr_schedule}
    defaults = {name: repr(default).replace("'", '"') for name, default in defaults.items()}
    parts = {
        "shared parameters": PARAMETERS,
        "optimization": OPTIMIZATION,
        "verbose": VERBOSE,
        "attributes": ATTRIBUTES,
        "history": HISTORY,
    }
    for name, text in ({f"{{{name}}}": text for name, text in parts.items()} | defaults).items():
        docstring = docstring and docstring.replace(name, text)
    return docstring
