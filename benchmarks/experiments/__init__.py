"""What to run: one TOML file for each experiment, and beside it, as CSV, what was published of it."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Settings:
    """One experiment.

    Parameters
    ----------
    name : str
    datasets : list of str
        Names or groups; see :func:`benchmarks.data.expand`.
    detectors : list of str
        Names, or names with parameters; see :func:`benchmarks.detectors.parse`.
    protocols : list of str
    seeds : list of int
    max_rows : int or None, default=None
        See :func:`benchmarks.protocols.split`.
    epoch_num : int or None, default=None
        Upper bound on the epochs of every detector that counts them.
    time_limit : float or None, default=None
        Seconds that a cell may take; one that takes longer is stopped, and failed.
    memory_limit : float or None, default=None
        GiB that a cell may need, with the libraries and its data.
    parameters : dict of str to dict
        Constructor arguments that differ from the defaults: by a detector's name, or by a name with parameters, for the
        entries of ``detectors`` that begin so.
    special : dict of str to dict
        By the name of a data set, or a group as it stands in ``datasets``, what else ``parameters`` holds there.
    title : str
        Of the report.
    metric : str, default="auroc"
        The one that matters here, and that the published figures are of.
    oracle_epoch : bool, default=False
        Whether to find, for the package's detectors, the epoch that is best by the test labels, beside the last one.
    differs : str
        How the experiment differs from the published one.
    fast : dict
        What a run with ``--fast`` replaces: any of ``datasets``, ``detectors``, ``protocols``, ``seeds``, ``max_rows``
        and ``epoch_num``.
    extensions : list of str
        Python files that are run first; see :mod:`benchmarks.running.extensions`. In a file, relative to its folder.
    pictures : list of dict
        What to draw beside the tables.
    t_test : str
        The entry of ``detectors`` that the report compares with each other one by Student's t-test; empty for none.
    shrunk : dict
        Filled by :meth:`shrink`: what it replaced, as (full, small) by entry.
    published : pandas.DataFrame or None
        Columns ``dataset`` (or group, for the mean over it), ``protocol``, ``detector``, ``mean``, and ``std`` where it
        is known; in the units of the metric.
    """

    name: str
    datasets: list
    detectors: list
    protocols: list
    seeds: list
    max_rows: int | None = None
    epoch_num: int | None = None
    time_limit: float | None = None
    memory_limit: float | None = None
    parameters: dict = field(default_factory=dict)
    special: dict = field(default_factory=dict)
    title: str = ""
    metric: str = "auroc"
    oracle_epoch: bool = False
    differs: str = ""
    fast: dict = field(default_factory=dict)
    extensions: list = field(default_factory=list)
    pictures: list = field(default_factory=list)
    t_test: str = ""
    shrunk: dict = field(default_factory=dict)
    published: pd.DataFrame | None = None

    def shrink(self):
        """Make the experiment small, as its ``fast`` says.

        Returns
        -------
        Settings
            Named differently, so that its results go elsewhere.
        """
        shrunk = {entry: (getattr(self, entry, None), small) for entry, small in self.fast.items()}
        return replace(self, name=f"{self.name}-fast", fast={}, shrunk=shrunk, **self.fast)


def names():
    """List the settings that come with the benchmark."""
    return sorted(str(path.relative_to(_FOLDER).with_suffix("")) for path in _FOLDER.rglob("*.toml"))


def load(name):
    """Read settings.

    A file may hold a table ``parameters_from`` beside the entries of :class:`Settings`: a detector with the parameters
    that tell its form -> settings whose ``parameters`` of that detector it takes over, where its own say nothing.

    Parameters
    ----------
    name : str
        One of :func:`names`, or the path of a ``.toml`` file.

    Returns
    -------
    Settings

    Raises
    ------
    ValueError
        If there is no such file, or it holds unknown or lacks needed entries, or takes parameters over that are not
        there.
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file():
        raise ValueError(f"no settings {name!r}; there are {', '.join(names())}, or give the path of a .toml file")
    with path.open("rb") as file:
        entries = tomllib.load(file)
    for label, source in entries.pop("parameters_from", {}).items():
        parameters = entries.setdefault("parameters", {})
        parameters[label] = _parameters_of(label, source) | parameters.get(label, {})
    entries["extensions"] = [str(path.parent / extension) for extension in entries.get("extensions", [])]
    figures = path.with_suffix(".csv")
    published = pd.read_csv(figures) if figures.is_file() else None
    try:
        settings = Settings(name=path.stem, published=published, **entries)
        settings.shrink()
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error
    if settings.t_test not in ("", *settings.detectors):
        raise ValueError(f"{path}: t_test must be one of detectors, {settings.detectors}, got {settings.t_test!r}")
    return settings


def _parameters_of(label, source):
    """Look up what settings say of the detector of a label."""
    detector = label.split(":")[0]
    parameters = load(source).parameters
    if detector not in parameters:
        raise ValueError(f"parameters_from takes {label!r} from {source!r}, which has no parameters of {detector}")
    return parameters[detector]
