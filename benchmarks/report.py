"""Records -> markdown and figures."""

import pandas as pd

from benchmarks import plots
from benchmarks.tables import METRICS, complete, details, summary


def write(records, out, settings, command):
    """Write the report and its figures.

    Parameters
    ----------
    records : list of dict
        Not empty.
    out : pathlib.Path
        A folder, made if it is not there.
    settings : benchmarks.settings.Settings
    command : str
        What made the records.

    Returns
    -------
    list of pathlib.Path
        The files written.
    """
    out.mkdir(parents=True, exist_ok=True)
    text, figure = out / "report.md", out / "auroc.png"
    text.write_text(markdown(records, settings, command))
    plots.auroc(records, figure)
    return [text, figure]


def markdown(records, settings, command):
    """Write the report.

    Parameters
    ----------
    records : list of dict
        Not empty.
    settings : benchmarks.settings.Settings
    command : str
        What made the records.

    Returns
    -------
    str
        Markdown.
    """
    frame = pd.DataFrame(records)
    versions = ", ".join(f"{name} {number}" for name, number in records[-1]["versions"].items())
    seeds = ", ".join(map(str, sorted(frame["seed"].unique())))
    parts = [
        f"# {settings.title or settings.name}",
        f"Made by `{command}`. Seeds {seeds}; {versions}.",
        "Means over data sets of means over seeds; ± is the standard deviation of the mean over data sets, over seeds. "
        "Ranks are over detectors within a data set (1 is best). F1 is at the true count of anomalies. "
        "The last epoch is scored.",
        "![AUROC of each detector over the data sets](auroc.png)",
    ]
    whole = complete(records).groupby("protocol")["dataset"].nunique()
    for protocol, table in summary(records).items():
        total = frame[frame["protocol"] == protocol]["dataset"].nunique()
        parts += [f"## {protocol}, {whole[protocol]} of {total} data sets", table.to_markdown(floatfmt=".2f")]
    for metric, label in METRICS.items():
        for protocol, table in details(records, metric).items():
            parts += [f"## {label} of each data set, {protocol}", table.to_markdown()]
    failures = frame[frame["status"] == "failed"]
    if len(failures):
        columns = ["dataset", "protocol", "detector", "seed", "reason"]
        parts += ["## Failed", failures[columns].to_markdown(index=False)]
    return "\n\n".join(parts) + "\n"
