"""Records on disk, which several runners may share."""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from textwrap import shorten
from threading import Lock

from filelock import FileLock, Timeout

from benchmarks.running.records import Cell, Record

_LOG = logging.getLogger(__name__)
_MOST_SHOWN = 10  # lines that are named in one warning


class RecordsFile:
    """A file of records that only grows, and that several runners may share.

    A line without an end is what a kill left of a record, or one that another runner is writing just now: unless it
    holds a whole record it counts as not there, and whoever appends next removes it. Any other line that is no record
    is moved to a file beside it, which ends in ``.set-aside``, and a warning is logged; its cell runs again.

    Parameters
    ----------
    path : path-like
        Made, with its folder, when the first record comes. Beside it lie hidden files: its lock, and one for each cell
        that is running.
    """

    def __init__(self, path):
        self.path = Path(path)
        self._records = {}
        self._end = self._lines = 0  # how much of the file is in them
        self._reading = Lock()

    def read(self) -> list[Record]:
        """Read all records.

        Returns
        -------
        list of Record
            The latest of each cell, in the order of the cells' first records.
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
            _end_last_line(file)
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
        with _claimed(self._beside(hashlib.sha1(text.encode()).hexdigest())) as ours:
            yield ours

    def clear_claims(self):
        """Remove the files of claims whose runners were killed; claims of runners that live stay."""
        for path in self.path.parent.glob(f".{escape(self.path.name)}.{'[0-9a-f]' * 40}"):
            with _claimed(path):
                pass

    def _beside(self, suffix):
        return self.path.with_name(f".{self.path.name}.{suffix}")

    def _read_new(self):
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._end)
            *lines, rest = file.read().split(b"\n")
        wrong = []
        for line in lines:
            self._lines += 1
            if line.strip():
                try:
                    self._take(line)
                except (ValueError, TypeError) as error:
                    wrong.append((self._lines, self._end, line, error))
            self._end += len(line) + 1
        with suppress(ValueError, TypeError):
            self._take(rest)  # whole but for its end, which somebody is writing, or nobody wrote
        if wrong:
            self._set_aside(wrong)

    def _take(self, line):
        record = Record.from_json(line.strip(b"\0"))  # a machine that lost its power may leave zeros
        self._records[record.cell] = record

    def _set_aside(self, wrong):
        """Move lines to a file beside this one, and leave blanks: other runners go on reading where they were."""
        aside = self.path.with_name(f"{self.path.name}.set-aside")
        kept = f"kept in {aside}"
        try:
            with FileLock(self._beside("lock")), self.path.open("r+b") as file, aside.open("ab") as beside:
                for _, start, line, _ in wrong:
                    file.seek(start)
                    if file.read(len(line)) == line:  # else another runner was faster
                        beside.write(line + b"\n")
                        beside.flush()
                        os.fsync(beside.fileno())
                        file.seek(start)
                        file.write(b" " * len(line))
                        file.flush()
        except OSError as error:
            kept = f"not moved to {aside}: {error}"
        shown = "; ".join(f"line {number}: {shorten(str(error), 200)}" for number, _, _, error in wrong[:_MOST_SHOWN])
        more = f"; and {len(wrong) - _MOST_SHOWN} more" if len(wrong) > _MOST_SHOWN else ""
        _LOG.warning("%s: lines that are no records are left out, and %s: %s%s", self.path, kept, shown, more)


@contextmanager
def _claimed(path):
    """Hold the lock of a claim, whose file goes with it; yield False if another runner has it."""
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


def _end_last_line(file):
    """End the last line if it is a record, or else remove it; for whoever holds the lock: nobody is writing it."""
    if file.tell() == 0:
        return
    file.seek(-1, os.SEEK_END)
    if file.read() == b"\n":
        return
    file.seek(0)
    content = file.read()
    start = content.rfind(b"\n") + 1
    try:
        Record.from_json(content[start:].strip(b"\0"))
        file.write(b"\n")
    except (ValueError, TypeError):
        file.truncate(start)
