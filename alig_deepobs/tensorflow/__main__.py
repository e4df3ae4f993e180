"""``python -m alig_deepobs.tensorflow script.py``: a script of TensorFlow 1, run as it is."""

from __future__ import annotations

import importlib
import sys

from alig_deepobs.errors import AligDeepobsError


def main() -> None:
    """Runs the script that the command line names."""
    if len(sys.argv) < 2:
        raise SystemExit("usage: python -m alig_deepobs.tensorflow SCRIPT [ARGUMENT...]")
    script = importlib.import_module("alig_deepobs.runners.tensorflow.script")
    try:
        script.run_tensorflow_1(sys.argv[1], sys.argv[2:])
    except AligDeepobsError as error:
        raise SystemExit(f"Error: {error}") from error


if __name__ == "__main__":
    main()
