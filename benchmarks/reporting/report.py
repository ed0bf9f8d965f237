"""Records -> a report: markdown, a page, figures."""

import re
from functools import partial
from textwrap import shorten
from urllib.parse import quote

import pandas as pd

from benchmarks.reporting import figures, page, published, significance, sweeps, tables
from benchmarks.reporting.tables import METRICS


def write(records, out, settings, command, runs=None):
    """Write the report and its figures.

    Parameters
    ----------
    records : list of dict
        Not empty.
    out : pathlib.Path
        A folder, made if it is not there. Pictures that lie in its folder ``pictures`` are shown.
    settings : benchmarks.experiments.Settings
    command : str
        What made the records.
    runs : int or None, default=None
        How many records there are to be, if that is known: fewer are said to be not complete.

    Returns
    -------
    list of pathlib.Path
        The files written.
    """
    out.mkdir(parents=True, exist_ok=True)
    records = _ordered(records, settings)
    written = [out / "report.md", out / "report.html"]
    for name, draw in drawings(records, settings.metric).items():
        draw(out / name)
        written.append(out / name)
    text = markdown(records, settings, command, pictures(out), runs)
    written[0].write_text(text)
    written[1].write_text(page.render(text, out))
    return written


def pictures(out):
    """List the pictures of a run.

    Parameters
    ----------
    out : pathlib.Path
        Where it wrote.

    Returns
    -------
    list of str
        Paths relative to that folder.
    """
    return sorted(path.relative_to(out).as_posix() for path in (out / "pictures").glob("*.png"))


def drawings(records, metric):
    """Tell which figures the records are enough for.

    Parameters
    ----------
    records : list of dict
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    dict of str to callable
        By the name of the file, what draws it at a path.
    """
    label = METRICS[metric]
    found = {}
    if means := tables.means(records, metric):
        found[f"{metric}.png"] = partial(figures.boxes, means, label)
    if ranks := _rankable(records, metric):
        found["ranks.png"] = partial(figures.boxes, ranks, f"rank by {label} (1 is best)", low_is_best=True)
        found["critical_difference.png"] = partial(figures.critical_differences, ranks)
    return found | {sweep.file: partial(figures.curves, sweep, label) for sweep in sweeps.find(records, metric)}


def _rankable(records, metric):
    return {name: ranks for name, ranks in tables.ranks(records, metric).items() if significance.enough(ranks)}


def markdown(records, settings, command, pictures=(), runs=None):
    """Write the report.

    Parameters
    ----------
    records : list of dict
        Not empty.
    settings : benchmarks.experiments.Settings
    command : str
        What made the records.
    pictures : iterable of str, default=()
        See :func:`pictures`.
    runs : int or None, default=None
        See :func:`write`.

    Returns
    -------
    str
        Markdown.
    """
    records = _ordered(records, settings)
    parts = [
        f"# {settings.title or settings.name}",
        *_small(settings),
        *_incomplete(records, runs),
        *_head(records, settings.metric, command),
        *_protocols(records, settings.metric),
        *_published(records, settings),
        *_ranks(records, settings.metric),
        *_t_tests(records, settings),
        *_sweeps(records, settings.metric),
        *_pictures(pictures),
        *_details(records),
        *_reasons(records),
    ]
    return "\n\n".join(parts) + "\n"


def _ordered(records, settings):
    """Sort records as the settings do, whatever came first; what these do not name by name, numbers as numbers."""

    def place(name, names):
        natural = [(part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", name)]
        return names.index(name) if name in names else len(names), natural

    return sorted(
        records,
        key=lambda record: (
            place(record["protocol"], settings.protocols),
            place(record["dataset"], settings.datasets),
            place(record["detector"], settings.detectors),
            record["seed"],
        ),
    )


def _small(settings):
    """Warn of a run with ``--fast``."""
    if not settings.shrunk:
        return []
    rows = [(entry, _plain(full), _plain(small)) for entry, (full, small) in settings.shrunk.items()]
    return [
        "**This is the small version of the experiment (`--fast`): it shows that everything runs. Its figures are not "
        "those of the experiment and not to be quoted.** It replaces:",
        _table(pd.DataFrame(rows, columns=["entry", "the experiment", "here"]).set_index("entry")),
    ]


def _incomplete(records, runs):
    if runs is None or len(records) >= runs:
        return []
    return [f"**Not complete: {len(records)} of {runs} records are there.**"]


def _plain(value):
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)


def _head(records, metric, command):
    seeds = ", ".join(map(str, sorted({record["seed"] for record in records})))
    versions = ", ".join(f"{name} {number}" for name, number in records[-1]["versions"].items())
    text = (
        "Means over data sets of means over seeds; ± is the standard deviation of the mean over data sets, over seeds. "
        "Ranks are over detectors within a data set (1 is best). F1 is at the true count of anomalies. "
        "The last epoch is scored. The best of each column or row is bold."
    )
    if any(record.get("oracle_epoch") for record in records):
        text += (
            f" The column {tables.oracle(metric)} alone is of the epoch that is best by the labels of the test rows, "
            "which papers sometimes report; nobody can choose it without these labels."
        )
    return [f"Made by `{command}`. Seeds {seeds}; {versions}.", text]


def _protocols(records, metric):
    summaries = tables.summary(records, metric)
    means, left_out = tables.means(records, metric), tables.left_out(records)
    skipped = tables.reasons(records, "skipped")
    parts = []
    for protocol, names in pd.DataFrame(records).groupby("protocol", sort=False)["dataset"]:
        counted = len(means.get(protocol, ()))
        parts.append(f"## {protocol}, {counted} of {names.nunique()} data sets")
        if counted:
            parts.append(_summary_table(summaries[protocol]))
        missing = left_out[left_out["protocol"] == protocol]
        if len(missing):
            listed = ", ".join(f"{row.dataset} ({row.reason})" for row in missing.itertuples())
            parts.append(f"Left out, since not every run succeeded there: {listed}.")
        others = skipped.loc[skipped["protocol"] == protocol, "detector"].unique()
        if len(others):
            parts.append(f"Not compared, since skipped here: {', '.join(others)} ([reasons](#skipped)).")
    if means:
        title = f"{METRICS[metric]} over the data sets"
        parts += [f"## {title}", f"![{title}, for each detector]({metric}.png)"]
    return parts


def _summary_table(table):
    table = table.map(_text)
    for column in table:
        if column in METRICS.values():
            table[column] = _bold(table[column], max)
        elif column.startswith("rank"):
            table[column] = _bold(table[column], min)
    return _table(table)


def _published(records, settings):
    parts = ["## Beside the published figures"]
    if settings.differs:
        parts.append(settings.differs.strip())
    if settings.published is not None:
        beside, whole = published.beside(records, settings), published.whole(records, settings)
        for protocol in settings.published["protocol"].unique():
            parts.append(f"### {METRICS[settings.metric]}, {protocol}")
            if protocol in beside:
                parts.append(_table(beside[protocol].set_index("data set")))
            if protocol in whole:
                parts += ["All that was published:", _table(whole[protocol].apply(_bold, pick=max))]
    return parts if len(parts) > 1 else []


def _ranks(records, metric):
    ranks = _rankable(records, metric)
    if not ranks:
        return []
    tests = {
        protocol: {
            "data sets": str(table.shape[0]),
            "detectors": str(table.shape[1]),
            "Friedman p": _p_value(significance.friedman(table)),
            "critical difference": _text(significance.critical_difference(table)),
        }
        for protocol, table in ranks.items()
    }
    return [
        "## Ranks",
        f"Friedman's test asks whether the detectors differ at all in {METRICS[metric]}. Where it says so, Nemenyi's "
        "tells apart those whose mean ranks are further apart than the critical difference (CD), at a level of "
        f"{significance.ALPHA}; bars join those that are not told apart.",
        _table(pd.DataFrame(tests).T.rename_axis("protocol")),
        "![Mean ranks and critical differences](critical_difference.png)",
        f"![Ranks of each detector by {METRICS[metric]} over the data sets](ranks.png)",
    ]


def _t_tests(records, settings):
    tests = significance.t_tests(records, settings.t_test, settings.metric) if settings.t_test else {}
    parts = [
        f"## {settings.t_test} against each other detector",
        f"p-values of Student's t-test over seeds, two-sided, of the {METRICS[settings.metric]} on each data set, not "
        f"corrected for their number; bold below {significance.ALPHA}. ↑ where {settings.t_test} is better, ↓ where it "
        "is worse; empty where there are less than two seeds or no deviation over them.",
    ]
    for protocol, table in tests.items():
        texts = table.assign(text=[_t_test(row) for row in table.itertuples()]).set_index(["dataset", "rival"])["text"]
        parts += [f"### {protocol}", _table(texts.unstack(sort=False).fillna("").rename_axis("dataset"))]
    return parts if tests else []


def _t_test(row):
    p_value = _p_value(row.p)
    return f"{f'**{p_value}**' if row.p < significance.ALPHA else p_value} {'↑' if row.better else '↓'}"


def _sweeps(records, metric):
    parts = []
    for sweep in sweeps.find(records, metric):
        parts += [f"### {sweep.title}", f"![{METRICS[metric]} against {sweep.title}]({sweep.file})"]
        for title, panel in sweep.panels.items():
            texts = panel.mean.map("{:.3f}".format) + " ± " + panel.std.map("{:.3f}".format)
            texts.index = [f"{value:g}" for value in texts.index]
            parts += [f"{title}:", _table(texts.apply(_bold, axis=1, pick=max).rename_axis(sweep.values))]
    text = (
        "Thick lines are means over the data sets on which every run succeeded, bands their standard deviation over "
        "seeds; with one detector, thin lines are the data sets."
    )
    return ["## Curves", text, *parts] if parts else []


def _pictures(paths):
    parts = []
    for path in paths:
        title = path.rpartition("/")[2].removesuffix(".png").replace("-", " ")
        parts += [f"### {title}", f"![{title}]({quote(path)})"]
    return ["## Pictures", *parts] if parts else []


def _details(records):
    parts = ["## Data set by data set"]
    for metric, label in METRICS.items():
        for protocol, table in tables.details(records, metric).items():
            parts += [f"### {label}, {protocol}", _table(table.apply(_bold, axis=1, pick=max))]
    return parts


def _reasons(records):
    parts = []
    for status in ("failed", "skipped"):
        table = tables.reasons(records, status)
        if len(table):
            table["reason"] = table["reason"].map(_escape)
            parts += [f"## {status.capitalize()}", _table(table.set_index("protocol"))]
    return parts


def _escape(text):
    """Make an error message safe in a table: one line, not too long, no markdown, no HTML."""
    line = shorten(text, 300, placeholder=" ...").replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", line)


def _text(value):
    return f"{value:.2f}" if isinstance(value, float) else value


def _p_value(value):
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def _number(text):
    """Read the number that a text begins with, or None."""
    match = re.match(r"[+-]?\d*\.?\d+(e[+-]\d+)?(?= |$)", text.replace("**", ""))
    return float(match[0]) if match else None


def _bold(texts, pick):
    """Make the best bold: a row or column of a table, whose texts begin with numbers or have none."""
    numbers = texts.map(_number)
    best = pick(numbers.dropna(), default=None)
    return texts.where((numbers != best) | (numbers.count() < 2), "**" + texts + "**")


def _table(table):
    """Write a table of texts, columns of numbers to the right."""
    words = ("", "failed", "skipped", "incomplete")
    right = [all(text in words or _number(text) is not None for text in table[column]) for column in table]
    return table.to_markdown(disable_numparse=True, colalign=["left", *("right" if r else "left" for r in right)])
