"""Processes that run one cell after the other, and that are killed when a cell passes a limit.

Only another process can stop a cell for sure, in the middle of a long call into C too. A process is kept for the next
cell, because it took seconds to import torch and may hold the next cell's data, and is replaced once it is killed or
has died. (Pebble's pool of processes has time limits alike, but none on memory, and hides which process runs a cell.)
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path

import psutil
from tqdm import tqdm

from benchmarks.running.records import Cell, Record

# On Linux a server imports everything once and forks the processes; other systems' libraries may not survive a fork.
_CONTEXT = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    _CONTEXT.set_forkserver_preload(["benchmarks.running.cell"])
# Libraries read these as they are loaded, so they have to be there before the process is.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
_INTERVAL = 0.05  # seconds between two looks at a cell's memory
_MIB, _GIB = 2**20, 2**30


class Workers:
    """As many processes as cells run at a time."""

    def __init__(self):
        self._idle = []
        self._all = set()
        self._closed = False
        self._lock = threading.Lock()

    def run(
        self,
        cell: Cell,
        folder: str | Path | None = None,
        time_limit: float | None = None,
        memory_limit: float | None = None,
    ) -> Record:
        """Run a cell in a process of its own.

        Parameters
        ----------
        cell : Cell
        folder : path-like or None, default=None
        time_limit : float or None, default=None
            Seconds.
        memory_limit : float or None, default=None
            GiB, of resident memory; the libraries and the data are part of it.

        Returns
        -------
        Record
            What :func:`benchmarks.running.cell.run_cell` returns, and ``peak_mib``. A cell that passed a limit or whose
            process died is "failed"; in the first case the limit is there too.

        Raises
        ------
        RuntimeError
            If the processes are stopped.
        """
        with self._borrow() as worker:
            first = not worker.used
            record = worker.run(cell, folder, time_limit, memory_limit)
        if first or record.memory_limit is None:
            return record
        # what earlier cells left in the process may have been the reason
        with self._borrow(fresh=True) as worker:
            return worker.run(cell, folder, time_limit, memory_limit)

    def stop(self):
        """Kill all processes, whatever they are doing."""
        with self._lock:
            self._closed = True
            for worker in self._all:
                worker.process.kill()
            for worker in self._all:
                worker.process.join()

    @contextmanager
    def _borrow(self, fresh=False):
        with self._lock:
            if self._closed:
                raise RuntimeError("the processes are stopped")
            self._all = {worker for worker in self._all if worker.process.is_alive()}
            self._idle = [worker for worker in self._idle if worker in self._all]
            worker = self._idle.pop() if self._idle and not fresh else _Worker()
            self._all.add(worker)
        if not worker.used:
            worker.wait_until_ready()
        yield worker
        with self._lock:
            self._idle.append(worker)


class _Worker:
    """One process, and this end of the pipe to it."""

    def __init__(self):
        self.used = False
        self._connection, theirs = _CONTEXT.Pipe()
        # daemonic: ends with this process, and starts none of its own, whose memory nobody would watch
        self.process = _CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)
        with inherited():
            self.process.start()
        theirs.close()

    def wait_until_ready(self):
        """Wait until everything is imported, which is no part of any cell's time."""
        try:
            self._connection.recv()
        except EOFError:
            raise RuntimeError(f"a process for cells {self._end()} as it started") from None

    def run(self, cell, folder, time_limit, memory_limit):
        """See :meth:`Workers.run`; a process that passed a limit is dead then."""
        self.used = True
        peak = 0
        try:
            start = time.monotonic()
            self._connection.send((cell, folder))
            memory = psutil.Process(self.process.pid).memory_info
            while not wait([self._connection, self.process.sentinel], _INTERVAL):
                peak = max(peak, memory().rss)
                if time_limit is not None and time.monotonic() - start > time_limit:
                    record = Record(cell, "failed", f"took longer than {time_limit:g} s", time_limit=time_limit)
                elif memory_limit is not None and peak > memory_limit * _GIB:
                    reason = f"needed more than {memory_limit:g} GiB"
                    record = Record(cell, "failed", reason, memory_limit=memory_limit)
                else:
                    continue
                self.process.kill()
                self.process.join()
                break
            else:
                record = self._connection.recv()
                peak = max(peak, memory().rss)
        except (EOFError, OSError, psutil.NoSuchProcess):  # what is left of a pipe and a process after its death
            record = Record(cell, "failed", f"its process {self._end()}")
        return replace(record, peak_mib=round(peak / _MIB))

    def _end(self):
        self.process.join()
        code = self.process.exitcode
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"


def _serve(connection):
    """Run the cells that come, for as long as the other end is there."""
    from benchmarks.running.cell import run_cell  # torch and all: only here, the process that waits needs none of it

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all, the other end decides
    tqdm.set_lock(threading.RLock())  # its own outlives a kill, and is then complained of
    threading.Thread(target=_die_with_parent, daemon=True).start()
    connection.send("ready")
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        connection.send(run_cell(*task))


def _die_with_parent():
    """Leave in the middle of a cell, too: a killed parent cannot say so."""
    multiprocessing.parent_process().join()
    os._exit(1)


@contextmanager
def inherited():
    """Set what a process takes from this one as it starts: one thread, and no ear for Ctrl-C while it imports."""
    before = dict(os.environ)
    os.environ.update(_ONE_THREAD)
    maskable = hasattr(signal, "pthread_sigmask")  # not on Windows
    if maskable:
        resource_tracker.ensure_running()  # starts before the first process, and would unmask
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        if maskable:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
