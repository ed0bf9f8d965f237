"""Frame -> a report: markdown, a page, figures."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from PIL import Image, UnidentifiedImageError

from benchmarks import detectors
from benchmarks.experiments import Experiment
from benchmarks.reporting import figures, markdown, page, published, significance, sweeps, tables
from benchmarks.running.metrics import IN_WORDS, METRICS


def write(frame: pd.DataFrame, out: Path, experiment: Experiment, command: str, runs: int | None = None) -> list[Path]:
    """Write the report and its figures.

    Parameters
    ----------
    frame : pandas.DataFrame
        See :func:`benchmarks.reporting.frame.to_frame`; not empty.
    out : pathlib.Path
        A folder, made if it is not there. Pictures that lie in its folder ``pictures`` are shown.
    experiment : Experiment
    command : str
        What made the records.
    runs : int or None, default=None
        How many runs there are to be, if that is known: fewer are said to be not complete.

    Returns
    -------
    list of pathlib.Path
        The files written.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = [out / "report.md", out / "report.html"]
    for name, draw in drawings(frame, experiment.metric).items():
        draw(path=out / name)
        written.append(out / name)
    shown = pictures(out)
    text = compose(frame, experiment, command, shown, runs)
    written[0].write_text(text)
    files = {path.name: path for path in written[2:]} | {name: out / name for name in shown}
    written[1].write_text(page.render(text, _title(experiment), files))
    return written


def pictures(out: Path) -> list[str]:
    """List the pictures of a run by their paths relative to the folder that it wrote to.

    What only has the name of one is left out: a file that is no PNG, or a link that leads out of the folder.
    """
    return sorted(path.relative_to(out).as_posix() for path in (out / "pictures").glob("*.png") if _is_own(path, out))


def _is_own(path, out):
    if not path.is_file() or not path.resolve().is_relative_to(out.resolve()):
        return False
    try:
        Image.open(path, formats=["PNG"]).close()
    except UnidentifiedImageError:
        return False
    return True


def drawings(frame: pd.DataFrame, metric: str) -> dict[str, Callable]:
    """List which figures the records are enough for.

    Parameters
    ----------
    frame : pandas.DataFrame
    metric : str
        A key of ``METRICS``.

    Returns
    -------
    dict of str to callable
        By the name of the file, what draws it at a ``path``.
    """
    label, found = IN_WORDS[metric], {}
    ours = set(frame.loc[frame["algorithm"].isin(detectors.ours()), "detector"])
    if means := _ordered(tables.means(frame, metric), frame, metric):
        found[f"{metric}.png"] = partial(figures.boxes, means, label, ours=ours)
    if ranks := _ordered(_rankable(frame, metric), frame, metric):
        rank = f"rank by {METRICS[metric]} (1 is best)"
        found["ranks.png"] = partial(figures.boxes, ranks, rank, ours=ours, low_is_best=True)
        found["critical_difference.png"] = partial(figures.critical_differences, ranks, ours=ours)
    return found | {sweep.file: partial(figures.curves, sweep, label) for sweep in sweeps.find(frame, metric)}


def _ordered(found, frame, metric):
    """Put the detectors in the order of the report's tables."""
    summaries = tables.summary(frame, metric)
    return {protocol: table[summaries[protocol].index] for protocol, table in found.items()}


def _rankable(frame, metric):
    return {name: ranks for name, ranks in tables.ranks(frame, metric).items() if significance.enough(ranks)}


def compose(
    frame: pd.DataFrame,
    experiment: Experiment,
    command: str,
    pictures: Iterable[str] = (),
    runs: int | None = None,
) -> str:
    """Write the report as markdown.

    Parameters
    ----------
    frame : pandas.DataFrame
        Not empty.
    experiment : Experiment
    command : str
        What made the records.
    pictures : iterable of str, default=()
        See :func:`pictures`.
    runs : int or None, default=None
        See :func:`write`.

    Returns
    -------
    str
    """
    parts = [
        f"# {markdown.name(_title(experiment))}",
        *_small(experiment),
        *_incomplete(frame, runs),
        *_head(frame, experiment.metric, command),
        *_protocols(frame, experiment.metric),
        *_published(frame, experiment),
        *_ranks(frame, experiment.metric),
        *_t_tests(frame, experiment),
        *_sweeps(frame, experiment.metric),
        *_pictures(pictures),
        *_details(frame),
        *_reasons(frame),
    ]
    return "\n\n".join(parts) + "\n"


def _title(experiment):
    return experiment.title or experiment.name


def _small(experiment):
    """Warn of a run with ``--fast``."""
    if not experiment.shrunk:
        return []
    rows = [(entry, _plain(full), _plain(small)) for entry, (full, small) in experiment.shrunk.items()]
    columns = ["entry", "the experiment", "here"]
    return [
        "**This is the small version of the experiment (`--fast`): it shows that everything runs. Its figures are not "
        "those of the experiment and not to be quoted.** It replaces:",
        markdown.table(pd.DataFrame(rows, columns=columns).set_index("entry"), left=columns, names=columns[1:]),
    ]


def _plain(value):
    return ", ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)


def _incomplete(frame, runs):
    if runs is None or len(frame) >= runs:
        return []
    return [f"**Not complete: {len(frame)} of {runs} records are there.**"]


def _head(frame, metric, command):
    seeds = ", ".join(map(str, sorted(frame["seed"].unique())))
    several: dict = {}  # where a run went on with other versions
    for name, number in (item for versions in frame["versions"] for item in versions.items() if item[1] is not None):
        several.setdefault(name, {})[str(number)] = None
    versions = ", ".join(markdown.name(f"{name} {' and '.join(numbers)}") for name, numbers in several.items())
    text = (
        "Means over data sets of means over seeds; ± is the standard deviation of the mean over data sets, over seeds, "
        "if there are several. "
        "Ranks are over detectors within a data set (1 is best). F1 is at the true count of anomalies. "
        "The last epoch is scored. The best of each column or row is bold."
    )
    if frame["oracle_epoch"].notna().any():
        text += (
            f" The column {markdown.oracle(metric)} alone is of the epoch that is best by the labels of the test rows, "
            "which papers sometimes report; nobody can choose it without these labels."
        )
    return [f"Made by {markdown.code(command)}. Seeds {seeds}; {versions}.", text]


def _protocols(frame, metric):
    summaries, left_out = tables.summary(frame, metric), tables.left_out(frame)
    counted = tables.complete(frame).groupby("protocol")["dataset"].nunique()
    skipped = tables.reasons(frame, "skipped")
    parts = []
    for protocol, names in frame.groupby("protocol", sort=False)["dataset"]:
        parts.append(f"## {markdown.name(protocol)}, {counted.get(protocol, 0)} of {names.nunique()} data sets")
        if protocol in summaries:
            parts.append(markdown.table(markdown.summary(summaries[protocol], metric, bold=True)))
        missing = left_out[left_out["protocol"] == protocol]
        if len(missing):
            listed = ", ".join(f"{row.dataset} ({row.reason})" for row in missing.itertuples())
            parts.append(f"Left out, since not every run succeeded there: {markdown.name(listed)}.")
        others = skipped.loc[skipped["protocol"] == protocol, "detector"].unique()
        if len(others):
            parts.append(f"Not compared, since skipped here: {markdown.name(', '.join(others))} ([reasons](#skipped)).")
    if summaries:
        title = f"{METRICS[metric]} over the data sets"
        parts += [f"## {title}", f"![{title}, for each detector]({metric}.png)"]
    return parts


def _published(frame, experiment):
    parts = ["## Beside the published figures"]
    if experiment.differs:
        parts.append(experiment.differs.strip())
    if experiment.published is not None:
        beside, whole = published.beside(frame, experiment), published.whole(frame, experiment)
        for protocol in experiment.published["protocol"].unique():
            parts.append(f"### {METRICS[experiment.metric]}, {markdown.name(protocol)}")
            if protocol in beside:
                texts = markdown.beside(beside[protocol], experiment.metric)
                parts.append(markdown.table(texts, left=["detector"], names=["detector"]))
            if protocol in whole:
                parts += ["All that was published:", _whole(whole[protocol])]
    return parts if len(parts) > 1 else []


def _whole(rows):
    """Write published figures as their paper does: a row for each method, a column for each data set."""
    stds = rows.get("std", pd.Series(float("nan"), rows.index))
    texts = [markdown.figure(*both) for both in zip(rows["mean"], stds, strict=True)]
    rows = rows.assign(text=texts).rename(columns={"detector": "method"}).set_index(["method", "dataset"])
    texts, numbers = (rows[name].unstack(sort=False) for name in ("text", "mean"))
    return markdown.table(texts.fillna("").apply(lambda each: markdown.embolden(each, numbers[each.name], max)))


def _ranks(frame, metric):
    ranks = _rankable(frame, metric)
    if not ranks:
        return []
    tests = {
        protocol: {
            "data sets": str(table.shape[0]),
            "detectors": str(table.shape[1]),
            "Friedman p": markdown.p_value(significance.friedman(table)),
            "so the detectors": "differ" if significance.friedman(table) < significance.ALPHA else "may all be alike",
            "critical difference": f"{significance.critical_difference(table):.2f}",
        }
        for protocol, table in ranks.items()
    }
    return [
        "## Ranks",
        f"Friedman's test asks whether the detectors differ at all in {METRICS[metric]}: its p is the chance of ranks "
        f"as uneven as these if they did not, and below {significance.ALPHA} they are taken to differ. Then Nemenyi's "
        "test finds those whose mean ranks are further apart than the critical difference (CD), at the same level; "
        "bars join those that do not differ by it.",
        markdown.table(pd.DataFrame(tests).T.rename_axis("protocol")),
        "![Mean ranks and critical differences](critical_difference.png)",
        f"![Ranks of each detector by {METRICS[metric]} over the data sets](ranks.png)",
    ]


def _t_tests(frame, experiment):
    tests = significance.t_tests(frame, experiment.t_test, experiment.metric) if experiment.t_test else {}
    name = markdown.name(experiment.t_test)
    parts = [
        f"## {name} against each other detector",
        f"p-values of Student's t-test over seeds, two-sided, of the {METRICS[experiment.metric]} on each data set, "
        f"not corrected for their number; bold below {significance.ALPHA}. ↑ where {name} is better, ↓ where it is "
        "worse; empty where there are less than two seeds or no deviation over them.",
    ]
    for protocol, table in tests.items():
        texts = table.assign(text=[_t_test(row) for row in table.itertuples()]).set_index(["dataset", "rival"])["text"]
        texts = texts.unstack(sort=False).fillna("").rename_axis("dataset")
        parts += [f"### {markdown.name(protocol)}", markdown.table(texts, left=texts.columns)]
    return parts if tests else []


def _t_test(row):
    text = markdown.p_value(row.p)
    return f"{f'**{text}**' if row.p < significance.ALPHA else text} {'↑' if row.better else '↓'}"


def _sweeps(frame, metric):
    parts = []
    for sweep in sweeps.find(frame, metric):
        sweep_title = markdown.name(sweep.title)
        parts += [f"### {sweep_title}", f"![{METRICS[metric]} against {sweep_title}]({quote(sweep.file)})"]
        for title, panel in sweep.panels.items():
            texts = panel.mean.map("{:.3f}".format) + " ± " + panel.std.map("{:.3f}".format)
            texts = markdown.embolden_rows(texts, panel.mean)
            texts.index = [f"{value:g}" for value in texts.index]
            parts += [f"{markdown.name(title)}:", markdown.table(texts.rename_axis(sweep.values))]
    text = (
        "Thick lines are means over the data sets on which every run succeeded, bands their standard deviation over "
        "seeds; with one detector, thin lines are the data sets."
    )
    return ["## Curves", text, *parts] if parts else []


def _pictures(paths):
    parts = []
    for path in paths:
        title = markdown.name(path.rpartition("/")[2].removesuffix(".png").replace("-", " "))
        parts += [f"### {title}", f"![{title}]({quote(path)})"]
    return ["## Pictures", *parts] if parts else []


def _details(frame):
    parts = ["## Data set by data set"]
    for metric, label in METRICS.items():
        for protocol, texts in markdown.details(tables.outcomes(frame, metric), bold=True).items():
            parts += [f"### {label}, {markdown.name(protocol)}", markdown.table(texts)]
    return parts


def _reasons(frame):
    parts = []
    for status in ("failed", "skipped"):
        table = tables.reasons(frame, status)
        if len(table):
            table["reason"] = table["reason"].map(markdown.escape)
            names = table.columns.drop(["protocol", "reason"])
            parts += [
                f"## {status.capitalize()}",
                markdown.table(table.set_index("protocol"), left=table.columns, names=names),
            ]
    return parts
