"""TensorFlow 1's names for a script that was written for it, and for nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.runners.deepobs.register import register
from alig_deepobs.runners.tensorflow.alias import alias_tensorflow
from alig_deepobs.tensorflow._install import require


def run_tensorflow_1(path: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Runs a script in which ``import tensorflow as tf`` means TensorFlow 1.

    Only the script's own imports are changed: what it imports keeps its TensorFlow 2. The script
    builds its graph in a new one; DeepOBS 1.1.2 is registered.

    Args:
        path: of the script.
        arguments: its command line.

    Returns:
        The script's variables.

    Raises:
        UsageError: there is no such file, or TensorFlow is missing.
    """
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"there is no script {path}")
    register("tensorflow")
    variables: dict[str, Any] = {"__name__": "__main__", "__file__": str(file)}
    alias_tensorflow(variables)
    sys.argv = [str(file), *arguments]
    sys.path.insert(0, str(file.resolve().parent))
    with require("tensorflow").Graph().as_default():
        exec(compile(file.read_bytes(), str(file), "exec"), variables)
    return variables
