"""Deep anomaly detectors that learn what is normal by inventing anomalies, as drop-in PyOD detectors."""

from pyod_synth.models.ncae import NCAE
from pyod_synth.models.plad import PLAD

__all__ = ["NCAE", "PLAD"]
