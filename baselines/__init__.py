"""The benchmark's SGD, Momentum and Adam: published figures, measured results, known settings."""

from __future__ import annotations

from alig_deepobs.baselines.compact import GridRun
from alig_deepobs.baselines.measured import measured_grid, measured_problems, measured_results
from alig_deepobs.baselines.published import (
    GridPoint,
    Published,
    about_published,
    published_curves,
    published_grid,
    published_problems,
    published_result,
    published_runs,
)
from alig_deepobs.baselines.settings import KnownSetting, grid_for, known_setting
from alig_deepobs.baselines.store import (
    ImportReport,
    StoredImport,
    import_results,
    stored_imports,
    stored_results,
)

__all__ = [
    "GridPoint",
    "GridRun",
    "ImportReport",
    "KnownSetting",
    "Published",
    "StoredImport",
    "about_published",
    "grid_for",
    "import_results",
    "known_setting",
    "measured_grid",
    "measured_problems",
    "measured_results",
    "published_curves",
    "published_grid",
    "published_problems",
    "published_result",
    "published_runs",
    "stored_imports",
    "stored_results",
]
