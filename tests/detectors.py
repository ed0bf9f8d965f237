"""What the tests know of the exported detectors: they find them by themselves."""

import pyod_synth

DETECTORS = [getattr(pyod_synth, name) for name in pyod_synth.__all__]

_SMALL = {"epoch_num": 2, "batch_size": 32, "hidden_size": 8, "latent_size": 2, "random_state": 0}


def small(detector, **parameters):
    """Construct a detector with networks that train in milliseconds."""
    known = detector().get_params()
    return detector(**{name: value for name, value in (_SMALL | parameters).items() if name in known})
