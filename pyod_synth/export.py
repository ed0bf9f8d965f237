"""A fitted detector -> one ONNX graph of scaling, score and threshold, for programs without Python."""

import os
from copy import deepcopy
from numbers import Real
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from pyod_synth.persistence import write_whole
from pyod_synth.preprocessing import scaled

_TYPES = {"float64": torch.float64, "float32": torch.float32}


def export_detector(clf: Any, path: str | os.PathLike[str], dtype: str) -> None:
    """Write the graph of a fitted detector; see :meth:`pyod_synth.detector.CoreDetector.export_onnx`."""
    check_is_fitted(clf)
    name = type(clf).__name__
    if dtype not in _TYPES:
        raise ValueError(f"dtype must be one of {list(_TYPES)}, got {dtype!r}")
    if not isinstance(clf.contamination, Real):
        raise ValueError(
            f"The 'contamination' parameter of {name} is {clf.contamination!r}, whose labels are no threshold: "
            "set_params(contamination=0.1), or another share, makes predict go by threshold_, which stays"
        )
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(f"export_onnx needs {error.name}: pip install pyod_synth[onnx]") from error
    rows = torch.zeros(2, *clf.input_shape_, dtype=_TYPES[dtype], device="cpu")
    try:
        # traced here, and not by torch.onnx, which makes the number of rows a constant where it cannot do otherwise
        with torch.inference_mode(False), torch.no_grad():
            program = torch.export.export(
                _Graph(clf).eval(), (rows,), dynamic_shapes=({0: torch.export.Dim("n")},), strict=False
            )
            graph = torch.onnx.export(
                program, input_names=["X"], output_names=["score", "label"], dynamo=True, verbose=False
            )
    except Exception as error:  # torch has many ways to say so
        reason = str(error).partition("\n")[0]
        raise NotImplementedError(
            f"The score of this {name} is no graph of ONNX's operations ({reason}); programs with Python can take what "
            "save writes, or a pickle"
        ) from error
    assert graph is not None  # it is where no file is named
    write_whole(path, graph.model_proto.SerializeToString())


class _Graph(nn.Module):
    """What is exported: rows (n, *input_shape) in their own units to scores and labels, both (n,)."""

    largest: Tensor

    def __init__(self, clf: Any):
        super().__init__()
        self.core, self.threshold = deepcopy(clf.core_).cpu(), float(clf.threshold_)
        state, self.names, self.limit = clf.standardizer_.state, list(clf.standardizer_.state), clf.standardizer_.limit
        # a tensor, since a bound of `clamp` would go through float32, where it is infinite
        self.register_buffer("largest", torch.tensor(torch.finfo(torch.float64).max, dtype=torch.float64))
        for name in self.names:
            self.register_buffer(name, torch.from_numpy(state[name]).view(-1, *(1,) * (len(clf.input_shape_) - 1)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = scaled(x.double(), {name: getattr(self, name) for name in self.names})
        size = torch.minimum(x.abs().clamp(min=self.limit), self.largest)
        x = torch.where(size > self.limit, torch.sign(x) * self.limit * (1 + torch.log(size / self.limit)), x)
        score = self.core.score(x.float()).double()
        return score, (score > self.threshold).long()
