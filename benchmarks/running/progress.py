"""What is shown while cells run."""

import sys
from contextlib import contextmanager
from threading import Lock

from tqdm import tqdm


class Progress:
    """A bar on stderr; where that is no terminal, a line now and then.

    Parameters
    ----------
    total : int
        Cells.
    to_do : int
        Those not done before.
    jobs : int
        Cells run at a time.
    """

    def __init__(self, total, to_do, jobs):
        self._counts = {"running": 0, "failed": 0, "skipped": 0}
        self._lock = Lock()
        self._terminal = sys.stderr.isatty()
        print(f"{to_do} of {total} cells to do, {total - to_do} done before; {jobs} at a time", file=sys.stderr)
        as_lines = {"bar_format": "{n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]\n", "mininterval": 30}
        self._bar = tqdm(
            total=total, initial=total - to_do, unit="cell", smoothing=0.05, **({} if self._terminal else as_lines)
        )

    @contextmanager
    def running(self):
        """Count a cell as running while the block does; from any thread."""
        self._add("running", 1)
        if self._terminal:
            self._bar.refresh()
        try:
            yield
        finally:
            self._add("running", -1)

    def count(self, record):
        """Count a cell as done.

        Parameters
        ----------
        record : benchmarks.running.records.Record
        """
        if record.status != "ok":
            self._add(record.status, 1)
        self._bar.update()

    def close(self):
        """Show the last state."""
        self._bar.close()

    def _add(self, name, number):
        with self._lock:
            self._counts[name] += number
            text = ", ".join(f"{name} {count}" for name, count in self._counts.items())
            self._bar.set_postfix_str(text, refresh=False)
