"""How long it takes and how much memory: named comparisons -> a record each -> a page of tables.

To add a comparison, write what measures it in :mod:`benchmarks.speed.comparisons` and enter it in ``COMPARISONS``.
"""
