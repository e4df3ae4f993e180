"""The TensorFlow half: the released DeepOBS 1.1.2 on TensorFlow 2.

Importing this package does not import TensorFlow; `enable` does.
"""

from __future__ import annotations

from alig_deepobs.tensorflow.compat import enable

__all__ = ["enable"]
