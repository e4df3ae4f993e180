"""The benchmark's SGD, Momentum and Adam: published figures, known settings, small grids."""

from __future__ import annotations

from alig_deepobs.baselines.published import (
    Published,
    about_published,
    published_problems,
    published_result,
)
from alig_deepobs.baselines.settings import KnownSetting, grid_for, known_setting

__all__ = [
    "KnownSetting",
    "Published",
    "about_published",
    "grid_for",
    "known_setting",
    "published_problems",
    "published_result",
]
