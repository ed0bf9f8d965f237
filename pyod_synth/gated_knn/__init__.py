"""GatedKNN: nearest neighbours in views that are weighed, or chosen, by how they tell invented anomalies.

**Near evidence** (:mod:`~pyod_synth.gated_knn.near`). In each view of a row (:mod:`~pyod_synth.gated_knn.views`) a
statistic says how far it is from its nearest training rows (:mod:`~pyod_synth.gated_knn.neighbors`). Those of a table
are joined by non-negative weights, of a regression that tells training rows from invented anomalies
(:mod:`~pyod_synth.gated_knn.gate`, :mod:`~pyod_synth.gated_knn.inventions`): rows that are carried beyond another row,
or drawn from the range of all, in some of their features. Images have one view of two, the one that tells them from
turned images, and if an encoder is given its features for a second, which counts as much.

**Evidence of the whole** (:mod:`~pyod_synth.gated_knn.whole`). Anomalies among the training rows are near to each
other. How far a row lies from the whole of them is blunter, but cannot be hidden so.

Where nothing is known of the training rows, the score is the larger of

    near,        whole - log(max(s / 3, 1)),

both in deviations over the training rows. The discount is for data in which near rows tell all: s is the mean near
evidence of training rows with noise added to them.

**Known anomalies** (:mod:`~pyod_synth.gated_knn.known`), if there are any, are left out of all this, and what is like
them scores higher.

No row is ever its own neighbour. Nothing is trained by gradients.

**Contributions** of features, as ``explain`` gives them, divide the larger of both kinds of evidence, of which a
typical row has none: the near one by the squared differences from the nearest remembered rows, in each view by its
weight; that of the whole by what each feature contributes to it. Evidence below that of a typical row stems from no
feature more than from another, and is divided equally. What known anomalies add to a score is not divided.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, cast

import numpy as np
from torch import Tensor

from pyod_synth.core import Core
from pyod_synth.detector import CoreDetector, Floats, Rows
from pyod_synth.gated_knn.core import GatedKNNCore
from pyod_synth.validation import Interval

__all__ = ["GatedKNN"]


@dataclass(kw_only=True, eq=False, repr=False)
class GatedKNN(CoreDetector):
    """Nearest neighbours in views that are weighed, or chosen, by how they tell invented anomalies.

    The detector to reach for first, for tables and images: one default serves clean training rows and training rows
    with anomalies among them, and it learns from a few known anomalies. See :mod:`pyod_synth.gated_knn` for the score.

    Parameters
    ----------
    n_neighbors : int, default=5
        Nearest remembered rows that a row is compared with.
    memory_size : int, default=10000
        Most training rows to remember, drawn at random.
    contaminated : bool or None, default=None
        Whether there are anomalies among the training rows. None: that is not known, and the score serves both. False:
        there are none, and near rows alone are the evidence; sharper, if it is true. True: there are many, and only
        the whole of the rows is.
    use_labels : bool, default=False
        Whether ``fit`` takes labels, 1 = known anomaly and 0 = normal or unlabelled, and learns from them.
    encoder : callable or None, default=None
        For images: from float32 tensors (batch, C, H, W), scaled as ``preprocessing`` says, to features (batch, k),
        which give a second view. A :class:`torch.nn.Module` moves to the device, and is pickled with the detector;
        :meth:`save` refuses it, for it is code.
    {shared parameters}

    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from pyod_synth import GatedKNN
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> clf = GatedKNN(contamination=0.05).fit(X)
    >>> clf.predict([[0.0, 0.0], [9.0, -9.0]])
    array([0, 1])
    >>> clf.explain([[0.0, 9.0]]).argmax()
    np.int64(1)
    """

    n_neighbors: int = 5
    memory_size: int = 10000
    contaminated: bool | None = None
    use_labels: bool = False
    encoder: Callable[[Tensor], Tensor] | None = None

    _parameter_constraints = {
        **CoreDetector._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "memory_size": [Interval(Integral, 1, None, closed="left")],
        "contaminated": ["boolean", None],
        "use_labels": ["boolean"],
        "encoder": [callable, None],
    }

    def build_core(self, input_shape: tuple[int, ...]) -> GatedKNNCore:
        """Make the empty memories; see :meth:`pyod_synth.detector.CoreDetector.build_core`."""
        return GatedKNNCore(
            input_shape,
            n_neighbors=self.n_neighbors,
            memory_size=self.memory_size,
            contaminated=self.contaminated,
            use_labels=self.use_labels,
            encoder=self.encoder,
        )

    def _learn(self, core: Core, rows: Rows) -> dict[str, Any]:
        if rows.y is not None and 0 < rows.y.sum() < len(rows.y):
            cast(GatedKNNCore, core).known = rows.x[rows.y == 1]
        return {}

    def _training_scores(self, x: Tensor) -> Tensor:
        return cast(GatedKNNCore, self.core_).training_scores(x)

    def _score_training_rows(self, rows: Rows) -> Floats:
        """Score the training rows; those that the forest learned from, by the trees that did not learn from them."""
        scores, core = super()._score_training_rows(rows), cast(GatedKNNCore, self.core_)
        if rows.y is not None and core.learned_from is not None:
            normal, optimism = core.learned_from
            y = rows.y.cpu().numpy()
            scores[np.concatenate([np.flatnonzero(y == 1), np.flatnonzero(y == 0)[normal]])] -= optimism
            core.learned_from = None
        return scores
