"""The benchmark: PyOD's detectors and this package's, side by side on the same splits."""
