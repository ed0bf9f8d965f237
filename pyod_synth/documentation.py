"""Docstrings that all detectors share, written once: ``help`` shows them with each detector."""

PARAMETERS = """contamination : float in (0, 0.5] or PyThresh object, default=0.1
        Expected share of anomalies in the training rows; sets ``threshold_`` and nothing else.
    preprocessing : bool or "minmax", default={preprocessing}
        Whether to standardise each feature of a table, or each channel of an image; "minmax" scales it to [0, 1].
        Values beyond 100 deviations, or ranges, then grow as their logarithm does.
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
        (d,) or (C, H, W); (C, T) where sequences are taken.
    usual_ : ndarray of shape (3, *input_shape_), float64
        Quantiles 0.05, 0.5 and 0.95 of each feature or pixel over the training rows not known to be anomalies.
    n_features_in_ : int
        Their product.
    feature_names_in_ : ndarray of shape (d,), object
        Column names, if fitted on a data frame."""

HISTORY = """history_ : list of float
        Mean loss of each epoch, summed over the networks that have losses of their own."""


def complete(docstring: str | None, detector: type) -> str | None:
    """Put the shared parts in the place of their names in braces, as of ``{shared parameters}``.

    Parameters
    ----------
    docstring : str or None
    detector : type
        Whose docstring it is; its defaults are named.
    """
    parts = {
        "shared parameters": PARAMETERS,
        "optimization": OPTIMIZATION,
        "verbose": VERBOSE,
        "attributes": ATTRIBUTES,
        "history": HISTORY,
    }
    names = ("preprocessing", "optimizer_name", "lr_schedule")
    defaults = {name: repr(getattr(detector, name, None)).replace("'", '"') for name in names}
    for name, text in (parts | defaults).items():
        docstring = docstring and docstring.replace(f"{{{name}}}", text)
    return docstring
