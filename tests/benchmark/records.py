"""Made-up records, and experiments that are run in one line."""

from benchmarks.detectors import parse
from benchmarks.reporting.frame import to_frame
from benchmarks.running import runner
from benchmarks.running.grid import grid
from benchmarks.running.records import Cell, Record


def specs(*texts):
    """Detectors as a person types them."""
    return [parse(text) for text in texts]


def run(experiment, file, folder=None, **options):
    limits = {"time_limit": experiment.time_limit, "memory_limit": experiment.memory_limit}
    return runner.run(grid(experiment, folder), file, folder, **limits, **options)


def record(dataset, detector, seed, auroc, status="ok", protocol="one-class", reason="", **more):
    figures = {"auroc": auroc, "auprc": auroc / 2, "f1": auroc / 4} if status == "ok" else {}
    figures |= more.pop("figures", {})
    seconds = {"fit_seconds": 1.0, "score_seconds": 0.5} if status == "ok" else {}
    cell = Cell(dataset, protocol, parse(detector), seed)
    return Record(cell, status, reason, {"x": "1"}, figures=figures, **seconds, **more)


def table(figures, protocol="one-class"):
    """Records of a data set x detector table whose entries are the figures of seeds 0, 1, ..."""
    return [
        record(dataset, detector, seed, value, protocol=protocol)
        for dataset, row in figures.items()
        for detector, values in row.items()
        for seed, value in enumerate(values)
    ]


def frame(figures, protocol="one-class"):
    """The same as one table of numbers."""
    return to_frame(table(figures, protocol))
