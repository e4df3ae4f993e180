"""What a checkpoint must be for a run to go on from it.

A wrong value is found before anything of the run is changed. What only shows when it is used, such
as a state that does not fit its optimizer, makes `alig_deepobs.runners.training` start anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from alig_deepobs.foreign import brief
from alig_deepobs.results import parse_result, to_json
from alig_deepobs.run import PARTS, Outcome, RunResult
from alig_deepobs.runners.checkpoint import measured


def check_content(
    content: Mapping[str, Any],
    started: RunResult,
    net: nn.Module,
    sets: Sequence[str],
    steps_per_epoch: int,
) -> None:
    """Checks the record, the place in the run, what the epoch has logged, and the weights.

    Args:
        content: of the file.
        started: the result of the run as it stands before its first step.
        net: its network.
        sets: what is evaluated: some of ``train``, ``valid`` and ``test``.
        steps_per_epoch: mini-batches in a training epoch.

    Raises:
        ResultError, ValueError: the message says what is wrong.
        KeyError, TypeError: something is missing, or of another kind.
    """
    result = _checked_record(content["result"], started)
    epochs, evaluations = len(result.training_seconds), len(result.test_losses)
    if content["epoch"] is None:
        if evaluations not in (epochs, epochs + 1):
            raise ValueError(f"it has {evaluations} evaluations after {epochs} epochs")
    else:
        _check_epoch(content["epoch"], epochs, evaluations, result, steps_per_epoch)
    for part in PARTS:
        wanted = evaluations if part in sets else 0
        for kind in ("losses", "data_losses"):
            if len(getattr(result, f"{part}_{kind}")) != wanted:
                raise ValueError(f"its {part}_{kind} are not those of {wanted} evaluations")
        if len(getattr(result, f"{part}_accuracies")) not in (0, wanted):
            raise ValueError(f"its {part}_accuracies are not those of {wanted} evaluations")
    if not all(map(_is_count, content["resumed"])):
        raise ValueError("its places of resumption are no numbers of steps")
    plateaus, best = content["rates"]["plateaus"], content["rates"]["best"]
    if not _is_count(plateaus) or not (best is None or _is_number(best)):
        raise ValueError("its schedule has no numbers where it must have them")
    if not _is_number(content["seconds"]) or not 0 <= content["seconds"] < math.inf:
        raise ValueError(f"its time is {brief(content['seconds'])}")
    _check_weights(content["net"], net.state_dict())


def _checked_record(values: Mapping[str, Any], started: RunResult) -> RunResult:
    """The result with what was measured; nothing else of it may come from the file."""
    if values.keys() != measured(started).keys():
        raise ValueError("its record has other fields")
    # Only a result that is done has to be whole.
    result = replace(started, **values, outcome=Outcome.INTERRUPTED)
    return parse_result(json.dumps(to_json(result)).encode(), Path("its record"))


def _check_epoch(
    state: Mapping[str, Any], epochs: int, evaluations: int, result: RunResult, steps_per_epoch: int
) -> None:
    steps = state["steps"]
    if evaluations != epochs + 1 or state["number"] != evaluations or epochs >= result.num_epochs:
        raise ValueError(f"it is in epoch {brief(state['number'])}, but its record is not")
    if not _is_count(steps) or not steps <= min(steps_per_epoch, result.steps):
        raise ValueError(f"it is at step {brief(steps)} of {steps_per_epoch} in an epoch")
    logged = -(-steps // result.train_log_interval)
    sizes = [size for pair in state["sizes"] for size in pair]
    if len(state["losses"]) != logged or len(sizes) not in (0, 2 * logged):
        raise ValueError("its epoch has not as many losses and sizes as logged steps")
    numbers = (state["full_steps"], state["seconds"], state["total"], *state["losses"], *sizes)
    if not all(_is_number(x) or (isinstance(x, Tensor) and x.ndim == 0) for x in numbers):
        raise ValueError("its epoch has logged something that is no number")


def _check_weights(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if found.keys() != expected.keys():
        raise ValueError("its weights are those of another network")
    for name, value in expected.items():
        if isinstance(value, Tensor) and (
            type(found[name]) is not Tensor
            or (found[name].shape, found[name].dtype) != (value.shape, value.dtype)
        ):
            raise ValueError(f"its weights {name} have not the form of the network's")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return type(value) in (float, int)
