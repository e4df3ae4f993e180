"""``python -m alig_deepobs``: the same as the command ``alig-deepobs``."""

import sys
from pathlib import Path

from alig_deepobs.cli.main import main

if __name__ == "__main__":
    if not sys.flags.safe_path and Path(sys.path[0]) != Path(__file__).parent.parent:
        # Python has put the current folder first, and nothing in it may run unasked.
        del sys.path[0]
    main()
