"""What can be found wrong with a run before any run starts."""

from __future__ import annotations

import torch

from alig_deepobs.errors import UsageError
from alig_deepobs.registry import find_optimizer, find_testproblem
from alig_deepobs.runners.objective import build_optimizer
from alig_deepobs.runners.schedule import ScheduledRates, clip_norm_of, decay_of, schedule_of
from alig_deepobs.runners.spec import RunSpec
from alig_deepobs.runners.tensorflow.request import check_tensorflow
from alig_deepobs.testproblems.checks import find_device
from alig_deepobs.testproblems.datasets.fetch import require
from alig_deepobs.testproblems.datasets.sources import SOURCES


def check(spec: RunSpec) -> None:
    """Checks names, numbers, the optimizer's arguments, the device, and that the data is there.

    Data that is missing in the user's cache is downloaded now.

    Raises:
        UsageError: the specification makes no sense.
        DataError: data is missing.
    """
    spec = spec.complete()
    if spec.framework == "tensorflow":
        check_tensorflow(spec)
        return
    find_device(spec.device)
    entry = find_optimizer(spec.optimizer)
    # The constructor is the only one who knows its arguments; a small parameter will do.
    parameters = [torch.nn.Parameter(torch.zeros(2))]
    optimizer, _ = build_optimizer(entry.load(), entry, parameters, spec.hyperparams)
    try:
        ScheduledRates(
            optimizer, schedule_of(spec.training_params), decay_of(spec.training_params, spec.split)
        )
        clip_norm_of(spec.training_params, entry.needs_loss)
    except UsageError as error:
        raise UsageError(f"{spec.optimizer}: {error}") from error
    problem = find_testproblem(spec.testproblem)
    if problem.options:
        # The problem's constructor, too, is the only one who knows what its options may be.
        problem.load()(
            spec.batch_size, synthetic=spec.synthetic, data_dir=spec.data_dir,
            offline=spec.offline, device=spec.device, split=spec.split, **spec.problem_options,
        ).check_files()  # fmt: skip
    # Problems that let the user choose among several data sets call that option "corpus".
    source = SOURCES.get(spec.problem_options.get("corpus", problem.data_set))
    if source is not None and source.files and not spec.synthetic:
        require(source, spec.data_dir, spec.offline)
