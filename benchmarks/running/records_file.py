"""Records on disk, which several runners may share."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from benchmarks.running.records import Cell, Record


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

    def read(self) -> list[Record]:
        """Read all records.

        Returns
        -------
        list of Record
            The latest of each cell, in the order of the cells' first records.

        Raises
        ------
        ValueError
            If a line is no record.
        """
        with self._reading:
            self._read_new()
            return list(self._records.values())

    def find(self, cell: Cell) -> Record | None:
        """Look up the latest record of a cell, whoever wrote it.

        Parameters
        ----------
        cell : Cell

        Returns
        -------
        Record or None
        """
        with self._reading:
            self._read_new()
            return self._records.get(cell)

    def append(self, record: Record):
        """Add a record, on disk before this returns.

        Parameters
        ----------
        record : Record

        Raises
        ------
        ValueError
            If it holds what JSON does not know; nothing is written then.
        """
        line = record.to_json().encode() + b"\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._beside("lock")), self.path.open("a+b") as file:
            _remove_rest(file)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def claim(self, cell: Cell) -> Iterator[bool]:
        """Keep other runners off a cell while the block runs. If this one dies, the cell is free again.

        Parameters
        ----------
        cell : Cell

        Yields
        ------
        bool
            False if another runner has it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(cell.to_dict(), sort_keys=True)
        path = self._beside(hashlib.sha1(text.encode()).hexdigest())
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
                record = Record.from_json(line)
                self._records[record.cell] = record
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
