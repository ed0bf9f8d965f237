"""A CSV as it comes, with texts and gaps -> numbers for a detector, and its explanations in the CSV's own columns."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

__all__ = ["CSVFile", "Preparation"]

_MOST_CATEGORIES = 20  # columns of 0 and 1 that one column becomes
_LEAST_FREQUENCY = 0.01  # of a category; the rest share a column, or each of a hundred rare names would be an anomaly
_IDENTIFIES = 0.9  # the share of different texts from which on a column is taken for an identifier
_NAMED = 3  # columns that a score is put down to


class CSVFile:
    """A CSV with a header, in UTF-8; it is read once.

    Parameters
    ----------
    path : Path
    separator : str
        Between the columns.

    Raises
    ------
    ImportError
        Without pandas.
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is empty, or not UTF-8.
    """

    def __init__(self, path: Path, separator: str):
        self.path, self._separator = path, separator
        self._content = path.read_bytes()
        self.columns: list[str] = list(self._read(nrows=0).columns)

    def fields(self) -> Any:
        """Give all fields as they stand, as a data frame of strings.

        Raises
        ------
        ValueError
            If a row has more fields than the header.
        """
        return self._read(dtype=str, keep_default_na=False)

    def values(self, columns: list[str], as_text: list[str] | None = None) -> Any:
        """Give numbers, texts and gaps, as pandas tells them apart.

        Parameters
        ----------
        columns : list of str
        as_text : list of str or None, default=None
            Those whose numbers are texts too.

        Returns
        -------
        pandas.DataFrame
            Numbers, and True and False, are float64, texts are objects; gaps are NaN in both.

        Raises
        ------
        ValueError
            If a row has more fields than the header, or numbers are infinite.
        """
        frame = self._read(usecols=columns, dtype=dict.fromkeys(as_text or [], str), low_memory=False)[columns]
        numbers = set(frame.select_dtypes(["number", "bool"]).columns)
        infinite = [column for column in columns if column in numbers and np.isinf(frame[column]).any()]
        if infinite:
            raise ValueError(f"{self.path} has infinite numbers in its columns {infinite}: correct or drop them")
        for column in columns:
            entries = frame[column]
            if column not in numbers:  # a column may hold True and False beside gaps
                entries = entries.astype(str).astype(object).where(entries.notna(), np.nan)
            frame[column] = entries.astype(np.float64 if column in numbers else object)
        return frame

    def _read(self, **how: Any) -> Any:
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError('reading a CSV needs pandas, an extra: pip install "pyod_synth[cli]"') from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # of fields that would be dropped
                return pd.read_csv(io.BytesIO(self._content), sep=self._separator, index_col=False, **how)
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path} must be text in UTF-8: {error.reason}") from error
        except pd.errors.ParserWarning as error:
            raise ValueError(f"{self.path} has rows with more fields than its header") from error
        except ValueError as error:
            raise ValueError(f"{self.path} cannot be read as a CSV: {' '.join(str(error).split())}") from error


class Preparation:
    """Numbers as they are, texts as columns of 0 and 1, gaps filled; learned of the training rows.

    Gaps become the median of numbers, and the most frequent text. Columns that tell nothing are left out.

    Parameters
    ----------
    frame : pandas.DataFrame
        Training rows, as :meth:`CSVFile.values` gives them.

    Attributes
    ----------
    numbers, texts : list of str
        The columns that are used.
    left_out : dict of str to list of str
        The others, by the reason.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"amount": [1.0, None, 3.0, 9.0], "card": ["debit", "credit", "debit", "debit"]})
    >>> rows["card"] = rows["card"].astype(object)
    >>> preparation = Preparation(rows.assign(id=["a", "b", "c", "d"], currency="EUR"))
    >>> preparation.left_out
    {'an identifier, text that differs from row to row': ['id'], 'constant': ['currency']}
    >>> preparation.transform(rows)
    array([[1., 0., 1.],
           [3., 1., 0.],
           [3., 0., 1.],
           [9., 0., 1.]])
    >>> preparation.main_columns(np.array([[3.0, 0.1, 0.1], [-1.0, 2.0, 0.5]])).tolist()
    ['amount, card', 'card']
    """

    def __init__(self, frame: Any):
        self.numbers: list[str] = []
        self.texts: list[str] = []
        self.left_out: dict[str, list[str]] = {}
        for column, entries in frame.items():
            known, different = entries.count(), entries.nunique()
            if different < 2:
                reason = "constant" if known else "without any value"
                self.left_out.setdefault(reason, []).append(column)
            elif entries.dtype.kind != "O":
                self.numbers.append(column)
            elif different > _IDENTIFIES * known:
                self.left_out.setdefault("an identifier, text that differs from row to row", []).append(column)
            else:
                self.texts.append(column)
        one_hot = OneHotEncoder(
            handle_unknown="ignore",
            min_frequency=_LEAST_FREQUENCY,
            max_categories=_MOST_CATEGORIES,
            sparse_output=False,
            feature_name_combiner=lambda column, category: column,
        )
        self._transformer = ColumnTransformer(
            [
                ("numbers", SimpleImputer(strategy="median"), self.numbers),
                ("texts", make_pipeline(SimpleImputer(strategy="most_frequent"), one_hot), self.texts),
            ]
        )
        if self.numbers or self.texts:
            self._transformer.fit(frame)

    @property
    def columns(self) -> list[str]:
        """Those that are used, numbers first."""
        return self.numbers + self.texts

    def transform(self, frame: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Give rows as numbers, (n, d); a text that the training rows do not have is 0 in all columns."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
            return self._transformer.transform(frame)

    def main_columns(self, contributions: np.ndarray) -> np.ndarray[Any, np.dtype[np.object_]]:
        """Name the columns of the CSV that add most to each score.

        Parameters
        ----------
        contributions : ndarray of shape (n, d)
            What each column of :meth:`transform` adds to the score of each row.

        Returns
        -------
        ndarray of shape (n,), str
            Up to three names, the largest first, joined by commas; of columns alone that add something.
        """
        sources = [name.partition("__")[2] for name in self._transformer.get_feature_names_out()]
        columns = np.array(self.columns, dtype=object)
        added = contributions @ (np.array(sources)[:, None] == columns)
        order = np.argsort(-added, axis=1, kind="stable")[:, :_NAMED]
        names = np.where(np.take_along_axis(added, order, axis=1) > 0, columns[order], "")
        joined = names[:, 0]
        for following in names[:, 1:].T:
            joined = joined + np.where(following != "", ", " + following, "")
        return joined
