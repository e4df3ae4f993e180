"""SVHN's ``.mat`` files of unknown origin, read in a process of their own.

SciPy's reader is fast and does not check everything: one changed byte can end the process that
runs it, or make it ask for any amount of memory. So it gets one, with a limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VARIABLES = ("X", "y")
_MEMORY = 1 << 30
"""Bytes that the process may take beside those of the content."""
_RATIO = 6
"""Bytes of memory for each byte of the file; the official ones need 3."""
_SECONDS, _BYTES_PER_SECOND = 60, 1_000_000


def read_variables(path: Path) -> dict[str, NDArray[Any]]:
    """The variables X and y of a file, as far as it has them as arrays of numbers.

    Raises:
        OSError, ValueError: it cannot be read; the message says why.
    """
    size = path.stat().st_size
    with tempfile.TemporaryDirectory(prefix="alig-deepobs-") as folder:
        # The process finds SciPy where this one would, and nothing in the current folder.
        search = os.pathsep.join(entry for entry in sys.path if entry)
        try:
            ended = subprocess.run(
                [sys.executable, "-P", __file__, path, folder, str(_MEMORY + _RATIO * size)],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_SECONDS + size / _BYTES_PER_SECOND,
                env={**os.environ, "PYTHONPATH": search, "OPENBLAS_NUM_THREADS": "1"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ValueError("reading it does not end") from None
        if ended.returncode:
            said = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise ValueError(said or f"its reader ended with code {ended.returncode}")
        return {
            name: np.load(found, allow_pickle=False)
            for name in VARIABLES
            if (found := Path(folder) / f"{name}.npy").is_file()
        }


def convert(source: str, folder: str) -> None:
    """Writes the variables of a ``.mat`` file that are arrays of numbers as ``.npy`` files."""
    from scipy.io import loadmat

    content = loadmat(source, variable_names=VARIABLES)
    for name in VARIABLES:
        if isinstance(content.get(name), np.ndarray) and content[name].dtype.kind in "uif":
            np.save(Path(folder) / f"{name}.npy", content[name], allow_pickle=False)


def _limit_memory(most: int) -> None:
    try:
        import resource
    except ImportError:  # there is none on Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:  # which nobody may raise
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    _limit_memory(int(sys.argv[3]))
    try:
        convert(sys.argv[1], sys.argv[2])
    except Exception as error:  # noqa: BLE001 - SciPy raises whatever it stumbles over
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
