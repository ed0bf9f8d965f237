"""The command line: ``python -m pyod_synth score FILE.csv`` says which rows of a CSV are anomalous."""

import argparse
import ast
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from pyod_synth import all_detectors
from pyod_synth.csv_scoring import CSVFile, Preparation
from pyod_synth.detector import CoreDetector

_JSON = {"true": True, "false": False, "null": None}


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and do what it says.

    Parameters
    ----------
    arguments : list of str or None, default=None
        None takes those of the process.

    Returns
    -------
    int
        Exit status: 0, or 2 if an argument or a file is wrong, which is said on stderr.
    """
    options = _parser().parse_args(arguments)
    try:
        return _score(options)
    except BrokenPipeError:  # whoever reads the output has seen enough, as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ImportError, OSError, ValueError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _score(options: argparse.Namespace) -> int:
    clf = _detector(options.detector, options.contamination)
    if options.out is not None and not options.out.absolute().parent.is_dir():
        raise ValueError(f"--out: there is no folder {options.out.parent}")
    file = CSVFile(options.file, options.separator)
    taken = sorted({"row", "score", "anomaly", "because"}.intersection(file.columns))
    if taken:
        raise ValueError(f"{file.path} has the columns {taken} itself, which the output adds: rename them")
    learned = file if options.train is None else CSVFile(options.train, options.separator)

    unknown = [column for column in options.drop if column not in learned.columns + file.columns]
    if unknown:
        raise ValueError(f"--drop: {learned.path} has no columns {unknown}, only {learned.columns}")
    training_rows = learned.values([column for column in learned.columns if column not in options.drop])
    if len(training_rows) < 2 and len(training_rows.columns):
        raise ValueError(f"{learned.path} must have at least 2 rows to learn from, got {len(training_rows)}")
    preparation = Preparation(training_rows)
    for reason, columns in preparation.left_out.items():
        print(f"left out, being {reason}: {', '.join(columns)}", file=sys.stderr)
    if not preparation.columns:
        raise ValueError(
            f"{learned.path} has no column to go by, of numbers that differ or texts that recur; between its columns "
            f"there must be {options.separator!r}, or what --separator names"
        )

    rows = training_rows if learned is file else _like(preparation, file, learned)
    clf.fit(preparation.transform(training_rows))
    # those of the training rows are there
    scores = clf.decision_scores_ if learned is file else clf.decision_function(preparation.transform(rows))

    shown = np.arange(len(scores)) if options.top is None else np.argsort(-scores, kind="stable")[: options.top]
    anomaly = (scores[shown] > clf.threshold_).astype(int)
    table = file.fields().iloc[shown].assign(score=scores[shown], anomaly=anomaly)
    table.insert(0, "row", shown + 1)
    if options.explain:
        table["because"] = preparation.main_columns(clf.explain(preparation.transform(rows.iloc[shown])))
    out = sys.stdout if options.out is None else options.out
    table.to_csv(out, sep=options.separator, index=False, float_format="%.6g", lineterminator="\n")
    sys.stdout.flush()
    return 0


def _like(preparation: Preparation, file: CSVFile, learned: CSVFile) -> Any:
    """Read the rows to score, in the columns of the training rows."""
    missing = [column for column in preparation.columns if column not in file.columns]
    if missing:
        raise ValueError(f"{file.path} must have the columns of {learned.path}, and lacks {missing}")
    rows = file.values(preparation.columns, as_text=preparation.texts)
    if not len(rows):
        raise ValueError(f"{file.path} has no rows")
    wrong = [column for column in preparation.numbers if rows[column].dtype == object]
    if wrong:
        raise ValueError(f"{file.path} must have numbers in {wrong}, as {learned.path}, and has texts")
    return rows


def _detector(text: str, contamination: float) -> CoreDetector:
    """Build the detector that a person typed, as ``DHAG:n_augmented=0,space=input``."""
    name, _, assigned = text.partition(":")
    known = all_detectors()
    if name not in known:
        raise ValueError(f"--detector must be one of {', '.join(known)}, got {name!r}")
    parameters: dict[str, Any] = {"contamination": contamination}
    # a comma within brackets is of a list; python -m benchmarks has colons between parameters, which are read too
    for assignment in re.split(r"[,:](?![^\[(]*[\])])", assigned) if assigned else []:
        parameter, sign, value = (part.strip() for part in assignment.partition("="))
        if not (parameter and sign and value):
            raise ValueError(f"--detector must be NAME or NAME:parameter=value,..., got {text!r}")
        if parameter not in known[name]().get_params():
            allowed = ", ".join(known[name]().get_params())
            raise ValueError(f"--detector: the parameters of {name} are {allowed}, got {parameter!r}")
        try:
            parameters[parameter] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            parameters[parameter] = _JSON.get(value, value)
    return known[name](**parameters)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pyod_synth", description=__doc__)
    actions = parser.add_subparsers(required=True, metavar="COMMAND")
    score = actions.add_parser(
        "score",
        help="score the rows of a CSV",
        description="Score the rows of a CSV with a header. The output is the CSV with the columns row (1 is the first "
        "after the header), score (higher is more anomalous) and anomaly (0 or 1) beside its own. Numbers are taken "
        "as they are, texts become columns of 0 and 1, gaps are filled with the median or the most frequent text. "
        "Columns that tell nothing are left out, which is said on stderr.",
    )
    score.add_argument("file", type=Path, metavar="FILE.csv")
    score.add_argument("--train", type=Path, metavar="OTHER.csv", help="learn from these rows instead of FILE's own")
    score.add_argument("--drop", type=_names, default=[], metavar="COLUMN,...", help="columns that are not to count")
    score.add_argument(
        "--detector",
        default="GatedKNN",
        metavar="NAME[:parameter=value,...]",
        help=f"one of {', '.join(all_detectors())}; values are JSON's or Python's, else text (default: GatedKNN)",
    )
    score.add_argument(
        "--contamination",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="expected share of anomalies in the rows that are learned from (default: 0.1)",
    )
    score.add_argument(
        "--top", type=_count, metavar="N", help="only the N most anomalous rows, the most anomalous first"
    )
    score.add_argument(
        "--explain", action="store_true", help="a column, because, with the columns that add most to a row's score"
    )
    score.add_argument("--separator", default=",", metavar="TEXT", help="between columns, in and out (default: comma)")
    score.add_argument("--out", type=Path, metavar="OUT.csv", help="where to write (default: stdout)")
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.exit(main())
