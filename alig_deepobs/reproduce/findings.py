"""What the runs of an experiment say: a figure for each method, and sentences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alig_deepobs.analysis import Interval, mean_interval, share_interval, widest_range
from alig_deepobs.reproduce.declare import Kind, Part
from alig_deepobs.reproduce.plan import Plan, PlannedMethod
from alig_deepobs.run import Outcome, RunResult
from alig_deepobs.runners.cells import CellOutcome
from alig_deepobs.words import counted

QUANTITIES: Mapping[Kind, str] = {
    Kind.TABLE: "test accuracy in %",
    Kind.CURVES: "final training objective",
    Kind.HEAT_MAP: "best final objective",
}

LEARNED = 0.01
"""A value has learned the task if its objective is at most this part of that before training."""

NEAR = 10.0
"""A value is near the best if, beyond that, it is within this factor of the best of all methods."""

TOP_5_PROBLEM = "imagenet_resnet18_alig"
TOP_5 = 0.99
"""The training accuracy of the paper's claim about ImageNet, whose accuracy is the top-5 one."""


@dataclass(frozen=True)
class Finding:
    """What came of a method.

    Attributes:
        kind: of the experiment.
        planned: the method.
        outcomes: of its cells; none if it was not run.
    """

    kind: Kind
    planned: PlannedMethod
    outcomes: Sequence[CellOutcome]

    @property
    def label(self) -> str:
        """The method's name in the paper."""
        return self.planned.method.label

    @property
    def runs(self) -> list[RunResult]:
        """The reported runs."""
        return [run for outcome in self.outcomes for run in outcome.runs]

    @property
    def published(self) -> float | None:
        """The paper's figure; None where it has none."""
        part = self.planned.part
        return {**part.also_published, **part.published}.get(self.label)

    @property
    def measured(self) -> Interval:
        """The same quantity as measured here; its n is 0 where there is nothing."""
        if self.kind is Kind.TABLE:
            best = [run.best_valid_test_accuracy for run in self.runs]
            found = share_interval([value for value in best if value is not None])
            return Interval(100 * found.mean, 100 * found.low, 100 * found.high, found.n)
        values = [value for value in map(objective, self.runs) if math.isfinite(value)]
        return mean_interval([min(values)] if values and self.kind is Kind.HEAT_MAP else values)

    @property
    def difference(self) -> float | None:
        """Measured minus published, None where they cannot be compared."""
        synthetic = any(run.synthetic for run in self.runs)
        if self.published is None or self.measured.n == 0 or synthetic:
            return None
        return self.measured.mean - self.published

    @property
    def knob(self) -> str:
        """The main hyper-parameter, which a heat map varies."""
        return next(iter(self.planned.method.grid))

    @property
    def objectives(self) -> dict[float, float]:
        """Value of the main hyper-parameter (infinity: no cap) -> objective, ascending."""
        found = {}
        for outcome in self.outcomes:
            value = outcome.runs[0].hyperparams[self.knob]
            found[math.inf if value is None else float(value)] = statistics.fmean(
                map(objective, outcome.runs)
            )
        return dict(sorted(found.items()))

    @property
    def setting(self) -> str:
        """The reported setting in the declaration's words, those knobs that make a difference.

        The word "chosen" says that a search chose it.
        """
        if not self.runs:
            return ""
        if self.kind is Kind.HEAT_MAP:
            best = min(self.objectives, key=self.objectives.__getitem__)
            return f"{self.knob} {best:g}, best of {len(self.objectives)}"
        run, method = self.runs[0], self.planned.method
        knobs = {
            "batch_size": run.batch_size, "l2": run.effective_weight_decay, **run.hyperparams,
        }  # fmt: skip
        names = [name for name in {**method.setting, **method.grid} if knobs.get(name) is not None]
        text = ", ".join(f"{name} {_short(knobs[name])}" for name in names)
        return f"chosen: {text}" if self.outcomes[0].tuning else text

    @property
    def note(self) -> str:
        """What is to be known about it: what went wrong first."""
        texts = []
        if not self.outcomes:
            reason = self.planned.refused
            texts.append(f"not run: {reason}" if reason else "not run here")
        tuning = [run for outcome in self.outcomes for runs in outcome.tuning for run in runs]
        if tuning and not any(run.outcome is Outcome.DONE for run in tuning):
            texts.append("every setting of the search diverged or failed")
        for kind in Outcome:
            bad = [run for run in self.runs if run.outcome is kind]
            if bad and kind is not Outcome.DONE:
                texts.append(f"{len(bad)} of {counted(len(self.runs), 'run')} {kind.value}")
        return "; ".join([*texts, *filter(None, [self.planned.method.note])])


def find(plan: Plan, outcomes: Iterable[CellOutcome]) -> list[Finding]:
    """What came of every method of a plan.

    Args:
        plan: the plan.
        outcomes: of its cells, in their order.
    """
    remaining = iter(outcomes)
    return [
        Finding(plan.experiment.kind, planned, [next(remaining) for _ in planned.cells])
        for planned in plan.methods
    ]


def objective(run: RunResult) -> float:
    """Mean loss of the last epoch's mini-batches; infinity for a run that did not get there."""
    if run.outcome is not Outcome.DONE or not run.epoch_mean_losses:
        return math.inf
    return run.epoch_mean_losses[-1]


def statements(plan: Plan, findings: Sequence[Finding]) -> list[str]:
    """What came out, computed from the runs, one sentence each."""
    if plan.experiment.kind is Kind.HEAT_MAP:
        return _ranges(findings)
    per_part = _ranking if plan.experiment.kind is Kind.TABLE else _against_alig
    sentences = []
    for part in plan.experiment.parts:
        of = [each for each in findings if each.planned.part is part and each.measured.n]
        sentences += per_part(part, of)
    return sentences + _epochs_to_accuracy(findings)


def limits(findings: Sequence[Finding]) -> dict[str, float]:
    """The highest objectives that are good, by two measures."""
    runs = [run for finding in findings for run in finding.runs]
    untrained = max((run.train_losses[0] for run in runs if run.train_losses), default=0.0)
    near = NEAR * min(map(objective, runs), default=math.inf)
    return {"learned": LEARNED * untrained, "near the best": min(near, LEARNED * untrained)}


def _ranking(part: Part, findings: Sequence[Finding]) -> list[str]:
    """The best method of those that were run, here and in the paper."""
    if not findings:
        return []
    highest = max(finding.measured.mean for finding in findings)
    best = [finding.label for finding in findings if finding.measured.mean == highest]
    text = f"{part.label}: best here {' and '.join(best)} ({highest:.2f} %)"
    figures = [finding.published for finding in findings if finding.published is not None]
    if figures:
        first = [finding.label for finding in findings if finding.published == max(figures)]
        text += f", of the same methods in the paper {' and '.join(first)} ({max(figures):g} %)"
    return [f"{text}."]


def _against_alig(part: Part, findings: Sequence[Finding]) -> list[str]:
    """How far ALI-G's final objective is from that of the best other method."""
    mine = [finding for finding in findings if finding.label == "ALI-G"]
    others = [finding for finding in findings if finding.label != "ALI-G"]
    if not mine or not others:
        return []
    own = mine[0].measured.mean
    best = min(others, key=lambda finding: finding.measured.mean)
    return [
        f"{part.label}: ALI-G's final objective is {own:.4g}, that of the best other method "
        f"({best.label}) is {best.measured.mean:.4g}: {best.measured.mean / own:.3g} times as high."
    ]


def _epochs_to_accuracy(findings: Sequence[Finding]) -> list[str]:
    """When 99 % of the training examples are right, where the experiment is about that."""
    sentences = []
    for finding in findings:
        for run in finding.runs if finding.planned.part.problem == TOP_5_PROBLEM else []:
            reached = [e for e, value in enumerate(run.train_accuracies) if value >= TOP_5]
            last = f"{run.train_accuracies[-1]:.1%}" if run.train_accuracies else "unknown"
            text = (
                f"after {counted(reached[0], 'epoch')}" if reached else f"never (at the end {last})"
            )
            sentences.append(
                f"{finding.label}: a top-5 training accuracy of {TOP_5:.0%} {text}."
            )  # fmt: skip
    return sentences


def _ranges(findings: Sequence[Finding]) -> list[str]:
    """How good the best value is, and who has the widest range of good ones."""
    found = limits(findings)
    untrained = found["learned"] / LEARNED
    best = min((objective(run) for finding in findings for run in finding.runs), default=math.inf)
    if not math.isfinite(best):
        return ["Every run diverged."]
    if best > found["learned"]:
        return [
            f"No value has learned the task: the best objective is {best:.3g}, and the loss before "
            f"training {untrained:.3g}."
        ]
    sentences = [
        f"Learned the task (objective at most {found['learned']:.3g}, {LEARNED:.0%} of the loss "
        f"before training): {_widest(findings, found['learned'])}",
        f"Near the best (at most {found['near the best']:.3g}, a factor {NEAR:g} from the best "
        f"objective {best:.3g}): {_widest(findings, found['near the best'])}",
    ]
    ranges = [widest_range(each.objectives, limit) for each in findings for limit in found.values()]
    if any(each.open_low or each.open_high for each in ranges):
        sentences.append("A range is open where the last value that was tried is good.")
    return sentences


def _widest(findings: Sequence[Finding], limit: float) -> str:
    """Who has the widest range, and the ranges of the others in their order."""
    ranges = {each.label: widest_range(each.objectives, limit) for each in findings if each.runs}
    ordered = sorted(ranges.items(), key=lambda pair: pair[1].rank, reverse=True)
    widest = ordered[0][1]
    first = [label for label, found in ordered if found.rank == widest.rank]
    others = [f"{label} {found}" for label, found in ordered if label not in first]
    text = f"the widest range has {' and '.join(first)}, {widest}."
    return f"{text} The others: {'; '.join(others)}." if others else text


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
