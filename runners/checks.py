"""What can be found wrong with a run before any run starts."""

from __future__ import annotations

import torch

from alig_deepobs.registry import find_optimizer, find_testproblem
from alig_deepobs.runners.objective import build_optimizer
from alig_deepobs.runners.spec import RunSpec
from alig_deepobs.runners.tensorflow_request import check_tensorflow
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
    build_optimizer(entry.load(), entry, [torch.nn.Parameter(torch.zeros(2))], spec.hyperparams)
    source = SOURCES.get(find_testproblem(spec.testproblem).data_set)
    if source is not None and source.files and not spec.synthetic:
        require(source, spec.data_dir, spec.offline)
