"""The benchmark's SGD, Momentum and Adam: published figures, measured results, known settings."""

from __future__ import annotations

from alig_deepobs.baselines.committed import (
    about_published,
    measured_grid,
    measured_problems,
    measured_results,
    published_grid,
    published_problems,
    published_runs,
)
from alig_deepobs.baselines.imports import (
    ImportReport,
    import_results,
    remove_import,
    stored_imports,
)
from alig_deepobs.baselines.settings import KnownSetting, known_setting

__all__ = [
    "ImportReport",
    "KnownSetting",
    "about_published",
    "import_results",
    "known_setting",
    "measured_grid",
    "measured_problems",
    "measured_results",
    "published_grid",
    "published_problems",
    "published_runs",
    "remove_import",
    "stored_imports",
]
