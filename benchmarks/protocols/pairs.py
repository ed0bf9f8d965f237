"""Normal rows -> anomalies that are averages of two of them."""

from dataclasses import replace

import numpy as np

from benchmarks.protocols.divisions import official


def averaged_pairs(dataset, seed):
    """Make anomalies of rows that all are normal: averages of two, as of two images pixel by pixel (PLAD, section 4.5).

    Parameters
    ----------
    dataset : benchmarks.data.Dataset
    seed : int
        Of the training rows and the pairs.

    Returns
    -------
    benchmarks.data.Dataset
        10,000 rows of the official training part, or all where there are fewer; the official test part; and as many
        averages of two different rows of the test part, which are anomalies and to be tested. Bytes become float32,
        which holds their halves.

    Raises
    ------
    ValueError
        If there is no official split, there are anomalies already, or fewer than two rows to test.
    """
    train, test = official(dataset)
    if dataset.y.any():
        raise ValueError(f"averaged-pairs takes normal rows only, got {dataset.y.sum()} anomalies in {dataset.name}")
    if len(test) < 2:
        raise ValueError(f"averaged-pairs needs two rows to test, got {len(test)} in {dataset.name}")
    rng = np.random.default_rng(seed)
    kept = dataset.take(np.concatenate([rng.permutation(train)[:10_000], test]))
    X = kept.X.astype(np.result_type(kept.X, np.float32))
    tested = X[-len(test) :]
    first = rng.integers(len(test), size=len(test))
    second = (first + rng.integers(1, len(test), size=len(test))) % len(test)
    X = np.concatenate([X, (tested[first] + tested[second]) / 2])
    y = np.arange(len(X)) >= len(kept.y)
    train = np.concatenate([kept.train, np.zeros(len(test), dtype=bool)])
    return replace(kept, X=X, y=y.astype(np.int64), train=train, classes=None)
