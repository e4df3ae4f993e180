"""What results folders show: as text, tables, figures and one page."""

from __future__ import annotations

from alig_deepobs.analysis.report.build import Report, build_report

__all__ = ["Report", "build_report"]
