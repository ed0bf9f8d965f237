"""The rival of AnoRand's Figure 5 that is no detector of PyOD: an MLP trained on the synthetic labels alone."""

from dataclasses import dataclass

from torch import Tensor

from pyod_synth import AnoRand
from pyod_synth.models.anorand import AnoRandCore


class _DetectionCore(AnoRandCore):
    def anomaly_score(self, x: Tensor) -> Tensor:
        return self.distance_and_logit(x)[1]


@dataclass(kw_only=True, eq=False, repr=False)
class SyntheticLabelsMLP(AnoRand):
    """AnoRand's noise-detection block without its autoencoder: the cross entropy of Eq. 3 is the loss, y_mlp the score.

    Parameters are those of AnoRand.
    """

    w: float = 1.0

    def build_core(self, input_shape: tuple[int, ...]) -> AnoRandCore:
        """Make the networks."""
        return _DetectionCore(input_shape, self)
