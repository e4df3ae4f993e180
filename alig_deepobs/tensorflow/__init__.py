"""The TensorFlow half: the released DeepOBS 1.1.2 on TensorFlow 2, and ALI-G for TensorFlow.

Importing this package does not import TensorFlow; using `enable` or `AliG` does. ALI-G for Keras 3
is in `alig_deepobs.tensorflow.keras`, for ``tf_keras`` in `alig_deepobs.tensorflow.tf_keras`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from alig_deepobs.tensorflow.compat import enable

if TYPE_CHECKING:
    from alig_deepobs.tensorflow.alig import AliG

__all__ = ["AliG", "enable"]


def __getattr__(name: str) -> Any:
    if name == "AliG":
        return importlib.import_module("alig_deepobs.tensorflow.alig").AliG
    raise AttributeError(f"module 'alig_deepobs.tensorflow' has no attribute {name!r}")
