"""A fitted detector <-> a file that is data: nothing in it is run, neither by saving nor by loading.

The file is in the format of safetensors. Its tensors are the weights and buffers of the core, the arrays of the
standardizer, ``usual_``, ``decision_scores_`` and ``labels_``. Its metadata are a header in JSON (class, parameters,
fitted attributes, device, versions), the number of the format, and a SHA-256 checksum of header and tensors.

Whoever changes a file can also write its checksum anew. So nothing that a file says is believed: the class is one of
those that are given, parameters and attributes are checked as those of a user are, and names, types and shapes of all
tensors have to be those of the core that the parameters describe. That core is first built without memory, within
bounds that follow from the file's size.
"""

import hashlib
import json
import math
import os
import platform
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pyod_synth.core import Core
from pyod_synth.preprocessing import Standardizer
from pyod_synth.seeding import initializing, new_generator
from pyod_synth.training import by_blocks, computing
from pyod_synth.validation import (
    check_device,
    check_image_shape,
    check_lr_schedule,
    check_parameters,
    check_sequence_shape,
)

FORMAT = 1  # of the files that are written; those of lower numbers are read too

# what may be set after a fit, since it says nothing of what the fit has learned
_FREE = {"contamination", "device", "random_state", "verbose"}
_INSTEAD = {
    "contamination": "set_params(contamination=0.1), or another share, makes predict go by threshold_, which stays",
    "random_state": "set_params(random_state=0), or another integer, changes no score",
    "encoder": "fit a detector on the features that it gives, as a table",
}
_ROOM = 2**20  # bytes that building any core may ask for
_EACH = 64  # bytes that an operation counts for, however small its result


def save_detector(clf: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted detector; see :meth:`pyod_synth.detector.CoreDetector.save`."""
    check_is_fitted(clf)
    check_parameters(clf)
    header = {
        "class": type(clf).__name__,
        "parameters": _parameters(clf),
        "attributes": _attributes(clf),
        "device": str(clf.device_),
        "versions": {name: version(name) for name in ("pyod_synth", "torch")} | {"python": platform.python_version()},
    }
    tensors = _tensors(clf)
    text = json.dumps(header)
    metadata = {"pyod_synth format": str(FORMAT), "header": text, "sha256": _checksum(text, tensors)}
    write_whole(path, to_bytes(tensors, metadata))


def load_detector(path: str | os.PathLike[str], detectors: Mapping[str, type[Any]]) -> Any:
    """Read a detector of one of these classes, by name; see :func:`pyod_synth.load`."""
    with _saying_of(path), torch.inference_mode(False):
        header, tensors = _read(path)
        _require(isinstance(header, dict) and isinstance(header.get("class"), str), "its header names no class")
        known = f"unknown detector {header['class']!r}: import the module that defines it first"
        _require(header["class"] in detectors, known)
        clf = _construct(detectors[header["class"]], header.get("parameters"))
        attributes = _check_attributes(header.get("attributes"))
        shape = attributes["input_shape_"]
        scores, labels = tensors.pop("decision_scores_", None), tensors.pop("labels_", None)
        attributes |= _check_scores(scores, labels) | _check_usual(tensors.pop("usual_", None), shape)
        scaling = _part(tensors, "standardizer")
        _require(all(array.dtype == torch.float64 for array in scaling.values()), "its scaling is not float64")
        arrays = {name: array.numpy() for name, array in scaling.items()}
        standardizer = Standardizer.from_state(clf.preprocessing, arrays, shape[0])
        weights = _part(tensors, "core")
        _require(not tensors, f"it holds what no detector has: {sorted(tensors)}")
        core = _build(clf, shape, weights)
        if math.prod(shape) <= max(_ROOM, sum(tensor.nbytes for tensor in weights.values())):
            _try(core, torch.from_numpy(standardizer.transform(np.zeros((1, *shape)))))
        device = _find_device(header.get("device"))
    parameters = clf.get_params(deep=False)
    attributes |= {"core_": core, "standardizer_": standardizer, "device_": device, "_fitted_with": parameters}
    clf.__setstate__(parameters | attributes)
    return clf


@contextmanager
def _saying_of(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in what is said to be wrong with it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} cannot be loaded: {error}") from error


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


# Detector -> header and tensors


def _plain(value: Any) -> Any:
    """Give a parameter as what JSON has; TypeError if it is something else."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"cannot be saved as data: {value!r}")


def _parameters(clf: Any) -> dict[str, Any]:
    """Give the parameters, which have to be those of the fit, but for those that a fit has no use for later."""
    plain = {}
    for name, value in clf.get_params(deep=False).items():
        try:
            plain[name] = _plain(value)
        except TypeError as error:
            instead = _INSTEAD.get(name, "set another, and fit again")
            raise ValueError(f"The {name!r} parameter of {type(clf).__name__} {error}; {instead}") from None
        if name not in _FREE and (fitted_with := clf._fitted_with[name]) != value:
            raise ValueError(
                f"The {name!r} parameter of {type(clf).__name__} was {fitted_with!r} in its fit, and is {value!r} now: "
                "set it back, or fit again, so that the file says how the detector was made"
            )
    return plain


def _attributes(clf: Any) -> dict[str, Any]:
    """Give the fitted attributes that are neither core nor arrays."""
    others = {"core_", "standardizer_", "device_", "usual_", "decision_scores_", "labels_", "_fitted_with"}
    attributes = {
        name: value for name, value in vars(clf).items() if name not in {*clf.get_params(deep=False), *others}
    }
    unknown = attributes.keys() - _CHECKS.keys()
    if unknown:
        raise ValueError(
            f"{type(clf).__name__} has attributes that no file has a place for: {sorted(unknown)}; what scoring needs "
            "is a buffer of its core"
        )
    if "feature_names_in_" in attributes:
        attributes["feature_names_in_"] = attributes["feature_names_in_"].tolist()
    return {name: float(value) if _CHECKS[name] is _number else _plain(value) for name, value in attributes.items()}


def _tensors(clf: Any) -> dict[str, Tensor]:
    state = clf.core_.state_dict()
    wrong = sorted(name for name, value in state.items() if not isinstance(value, Tensor))
    if wrong:
        raise ValueError(f"{type(clf.core_).__name__} has a state that is no tensor: {wrong}; make it a buffer")
    arrays = {f"standardizer.{name}": array for name, array in clf.standardizer_.state.items()}
    arrays |= {"usual_": clf.usual_, "decision_scores_": clf.decision_scores_, "labels_": clf.labels_.astype(np.int64)}
    tensors = {f"core.{name}": value.detach() for name, value in state.items()}
    tensors |= {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}
    # safetensors wants each in memory of its own
    return {name: tensor.cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file, or leave what was there."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


# File -> header and tensors


def _read(path: str | os.PathLike[str]) -> tuple[Any, dict[str, Tensor]]:
    """Read a file that is whole and of a known format."""
    try:
        # open says more clearly what is wrong with a path
        with open(path, "rb"), safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            number = metadata.get("pyod_synth format", "")
            _require(number != "", "it was not written by a detector's save")
            _require(number.isascii() and number.isdigit(), f"the number of its format is {number!r}")
            newer = f"its format is {number}, and this version of pyod_synth reads up to {FORMAT}: update pyod_synth"
            _require(1 <= int(number[:9]) <= FORMAT, newer)
            # copies, so that nobody who writes to the file changes the detector
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - it is no mapping
        text = metadata.get("header", "")
        _require(metadata.get("sha256") == _checksum(text, tensors), "it is damaged: its checksum is another")
        return json.loads(text), tensors
    except (OSError, ValueError, MemoryError):
        raise
    except Exception as error:  # whatever safetensors says of bytes that it cannot read, or JSON of deep nesting
        raise ValueError(f"it is damaged, or was not written by a detector's save ({error})") from error


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Take out the tensors whose names begin with a prefix and a dot."""
    names = [name for name in tensors if name.startswith(f"{prefix}.")]
    return {name.removeprefix(f"{prefix}."): tensors.pop(name) for name in names}


# Header and tensors -> detector


def _construct(detector: type[Any], parameters: Any) -> Any:
    """Make an unfitted detector; a parameter that is not in the file, since it is older, has its default."""
    _require(isinstance(parameters, dict), "its header holds no parameters")
    unknown = sorted(parameters.keys() - detector().get_params(deep=False).keys())
    _require(not unknown, f"{detector.__name__} has no parameters {unknown}")
    parameters = {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}
    try:
        clf = detector(**parameters)
        check_parameters(clf)
        check_image_shape(clf.image_shape)
        if hasattr(clf, "lr_schedule"):
            check_lr_schedule(clf.lr_schedule)
        if getattr(clf, "sequence_shape", None) is not None:
            check_sequence_shape(clf.sequence_shape)
    except Exception as error:  # PyOD cannot print every number
        raise ValueError(f"its parameters are wrong: {error}") from error
    return clf


def _number(value: Any) -> bool:
    return isinstance(value, float) and not math.isnan(value)


def _shape(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (1, 2, 3) and all(type(size) is int and size > 0 for size in value)


def _list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(check(entry) for entry in value)


# what each attribute has to be, as JSON gives it
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "threshold_": _number,
    "_mu": _number,
    "_sigma": _number,
    "rejection_threshold_": _number,
    "_classes": lambda value: type(value) is int and value == 2,
    "n_features_in_": lambda value: type(value) is int,
    "input_shape_": _shape,
    "feature_names_in_": _list_of(lambda name: isinstance(name, str)),
    "history_": _list_of(_number),
}
_OPTIONAL = {"rejection_threshold_", "feature_names_in_", "history_"}


def _check_attributes(attributes: Any) -> dict[str, Any]:
    _require(isinstance(attributes, dict), "its header holds no attributes")
    _require(attributes.keys() <= _CHECKS.keys(), f"unknown attributes {sorted(attributes.keys() - _CHECKS.keys())}")
    missing = _CHECKS.keys() - _OPTIONAL - attributes.keys()
    _require(not missing, f"attributes are missing: {sorted(missing)}")
    wrong = [name for name, value in attributes.items() if not _CHECKS[name](value)]
    _require(not wrong, f"attributes are wrong: {wrong}")
    shape, names = tuple(attributes["input_shape_"]), attributes.get("feature_names_in_")
    _require(attributes["n_features_in_"] == math.prod(shape), "n_features_in_ does not agree with input_shape_")
    attributes = attributes | {"input_shape_": shape}
    if names is not None:
        _require(len(names) == math.prod(shape), "there are not as many feature_names_in_ as features")
        attributes["feature_names_in_"] = np.array(names, dtype=object)
    return attributes


def _check_scores(scores: Tensor | None, labels: Tensor | None) -> dict[str, Any]:
    """Give the arrays of the training rows."""
    if scores is None or scores.ndim != 1 or scores.dtype != torch.float64 or not len(scores):
        raise ValueError("decision_scores_ are no float64 vector")
    if labels is None or labels.shape != scores.shape or labels.dtype != torch.int64:
        raise ValueError("labels_ are no int64 vector as long as decision_scores_")
    _require(
        bool(scores.isfinite().all()) and bool(((labels == 0) | (labels == 1)).all()), "scores or labels are wrong"
    )
    return {"decision_scores_": scores.numpy(), "labels_": labels.numpy()}


def _check_usual(usual: Tensor | None, shape: tuple[int, ...]) -> dict[str, Any]:
    """Give the usual values of each feature."""
    if usual is None or usual.shape != (3, *shape) or usual.dtype != torch.float64 or not usual.isfinite().all():
        raise ValueError(f"usual_ is no finite float64 array of shape {(3, *shape)}")
    return {"usual_": usual.numpy()}


def _build(clf: Any, shape: tuple[int, ...], weights: dict[str, Tensor]) -> Core:
    """Build the core that the parameters describe, and put the weights in it, if they are its."""
    try:
        with torch.inference_mode(False), torch.device("meta"), _Bounded(weights):
            outline = clf.build_core(shape).float()
        outline.load_state_dict({name: tensor.to("meta") for name, tensor in weights.items()})
        types = {name: tensor.dtype for name, tensor in outline.state_dict().items()}
        wrong = [name for name, tensor in weights.items() if tensor.dtype != types[name]]
        _require(not wrong, f"types differ: {wrong}")
        with initializing(new_generator(0)):
            core = clf.build_core(shape).float()
        core.load_state_dict(weights)
    except Exception as error:  # torch's ways to say so, and those of whoever wrote the core
        raise ValueError(f"its arrays are not those of {type(clf).__name__} with its parameters: {error}") from error
    return core.eval()


class _Bounded(TorchDispatchMode):
    """Refuse to build networks that are much larger than the weights for them."""

    def __init__(self, weights: Mapping[str, Tensor]):
        super().__init__()
        self.left = _ROOM + 16 * sum(tensor.nbytes + _EACH for tensor in weights.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **kwargs or {})
        self.left -= _EACH + (result.nbytes if isinstance(result, Tensor) else 0)
        _require(self.left >= 0, "the networks are larger than the file")
        return result


def _try(core: Core, x: Tensor) -> None:
    """Score a row: what does not fit together is better found now."""
    try:
        with computing(x), torch.no_grad():
            shape = by_blocks(core.score, x).shape
    except Exception as error:
        raise ValueError(f"its arrays do not fit together: {error}") from error
    _require(shape == (1,), "its arrays do not give a score")


def _find_device(name: Any) -> torch.device:
    """Find the device of the fit; the CPU where that device is not."""
    _require(isinstance(name, str), "its header names no device")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"unknown device {name!r}") from error
    _require(device.type != "meta", "a detector on the device 'meta' has no weights")
    try:
        return check_device(device)
    except ValueError:
        return torch.device("cpu")
