"""The command line: ``python -m benchmarks run | report | list | download``."""

import argparse
import json
import os
import shlex
import sys
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import pandas as pd

from benchmarks import data, detectors, experiments, protocols
from benchmarks.data import download, listing
from benchmarks.reporting import pictures, report, tables
from benchmarks.running import runner
from benchmarks.running.backends import BACKENDS
from benchmarks.running.records import RecordsFile


def main(arguments=None):
    """Parse the command line and do what it says.

    Parameters
    ----------
    arguments : list of str or None, default=None
        None takes those of the process.

    Returns
    -------
    int
        Exit status: 0, or 1 if a cell failed, or 2 if an argument is wrong, or 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    try:
        return options.action(options, f"python -m benchmarks {shlex.join(arguments)}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _run(options, command):
    chosen = experiments.load(options.settings)
    if options.fast:
        chosen = chosen.shrink()
    given = ("datasets", "detectors", "protocols", "seeds", "time_limit", "memory_limit", "oracle_epoch")
    changes = {name: getattr(options, name) for name in given}
    chosen = replace(chosen, **{name: value for name, value in changes.items() if value is not None})
    if options.extension is not None:
        chosen = replace(chosen, extensions=[*chosen.extensions, str(options.extension)])
    out = options.out or Path("results") / chosen.name
    file = RecordsFile(out / "records.jsonl")
    runs = len(runner.grid(chosen, options.data))
    pictures.check(chosen, options.data)

    def begin():
        out.mkdir(parents=True, exist_ok=True)
        made_by = {"command": command, "settings": options.settings, "fast": options.fast, "runs": runs}
        (out / "experiment.json").write_text(json.dumps(made_by, indent=1) + "\n")

    try:
        where = (options.jobs, options.backend, options.scheduler)
        records = runner.run(chosen, file, options.data, *where, begin=begin)
        pictures.draw(chosen, out, options.data)
        return _print(records, out, chosen, command, runs)
    except KeyboardInterrupt:
        records = runner.collect(chosen, file, options.data)
    if records:
        _print(records, out, chosen, command, runs)
    print(f"\nStopped: {len(records)} of {runs} cells are there. The same command goes on: {command}")
    return 130


def _report(options, command):
    records = _latest(RecordsFile(options.folder / "records.jsonl").read())
    if not records:
        raise ValueError(f"no records in {options.folder / 'records.jsonl'}")
    path = options.folder / "experiment.json"
    if not path.is_file():
        raise ValueError(f"no {path}, which says what the records are of")
    made_by = json.loads(path.read_text())
    chosen = experiments.load(made_by["settings"])
    chosen = chosen.shrink() if made_by["fast"] else chosen
    return _print(records, options.folder, chosen, made_by["command"], made_by.get("runs"))


def _latest(records):
    """Keep the last record of each run, where a folder holds several of other parameters."""
    run = itemgetter("dataset", "protocol", "detector", "seed")
    return list({run(record): record for record in records}.values())


def _list(options, command):
    print("Settings:", *(f"  {name:36} {experiments.load(name).title}" for name in experiments.names()), sep="\n")
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
            print(download.fetch(file, options.data, options.mirror))
        except OSError as error:
            print(f"failed: {error}", file=sys.stderr)
            failed = True
    return int(failed)


def _print(records, out, settings, command, runs):
    """Write the report, print the summary; return the exit status."""
    written = report.write(records, out, settings, command, runs)
    for protocol, table in tables.summary(records, settings.metric).items():
        print(f"\n{protocol}\n{table.to_markdown(floatfmt='.2f')}")
    for skip in tables.reasons(records, "skipped").itertuples(index=False):
        print(f"skipped: {', '.join(skip[:3])}: {skip.reason}")
    failed = [record for record in records if record["status"] == "failed"]
    for record in failed:
        print(f"failed: {record['dataset']}, {record['protocol']}, {record['detector']}: {record['reason']}")
    print("\nWritten:", *written, sep="\n  ")
    return int(bool(failed))


def _parser():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="run | report | list | download")

    run = verbs.add_parser("run", help="run an experiment, leaving out what is done, and report it")
    run.add_argument("settings", nargs="?", default="quick", help="name or .toml file (default: quick)")
    run.add_argument("--datasets", type=_names, help="comma-separated names or groups")
    run.add_argument("--detectors", type=_names, help="comma-separated names")
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
    run.add_argument("--extension", type=Path, help="a Python file that adds data sets, protocols or rivals")
    run.add_argument("--out", type=Path, help="where to write (default: results/<settings name>)")
    run.add_argument("--jobs", type=int, help="cells at a time (default: one per core)")
    run.add_argument("--backend", default="local", help=f"where cells run: {', '.join(BACKENDS)} (default: local)")
    run.add_argument("--scheduler", help="address of a Dask or Ray cluster (default: one on this machine)")
    run.set_defaults(action=_run)

    again = verbs.add_parser("report", help="write the report of a run anew")
    again.add_argument("folder", type=Path, help="where a run wrote")
    again.set_defaults(action=_report)

    show = verbs.add_parser("list", help="list settings, detectors, protocols and data sets")
    show.set_defaults(action=_list)

    get = verbs.add_parser("download", help="download data sets into the data folder, and check them")
    get.add_argument("names", nargs="+", metavar="name", help="data set or group; list shows them")
    get.add_argument(
        "--mirror",
        default=os.environ.get("PYOD_SYNTH_MIRROR"),
        help="URL of a copy of a data folder, to download from (default: $PYOD_SYNTH_MIRROR, or their origin)",
    )
    get.set_defaults(action=_download)

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


def _seeds(text):
    return [int(seed) for seed in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
