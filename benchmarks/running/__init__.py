"""Cells of an experiment, run one by one and recorded."""
