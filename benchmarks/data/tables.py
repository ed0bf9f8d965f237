"""Tables of other collections: ODDS, DAMI, and KDDCup99."""

from functools import partial

import numpy as np
import pandas as pd
from scipy.io import arff, loadmat

from benchmarks.data.adbench import read_npz
from benchmarks.data.source import Source, reading, thin


def find_odds(folder):
    """Find ODDS's tables; not every ``.mat`` is one.

    Parameters
    ----------
    folder : Path
        Searched with its subfolders.

    Returns
    -------
    dict of str to Source
    """
    return {
        f"odds-{name}": Source("odds", f"ODDS, {path}", partial(_read_mat, path), (path,))
        for name in ("arrhythmia", "thyroid")
        for path in sorted(folder.rglob(f"{name}.mat"))
    }


def _read_mat(path):
    with reading(path, "a .mat of the arrays X and y"):
        arrays = loadmat(path, variable_names=("X", "y"))
        return arrays["X"], arrays["y"]


def find_dami(folder):
    """Find the tables of DAMI (Campos et al. 2016) that DHAG is tested on.

    Parameters
    ----------
    folder : Path
        Searched with its subfolders.

    Returns
    -------
    dict of str to Source
    """
    files = {
        # DAMI offers this one without duplicates only; DHAG's 5473 rows are UCI's, which have 80 duplicates more
        "dami-pageblocks": ("PageBlocks_5473x10_from_uci.npz", _read_npz),
        "dami-pageblocks-without-duplicates": ("PageBlocks_withoutdupl_09.arff", _read_arff),
        "dami-shuttle": ("Shuttle_withoutdupl_norm_v01.arff", _read_arff),
    }
    return {
        name: Source("dami", f"DAMI, {path}", partial(read, path), (path,))
        for name, (file, read) in files.items()
        for path in sorted(folder.rglob(file))
    }


def _read_npz(path):
    return read_npz(path, "X", "y")


def _read_arff(path):
    with reading(path, "an .arff with the columns id and outlier"):
        table = pd.DataFrame(arff.loadarff(path)[0])
        return table.drop(columns=["id", "outlier"]).to_numpy(), table["outlier"] == b"yes"


def find_kddcup99(folder):
    """Find the 10 percent of KDDCup99, as UCI distributes it or as the ``kdd_cup.npz`` made from it.

    The paper's 7 categorical features (kdd.names calls them symbolic) are columns 1, 2, 3, 6, 11, 20 and 21. One-hot
    are 1, 2 and 3 (protocol, service, flag: 3 + 66 + 11 values); the other four hold 0 and 1 already, and a second
    column for each would say the same again. With the 34 continuous ones this is 118 features, as in ``kdd_cup.npz``,
    in the same order; that file differs by a factor for each feature, of which nothing is left once they are
    standardised. Columns 19 and 20 are constant.

    Parameters
    ----------
    folder : Path
        Searched with its subfolders.

    Returns
    -------
    dict of str to Source
        ``kdd``, where the few 'normal.' rows count as anomalies, as in all of this literature (Zong et al. 2018); and
        ``kddrev``, where they are normal, and a quarter as many attacks, a random draw, are the anomalies.
    """
    readers = {
        "kddcup.data_10_percent": _read_kddcup99,
        "kddcup.data_10_percent.gz": _read_kddcup99,
        "kdd_cup.npz": _read_kddcup99_npz,
    }
    found = [(partial(read, path), path) for file, read in readers.items() for path in sorted(folder.rglob(file))]
    if not found:
        return {}
    read, path = found[0]
    return {
        "kdd": Source("kddcup99", f"KDDCup99, 10 percent, normal traffic the anomaly, {path}", read, (path,)),
        "kddrev": Source(
            "kddcup99", f"KDDCup99, 10 percent, attacks thinned, {path}", partial(_reverse, read), (path,)
        ),
    }


def _read_kddcup99(path):
    texts = dict.fromkeys([1, 2, 3, 41], "category")
    with reading(path, "a table of 42 columns, the last with the label 'normal.'"):
        table = pd.read_csv(path, header=None, dtype=texts)
        if table.shape[1] != 42 or "normal." not in table[41].cat.categories:
            raise ValueError(f"got {table.shape[1]} columns")
    onehot = pd.get_dummies(table[[1, 2, 3]], dtype=np.uint8)
    return np.hstack([onehot, table.drop(columns=texts)], dtype=np.float64), table[41] == "normal."


def _read_kddcup99_npz(path):
    (table,) = read_npz(path, "kdd")
    return table[:, :-1], table[:, -1]


def _reverse(read):
    X, is_normal = read()
    y = np.asarray(is_normal) == 0
    rows = thin(y, np.sum(~y) // 4)
    return X[rows], y[rows]
