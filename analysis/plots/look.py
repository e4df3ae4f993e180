"""How figures look: as this package says, whatever the settings of matplotlib are here.

The first to import matplotlib, which would read the file ``matplotlibrc`` of the current folder.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

with contextlib.chdir(Path(__file__).parent):
    import matplotlib


@contextlib.contextmanager
def own_look() -> Iterator[None]:
    """Draws with matplotlib's defaults, and leaves its settings and its backend as they were."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield
