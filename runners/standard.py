"""DeepOBS's `StandardRunner` for programs of one's own."""

from __future__ import annotations

from typing import Any

from alig_deepobs.run import ResolvedRun
from alig_deepobs.runners.deepobs import runners
from alig_deepobs.runners.noise import own_random_state
from alig_deepobs.runners.training import set_up
from alig_deepobs.testproblems.checks import find_device


class StandardRunner(runners.StandardRunner):
    """Runs an optimizer on test problems and writes results in DeepOBS's folder tree.

    It is DeepOBS's runner (`alig_deepobs.runners.deepobs.runners.PTRunner` has the arguments), but
    the command line is never read, ``deepobs.config`` plays no part, and nothing of the process is
    changed, its random state included.

    Example:
        >>> import torch
        >>> runner = StandardRunner(torch.optim.SGD, {"lr": {"type": float}})
        >>> output = runner.run(
        ...     testproblem="quadratic_deep", hyperparams={"lr": 0.01}, num_epochs=1, no_logs=True
        ... )
        >>> round(output["test_losses"][0], 3)
        353.447
    """

    is_script = False

    def _set_up(self, run: ResolvedRun) -> Any:
        with own_random_state(run.random_seed, find_device(run.device)):
            return set_up(run)
