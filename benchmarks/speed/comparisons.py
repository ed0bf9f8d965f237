"""The comparisons, by name."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from pyod.models.auto_encoder import AutoEncoder
from pyod.models.knn import KNN

from benchmarks.speed import bare
from benchmarks.speed.measuring import Measurement, alone, images, in_turn, on_threads, peak_above, rows
from pyod_synth import DHAG, NCAE, PLAD, AnoRand, GatedKNN, NoveltyNormalization

PAPERS = (PLAD, DHAG, AnoRand, NoveltyNormalization, NCAE)
OURS, THEIRS, BARE = "pyod_synth", "PyOD", "bare loop"
THREADS = 1  # in each process: what is compared is not how well threads share the work
_FEW = 200  # rows to warm up with
_IMPORTING = """
from time import perf_counter
start = perf_counter()
import torch, pyod.models.base
middle = perf_counter()
import pyod_synth
print(middle - start, perf_counter() - middle)
"""


@dataclass(frozen=True)
class Comparison:
    """What is measured, and how its table is read.

    Parameters
    ----------
    title : str
    text : str
        What exactly is measured, in markdown, with the target if there is one.
    measure : callable bool -> list of Measurement
        Told whether to measure a tiny version.
    ratio : tuple of two str or None, default=None
        Sides, the first of which is divided by the second.
    """

    title: str
    text: str
    measure: Callable[[bool], list[Measurement]]
    ratio: tuple[str, str] | None = None


def fit_autoencoder(fast):
    """Fit the same autoencoder, ours and PyOD's."""
    n, epochs, repeats = (200, 1, 1) if fast else (20_000, 2, 3)
    X, found = rows(n), []
    for batch in (32, 256, 1024):
        common = {"epoch_num": epochs, "batch_size": batch, "lr": 1e-3}
        ours = {"normalization": False, "novelty_scoring": False, "hidden_size": 64, "lr_schedule": "constant"}
        theirs = {"batch_norm": False, "dropout_rate": 0, "optimizer_params": {"weight_decay": 0.0}, "verbose": 0}
        calls = {
            OURS: partial(_fit, NoveltyNormalization, **common, **ours),
            THEIRS: partial(_fit, AutoEncoder, **common, **theirs),
        }
        found += _measurements(f"batches of {batch:,}", _warm_in_turn(calls, X, repeats))
    return found


def bare_loop(fast):
    """Fit each paper, and train its networks by a bare loop."""
    X, pictures = (rows(200), images(20)) if fast else (rows(20_000), images(2_000))
    found = []
    for detector in PAPERS:
        for data, epochs, repeats in ((X, 2, 3), (pictures, 1, 2)):
            clf = detector(epoch_num=epochs)
            seconds = _warm_in_turn({OURS: clf.fit, BARE: partial(bare.fit, clf)}, data, 1 if fast else repeats)
            found += _measurements(f"{detector.__name__}, {_shape(data)}", seconds)
    return found


def score_million(fast):
    """Score many rows by detectors that were fitted on 10,000."""
    n, repeats = (2_000, 1) if fast else (1_000_000, 3)
    autoencoder = partial(AutoEncoder, epoch_num=1, batch_size=1024, verbose=0)
    papers = {detector.__name__: partial(detector, epoch_num=1) for detector in PAPERS}
    found = []
    score = _score_alone if fast else partial(alone, _score_alone)
    figures = _score_in_turn(score, papers | {THEIRS: autoencoder}, n, False, repeats)
    for name in papers:
        found += _both(f"{name}, AutoEncoder", figures[name], figures[THEIRS])
    for correlated in (False, True):
        kind = "correlated" if correlated else "independent"
        figures = _score_in_turn(score, {OURS: GatedKNN, THEIRS: KNN}, n, correlated, 1)
        found += _both(f"GatedKNN, KNN; {kind}", figures[OURS], figures[THEIRS])
    return found


def scaling(fast):
    """Fit tables of more and more rows, and of more and more columns, and images."""
    by_rows = [(n, 20) for n in ((100, 200, 400) if fast else (1_000, 10_000, 100_000))]
    by_columns = [(100 if fast else 10_000, size) for size in ((5, 10, 20) if fast else (10, 100, 1_000))]
    pictures, found = images(20 if fast else 2_000), []
    for detector in (*PAPERS, GatedKNN):
        name, parameters = detector.__name__, {} if detector is GatedKNN else {"epoch_num": 1}
        _fit(detector, rows(200), **parameters)  # to warm up
        medians = {}
        for n, size in dict.fromkeys(by_rows + by_columns):
            X = rows(n, size)
            repeats = 3 if X.size <= 200_000 and not fast else 1
            seconds = in_turn({_shape(X): partial(_fit, detector, X, **parameters)}, repeats)
            found += _measurements(name, seconds)
            medians[n, size] = float(np.median(seconds[_shape(X)]))
        found += _measurements(name, in_turn({_shape(pictures): partial(_fit, detector, pictures, **parameters)}, 1))
        for side, sizes, axis in (("slope, rows", by_rows, 0), ("slope, columns", by_columns, 1)):
            points = [(math.log(size[axis]), math.log(medians[size])) for size in sizes]
            found.append(Measurement(name, side, "", [float(np.polyfit(*zip(*points, strict=True), 1)[0])]))
    return found


def perturbators(fast):
    """Fit DHAG with one perturbator and with ten."""
    X, epochs, repeats = (rows(200), 1, 1) if fast else (rows(10_000), 3, 5)
    calls = {
        f"{count} perturbator{'s' * (count > 1)}": partial(_fit, DHAG, epoch_num=epochs, n_perturbators=count)
        for count in (10, 1)
    }
    return _measurements("DHAG", _warm_in_turn(calls, X, repeats))


def importing(fast):
    """Import torch and PyOD's base class, and then this package, in fresh processes."""
    # what is compiled is kept, as after an installation; the first process compiles
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found = []
    for _ in range(1 if fast else 8):
        done = subprocess.run(
            [sys.executable, "-c", _IMPORTING], env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        found.append([float(seconds) for seconds in done.stdout.split()])
    before, ours = zip(*(found if fast else found[1:]), strict=True)
    return _measurements("import", {"torch and PyOD": list(before), "pyod_synth after them": list(ours)})


def latency(fast):
    """Score one row, by each detector."""
    X, row, found = rows(200 if fast else 10_000), rows(1, seed=1), []
    for detector in (*PAPERS, GatedKNN, KNN):
        clf = _fit(detector, X, **({"epoch_num": 1} if detector in PAPERS else {}))
        calls = {"one row": partial(clf.decision_function, row)}
        in_turn(calls, 10)  # to warm up
        (seconds,) = in_turn(calls, 10 if fast else 200).values()
        name = "KNN, of PyOD" if detector is KNN else detector.__name__
        found.append(Measurement(name, "one row", "ms", [1000 * value for value in seconds]))
    return found


def parallel(fast):
    """Fit four times, one after another and two at a time."""
    X, found = rows(200 if fast else 10_000), []
    workers = Parallel(n_jobs=2, backend="loky")
    workers(delayed(_fit_alone)(GatedKNN, X[:50]) for _ in range(4))  # so that they have imported everything
    for detector, repeats in ((GatedKNN, 3), (NoveltyNormalization, 1)):
        parameters = {"epoch_num": 1} if fast and detector is not GatedKNN else {}
        fits = [delayed(_fit_alone)(detector, X, **parameters)] * 4
        calls = {
            "one after another": lambda fits=fits: [function(*given, **named) for function, given, named in fits],
            "two at a time": lambda fits=fits: workers(fits),
        }
        found += _measurements(detector.__name__, in_turn(calls, 1 if fast else repeats))
    return found


COMPARISONS = {
    "fit-autoencoder": Comparison(
        "An autoencoder",
        "Fits of two epochs on 20,000 x 20 independent normal rows. Ours is `NoveltyNormalization(normalization=False, "
        "novelty_scoring=False, hidden_size=64)`, layers of 20-64-32-64-20 units with SiLU after the 64; PyOD's is "
        "`AutoEncoder(batch_norm=False, dropout_rate=0)`, the same layers with ReLU after these and the 32. Both are "
        "trained by Adam at 1e-3, without weight decay, and score the training rows.",
        fit_autoencoder,
        (OURS, THEIRS),
    ),
    "bare-loop": Comparison(
        "A bare loop",
        "Fits of two epochs on a table, one on images, against a loop over batches that is written out in "
        "`benchmarks/speed/bare.py`: the same networks, losses and optimisers at constant rates, with rows "
        "standardised and the training rows scored. The target is a ratio of at most 1.10.",
        bare_loop,
        (OURS, BARE),
    ),
    "score-million": Comparison(
        "A million rows",
        "Scores of 1,000,000 x 20 rows by detectors that were fitted on 10,000, for one epoch if they train, each in a "
        "process of its own; PyOD's `AutoEncoder` scores batches of 1,024 rows, and else has its defaults, as `KNN` "
        "has. The rows are independent and normal, or six factors and noise. MiB are the largest resident memory above "
        "that before scoring, which holds the input, 153 MiB. `KNN` and `GatedKNN` are measured once.",
        score_million,
        (OURS, THEIRS),
    ),
    "scaling": Comparison(
        "Rows and columns",
        "Fits on independent normal rows, of a single epoch if the detector trains, with the scaling and scoring of "
        "the training rows that every fit has; else with default parameters. A slope is that of a straight line "
        "through the logarithms: 1 is proportional.",
        scaling,
    ),
    "perturbators": Comparison(
        "DHAG's perturbators",
        "Fits of three epochs on 10,000 x 20 rows. The target is a ratio of at most 3.",
        perturbators,
        ("10 perturbators", "1 perturbator"),
    ),
    "import": Comparison(
        "Importing",
        "In fresh processes, `import torch, pyod.models.base`, and then `import pyod_synth`. The target is at most "
        "0.2 seconds for the latter.",
        importing,
    ),
    "latency": Comparison(
        "One row",
        "`decision_function` of one row of 20 features, of detectors that were fitted on 10,000. The target is at most "
        "2 milliseconds.",
        latency,
    ),
    "joblib": Comparison(
        "Two processes",
        "Four fits on 10,000 x 20 rows with default parameters, one after another, and by joblib's loky in two "
        "processes, each on one thread. The target is a ratio of at least 1.8.",
        parallel,
        ("one after another", "two at a time"),
    ),
}


def _fit(detector, X, **parameters):
    return detector(**parameters | _for_few(X, parameters)).fit(X)


def _for_few(X, parameters):
    """Give batches that hold as many rows as there are: PyOD's detectors drop a batch that is not full."""
    return {"batch_size": min(parameters["batch_size"], len(X))} if "batch_size" in parameters else {}


def _warm_in_turn(calls, X, repeats):
    """Time calls with rows in turn, after one with a few rows each: what is done once is done then."""
    in_turn({name: partial(call, X[:_FEW]) for name, call in calls.items()}, 1)
    return in_turn({name: partial(call, X) for name, call in calls.items()}, repeats)


def _fit_alone(detector, X, **parameters):
    """Fit on one thread; give nothing back, which would have to travel between processes."""
    with on_threads(THREADS):
        _fit(detector, X, **parameters)


def _score_alone(make, n, correlated):
    """Fit on 10,000 rows and score n others, on one thread: seconds, and MiB above the input."""
    with on_threads(THREADS):
        clf = make().fit(rows(min(n, 10_000), correlated=correlated))
        X = rows(n, seed=1, correlated=correlated)
        return peak_above(lambda: clf.decision_function(X))


def _score_in_turn(score, detectors, n, correlated, repeats):
    """Score by detectors in turn: to each a list of seconds and one of MiB."""
    found = {name: [] for name in detectors}
    for _ in range(repeats):
        for name, make in detectors.items():
            found[name].append(score(make, n, correlated))
    return {name: [list(values) for values in zip(*figures, strict=True)] for name, figures in found.items()}


def _both(case, ours, theirs):
    """Give seconds and MiB of two sides of a case."""
    units = ("s", "MiB")
    return [
        Measurement(case, side, unit, values)
        for unit, *sides in zip(units, ours, theirs, strict=True)
        for side, values in zip((OURS, THEIRS), sides, strict=True)
    ]


def _measurements(case, seconds):
    return [Measurement(case, side, "s", values) for side, values in seconds.items()]


def _shape(X):
    return " x ".join(f"{size:,}" for size in X.shape)
