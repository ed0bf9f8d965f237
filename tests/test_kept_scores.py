"""Detectors keep their scores: values of fixed seeds, which no change of structure may move."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

import pyod_synth

SCORES = json.loads(Path(__file__).with_suffix(".json").read_text())
_SHARED = {"epoch_num": 4, "batch_size": 32, "lr": 5e-3, "random_state": 3}
_SHARED |= {"optimizer_name": "adamw", "lr_schedule": "cosine"}
_PLAD = {"lam": 3.0, "hidden_size": 12, "latent_size": 4, "weight_decay": 1e-4}
_DHAG = {"n_perturbators": 3, "hidden_size": 12, "latent_size": 6, "perturbator_lr": 1e-3}
_ANORAND = {"hidden_size": 16, "latent_size": 8, "preprocessing": True}
_NOVELTY = {"lam1": 0.5, "hidden_size": 12, "latent_size": 6}
_NCAE = {"repulsion": 1.0, "adversarial_weight": 1.0, "adversarial_lr": 5e-3, "hidden_size": 12, "latent_size": 6}
# DHAG's augmentation of 100 in 512 rows makes some of every batch of 32 normal
FORMS = {
    "PLAD": ("PLAD", _PLAD),
    "PLAD deterministic": ("PLAD", _PLAD | {"perturbator": "deterministic"}),
    "DHAG": ("DHAG", _DHAG | {"n_augmented": 100, "weight_decay": 0.0}),
    "DHAG in input space": ("DHAG", _DHAG | {"n_augmented": 100, "weight_decay": 0.0, "space": "input"}),
    "DHAG with labels": ("DHAG", _DHAG | {"n_augmented": 100, "weight_decay": 0.0, "use_labels": True}),
    "AnoRand": ("AnoRand", _ANORAND | {"noise_level": 1.0, "weight_decay": 0.0}),
    "AnoRand with labels": ("AnoRand", _ANORAND | {"weight_decay": 0.0, "use_labels": True}),
    "NoveltyNormalization": ("NoveltyNormalization", _NOVELTY | {"weight_decay": 0.0}),
    "NoveltyNormalization, error alone": (
        "NoveltyNormalization",
        _NOVELTY | {"weight_decay": 0.0, "normalization": False, "novelty_scoring": False},
    ),
    "NCAE": ("NCAE", _NCAE | {"weight_decay": 0.0}),
}


def rows(kind):
    """160 rows to fit, their labels, and 12 to score."""
    if kind == "table":
        X, y = load_breast_cancer(return_X_y=True)
        return X[:160], 1 - y[:160], X[160:172]
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 1, 8, 8) / 16
    return images[:160], (y[:160] == 3).astype(int), images[160:172]


@pytest.mark.parametrize("kind", ["table", "images"])
@pytest.mark.parametrize("form", FORMS)
def test_scores_are_what_they_were(form, kind):
    name, parameters = FORMS[form]
    X, y, new = rows(kind)
    detector = getattr(pyod_synth, name)
    # convolutions round otherwise on another processor, which more epochs magnify
    epochs = _SHARED | {"epoch_num": 1} if kind == "images" else _SHARED
    shared = {parameter: value for parameter, value in epochs.items() if parameter in detector().get_params()}
    clf = detector(**shared, **parameters).fit(X, y)
    expected = SCORES[form][kind]
    assert np.ptp(expected["scores"]) > 0
    if "lr" in shared:
        np.testing.assert_allclose(clf.history_, expected["history"], rtol=1e-4)
    np.testing.assert_allclose(clf.decision_function(new), expected["scores"], rtol=1e-3, atol=1e-4)
