"""Deep anomaly detectors that learn what is normal by inventing anomalies, as drop-in PyOD detectors."""

from pyod_synth.engine import register as register
from pyod_synth.models.anorand import AnoRand
from pyod_synth.models.dhag import DHAG
from pyod_synth.models.ncae import NCAE
from pyod_synth.models.novelty_normalization import NoveltyNormalization
from pyod_synth.models.plad import PLAD

# The detectors, and nothing else: tests and benchmarks find them here.
__all__ = ["DHAG", "NCAE", "PLAD", "AnoRand", "NoveltyNormalization"]
