"""What is measured, and how: in turn, on a fixed number of threads, in processes of their own where memory counts."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread

import numpy as np
import psutil
import torch
from threadpoolctl import threadpool_limits

_PACKAGES = ("pyod_synth", "pyod", "scikit-learn", "torch", "numpy")
_BLOCK = 50_000  # rows that are drawn at a time, so that they leave no peak of memory behind
_FACTORS, _NOISE = 6, 0.1
_MIB = 2**20
_INTERVAL = 0.005  # seconds between two looks at memory


@dataclass(frozen=True)
class Measurement:
    """One figure of one side of a case, as often as it was measured.

    Parameters
    ----------
    case : str
        A row of the table: what is measured.
    side : str
        What it is measured on; sides of a case are compared.
    unit : str
        "s", "ms" or "MiB"; empty for a number that was derived from others.
    values : list of float
    """

    case: str
    side: str
    unit: str
    values: list[float]


def in_turn(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Time calls one after another, again and again, so that what slows the machine down slows all of them.

    Parameters
    ----------
    calls : dict of str to callable
    repeats : int

    Returns
    -------
    dict of str to list of float
        Seconds of each call, by name.
    """
    seconds = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


@contextmanager
def on_threads(number: int) -> Iterator[None]:
    """Let torch, BLAS and OpenMP use so many threads in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with threadpool_limits(number):
            yield
    finally:
        torch.set_num_threads(before)


def alone(function: Callable, *arguments: object) -> object:
    """Call a function in a process of its own, whose memory no other call has used; return what it returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def peak_above(call: Callable[[], object]) -> tuple[float, float]:
    """Call, and tell how long it took and how much memory it needed.

    Returns
    -------
    seconds : float
    mib : float
        Largest resident memory of this process less that before the call, looked at every 5 milliseconds: what the
        system says of its peak is also that of the process that started it.
    """
    process, over, seen = psutil.Process(), Event(), []

    def watch():
        while not over.wait(_INTERVAL):
            seen.append(process.memory_info().rss)

    before = process.memory_info().rss
    watching = Thread(target=watch)
    watching.start()
    start = time.perf_counter()
    try:
        call()
        seconds = time.perf_counter() - start
    finally:
        over.set()
        watching.join()
    return seconds, (max([before, *seen]) - before) / _MIB


def rows(n: int, size: int = 20, seed: int = 0, correlated: bool = False) -> np.ndarray:
    """Draw rows.

    Parameters
    ----------
    n, size : int
    seed : int, default=0
        The factors of correlated rows are the same for all seeds.
    correlated : bool, default=False
        Whether rows are mixed of six factors, with noise of a deviation of 0.1; else features are independent.

    Returns
    -------
    ndarray of shape (n, size), float64
    """
    rng = np.random.default_rng([seed, 1])
    mixing = np.random.default_rng(0).normal(size=(_FACTORS, size))
    X = np.empty((n, size))
    for start in range(0, n, _BLOCK):
        part = X[start : start + _BLOCK]
        part[:] = rng.normal(size=part.shape)
        if correlated:
            part *= _NOISE
            part += rng.normal(size=(len(part), _FACTORS)) @ mixing
    return X


def images(n: int, size: int = 28) -> np.ndarray:
    """Draw grey images of noise that is smooth from pixel to pixel: (n, 1, size, size), float64."""
    noise = np.random.default_rng(0).normal(size=(n, 1, size + 2, size + 2))
    return sum(noise[:, :, down : down + size, across : across + size] for down in range(3) for across in range(3)) / 3


def machine() -> dict:
    """Describe the machine, its load of the last minute, and the versions that figures depend on."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in _PACKAGES},
    }


def _processor():
    """Name the processor: Python knows no more than its kind on Linux."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
