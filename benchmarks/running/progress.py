"""What is shown while cells run."""

import sys
from contextlib import contextmanager
from threading import Event, Lock, Thread

from tqdm import tqdm

_LONGEST = 80  # characters of a cell's name
_SECONDS = {"terminal": 1, "lines": 30}  # between two looks at the state


class Progress:
    """A bar on stderr, drawn anew each second; where that is no terminal, a line at the start and now and then.

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
        self._running = []
        self._counts = {"failed": 0, "skipped": 0}
        self._lock = Lock()
        self._started = False
        self._terminal = sys.stderr.isatty()
        print(f"{to_do} of {total} cells to do, {total - to_do} done before; {jobs} at a time", file=sys.stderr)
        shown = "{n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
        look = (
            {"bar_format": "{l_bar}{bar}| " + shown, "smoothing": 0.05}
            if self._terminal
            else {"bar_format": shown + "\n", "mininterval": float("inf")}  # lines come from the clock alone
        )
        self._bar = _Bar(jobs, total=total, initial=total - to_do, unit="cell", **look)
        self._closed = Event()
        seconds = _SECONDS["terminal" if self._terminal else "lines"]
        self._clock = Thread(target=self._tick, args=(seconds,), daemon=True)
        self._clock.start()

    @contextmanager
    def running(self, cell):
        """Show a cell as running while the block does; from any thread.

        Parameters
        ----------
        cell : benchmarks.running.records.Cell
        """
        with self._lock:
            self._running.append(cell)
            first, self._started = not self._started, True
        self._describe()
        if self._terminal or first:
            self._bar.refresh()
        try:
            yield
        finally:
            with self._lock:
                self._running.remove(cell)
            self._describe()

    def count(self, record):
        """Count a cell as done.

        Parameters
        ----------
        record : benchmarks.running.records.Record
        """
        if record.status != "ok":
            with self._lock:
                self._counts[record.status] += 1
            self._describe()
        self._bar.update()

    def close(self):
        """Show the last state."""
        self._closed.set()
        self._clock.join()
        self._bar.close()

    def _tick(self, seconds):
        while not self._closed.wait(seconds):
            self._bar.refresh()

    def _describe(self):
        with self._lock:
            text = f"running {len(self._running)}"
            if self._running:
                more = f" and {len(self._running) - 1} more" if len(self._running) > 1 else ""
                text += f" ({_name(self._running[0])}{more})"  # the one that has run longest
            text = ", ".join([text, *(f"{status} {count}" for status, count in self._counts.items())])
            self._bar.set_postfix_str(text, refresh=False)


class _Bar(tqdm):
    """Its estimate is finite before a cell has ended: as if those that run ended now, and took a second at least."""

    def __init__(self, jobs, **options):
        self._jobs = jobs
        super().__init__(**options)

    @property
    def format_dict(self):
        entries = super().format_dict
        if entries["n"] == entries["initial"]:
            entries["rate"] = self._jobs / max(entries["elapsed"], 1)
        return entries


def _name(cell):
    text = f"{cell.dataset}, {cell.protocol}, {cell.detector}, seed {cell.seed}"
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    return "".join(character if character.isprintable() else "?" for character in text)  # a terminal obeys others
