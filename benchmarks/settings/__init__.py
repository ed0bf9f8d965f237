"""What to run: one TOML file for each experiment."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

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
        Names or groups; see :func:`benchmarks.datasets.expand`.
    detectors, protocols : list of str
    seeds : list of int
    max_rows : int or None, default=None
        See :func:`benchmarks.protocols.split`.
    parameters : dict of str to dict
        Constructor arguments of each detector that differ from its defaults.
    """

    name: str
    datasets: list
    detectors: list
    protocols: list
    seeds: list
    max_rows: int | None = None
    parameters: dict = field(default_factory=dict)


def names():
    """List the settings that come with the benchmark."""
    return sorted(str(path.relative_to(_FOLDER).with_suffix("")) for path in _FOLDER.rglob("*.toml"))


def load(name):
    """Read settings.

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
        If there is no such file, or it holds unknown or lacks needed entries.
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    if not path.is_file():
        raise ValueError(f"no settings {name!r}; there are {', '.join(names())}, or give the path of a .toml file")
    with path.open("rb") as file:
        entries = tomllib.load(file)
    try:
        return Settings(name=path.stem, **entries)
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error
