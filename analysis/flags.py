"""What a table of means hides: collapsed runs, steps that never adapted, assumptions that fail.

*Collapsed*: a run finished, but predicts no better than something that ignores its input.
DeepOBS's auto-encoders are the trap: every published Momentum run of ``mnist_vae`` that is finite
ends at the mean image, whose loss of 52.9 looks like a result, and passes the convergence
performance of 73.5 after one epoch.

*Non-interpolating*: the smallest training loss is not 0. ALI-G's step ``loss / |g|^2`` is Polyak's
step for a minimum of 0; where the minimum is higher, the step is too long near it and only the
cap holds it back.

*At the cap*: (nearly) all steps had the size of the cap. ALI-G is SGD then, with Nesterov's
momentum if it has one: for a constant step ``gamma``, ``w - gamma g + mu v`` with
``v = mu v - gamma g`` is that method's step. A cap that moves (SPS's ``smooth_iter``) is said to
have decided, not the loss. Step sizes are recorded in every ``train_log_interval``-th step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from alig_deepobs.analysis.formats import seeds_text
from alig_deepobs.analysis.frames import accuracy_curve, final_value, loss_curve
from alig_deepobs.analysis.groups import Group, group_runs
from alig_deepobs.baselines.trivial import (
    CONSTANT_ACCURACY,
    CONSTANT_LOSS,
    is_trivial_accuracy,
    is_trivial_loss,
)
from alig_deepobs.registry import ProblemEntry
from alig_deepobs.run import Outcome, RunResult
from alig_deepobs.words import counted

Kind = Literal["collapsed", "at_cap", "non_interpolating", "wrong_bound"]

# A share of steps from which on a step size did not adapt.
_NEARLY_ALL = 0.98

# A training loss above this share of that before training is not "nearly 0".
_FAR_FROM_ZERO = 0.01


@dataclass(frozen=True)
class Flag:
    """A warning and its evidence.

    Attributes:
        kind: what is wrong.
        problem: name of the test problem.
        label: the optimizer's row, empty if the whole problem is meant.
        seeds: the runs it is about.
        text: one sentence for a reader, with the numbers.
    """

    kind: Kind
    problem: str
    label: str
    seeds: tuple[int, ...]
    text: str


def find_flags(results: Sequence[RunResult], entry: ProblemEntry) -> list[Flag]:
    """All warnings about the runs of one comparison.

    Args:
        results: runs of one problem that can be compared.
        entry: the problem.

    Raises:
        UsageError: there is no run, or the runs cannot be compared.
    """
    groups = group_runs(results, entry)
    flags = [flag for group in groups if (flag := _collapsed_flag(group, entry))]
    flags += [flag for group in groups if (flag := _cap_flag(group, entry))]
    floor = _non_interpolating_flag([run for group in groups for run in group.runs], entry)
    if floor is not None:
        flags.append(floor)
        flags += [flag for group in groups if (flag := _bound_flag(group, entry))]
    return flags


def collapsed(result: RunResult, entry: ProblemEntry) -> str:
    """Why a finished run is no better than a prediction that ignores its input; empty if it is.

    An accuracy counts as collapsed up to 1.05 x the share of the most frequent class, the loss of
    an auto-encoder from 0.99 x that of the mean image, and any run whose training loss did not
    fall below that before training.

    Args:
        result: the run; one that did not finish is not judged.
        entry: its problem.
    """
    if result.outcome is not Outcome.DONE:
        return ""
    losses = loss_curve(result, "train")
    if len(losses) > 1 and losses[-1] >= losses[0]:
        return f"training loss {losses[-1]:.4g}, not below the {losses[0]:.4g} before training"
    if result.synthetic:
        return ""
    accuracies = accuracy_curve(result, "test")
    if accuracies and is_trivial_accuracy(entry.data_set, accuracies[-1]):
        return (
            f"test accuracy {100 * accuracies[-1]:.2f} %, and always predicting the most frequent "
            f"class gives {100 * CONSTANT_ACCURACY[entry.data_set]:.2f} %"
        )
    loss = final_value(result, loss_curve(result, "test"))
    if is_trivial_loss(entry.name, loss):
        return f"test loss {loss:.2f}, and the mean image gives {CONSTANT_LOSS[entry.name]:.1f}"
    return ""


def _collapsed_flag(group: Group, entry: ProblemEntry) -> Flag | None:
    reasons = {run.random_seed: collapsed(run, entry) for run in group.runs}
    seeds = tuple(seed for seed, reason in reasons.items() if reason)
    if not seeds:
        return None
    text = (
        f"{group.label}: {len(seeds)} of {counted(len(group.runs), 'run')} collapsed "
        f"({seeds_text(seeds)}): {reasons[seeds[0]]}"
    )
    if len(seeds) < len(group.runs):
        text += "; their mean with the others describes no run"
    return Flag("collapsed", entry.name, group.label, seeds, text)


def _non_interpolating_flag(runs: Sequence[RunResult], entry: ProblemEntry) -> Flag | None:
    """The lowest training loss of all runs is the evidence; the registry's word comes first."""
    if entry.interpolates:
        return None
    lowest = min(
        (run for run in runs if loss_curve(run, "train")),
        key=lambda run: min(loss_curve(run, "train")),
        default=None,
    )
    if lowest is None:
        return None
    curve = loss_curve(lowest, "train")
    loss, start = min(curve), curve[0]
    far = loss > _FAR_FROM_ZERO * abs(start)
    if entry.interpolates is None and not far:
        return None
    known = "does not interpolate" if entry.interpolates is False else "was not interpolated here"
    of = "the only run" if len(runs) == 1 else f"all {len(runs)} runs"
    text = (
        f"{entry.label} {known}: the lowest training loss of {of} is {loss:.4g} "
        f"({lowest.optimizer_name}, seed {lowest.random_seed}; {start:.4g} before training)"
    )
    if lowest.schema_version == 0 and entry.weight_decay:
        text += "; this loss includes the L2 term"
    return Flag("non_interpolating", entry.name, "", (lowest.random_seed,), text)


def share_at_cap(group: Group) -> float:
    """Mean share of the recorded steps at the cap, over epochs and runs; NaN where none is."""
    shares = [
        epoch["clipped_fraction"]
        for run in group.runs
        for epoch in run.step_sizes
        if math.isfinite(epoch.get("clipped_fraction", math.nan))
    ]
    return math.fsum(shares) / len(shares) if shares else math.nan


def _cap_flag(group: Group, entry: ProblemEntry) -> Flag | None:
    """A step size that did not adapt, and which method is left."""
    run, share = group.runs[0], share_at_cap(group)
    if not share > _NEARLY_ALL:
        return None
    text = f"{group.label}: {100 * share:.0f} % of its {_recorded(run)} were at the cap, so "
    if run.optimizer == "alig":
        momentum = run.hyperparams.get("momentum")
        text += (
            "it was SGD"
            + (f" with Nesterov momentum {momentum:g}" if momentum else "")
            + f" and the cap {run.learning_rate or math.inf:g} as learning rate"
        )
    elif run.hyperparams.get("adapt_flag") == "smooth_iter":
        text += "they grew as fast as smooth_iter lets them, whatever the losses were"
    else:
        text += "its step size did not adapt"
    seeds = tuple(run.random_seed for run in group.runs)
    return Flag("at_cap", entry.name, group.label, seeds, text)


def _recorded(run: RunResult) -> str:
    every = run.train_log_interval
    return "steps" if every == 1 else f"recorded steps (one in {every})"


def _bound_flag(group: Group, entry: ProblemEntry) -> Flag | None:
    """What a step size with a lower bound (``f_min``) did where that bound is wrong."""
    run = group.runs[0]
    bound = run.hyperparams.get("f_min")
    if not isinstance(bound, (int, float)):
        return None
    parts = [f"{group.label}: its step size assumes a smallest loss of {bound:g}"]
    lows = [min(curve) for run in group.runs if (curve := loss_curve(run, "train"))]
    if lows:
        parts.append(f"the lowest training loss it saw is {min(lows):.4g}")
    share = share_at_cap(group)
    if share <= _NEARLY_ALL:  # else there is a flag of its own; False for NaN, too
        parts.append(f"{100 * share:.0f} % of its {_recorded(run)} were at the cap")
    below = sum(run.guarded_steps.get("below_f_min", 0) for run in group.runs)
    if below:
        steps = sum(run.steps for run in group.runs)
        parts.append(
            f"{100 * below / max(1, steps):.0f} % of all steps had a loss at or below the bound: "
            "no step"
        )
    seeds = tuple(run.random_seed for run in group.runs)
    return Flag("wrong_bound", entry.name, group.label, seeds, "; ".join(parts))
