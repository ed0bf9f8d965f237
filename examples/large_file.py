"""
Scoring a large file
====================

A Parquet file that may be larger than memory is scored block by block; or, on Dask, by all workers at once. A row's
score does not depend on the rows around it, so both give the same.
"""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pyod_synth import GatedKNN

rng = np.random.default_rng(0)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "rows.parquet"
pq.write_table(pa.table({f"x{number}": rng.normal(size=200_000) for number in range(10)}), path)

# %%
# The detector learns from a sample, and remembers at most ``memory_size`` rows of it.
file = pq.ParquetFile(path)
sample = next(file.iter_batches(batch_size=20_000)).to_pandas()
clf = GatedKNN().fit(sample)

# %%
# Block by block: no more than 50,000 rows are in memory at a time.
scores = np.concatenate([clf.decision_function(block.to_pandas()) for block in file.iter_batches(batch_size=50_000)])
print(f"{len(scores)} rows scored, {np.mean(scores > clf.threshold_):.1%} above the threshold")

# %%
# On Dask, each worker reads and scores its own parts; ``pip install "dask[dataframe]"``.
try:
    import dask.dataframe as dd
except ImportError:
    print("dask is not installed")
else:
    rows = dd.read_parquet(path, split_row_groups=True)
    scored = rows.map_partitions(lambda part: part.assign(score=clf.decision_function(part)), enforce_metadata=False)
    print(f"largest difference {np.abs(scored['score'].compute().to_numpy() - scores).max():.0e}")

folder.cleanup()
