"""DeepOBS's own names, for scripts that were written for it."""

from __future__ import annotations

from alig_deepobs.deepobs_api.register import register

__all__ = ["register"]
