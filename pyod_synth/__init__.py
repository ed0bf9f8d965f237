"""Deep anomaly detectors that learn what is normal by inventing anomalies, as drop-in PyOD detectors."""

from pyod_synth.models.novelty_normalization import NoveltyNormalization
from pyod_synth.models.plad import PLAD

__all__ = ["PLAD", "NoveltyNormalization"]
