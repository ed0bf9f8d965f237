"""Saving, loading and copying fitted detectors, from one machine to another."""

import io
import os
import pickle
import subprocess
import sys
from copy import copy, deepcopy

import joblib
import numpy as np
import pytest
import torch
from pyod.utils import persistence

from tests.detectors import DETECTORS, small

pytestmark = pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.__name__)


def through_joblib(clf):
    file = io.BytesIO()
    joblib.dump(clf, file)
    file.seek(0)
    return joblib.load(file)


COPIES = {"pickle": lambda clf: pickle.loads(pickle.dumps(clf)), "joblib": through_joblib, "deepcopy": deepcopy}


def test_strict_round_trip_of_pyod(detector, kind, tmp_path):
    X, far, parameters = kind
    clf = small(detector, **parameters).fit(X)
    persistence.save(clf, tmp_path / "clf.joblib", metadata={"run": 1})
    loaded, header = persistence.load(tmp_path / "clf.joblib", strict=True, trusted=True, return_metadata=True)
    assert header["metadata"] == {"run": 1}
    assert header["model_class"].endswith(detector.__name__)
    assert loaded.get_params() == clf.get_params()
    assert loaded.threshold_ == clf.threshold_
    np.testing.assert_array_equal(loaded.labels_, clf.labels_)
    np.testing.assert_array_equal(loaded.decision_scores_, clf.decision_scores_)
    np.testing.assert_array_equal(loaded.decision_function(far), clf.decision_function(far))
    np.testing.assert_array_equal(loaded.fit(X).decision_scores_, clf.decision_scores_)


def test_pickle_holds_nothing_of_training(detector, table):
    class Recorder(pickle.Unpickler):
        names = []

        def find_class(self, module, name):
            self.names.append(f"{module}.{name}")
            return super().find_class(module, name)

    Recorder(io.BytesIO(pickle.dumps(small(detector).fit(table)))).load()
    assert any(name.startswith("torch.") for name in Recorder.names)
    assert [name for name in Recorder.names if name.startswith(("torch.optim", "torch.utils.data", "tqdm"))] == []


def test_size_of_a_pickle_does_not_grow_with_the_training_rows(request, detector, table):
    if detector.__name__ == "GatedKNN":
        reason = "what GatedKNN remembers of the training rows is its model, as with KNN, up to memory_size"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    fitted = (small(detector, memory_size=4096).fit(np.tile(table, (times, 1))) for times in (1, 10))
    few, many = (len(pickle.dumps(clf)) for clf in fitted)
    scores_and_labels = 9 * len(table) * (8 + 8)
    assert many - few < 1.1 * scores_and_labels


def test_unfitted_round_trip(detector, table):
    clf = pickle.loads(pickle.dumps(small(detector)))
    assert clf.get_params() == small(detector).get_params()
    np.testing.assert_array_equal(clf.fit(table).decision_scores_, small(detector).fit(table).decision_scores_)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("device", ["cuda:99", "mps:7", "xpu:99"])
def test_device_that_is_not_there(detector, table, copied, device):
    clf = small(detector).fit(table)
    clf.set_params(device=device).device_ = torch.device(device)  # as if it had been fitted there
    core, tensors = clf.core_, list(clf.core_.state_dict().values())
    loaded = copied(clf)
    assert loaded.device_ == torch.device("cpu")
    assert loaded.device == device
    np.testing.assert_array_equal(loaded.decision_function(table), loaded.decision_scores_)
    # what was copied stays as it was
    assert clf.core_ is core
    assert clf.device_ == torch.device(device)
    assert all(a is b or a.data_ptr() == b.data_ptr() for a, b in zip(core.state_dict().values(), tensors, strict=True))


def test_state_holds_networks_on_the_cpu(detector, table):
    clf = small(detector).fit(table)
    assert clf.__getstate__()["core_"] is clf.core_  # nothing to move, nothing copied
    clf.core_.to("meta")
    clf.device_ = torch.device("meta")
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        clf.__getstate__()  # so it does copy them to the CPU; only this device has nothing to copy


def test_shallow_copy(detector, table):
    clf = small(detector).fit(table)
    shallow = copy(clf)
    assert shallow.core_ is clf.core_
    shallow.set_params(contamination=0.3)
    assert clf.contamination == 0.1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_to_machine_without_one(detector, table, tmp_path):
    clf = small(detector, device="cuda").fit(table)
    for copied in COPIES.values():
        np.testing.assert_array_equal(copied(clf).decision_function(table), clf.decision_scores_)
        assert copied(clf).device_.type == "cuda"
    persistence.save(clf, tmp_path / "clf.joblib")
    np.save(tmp_path / "table.npy", table)
    code = (
        "import sys, numpy as np; from pyod.utils import persistence; "
        "clf = persistence.load(sys.argv[1], strict=True, trusted=True); "
        "np.save(sys.argv[2], clf.decision_function(np.load(sys.argv[2])))"
    )
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "clf.joblib", tmp_path / "table.npy"],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        check=True,
    )
    np.testing.assert_allclose(np.load(tmp_path / "table.npy"), clf.decision_scores_, rtol=1e-2, atol=1e-2)
