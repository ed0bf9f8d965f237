"""Tables of numbers -> tables of texts in markdown. Here numbers become texts."""

import re
from collections.abc import Callable, Collection
from textwrap import shorten

import pandas as pd

from benchmarks.running.metrics import METRICS

_SECONDS = {"fit_seconds": "fit [s]", "score_seconds": "score [s]"}


def figure(mean: float, std: float = float("nan")) -> str:
    """Write "mean ± std", or "mean" where there is no std, or nothing."""
    if pd.isna(mean):
        return ""
    return f"{mean:.3f}" if pd.isna(std) else f"{mean:.3f} ± {std:.3f}"


def outcome(row) -> str:
    """Write a row of :func:`benchmarks.reporting.tables.outcomes`: its figure, of how many seeds, or its status."""
    if row.status != "ok":
        return row.status
    return figure(row.mean, row.std) + ("" if row.done == row.seeds else f" ({row.done} of {row.seeds} seeds)")


def oracle(metric: str) -> str:
    """Name the column of what the best epoch on the test rows would have given."""
    return f"oracle-epoch {METRICS[metric]}"


def p_value(value: float) -> str:
    """Write a p-value."""
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def summary(table: pd.DataFrame, metric: str, bold: bool = False) -> pd.DataFrame:
    """Write a table of :func:`benchmarks.reporting.tables.summary`.

    Parameters
    ----------
    table : pandas.DataFrame
    metric : str
        By which it is sorted.
    bold : bool, default=False
        Whether the best of each column of figures and ranks is bold.

    Returns
    -------
    pandas.DataFrame of str
    """
    texts = {}
    for name in [*METRICS, f"oracle_{metric}"]:
        if table[name].notna().any():
            column = [figure(*both) for both in zip(table[name], table[f"{name}_std"], strict=True)]
            texts[METRICS.get(name) or oracle(metric)] = column = pd.Series(column, table.index)
            if bold and name in METRICS:
                texts[METRICS[name]] = embolden(column, table[name].round(3), max)
    for name in table.filter(like="rank_"):
        column = table[name].map("{:.2f}".format)
        title = f"rank {METRICS[name.removeprefix('rank_')]}"
        texts[title] = embolden(column, table[name].round(2), min) if bold else column
    for name, title in _SECONDS.items():
        texts[title] = table[name].map("{:.2f}".format).where(table[name].notna(), "")
    return pd.DataFrame(texts, index=table.index)


def beside(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Write a table of :func:`benchmarks.reporting.published.beside`, as texts."""
    rows = []
    for row in table.itertuples():
        texts = {"data set": row.dataset if pd.isna(row.members) else f"{row.dataset}, mean over {row.members:.0f}"}
        texts |= {"detector": row.detector, "measured": outcome(row)}
        texts["published"] = figure(row.published, row.published_std)
        texts["difference"] = "" if pd.isna(row.difference) else f"{row.difference:+.3f}"
        rows.append(texts | {oracle(metric): figure(row.oracle, row.oracle_std)})
    texts = pd.DataFrame(rows).set_index("data set")
    return texts if table["oracle"].notna().any() else texts.drop(columns=oracle(metric))


def details(outcomes: pd.DataFrame, bold: bool = False) -> dict[str, pd.DataFrame]:
    """Write a table of :func:`benchmarks.reporting.tables.outcomes`, for each protocol by itself.

    Returns
    -------
    dict of str to pandas.DataFrame of str
        A row for each data set and a column for each detector; empty where nothing was run.
    """
    tables = {}
    for protocol, rows in outcomes.groupby("protocol", sort=False):
        rows = rows.assign(text=[outcome(row) for row in rows.itertuples()]).set_index(["dataset", "detector"])
        texts, numbers = (rows[name].unstack(sort=False) for name in ("text", "mean"))
        tables[protocol] = texts.fillna("")
        if bold:
            tables[protocol] = embolden_rows(texts.fillna(""), numbers)
    return tables


def embolden(texts: pd.Series, numbers: pd.Series, pick: Callable) -> pd.Series:
    """Make the best bold, or all that are level with it as they are written.

    Parameters
    ----------
    texts : pandas.Series of str
    numbers : pandas.Series
        What they say, rounded as it is written; NaN for nothing.
    pick : callable
        ``max`` or ``min``.

    Returns
    -------
    pandas.Series of str
    """
    known = numbers.dropna()
    return texts if len(known) < 2 else texts.where(numbers != pick(known), "**" + texts + "**")


def embolden_rows(texts: pd.DataFrame, numbers: pd.DataFrame) -> pd.DataFrame:
    """Make the highest of each row bold; see :func:`embolden`."""
    return texts.apply(lambda row: embolden(row, numbers.loc[row.name].round(3), max), axis=1)


def table(texts: pd.DataFrame, left: Collection[str] = (), names: Collection[str] = ()) -> str:
    """Write a table of texts.

    Parameters
    ----------
    texts : pandas.DataFrame of str
        Its index and the titles of its columns are names, the texts markdown.
    left : collection of str, default=()
        Columns that are written to the left, as is the index; all else to the right.
    names : collection of str, default=()
        Columns that hold names, not markdown.

    Returns
    -------
    str
    """
    align = ["left", *("left" if column in left else "right" for column in texts)]
    texts = texts.assign(**{column: texts[column].map(name) for column in names})
    texts = texts.rename(index=name, columns=name).rename_axis(index=name)
    return texts.to_markdown(disable_numparse=True, colalign=align)


def name(text: str) -> str:
    """Write a name, or what else is no markdown, so that it is shown as it is, on one line.

    An underscore between letters, and a bracket that no address follows, mean nothing in markdown, and stay.
    """
    line = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*|]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", line)


def escape(text: str) -> str:
    """Write an error message: as a name, and not too long."""
    return name(shorten(text, 300, placeholder=" ..."))


def code(text: str) -> str:
    """Write a command as code, on one line."""
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if len(fence) > 1 else ""
    return f"{fence}{space}{' '.join(text.split())}{space}{fence}"
