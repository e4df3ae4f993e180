"""DeepOBS's own names, for scripts that were written for it."""

from __future__ import annotations

from alig_deepobs.runners.deepobs.register import register

__all__ = ["register"]
