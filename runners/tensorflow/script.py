"""TensorFlow 1's names for a script that was written for it, and for nothing else."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.runners.deepobs.register import register
from alig_deepobs.runners.tensorflow.alias import alias_tensorflow
from alig_deepobs.tensorflow._install import require


def run_tensorflow_1(path: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Runs a script in which ``import tensorflow as tf`` means TensorFlow 1.

    Only the imports of the script and of modules in its folder (optimizers and problems that it was
    written with) are changed: everything else keeps its TensorFlow 2. The script builds its graph
    in a new one; DeepOBS 1.1.2 is registered.

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
    main = ModuleType("__main__")  # in its place, too: unittest, for one, looks for it there
    sys.modules["__main__"] = main
    variables = vars(main)
    variables["__file__"] = str(file)
    folder = file.resolve().parent
    alias = alias_tensorflow(variables, folder)
    sys.argv = [str(file), *arguments]
    sys.path.insert(0, str(folder))
    tf: Any = require("tensorflow")
    with contextlib.ExitStack() as graph:

        def reset_default_graph() -> None:
            graph.close()
            graph.enter_context(tf.Graph().as_default())

        vars(alias)["reset_default_graph"] = reset_default_graph
        reset_default_graph()
        exec(compile(file.read_bytes(), str(file), "exec"), variables)
    return variables
