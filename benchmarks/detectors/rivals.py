"""The rivals: detectors and classifiers of other libraries.

To add a rival, enter it in ``RIVALS``: where its class is, and how its random state is called::

    "ABOD": Rival("pyod.models.abod.ABOD"),
    "MCD": Rival("pyod.models.mcd.MCD", "random_state"),
    "ExtraTrees": Rival("sklearn.ensemble.ExtraTreesClassifier", "random_state", labels=True, adapter=Classifier),

Parameters are the library's defaults but for what is printed and how many threads run. A class is imported when it is
first built, so that a package that is not installed only stops the rivals that need it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from inspect import Parameter, signature

import torch

from benchmarks.detectors.adapters import Adapter, Classifier, DeepSVDD, DevNet, Unsuitable

_LIBRARIES = {
    "pyod": "PyOD",
    "sklearn": "scikit-learn",
    "lightgbm": "LightGBM",
    "xgboost": "XGBoost",
    "deepod": "DeepOD",
}


@dataclass(frozen=True)
class Rival:
    """How to construct a rival.

    Parameters
    ----------
    path : str
        Of the class: ``"package.module.Class"``.
    seed : str or None, default=None
        The constructor argument that takes the random state. None where there is no randomness, or only that of the
        global generators, which a cell seeds.
    labels : bool, default=False
        Whether it learns from labels; then it needs them.
    adapter : callable, default=Adapter
        (model, its parameters) -> detector.
    preset : dict
        Constructor arguments without a default, or whose defaults print or take all cores.
    needs : str or None, default=None
        A package that may not be installed.
    install : str
        The command that installs it.
    """

    path: str
    seed: str | None = None
    labels: bool = False
    adapter: Callable = Adapter
    preset: dict = field(default_factory=dict)
    needs: str | None = None
    install: str = 'pip install -e ".[rivals]"'

    def __call__(self, seed, **parameters):
        """Construct an unfitted detector.

        Parameters
        ----------
        seed : int
        **parameters
            Constructor arguments that differ from the defaults.

        Returns
        -------
        Adapter

        Raises
        ------
        Unsuitable
            If a package is missing.
        ValueError
            If there is no such parameter.
        """
        if self.missing:
            raise Unsuitable(self.missing)
        module, _, name = self.path.rpartition(".")
        kind = getattr(import_module(module), name)
        known = [entry for entry in signature(kind).parameters.values() if entry.kind is not Parameter.VAR_KEYWORD]
        check_names(name, parameters, [entry.name for entry in known if entry.name != self.seed])
        chosen = self.preset | parameters | ({self.seed: seed} if self.seed else {})
        defaults = {entry.name: entry.default for entry in known}
        return self.adapter(kind(**chosen), defaults | chosen)

    @property
    def missing(self):
        """What to install first; empty if nothing is missing."""
        if self.needs is None or find_spec(self.needs):
            return ""
        return f"{self.needs} is not installed: {self.install}"

    @property
    def line(self):
        """A line about it."""
        package = self.path.partition(".")[0]
        marks = [_LIBRARIES.get(package, package), "needs labels" if self.labels else "", self.missing]
        return ", ".join(filter(None, marks))


def check_names(detector, parameters, known):
    """Raise ValueError if ``parameters`` holds other names than ``known``."""
    unknown = set(parameters) - set(known)
    if unknown:
        raise ValueError(
            f"{detector} has no parameter {', '.join(sorted(unknown))} that can be set; there are {', '.join(known)}"
        )


def _deepod(name, labels=False):
    # by default it takes a GPU, whether there is one or not
    preset = {"verbose": 0, "device": "cuda" if torch.cuda.is_available() else "cpu"}
    path = f"deepod.models.tabular.{name}"
    # it asks for torch < 1.13.1, and runs with torch 2 all the same
    install = "pip install --no-deps deepod"
    return Rival(path, "random_state", labels, preset=preset, needs="deepod", install=install)


RIVALS = {
    "OCSVM": Rival("pyod.models.ocsvm.OCSVM"),
    "IForest": Rival("pyod.models.iforest.IForest", "random_state"),
    "LOF": Rival("pyod.models.lof.LOF"),
    "ECOD": Rival("pyod.models.ecod.ECOD"),
    "KNN": Rival("pyod.models.knn.KNN"),
    "HBOS": Rival("pyod.models.hbos.HBOS"),
    "PCA": Rival("pyod.models.pca.PCA", "random_state"),
    "COPOD": Rival("pyod.models.copod.COPOD"),
    "CBLOF": Rival("pyod.models.cblof.CBLOF", "random_state"),
    "GMM": Rival("pyod.models.gmm.GMM", "random_state"),
    "INNE": Rival("pyod.models.inne.INNE", "random_state"),
    "LODA": Rival("pyod.models.loda.LODA", "random_state"),
    # COF and SOD forget the training rows: PyOD's compare the test rows with each other alone
    "COF": Rival("pyod.models.cof.COF"),
    "SOD": Rival("pyod.models.sod.SOD"),
    "KDE": Rival("pyod.models.kde.KDE"),
    "AutoEncoder": Rival("pyod.models.auto_encoder.AutoEncoder", "random_state", preset={"verbose": 0}),
    # its scores are random: it draws latent vectors when it scores, too
    "VAE": Rival("pyod.models.vae.VAE", "random_state", preset={"verbose": 0}),
    "DeepSVDD": Rival(
        "pyod.models.deep_svdd.DeepSVDD",
        "random_state",
        adapter=DeepSVDD,
        preset={"n_features": None, "verbose": 0},
    ),
    # the scale of what it scores comes from the batch that it scores, so scores depend on the other test rows
    "DIF": Rival("pyod.models.dif.DIF", "random_state"),
    "LUNAR": Rival("pyod.models.lunar.LUNAR", "random_state"),
    # its random_seed is not used by PyOD
    "DevNet": Rival("pyod.models.devnet.DevNet", labels=True, adapter=DevNet),
    "XGBOD": Rival("pyod.models.xgbod.XGBOD", "random_state", labels=True, needs="xgboost"),
    "NaiveBayes": Rival("sklearn.naive_bayes.GaussianNB", labels=True, adapter=Classifier),
    "SVM": Rival("sklearn.svm.SVC", "random_state", labels=True, adapter=Classifier),
    "MLP": Rival("sklearn.neural_network.MLPClassifier", "random_state", labels=True, adapter=Classifier),
    "RandomForest": Rival("sklearn.ensemble.RandomForestClassifier", "random_state", labels=True, adapter=Classifier),
    "LightGBM": Rival(
        "lightgbm.LGBMClassifier",
        "random_state",
        labels=True,
        adapter=Classifier,
        preset={"n_jobs": 1, "verbosity": -1},
        needs="lightgbm",
    ),
    "XGBoost": Rival(
        "xgboost.XGBClassifier",
        "random_state",
        labels=True,
        adapter=Classifier,
        preset={"n_jobs": 1},
        needs="xgboost",
    ),
    "GOAD": _deepod("GOAD"),
    "NeuTraL": _deepod("NeuTraL"),
    "ICL": _deepod("ICL"),
    "RCA": _deepod("RCA"),
    "SLAD": _deepod("SLAD"),
    "DeepSAD": _deepod("DeepSAD", labels=True),
}
