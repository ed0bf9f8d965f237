"""What to run: one TOML file for each experiment, and beside it, as CSV, what was published of it."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from benchmarks.detectors import DetectorSpec, limit_epochs, parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Picture:
    """A figure of what detectors learned; see :mod:`benchmarks.reporting.kinds`.

    Parameters
    ----------
    kind : str
        One of ``benchmarks.reporting.kinds.KINDS``.
    dataset, protocol : str
    detectors : list of DetectorSpec
    seed : int, default=0
    apart : int or None, default=None
        A class whose scores are drawn apart.
    """

    kind: str
    dataset: str
    protocol: str
    detectors: list[DetectorSpec]
    seed: int = 0
    apart: int | None = None


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Parameters
    ----------
    name : str
    datasets : list of str
        Names or groups; see :func:`benchmarks.data.expand`.
    detectors : list of DetectorSpec
        In a file, each is a text for :func:`benchmarks.detectors.parse`, or a table of ``name``, parameters and, where
        people are to see another one than is made of these, ``label``.
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
        By a detector's name, constructor arguments that differ from the defaults, for all entries of that name.
    special : dict of str to dict
        By the full name of a data set, what ``parameters`` holds besides there.
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
    pictures : list of Picture
        What to draw beside the tables.
    t_test : str
        The label of the detector that the report compares with each other one by Student's t-test; empty for none.
    shrunk : dict
        Filled by :meth:`shrink`: what it replaced, as (full, small) by entry.
    published : pandas.DataFrame or None
        Columns ``dataset`` (or group, for the mean over it), ``protocol``, ``detector`` (its label, or its name for all
        of that name), ``mean``, and ``std`` where it is known; in the units of the metric.
    """

    name: str
    datasets: list[str]
    detectors: list[DetectorSpec]
    protocols: list[str]
    seeds: list[int]
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
    extensions: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    t_test: str = ""
    shrunk: dict = field(default_factory=dict)
    published: pd.DataFrame | None = None

    def shrink(self) -> "Experiment":
        """Make the experiment small, as its ``fast`` says.

        Returns
        -------
        Experiment
            Named differently, so that its results go elsewhere.
        """
        shrunk = {entry: (getattr(self, entry, None), small) for entry, small in self.fast.items()}
        return replace(self, name=f"{self.name}-fast", fast={}, shrunk=shrunk, **self.fast)

    def settle(self, detector: DetectorSpec, dataset: str) -> DetectorSpec:
        """Put together all that the experiment says of a detector on a data set.

        Parameters
        ----------
        detector : DetectorSpec
            As it is listed.
        dataset : str
            Full name.

        Returns
        -------
        DetectorSpec
            With its own parameters, those of ``special`` and those of ``parameters``, the first of these counting most,
            and no more epochs than ``epoch_num``; of the same label.
        """
        settled = replace(detector, parameters=self.shared(detector.name, dataset) | detector.parameters)
        return settled if self.epoch_num is None else limit_epochs(settled, self.epoch_num)

    def shared(self, name: str, dataset: str) -> dict:
        """Return the parameters of every detector of a name on a data set."""
        return self.parameters.get(name, {}) | self.special.get(dataset, {}).get(name, {})


def names() -> list[str]:
    """List the experiments that come with the benchmark."""
    return sorted(str(path.relative_to(_FOLDER).with_suffix("")) for path in _FOLDER.rglob("*.toml"))


def load(name: str) -> Experiment:
    """Read an experiment.

    Parameters
    ----------
    name : str
        One of :func:`names`, or the path of a ``.toml`` file.

    Returns
    -------
    Experiment

    Raises
    ------
    ValueError
        If there is no such file, or it holds unknown or lacks needed entries.
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file():
        raise ValueError(f"no experiment {name!r}; there are {', '.join(names())}, or give the path of a .toml file")
    with path.open("rb") as file:
        entries = tomllib.load(file)
    entries["extensions"] = [str(path.parent / extension) for extension in entries.get("extensions", [])]
    figures = path.with_suffix(".csv")
    published = pd.read_csv(figures) if figures.is_file() else None
    try:
        for place in (entries, entries.get("fast", {}), *entries.get("pictures", [])):
            if "detectors" in place:
                place["detectors"] = [_detector(entry) for entry in place["detectors"]]
        entries["pictures"] = [Picture(**picture) for picture in entries.get("pictures", [])]
        experiment = Experiment(name=path.stem, published=published, **entries)
        experiment.shrink()
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error
    labels = [detector.label for detector in experiment.detectors]
    if experiment.t_test not in ("", *labels):
        raise ValueError(f"{path}: t_test must be one of detectors, {labels}, got {experiment.t_test!r}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"{path}: labels of detectors must differ, got {labels}")
    return experiment


def _detector(entry):
    if isinstance(entry, str):
        return parse(entry)
    if "name" not in entry:
        raise TypeError(f"a detector needs a name, got {entry}")
    parameters = {key: value for key, value in entry.items() if key not in ("name", "label")}
    return DetectorSpec(entry["name"], parameters, entry.get("label", ""))
