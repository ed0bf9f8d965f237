"""Records on disk: one JSON line each, what identifies them, and what is already done."""

import json
import os
from pathlib import Path

# A cell is done once: same data, same rows, same detector with the same settings, same seed.
KEY = ("dataset", "protocol", "detector", "seed", "max_rows", "settings")


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


class RecordsFile:
    """A file of records that only grows.

    Parameters
    ----------
    path : path-like
        Made, with its folder, when the first record comes. A last line that a kill cut short is removed.
    """

    def __init__(self, path):
        self.path = Path(path)
        if self.path.exists():
            content = self.path.read_bytes()
            os.truncate(self.path, content.rfind(b"\n") + 1)

    def read(self):
        """Read all records.

        Returns
        -------
        list of dict
            The latest of each cell, in the order of the cells' first records.
        """
        records = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                record = json.loads(line)
                records[key(record)] = record
        return list(records.values())

    def append(self, record):
        """Add a record, on disk before this returns.

        Parameters
        ----------
        record : dict
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
