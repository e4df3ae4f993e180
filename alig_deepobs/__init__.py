"""ALI-G for PyTorch, and the DeepOBS optimizer benchmark with the loss handed to the step.

The public names are imported on first use, so ``import alig_deepobs`` itself needs no framework.
"""

import sys

# `python -m alig_deepobs...` has put the current folder first, and nothing in it may run unasked.
# This stands before the imports of what the folder might have, too; `sys` is a part of Python.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    _word = sys.orig_argv[-len(sys.argv)]  # the module, or as in -Bmalig_deepobs, flags before it
    _module = (_word.partition("m")[2] if _word[:1] == "-" else _word).partition(".")[0]
    _home = __file__.rpartition("alig_deepobs")[0][:-1]
    if _module == "alig_deepobs" and sys.path[:1] != [_home]:
        del sys.path[:1]

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "AliG": "alig_deepobs.optimizers.alig",
    "HealthWarning": "alig_deepobs.optimizers.health",
    "L2Ball": "alig_deepobs.optimizers.projection",
    "LossMeter": "alig_deepobs.optimizers.loss",
    "StandardRunner": "alig_deepobs.runners",
    "compare": "alig_deepobs.comparison",
    "attach_loss": "alig_deepobs.optimizers.loss",
    "check_loss_contract": "alig_deepobs.optimizers.contract",
    "l2_projection": "alig_deepobs.optimizers.projection",
    "register": "alig_deepobs.runners.deepobs.register",
    "reduce_loss": "alig_deepobs.optimizers.loss",
    "register_optimizer": "alig_deepobs.registry",
    "register_testproblem": "alig_deepobs.registry",
}

__all__ = [
    "AliG",
    "HealthWarning",
    "L2Ball",
    "LossMeter",
    "StandardRunner",
    "__version__",
    "attach_loss",
    "check_loss_contract",
    "compare",
    "l2_projection",
    "reduce_loss",
    "register",
    "register_optimizer",
    "register_testproblem",
]

if TYPE_CHECKING:
    from alig_deepobs.comparison import compare
    from alig_deepobs.optimizers.alig import AliG
    from alig_deepobs.optimizers.contract import check_loss_contract
    from alig_deepobs.optimizers.health import HealthWarning
    from alig_deepobs.optimizers.loss import LossMeter, attach_loss, reduce_loss
    from alig_deepobs.optimizers.projection import L2Ball, l2_projection
    from alig_deepobs.registry import register_optimizer, register_testproblem
    from alig_deepobs.runners import StandardRunner
    from alig_deepobs.runners.deepobs.register import register


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'alig_deepobs' has no attribute {name!r}")


def __dir__() -> list[str]:
    special = [name for name in globals() if name.startswith("__")]
    return sorted({*special, *__all__})
