"""Which runs can be trained together, and which should be."""

from __future__ import annotations

import json
import warnings
from collections.abc import Hashable, Mapping
from typing import Any

import torch

from alig_deepobs.errors import AligDeepobsError
from alig_deepobs.run import ResolvedRun, Run, facets
from alig_deepobs.runners.vectorized import Mode
from alig_deepobs.runners.vectorized.loss_rules import DFW, SPS, AliG, L4Adam, L4Mom, Momo
from alig_deepobs.runners.vectorized.rules import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    RMSprop,
    RMSpropTF1,
    Rule,
)
from alig_deepobs.testproblems import TestProblem
from alig_deepobs.testproblems.checks import find_device

MOST = 64
"""Runs that are trained together, at most."""
FEWEST = 4
"""Runs from which on it pays (`benchmarks/vectorized.py`): the first step is slow."""

RULES: Mapping[str, type[Rule]] = {
    "torch.optim:SGD": SGD,
    "torch.optim:Adam": Adam,
    "torch.optim:AdamW": AdamW,
    "torch.optim:RMSprop": RMSprop,
    "torch.optim:Adagrad": Adagrad,
    "alig_deepobs.optimizers.alig:AliG": AliG,
    "alig_deepobs.optimizers.rmsprop_tf1:RMSpropTF1": RMSpropTF1,
    "alig_deepobs.optimizers.l4:L4Mom": L4Mom,
    "alig_deepobs.optimizers.l4:L4Adam": L4Adam,
    "alig_deepobs.optimizers.dfw:DFW": DFW,
    "alig_deepobs.optimizers.sps:SPS": SPS,
    "alig_deepobs.optimizers.momo:Momo": Momo,
}
"""The optimizers that have an update rule for many networks, by factory."""

# What runs that are trained together may differ in, beside numbers among the hyper-parameters.
_FREE = {
    "optimizer_name", "hyperparams", "random_seed", "weight_decay", "training_params", "purpose",
    "setting_source", "tuning",
}  # fmt: skip
_SETTINGS = ("device", "threads", "data_dir", "offline", "compile")


class Grouping:
    """Decides which runs of a study are trained together.

    Args:
        mode: ``"auto"``: those that are faster together; ``"vectorized"``: all that can be;
            ``"processes"``: none.
    """

    def __init__(self, mode: Mode = "auto") -> None:
        self.mode = mode
        self.said: set[str] = set()

    most = MOST

    @property
    def fewest(self) -> int:
        """Runs from which on they are trained together."""
        return FEWEST if self.mode == "auto" else 2

    def key(self, run: ResolvedRun) -> Hashable | None:
        """The same for runs that are to be trained together; None: this one is trained alone."""
        if self.mode == "processes":
            return None
        reason = why_alone(run)
        if not reason and self.mode == "auto" and not is_faster(run):
            return None
        if reason:
            if self.mode == "vectorized" and reason not in self.said:
                self.said.add(reason)
                warnings.warn(f"{reason}: its runs are trained one by one", stacklevel=2)
            return None
        return _key(run)


def why_alone(run: ResolvedRun) -> str:
    """Why a run cannot be trained together with others; empty if it can."""
    if run.framework != "pytorch":
        return "vectorized runs need PyTorch"
    rule = RULES.get(run.entry.factory)
    if rule is None:
        return f"{run.optimizer} has no update rule for many networks at once"
    unknown = set(run.hyperparams) - rule.options
    if unknown:
        return f"{run.optimizer} with {', '.join(sorted(unknown))} has no such update rule"
    if run.precision != "float32" or run.channels_last:
        return "precision and channels_last are those of single networks"
    if run.time_limit is not None:
        return "a time limit is one of single runs"
    if run.checkpoint_interval is not None:
        return "checkpoints are those of single runs"
    if run.keep_best is not None:
        return "keep_best keeps the weights of single runs"
    problem = _problem_class(run)
    if problem is None or problem.side_by_side == "no":
        return f"{run.testproblem} cannot be computed for many networks at once"
    if problem.side_by_side == "cpu" and _device_type(run) not in ("cpu", ""):
        return f"what {run.testproblem} draws (dropout, codes) is alike on the CPU only"
    # Momo has a step size of its own for each factor of the L2 term.
    if rule is Momo and run.weight_decay and run.hyperparams.get("weight_decay") is None:
        return "Momo with an L2 term on a part of the weights has several step sizes"
    return ""


def is_faster(run: ResolvedRun) -> bool:
    """Whether training together is faster than one after the other (measured)."""
    problem = _problem_class(run)
    if problem is None:
        return False
    faster_on = {"gpu": ("cuda",), "anywhere": ("cpu", "cuda")}.get(problem.side_by_side, ())
    return _device_type(run) in faster_on


def _device_type(run: ResolvedRun) -> str:
    """Where it is trained; empty where there is no such device, which is said elsewhere."""
    try:
        return find_device(run.device).type
    except AligDeepobsError:
        return ""


def _problem_class(run: ResolvedRun) -> type[TestProblem] | None:
    found = run.problem.load()
    return found if isinstance(found, type) and issubclass(found, TestProblem) else None


def _key(run: ResolvedRun) -> str:
    numbers = RULES[run.entry.factory].numbers
    shape = {
        name: _kind(name, value) if name in numbers else value
        for name, value in run.hyperparams.items()
    }
    content = {
        "run": {name: getattr(run, name) for name in facets(Run) if name not in _FREE},
        "settings": [getattr(run, name) for name in _SETTINGS],
        "factory": run.entry.factory,
        "hyperparams": shape,
        "has_l2": run.weight_decay is not None,
        "training_params": sorted(run.training_params),
    }
    return json.dumps(content, sort_keys=True, default=str)


def _kind(name: str, value: Any) -> str:
    # Without momentum there is no buffer.
    return f"{name} {bool(value)}" if name == "momentum" else "number"


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import os

    from alig_deepobs.runners.startup import return_memory

    return_memory()  # what this process keeps is free, too
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on every system
        return 2**31
