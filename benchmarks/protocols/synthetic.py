"""ADBench's synthetic anomalies and irrelevant features: a table and a seed -> another table.

Han, Hu, Huang, Jiang and Zhao, "ADBench: Anomaly Detection Benchmark", NeurIPS 2022; where the text leaves it open, as
the authors' code has it (``adbench/datasets/data_generator.py``). A distribution is fitted to the normal rows of a
table. As many normal rows as there were are drawn from it, and as many anomalies as there were:

- local: from the same Gaussian mixture with five times its covariances;
- cluster: from the same Gaussian mixture with five times its means, so much depends on where the features are zero;
- global: uniformly between 1.1 times the smallest and 1.1 times the largest value of each feature. Of a feature far
  from zero that leaves the range on one side only;
- dependency: each feature as in the normal rows, but independent of the others.

Deviations from ADBench's code:

- Fitting and every draw continue one stream of random numbers. There each draw starts from the seed again, so that
  anomalies repeat random numbers of normal rows.
- Of more than 100 features, 100 drawn at random are kept for the mixtures, as 50 are there and here for the vine
  copula: with 500 features, fitting the mixtures takes minutes for each cell.
- The vine copula is fitted by pyvinecopulib, as ADBench's library, copulas, is not free software. It too is a C-vine of
  three trees and of Clayton's, Frank's and Gumbel's families; but with their rotations, without which negative
  dependence is lost, and around the features that depend most on the others, where there it is around the first.
- Tables of fewer than 1,000 rows are not filled up with copies of their rows, and irrelevant features are not shuffled
  among the others.

To add a kind of anomaly, write a function (normal rows, number of anomalies, random state) -> (normal rows, anomalies)
and enter it in ``KINDS``, with the number of features that it can take.
"""

import warnings
from dataclasses import replace

import numpy as np
import pyvinecopulib as pv
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.utils import check_random_state


def with_anomalies(dataset, seed, kind):
    """Put drawn rows in the place of all rows of a table.

    Parameters
    ----------
    dataset : benchmarks.data.Dataset
    seed : int
        Of the fit, the draws and the features kept.
    kind : str
        One of ``KINDS``.

    Returns
    -------
    benchmarks.data.Dataset
        With as many normal rows and as many anomalies, normal rows first, without an official split or classes.

    Raises
    ------
    ValueError
        If the rows are images, or one of the two kinds of rows is missing; for ``"dependency"`` if there is only one
        feature.
    """
    _check_table(dataset, f"synthetic-{kind}")
    draw, max_features = KINDS[kind]
    X, n_anomalies = dataset.X[dataset.y == 0], int(dataset.y.sum())
    if len(X) == 0 or n_anomalies == 0:
        raise ValueError(f"synthetic-{kind} needs normal rows and anomalies, got {len(X)} and {n_anomalies}")
    random_state = check_random_state(seed)
    if X.shape[1] > max_features:
        X = X[:, random_state.choice(X.shape[1], max_features, replace=False)]
    parts = draw(X, n_anomalies, random_state)
    y = np.repeat([0, 1], [len(part) for part in parts])
    return replace(dataset, X=np.concatenate(parts), y=y, train=None, classes=None)


def with_irrelevant_features(dataset, seed, share):
    """Add features of uniform noise to a table.

    Parameters
    ----------
    dataset : benchmarks.data.Dataset
    seed : int
        Of the noise.
    share : float in [0, 1)
        Of the added features in all features, rounded down to whole ones.

    Returns
    -------
    benchmarks.data.Dataset
        The added features are the last, each within the range of one of the others, drawn at random.

    Raises
    ------
    ValueError
        If the rows are images.
    """
    _check_table(dataset, "irrelevant-features")
    rng = np.random.default_rng(seed)
    n, d = dataset.X.shape
    models = dataset.X[:, rng.integers(d, size=int(share / (1 - share) * d))]
    noise = rng.uniform(models.min(axis=0), models.max(axis=0), size=(n, models.shape[1]))
    return replace(dataset, X=np.concatenate([dataset.X, noise], axis=1))


def local(X, n_anomalies, random_state):
    """Draw from a Gaussian mixture, and anomalies from one with the same means and five times the covariances.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Normal rows.
    n_anomalies : int
    random_state : numpy.random.RandomState

    Returns
    -------
    normal : ndarray of shape (n, d)
    anomalies : ndarray of shape (n_anomalies, d)
    """
    mixture = _mixture(X, random_state)
    normal, _ = mixture.sample(len(X))
    mixture.covariances_ = 5 * mixture.covariances_
    return normal, mixture.sample(n_anomalies)[0]


def cluster(X, n_anomalies, random_state):
    """Draw from a Gaussian mixture, and anomalies from one with five times the means; see :func:`local`."""
    mixture = _mixture(X, random_state)
    normal, _ = mixture.sample(len(X))
    mixture.means_ = 5 * mixture.means_
    return normal, mixture.sample(n_anomalies)[0]


def global_(X, n_anomalies, random_state):
    """Draw from a Gaussian mixture, and anomalies uniformly from 1.1 times the range drawn; see :func:`local`."""
    normal, _ = _mixture(X, random_state).sample(len(X))
    low, high = 1.1 * normal.min(axis=0), 1.1 * normal.max(axis=0)
    return normal, random_state.uniform(low, high, size=(n_anomalies, X.shape[1]))


def dependency(X, n_anomalies, random_state):
    """Draw from a vine copula with smoothed features, and anomalies from the features alone; see :func:`local`."""
    if X.shape[1] < 2:
        raise ValueError(f"synthetic-dependency needs at least two features, got {X.shape[1]}")
    uniform = _vine(X, random_state).inverse_rosenblatt(random_state.uniform(size=X.shape))
    # a feature's values in the order of the copula's: what each is of, and how they depend on one another, is kept
    ranks = uniform.argsort(axis=0).argsort(axis=0)
    normal = np.take_along_axis(np.sort(_smoothed(X, len(X), random_state), axis=0), ranks, axis=0)
    return normal, _smoothed(X, n_anomalies, random_state)


# and the number of features that can be fitted in seconds
KINDS = {
    "local": (local, 100),
    "cluster": (cluster, 100),
    "global": (global_, 100),
    "dependency": (dependency, 50),
}


def _check_table(dataset, protocol):
    if dataset.kind != "table":
        raise ValueError(f"{protocol} takes tables, got {dataset.kind}s: {dataset.name}")


def _mixture(X, random_state):
    """Fit mixtures of up to nine Gaussians, and keep the one of the lowest BIC."""
    with warnings.catch_warnings():
        # one that needs more iterations is taken as it stands, as any other
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = [
            GaussianMixture(n_components, random_state=random_state).fit(X)
            for n_components in range(1, min(9, len(X)) + 1)
        ]
    return min(fits, key=lambda fit: fit.bic(X))


def _vine(X, random_state):
    """Fit a vine copula. Equal values get ranks at random, as a copula is of continuous features."""
    ranks = pv.to_pseudo_obs(X, ties_method="random", seeds=[int(random_state.randint(2**31 - 1))])
    # the centre of the first tree is the last of the order
    centres = np.abs(np.corrcoef(ranks, rowvar=False)).sum(axis=0).argsort()
    families = pv.BicopFamily
    controls = pv.FitControlsVinecop(
        family_set=[families.indep, families.clayton, families.frank, families.gumbel],
        parametric_method="itau",
        trunc_lvl=3,
    )
    return pv.Vinecop.from_data(ranks, structure=pv.CVineStructure((centres + 1).tolist()), controls=controls)


def _smoothed(X, count, random_state):
    """Draw each feature from its Gaussian kernel density: a row's value plus noise as wide as Scott's bandwidth.

    Not by scipy's ``gaussian_kde``, which takes no constant features.
    """
    values = np.take_along_axis(X, random_state.randint(len(X), size=(count, X.shape[1])), axis=0)
    return values + len(X) ** -0.2 * X.std(axis=0, ddof=1) * random_state.normal(size=values.shape)
