"""Another paper costs one module: it is found, keeps the contract and runs in the benchmark without another edit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MODULE = '''"""A paper that never was: an autoencoder that restores rows from noise."""

from dataclasses import dataclass
from numbers import Integral, Real

import torch

from pyod_synth.base import DeepDetector
from pyod_synth.core import Core
from pyod_synth.networks import decoder, encoder
from pyod_synth.validation import Interval


class NoisyCore(Core):
    def __init__(self, input_shape, clf):
        super().__init__()
        self.noise = clf.noise
        self.encoder = encoder(input_shape, (clf.hidden_size,), clf.latent_size)
        self.decoder = decoder(clf.latent_size, (clf.hidden_size,), input_shape)
        self.register_buffer("usual", torch.ones(()))

    def error(self, x, noisy):
        return (x - self.decoder(self.encoder(noisy))).flatten(1).square().mean(dim=1)

    def training_loss(self, x, y=None):
        noise = torch.randn(x.shape, generator=self.generator, device=x.device)
        return self.error(x, x + self.noise * noise).mean()

    def calibrate(self, x):
        self.usual.copy_(self.error(x, x).mean())

    def anomaly_score(self, x):
        return self.error(x, x) / self.usual

    def embed(self, x):
        return self.encoder(x)


@dataclass(kw_only=True, eq=False, repr=False)
class NoisyAutoencoder(DeepDetector):
    """Noisy autoencoder: what it cannot restore is the score.

    Parameters
    ----------
    noise : float, default=0.3
    hidden_size, latent_size : int
    {verbose}
    {shared parameters}

    {attributes}
    {history}
    """

    noise: float = 0.3
    hidden_size: int = 16
    latent_size: int = 4

    _parameter_constraints = {
        **DeepDetector._parameter_constraints,
        "noise": [Interval(Real, 0, None, closed="left")],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "latent_size": [Interval(Integral, 1, None, closed="left")],
    }

    def build_core(self, input_shape):
        return NoisyCore(input_shape, self)
'''

EXPERIMENT = """
extensions = ["another.py"]
datasets = ["wine"]
detectors = ["NoisyAutoencoder", "IForest"]
protocols = ["one-class"]
seeds = [0]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "another.py").write_text(MODULE)
    (tmp_path / "another.toml").write_text(EXPERIMENT)
    return tmp_path


def run(folder, *arguments):
    paths = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("tests", ["test_contract.py", "test_stages.py", "test_persistence.py"])
def test_it_keeps_the_contract(folder, tests):
    done = run(folder, "pytest", "-q", "-p", "another", "-p", "no:cacheprovider", "-k", "NoisyAuto", f"tests/{tests}")
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


def test_it_runs_in_the_benchmark(folder):
    out = folder / "results"
    done = run(folder, "benchmarks", "run", str(folder / "another.toml"), "--out", str(out), "--jobs", "1")
    assert done.returncode == 0, done.stderr[-3000:]
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert [record["status"] for record in records] == ["ok", "ok"]
    assert all(0.5 < record["figures"]["auroc"] <= 1 for record in records)
    assert "NoisyAutoencoder" in done.stdout
