"""Dataset + seed -> :class:`Split`: who trains, on which labels, who is tested, and how the rows are scaled.

To add a protocol, write a function (dataset, seed) -> (training indices, test indices), without a row in both, and
enter it in ``PROTOCOLS`` as a :class:`Protocol`. One with a number, as ``semi-supervised:GAMMA``, is entered as a
:class:`Numbered`, which makes the protocol of a number and says which numbers there may be.
"""

from benchmarks.protocols.registry import PROTOCOLS, named
from benchmarks.protocols.rules import Numbered, Protocol, Range
from benchmarks.protocols.splitting import Split, split

__all__ = ["PROTOCOLS", "Numbered", "Protocol", "Range", "Split", "named", "split"]
