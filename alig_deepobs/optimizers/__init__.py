"""The PyTorch optimizers, one per file; their names are imported on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "DFW": "dfw",
    "SLS": "sls",
    "SPS": "sps",
    "AliG": "alig",
    "AligPlus": "alig_plus",
    "Aprox": "aprox",
    "BPGrad": "bpgrad",
    "L4Adam": "l4",
    "L4Mom": "l4",
    "Momo": "momo",
    "MomoAdam": "momo",
    "Polyak": "polyak",
    "RMSpropTF1": "rmsprop_tf1",
    "Yogi": "yogi",
}

__all__ = [
    "DFW",
    "SLS",
    "SPS",
    "AliG",
    "AligPlus",
    "Aprox",
    "BPGrad",
    "L4Adam",
    "L4Mom",
    "Momo",
    "MomoAdam",
    "Polyak",
    "RMSpropTF1",
    "Yogi",
]

if TYPE_CHECKING:
    from alig_deepobs.optimizers.alig import AliG
    from alig_deepobs.optimizers.alig_plus import AligPlus
    from alig_deepobs.optimizers.aprox import Aprox
    from alig_deepobs.optimizers.bpgrad import BPGrad
    from alig_deepobs.optimizers.dfw import DFW
    from alig_deepobs.optimizers.l4 import L4Adam, L4Mom
    from alig_deepobs.optimizers.momo import Momo, MomoAdam
    from alig_deepobs.optimizers.polyak import Polyak
    from alig_deepobs.optimizers.rmsprop_tf1 import RMSpropTF1
    from alig_deepobs.optimizers.sls import SLS
    from alig_deepobs.optimizers.sps import SPS
    from alig_deepobs.optimizers.yogi import Yogi


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"alig_deepobs.optimizers.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'alig_deepobs.optimizers' has no attribute {name!r}")
