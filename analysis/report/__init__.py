"""The report: what results folders say, as text, tables, figures and one offline page."""

from __future__ import annotations

from alig_deepobs.analysis.report.gather import Report, gather

__all__ = ["Report", "gather"]
