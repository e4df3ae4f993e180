"""Reads results folders into a report: what was found, what was skipped and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alig_deepobs.analysis.loading import LoadProblem, load_results
from alig_deepobs.analysis.report.overall import Overall, make_overall
from alig_deepobs.analysis.report.sections import Section, make_sections
from alig_deepobs.errors import UsageError
from alig_deepobs.run import RunResult


@dataclass(frozen=True)
class Report:
    """Everything a report shows, before it is text, table or page.

    Attributes:
        folders: that were read, as given.
        runs: the results.
        tuning: runs that only served to choose a setting.
        skipped: files that are no usable results, with the reason.
        sections: one for each set of comparable runs.
        overall: all problems together; None where no two optimizers share one.
        baselines: which baselines stand beside them.
    """

    folders: tuple[str, ...]
    runs: tuple[RunResult, ...]
    tuning: tuple[RunResult, ...]
    skipped: tuple[LoadProblem, ...]
    sections: tuple[Section, ...]
    overall: Overall | None
    baselines: tuple[str, ...] = ()

    @property
    def optimizers(self) -> list[str]:
        """Labels of the optimizers, those with most runs first."""
        counts = Counter(run.optimizer_name for run in self.runs)
        return [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def gather(folders: Sequence[str | Path], baselines: Sequence[str] = ()) -> Report:
    """Reads results folders and compares what can be compared.

    Args:
        folders: results folders, ours or DeepOBS's; a folder inside another is read once.
        baselines: ``deepobs`` for the published figures, ``measured`` for this project's.

    Raises:
        UsageError: there is no such folder, or no usable result in any of them.
    """
    loaded = load_results(folders, with_tuning=True, light=True)
    runs = [run for run in loaded.results if run.purpose != "tuning"]
    tuning = [run for run in loaded.results if run.purpose == "tuning"]
    skipped = loaded.problems
    if not runs:
        raise UsageError(_nothing_usable(folders, tuning, skipped))
    sections = make_sections(runs, tuning)
    return Report(
        folders=tuple(map(str, folders)),
        runs=tuple(runs),
        tuning=tuple(tuning),
        skipped=tuple(skipped),
        sections=tuple(sections),
        overall=make_overall(sections),
        baselines=tuple(baselines),
    )


def _nothing_usable(
    folders: Sequence[str | Path], tuning: Sequence[RunResult], skipped: Sequence[LoadProblem]
) -> str:
    names = ", ".join(map(str, folders))
    if tuning:
        return f"{names}: only {len(tuning)} runs that served to choose a setting, no results"
    reasons = "; ".join(f"{item.path}: {item.reason}" for item in skipped[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return f"no usable result in {names}: {reasons}{more}"
