"""The bare MLP of AnoRand's Figure 5."""

import numpy as np
import pytest
import torch

from benchmarks import experiments
from benchmarks.running import extensions
from pyod_synth import all_detectors
from tests.detectors import small
from tests.reference import array, run_mlp, seeded, silu, softplus


@pytest.fixture
def mlp():
    (extension,) = experiments.load("papers/anorand_figure5").extensions
    extensions.load(extension)
    return all_detectors()["SyntheticLabelsMLP"]


def logits(core, x):
    return run_mlp(core.detection_output, silu(run_mlp(core.detection, x)))[:, 0]


def test_it_is_the_detection_block_alone(mlp, table):
    clf = small(mlp).fit(table)
    rows = clf.standardizer_.transform(table).astype(np.float64)
    np.testing.assert_allclose(clf.decision_scores_, logits(clf.core_, rows), atol=1e-5)
    x, y = torch.randn(9, 3, generator=seeded(0)), torch.arange(9) % 2
    expected = softplus(logits(clf.core_, array(x))) - array(y) * logits(clf.core_, array(x))
    assert clf.core_.training_loss(x, y).item() == pytest.approx(expected.mean(), rel=1e-5)


def test_the_autoencoder_learns_nothing(mlp, table):
    one, two = (small(mlp, epoch_num=n, weight_decay=0.0).fit(table).core_.state_dict() for n in (1, 3))
    same = {name.partition(".")[0] for name in one if torch.equal(one[name], two[name])}
    assert same >= {"encoder", "decoder"}
    assert not same & {"detection", "detection_output"}
