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
from alig_deepobs.words import counted


@dataclass(frozen=True)
class Report:
    """Everything a report shows, before it is text, table or page.

    Attributes:
        folders: that were read, as given.
        runs: the results.
        tuning: runs that only served to choose a setting.
        skipped: files that are no usable results, with the reason.
        repeated: number of further results of these runs, which do not count.
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
    repeated: int = 0

    @property
    def optimizers(self) -> list[str]:
        """Labels of the optimizers, those with most runs first."""
        counts = Counter(run.optimizer_name for run in self.runs)
        return [name for name, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]

    @property
    def several_problems(self) -> Overall | None:
        """All problems together, where there is more than one."""
        return self.overall if self.overall and len(self.overall.sections) > 1 else None

    @property
    def about_repeated(self) -> str:
        """How many results were left for later ones of the same runs; empty for none."""
        if not self.repeated:
            return ""
        return (
            f"{counted(self.repeated, 'older result')} of repeated runs left out: of each run the "
            "latest that came to its end counts"
        )

    def about(self) -> list[str]:
        """What was analysed, one sentence each."""
        problems = list(dict.fromkeys(section.title for section in self.sections))
        lines = [
            f"Folders: {', '.join(self.folders)}",
            f"{counted(len(self.runs), 'run')} of {counted(len(self.optimizers), 'optimizer')} "
            f"({', '.join(self.optimizers)}) on {counted(len(problems), 'problem')} "
            f"({', '.join(problems)})",
        ]
        if self.tuning:
            lines.append(
                f"{counted(len(self.tuning), 'run')} that only served to choose a setting: shown "
                "as sensitivity, never as a result"
            )
        if self.repeated:
            lines.append(self.about_repeated)
        if self.skipped:
            lines.append(f"{counted(len(self.skipped), 'file')} skipped")
        return lines


def build_report(
    folders: Sequence[str | Path], baselines: Sequence[str] = (), reference: str | None = None
) -> Report:
    """Reads results folders and compares what can be compared.

    Args:
        folders: results folders, ours or DeepOBS's; a folder inside another is read once.
        baselines: ``deepobs`` for the published figures, ``measured`` for this project's.
        reference: optimizer (label or registry name) with which every other is compared, beside
            the best; by default ALI-G, where it takes part.

    Raises:
        UsageError: there is no such folder, no usable result in any of them, or no such reference.
    """
    loaded = load_results(folders, with_tuning=True, light=True)
    runs = [run for run in loaded.results if run.purpose != "tuning"]
    tuning = [run for run in loaded.results if run.purpose == "tuning"]
    names = tuple(map(str, folders))
    if not runs:
        raise UsageError(_nothing_usable(", ".join(names), len(tuning), loaded.problems))
    sections = tuple(make_sections(runs, tuning, reference))
    return Report(
        folders=names,
        runs=tuple(runs),
        tuning=tuple(tuning),
        skipped=tuple(loaded.problems),
        sections=sections,
        overall=make_overall(sections),
        baselines=tuple(baselines),
        repeated=loaded.repeated,
    )


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _nothing_usable(names: str, n_tuning: int, skipped: Sequence[LoadProblem]) -> str:
    if n_tuning:
        return (
            f"{names}: only {counted(n_tuning, 'run')} that served to choose a setting, no results"
        )
    reasons = "; ".join(f"{item.path}: {item.reason}" for item in skipped[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return f"no usable result in {names}: {reasons}{more}"
