"""Files of a user's own that add data sets, protocols and detectors to those of the benchmark."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def load(path: str):
    """Run a Python file once in this process.

    Parameters
    ----------
    path : str
        Of a ``.py`` file, which enters what it adds in ``benchmarks.data.BUNDLED``,
        ``benchmarks.protocols.PROTOCOLS`` or ``benchmarks.detectors.RIVALS``, or defines subclasses of
        ``pyod_synth.base.DeepDetector``.

    Raises
    ------
    ValueError
        If there is no such file. What the file itself raises comes through.
    """
    file = Path(path).resolve()
    if file.suffix != ".py" or not file.is_file():
        raise ValueError(f"an extension is the path of a Python file, got {str(file)!r}")
    name = f"benchmarks.running.extensions.{file}"
    if name in sys.modules:
        return
    spec = spec_from_file_location(name, file)
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]  # else the next attempt would take it for done
        raise
