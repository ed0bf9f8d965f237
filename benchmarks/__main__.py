"""The command line: ``python -m benchmarks run | report | list | download | speed``."""

import argparse
import json
import os
import re
import shlex
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import shorten

import pandas as pd

from benchmarks import data, detectors, experiments, protocols
from benchmarks.data import download, listing
from benchmarks.reporting import markdown, pictures, report, tables
from benchmarks.reporting.frame import to_frame
from benchmarks.running import extensions, runner
from benchmarks.running.backends import BACKENDS
from benchmarks.running.grid import grid
from benchmarks.running.records_file import RecordsFile
from benchmarks.speed import records as speed_records
from benchmarks.speed import report as speed_report
from benchmarks.speed.comparisons import COMPARISONS


def main(arguments=None):
    """Parse the command line and do what it says.

    Parameters
    ----------
    arguments : list of str or None, default=None
        None takes those of the process.

    Returns
    -------
    int
        Exit status: 0, or 1 if a cell failed or a file cannot be read or written, or 2 if an argument is wrong, or 130
        after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    try:
        return options.action(options, f"python -m benchmarks {shlex.join(arguments)}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


@contextmanager
def _keeping(folder, command):
    """Say what is left where a disk is full, or a folder may not be written to."""
    try:
        yield
    except OSError as error:
        raise OSError(f"{error}; what is done is kept in {folder}, and the same command goes on: {command}") from error


def _run(options, command):
    experiment = experiments.load(options.experiment)
    if options.fast:
        experiment = experiment.shrink()
    given = ("datasets", "detectors", "protocols", "seeds", "time_limit", "memory_limit", "oracle_epoch")
    changes = {name: getattr(options, name) for name in given}
    experiment = replace(experiment, **{name: value for name, value in changes.items() if value is not None})
    if options.extension is not None:
        experiment = replace(experiment, extensions=[*experiment.extensions, str(options.extension)])
    out = options.out or Path("results") / experiment.name
    file = RecordsFile(out / "records.jsonl")
    cells = grid(experiment, options.data)
    planned = pictures.plan(experiment, options.data)

    def begin():
        out.mkdir(parents=True, exist_ok=True)
        made_by = {
            "command": command,
            "experiment": options.experiment,
            "fast": options.fast,
            "runs": len(cells),
        }
        (out / "experiment.json").write_text(json.dumps(made_by, indent=1) + "\n")

    with _keeping(out, command):
        try:
            where = (options.jobs, options.backend, options.scheduler)
            limits = (experiment.time_limit, experiment.memory_limit)
            records = runner.run(cells, file, options.data, *where, *limits, begin=begin)
            pictures.draw(planned, out, options.data)
            return _print(to_frame(records, experiment), out, experiment, command, len(cells))
        except KeyboardInterrupt:
            records = runner.collect(cells, file)
        if records:
            _print(to_frame(records, experiment), out, experiment, command, len(cells))
    print(f"\nStopped: {len(records)} of {len(cells)} cells are there. The same command goes on: {command}")
    return 130


def _report(options, command):
    records = RecordsFile(options.folder / "records.jsonl").read()
    if not records:
        raise ValueError(f"no records in {options.folder / 'records.jsonl'}")
    made_by = _made_by(options.folder / "experiment.json")
    experiment = experiments.load(made_by["experiment"])
    experiment = experiment.shrink() if made_by["fast"] else experiment
    for extension in experiment.extensions:
        extensions.load(extension)
    frame = to_frame(records, experiment)
    with _keeping(options.folder, command):
        return _print(frame, options.folder, experiment, made_by["command"], made_by["runs"])


def _made_by(path):
    """Read what :func:`_run` wrote of itself."""
    if not path.is_file():
        raise ValueError(f"no {path}, which says what the records are of")
    try:
        made_by = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} must be JSON: {error}") from error
    kinds = {"command": str, "experiment": str, "fast": bool, "runs": (int, type(None))}
    # old ones do not say how many runs there are
    entries = {"runs": None} | (made_by if isinstance(made_by, dict) else {})
    if not all(isinstance(entries.get(name), kind) for name, kind in kinds.items()):
        raise ValueError(
            f"{path} must hold command and experiment, which are texts, fast, true or false, and runs, a number, if it "
            f"is known; got {shorten(str(made_by), 300)}"
        )
    return entries


def _list(options, command):
    titles = (f"  {name:36} {experiments.load(name).title}" for name in experiments.names())
    print("Experiments:", *titles, sep="\n")
    print("Detectors:", *(f"  {name:24} {line}" for name, line in detectors.describe().items()), sep="\n")
    print("Protocols:", *(f"  {name}" for name in protocols.PROTOCOLS), sep="\n")
    print(f"Data sets, those present in {options.data}:")
    for group, members in listing.table(options.data).groupby("group", sort=False):
        print(f"  {group}")
        for row in members.itertuples():
            print(f"    {row.name:34} {row.size:>16}  {row.where}")
    return 0


def _download(options, command):
    files = [download.find(name) for name in options.names]
    unknown = [name for name, found in zip(options.names, files, strict=True) if not len(found)]
    if unknown:
        raise ValueError(f"nothing to download is named {', '.join(map(repr, unknown))}; see python -m benchmarks list")
    failed = False
    for file in pd.concat(files).drop_duplicates("path").to_dict("records"):
        try:
            print(download.fetch(file, options.data, options.mirror, options.time_limit))
        except OSError as error:
            print(f"failed: {error}", file=sys.stderr)
            failed = True
    return int(failed)


def _speed(options, command):
    if options.list:
        print(*(f"{name:16} {comparison.title}" for name, comparison in COMPARISONS.items()), sep="\n")
        return 0
    chosen = options.only or list(COMPARISONS)
    unknown = [name for name in chosen if name not in COMPARISONS]
    if unknown:
        raise ValueError(f"--only must name some of {', '.join(COMPARISONS)}; got {', '.join(unknown)}")
    with _keeping(options.out, command):
        for name in chosen:
            record = None if options.again else speed_records.read(options.out, name)
            if record is None or record.fast != options.fast:
                record = speed_records.measure(name, options.fast)
                speed_records.write(record, options.out)
            print(speed_report.section(record), end="\n\n", flush=True)
        found = [speed_records.read(options.out, name) for name in COMPARISONS]
        print("Written:", speed_report.write([record for record in found if record is not None], options.out))
    return 0


def _print(frame, out, experiment, command, runs):
    """Write the report, print the summary; return the exit status."""
    written = report.write(frame, out, experiment, command, runs)
    for protocol, table in tables.summary(frame, experiment.metric).items():
        print(f"\n{protocol}\n{markdown.table(markdown.summary(table, experiment.metric))}")
    for skip in tables.reasons(frame, "skipped").itertuples(index=False):
        print(f"skipped: {', '.join(skip[:3])}: {skip.reason}")
    failed = frame[frame["status"] == "failed"]
    for run in failed.itertuples():
        print(f"failed: {run.dataset}, {run.protocol}, {run.detector}: {run.reason}")
    print("\nWritten:", *written, sep="\n  ")
    return int(len(failed) > 0)


def _parser():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="run | report | list | download | speed")

    run = verbs.add_parser("run", help="run an experiment, leaving out what is done, and report it")
    run.add_argument("experiment", nargs="?", default="quick", help="name or .toml file (default: quick)")
    run.add_argument("--datasets", type=_names, help="comma-separated names or groups")
    run.add_argument("--detectors", type=_detectors, help="comma-separated names, or names with parameters")
    run.add_argument("--protocols", type=_names, help="comma-separated names")
    run.add_argument("--seeds", type=_seeds, help="comma-separated integers")
    run.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop a cell that takes longer")
    run.add_argument("--memory-limit", type=float, metavar="GIB", help="stop a cell that needs more")
    run.add_argument("--fast", action="store_true", help="the small version of the experiment, for processors")
    run.add_argument(
        "--oracle-epoch",
        action="store_true",
        default=None,
        help="find the best epoch by the test labels too",
    )
    run.add_argument("--extension", type=Path, help="a Python file that adds data sets, protocols or detectors")
    run.add_argument("--out", type=Path, help="where to write (default: results/<experiment's name>)")
    run.add_argument("--jobs", type=int, help="cells at a time (default: one per core)")
    run.add_argument("--backend", default="local", help=f"where cells run: {', '.join(BACKENDS)} (default: local)")
    run.add_argument("--scheduler", help="address of a Dask or Ray cluster (default: one on this machine)")
    run.set_defaults(action=_run)

    again = verbs.add_parser("report", help="write the report of a run anew")
    again.add_argument("folder", type=Path, help="where a run wrote")
    again.set_defaults(action=_report)

    show = verbs.add_parser("list", help="list experiments, detectors, protocols and data sets")
    show.set_defaults(action=_list)

    get = verbs.add_parser("download", help="download data sets into the data folder, and check them")
    get.add_argument("names", nargs="+", metavar="name", help="data set or group; list shows them")
    get.add_argument(
        "--mirror",
        default=os.environ.get("PYOD_SYNTH_MIRROR"),
        help="URL of a copy of a data folder, to download from (default: $PYOD_SYNTH_MIRROR, or their origin)",
    )
    get.add_argument(
        "--time-limit",
        type=float,
        default=download.TIME_LIMIT,
        metavar="SECONDS",
        help=f"give up a file that takes longer (default: {download.TIME_LIMIT:g})",
    )
    get.set_defaults(action=_download)

    speed = verbs.add_parser("speed", help="measure speed and memory, leaving out what is done, and report them")
    speed.add_argument("--only", type=_names, metavar="NAMES", help="comma-separated comparisons (default: all)")
    speed.add_argument("--fast", action="store_true", help="tiny sizes, to see that it works")
    speed.add_argument("--list", action="store_true", help="list the comparisons")
    speed.add_argument("--again", action="store_true", help="measure anew what is done")
    speed.add_argument(
        "--out", type=Path, default=Path("results") / "speed", help="where to write (default: results/speed)"
    )
    speed.set_defaults(action=_speed)

    for verb in (run, show, get):
        verb.add_argument(
            "--data",
            type=Path,
            default=data.default_folder(),
            help="data folder (default: $PYOD_SYNTH_DATA, or a cache folder)",
        )
    return parser


def _names(text):
    return [name.strip() for name in text.split(",")]


def _detectors(text):
    try:
        # a comma within brackets is of a list: PLAD:sequence_shape=[12,29]
        return [detectors.parse(name.strip()) for name in re.split(r",(?![^\[]*\])", text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seeds(text):
    return [int(seed) for seed in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
