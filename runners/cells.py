"""Cells, which a plan is made of: an optimizer on a problem, its candidates, how one is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from alig_deepobs.errors import UsageError
from alig_deepobs.foreign import plain_scalar
from alig_deepobs.run import RunResult, RunSpec
from alig_deepobs.runners.selection import Rule
from alig_deepobs.spaces import Axis


class Search(Protocol):
    """Says which settings to try next, from what the ones so far have shown."""

    def more(
        self, candidates: Sequence[RunSpec], scores: Sequence[tuple[float, ...]]
    ) -> Sequence[RunSpec]:
        """Further settings; empty if the best one is to be chosen now.

        The same candidates and scores always give the same settings, so that a study goes on where
        it stopped.

        Args:
            candidates: the settings so far.
            scores: what they are compared by (`Rule.scores`); lower is better.
        """


@dataclass(frozen=True)
class Cell:
    """One optimizer on one problem in a study.

    Attributes:
        candidates: the settings to start with, as they would be reported, without their seed.
        seeds: the seeds to report the chosen one with.
        rule: how one of several candidates is chosen; a single one is taken as it is.
        search: what may be tried after these; None: nothing.
        protocol: name of the way in which the settings came about; empty if it has none.
        axes: what the settings differ in.
    """

    candidates: tuple[RunSpec, ...]
    seeds: tuple[int, ...]
    rule: Rule = field(default_factory=Rule)
    search: Search | None = None
    protocol: str = ""
    axes: tuple[Axis, ...] = ()

    def __post_init__(self) -> None:
        """Checks the seeds, which may be numbers of NumPy.

        Raises:
            UsageError: they are no different numbers.
        """
        seeds = tuple(map(plain_scalar, self.seeds)) if isinstance(self.seeds, Iterable) else ()
        if len(set(seeds)) < len(seeds) or not isinstance(self.seeds, Iterable):
            raise UsageError(f"seeds must be different numbers such as (42, 43), not {self.seeds}")
        object.__setattr__(self, "seeds", seeds)

    def tuning(self, candidates: Sequence[RunSpec]) -> list[RunSpec]:
        """The runs that only serve to choose, candidate by candidate; none without a choice."""
        if len(self.candidates) < 2 and self.search is None:
            return []
        return [spec for candidate in candidates for spec in self.rule.runs(candidate)]

    def reported(
        self, candidates: Sequence[RunSpec], chosen: int, *, failed: bool = False
    ) -> list[RunSpec]:
        """The runs that are reported, where the candidate of this number was chosen.

        ``failed`` says that none came to its end.
        """
        spec = candidates[chosen]
        tuning = {**spec.tuning, **({"protocol": self.protocol} if self.protocol else {})}
        if len(candidates) > 1:
            end = self.end(candidates, chosen)
            tuning |= self.rule.facts(candidates)
            tuning |= {"range": self.tried(candidates)} if self.axes else {}
            tuning |= {"at_end": end} if end else {}
            source = self.rule.source(candidates)
            if failed:
                source = f"no setting came to its end, this one got furthest; {source}"
                tuning["failed"] = True
            source = f"{self.protocol}: {source}" if self.protocol else source
            source = f"{source}; {end}" if end else source
            spec = replace(spec, setting_source=source)
        return [replace(spec, tuning=tuning, random_seed=seed) for seed in self.seeds]

    def tried(self, candidates: Sequence[RunSpec]) -> str:
        """What the settings differ in, and over which range."""
        if len(self.axes) == 1 and not self.axes[0].values:
            name = self.axes[0].name
            values = [spec.hyperparams[name] for spec in candidates]
            return f"{name} in {min(values):g} to {max(values):g}"
        return ", ".join(map(str, self.axes))

    def end(self, candidates: Sequence[RunSpec], chosen: int) -> str:
        """Says so where the chosen value of a single axis is the last one that was tried."""
        if len(self.axes) != 1 or len(candidates) < 3:
            return ""
        name = self.axes[0].name
        values = [spec.hyperparams[name] for spec in candidates]
        best = values[chosen]
        if not all(isinstance(value, (int, float)) for value in values):
            return ""
        if best not in (min(values), max(values)):
            return ""
        side = "smallest" if best == min(values) else "largest"
        return f"the {side} {name} that was tried: another may be better"


@dataclass
class CellOutcome:
    """What came of a cell.

    Attributes:
        cell: the cell.
        candidates: the settings that were tried.
        tuning: for each candidate, the runs that served to choose; empty where nothing was chosen.
        chosen: number of the chosen candidate.
        runs: the reported runs, by seed in the order of the cell.
    """

    cell: Cell
    candidates: list[RunSpec] = field(default_factory=list)
    tuning: list[list[RunResult]] = field(default_factory=list)
    chosen: int = 0
    runs: list[RunResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.candidates = self.candidates or list(self.cell.candidates)
        if self.cell.tuning(self.candidates):
            self.tuning = self.tuning or [[] for _ in self.candidates]
