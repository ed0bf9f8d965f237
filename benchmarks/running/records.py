"""Records on disk: one JSON line each, what identifies them, and what is already done."""

import hashlib
import json
import os
import platform
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

# A cell is done once: same data, same rows, same detector with the same settings, same seed.
KEY = ("dataset", "protocol", "detector", "seed", "max_rows", "settings")
_PACKAGES = ("pyod_synth", "pyod", "scikit-learn", "torch", "numpy")


def key(record):
    """Identify the cell of a record, or of the parts of one.

    Parameters
    ----------
    record : dict

    Returns
    -------
    str
    """
    return json.dumps([record[part] for part in KEY], sort_keys=True)


def failure(cell, reason):
    """Make the record of a cell that did not come to its end.

    Parameters
    ----------
    cell : dict
    reason : str

    Returns
    -------
    dict
    """
    versions = {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}
    return {part: cell[part] for part in KEY} | {"status": "failed", "reason": reason, "versions": versions}


class RecordsFile:
    """A file of records that only grows, and that several runners may share.

    A line without an end is what a kill left of a record, or one that another runner is writing just now: it counts as
    not there, and whoever appends next removes it.

    Parameters
    ----------
    path : path-like
        Made, with its folder, when the first record comes. Beside it lie hidden files: its lock, and one for each cell
        that is running.
    """

    def __init__(self, path):
        self.path = Path(path)
        self._records = {}
        self._end = 0  # how much of the file is in them
        self._reading = Lock()

    def read(self):
        """Read all records.

        Returns
        -------
        list of dict
            The latest of each cell, in the order of the cells' first records.

        Raises
        ------
        ValueError
            If a line is no record.
        """
        with self._reading:
            self._read_new()
            return list(self._records.values())

    def find(self, cell):
        """Look up the latest record of a cell, whoever wrote it.

        Parameters
        ----------
        cell : dict

        Returns
        -------
        dict or None
        """
        with self._reading:
            self._read_new()
            return self._records.get(key(cell))

    def append(self, record):
        """Add a record, on disk before this returns.

        Parameters
        ----------
        record : dict
        """
        line = json.dumps(record, allow_nan=False).encode() + b"\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._beside("lock")), self.path.open("a+b") as file:
            _remove_rest(file)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def claim(self, cell):
        """Keep other runners off a cell while the block runs. If this one dies, the cell is free again.

        Parameters
        ----------
        cell : dict

        Yields
        ------
        bool
            False if another runner has it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        path = self._beside(hashlib.sha1(key(cell).encode()).hexdigest())
        try:
            lock = FileLock(path, timeout=0).acquire()
        except Timeout:
            yield False
            return
        with lock:
            try:
                yield True
            finally:
                with suppress(PermissionError):  # Windows keeps a file that another runner is looking at
                    path.unlink(missing_ok=True)

    def _beside(self, suffix):
        return self.path.with_name(f".{self.path.name}.{suffix}")

    def _read_new(self):
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._end)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]
        for line in new.splitlines():
            try:
                record = json.loads(line)
                self._records[key(record)] = record
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{self.path}: no record: {line[:80].decode(errors='replace')!r}") from error
        self._end += len(new)


def _remove_rest(file):
    """Remove what follows the last whole line; for whoever holds the lock, so that nobody is writing it."""
    if file.tell() == 0:
        return
    file.seek(-1, os.SEEK_END)
    if file.read() != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
