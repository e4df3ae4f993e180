"""ALI-G for TensorFlow: for ``tf.compat.v1`` here, for Keras 3 and ``tf_keras`` in two modules.

Importing this package does not import TensorFlow; using `AliG` does. `enable`, which makes the
released DeepOBS 1.1.2 run on TensorFlow 2, lives in `alig_deepobs.runners.tensorflow.compat`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alig_deepobs.runners.tensorflow.compat import enable
    from alig_deepobs.tensorflow.alig import AliG

__all__ = ["AliG", "enable"]

_HOMES = {
    "AliG": "alig_deepobs.tensorflow.alig",
    "enable": "alig_deepobs.runners.tensorflow.compat",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'alig_deepobs.tensorflow' has no attribute {name!r}")
