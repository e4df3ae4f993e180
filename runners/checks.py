"""What can be found wrong with a run before its first step, where only its framework knows."""

from __future__ import annotations

from typing import Any

import torch

from alig_deepobs.errors import UsageError
from alig_deepobs.run import ResolvedRun
from alig_deepobs.runners.arithmetic import check_arithmetic
from alig_deepobs.runners.objective import build_optimizer
from alig_deepobs.runners.schedule import ScheduledRates, clip_norm_of, decay_of, schedule_of
from alig_deepobs.runners.tensorflow.request import check_tensorflow


def check(run: ResolvedRun, optimizer_class: Any = None, *, check_data: bool = True) -> None:
    """Checks the optimizer's arguments, the schedule, the device and the problem's options.

    Args:
        run: the run.
        optimizer_class: the class to use instead of the one that the run names.
        check_data: False to leave files alone.

    Raises:
        UsageError: something makes no sense, or is not installed.
        DataError: a file is missing.
    """
    if run.framework == "tensorflow":
        check_tensorflow(run, check_data)
        return
    check_arithmetic(run)
    # The constructor is the only one who knows its arguments; a small parameter will do.
    parameters = [torch.nn.Parameter(torch.zeros(2))]
    optimizer, _ = build_optimizer(
        optimizer_class or run.entry.load(), run.entry, parameters, run.hyperparams
    )
    params = run.training_params
    try:
        ScheduledRates(optimizer, schedule_of(params), decay_of(params, run.split))
        clip_norm_of(params, run.entry.needs_loss)
    except UsageError as error:
        raise UsageError(f"{run.optimizer}: {error}") from error
    if run.problem.options:
        # The problem's constructor, too, is the only one who knows what its options may be.
        problem = run.problem.make(
            run.batch_size, synthetic=run.synthetic, data_dir=run.data_dir, offline=run.offline,
            device=run.device, split=run.split, **run.problem_options,
        )  # fmt: skip
        if check_data:
            problem.check_files()
