"""Records -> a page of tables: medians, and ratios of medians."""

from pathlib import Path
from statistics import median

import pandas as pd

from benchmarks.reporting import markdown
from benchmarks.speed.comparisons import COMPARISONS
from benchmarks.speed.records import Record


def write(records: list[Record], folder: Path) -> Path:
    """Write the page of all records, in the order of ``COMPARISONS``; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.md"
    path.write_text("\n\n".join(map(section, records)) + "\n")
    return path


def section(record: Record) -> str:
    """Write what was compared, its table, and where it was measured."""
    comparison = COMPARISONS[record.comparison]
    parts = [f"## {comparison.title}", comparison.text]
    if record.fast:
        parts.append("**Tiny sizes (`--fast`): these figures say nothing.**")
    return "\n\n".join([*parts, markdown.table(table(record)), _where(record)])


def table(record: Record) -> pd.DataFrame:
    """Write the medians of a record, and the ratio of its sides.

    Returns
    -------
    pandas.DataFrame of str
        A row for each case.
    """
    medians = pd.DataFrame(
        {"case": found.case, "column": (found.side, found.unit), "median": median(found.values)}
        for found in record.measurements
    )
    columns = list(dict.fromkeys(medians["column"]))
    numbers = medians.pivot_table(index="case", columns="column", values="median", sort=False)[columns]
    texts = {_title(*column): numbers[column].map(number) for column in columns}
    ratio = COMPARISONS[record.comparison].ratio
    if ratio is not None:
        units = list(dict.fromkeys(unit for _, unit in columns))
        for unit in units:
            quotient = numbers[ratio[0], unit] / numbers[ratio[1], unit].replace(0.0, float("nan"))
            texts["ratio" if len(units) == 1 else f"ratio [{unit}]"] = quotient.map("{:.2f}".format, na_action="ignore")
    return pd.DataFrame(texts, index=numbers.index.rename("")).fillna("")


def number(value: float) -> str:
    """Write a number with three digits, or with all that stand before its point."""
    if pd.isna(value):
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def _title(side, unit):
    return f"{side} [{unit}]" if unit else side


def _where(record):
    where, counts = record.machine, [len(found.values) for found in record.measurements if found.unit]
    often = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    return (
        f"Medians of {often}, in turn, on {record.threads} thread{'s' * (record.threads > 1)}. {where['processor']}, "
        f"{where['cores']} cores, {where['system']}, load {where['load']} before; {versions}. "
        f"`python -m benchmarks speed --only {record.comparison}` took {number(record.seconds)} seconds."
    )
