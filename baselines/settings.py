"""The best known setting of an optimizer on a problem, with where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alig_deepobs.baselines.committed import measured_results, published_runs
from alig_deepobs.baselines.trivial import is_trivial
from alig_deepobs.words import counted


@dataclass(frozen=True)
class KnownSetting:
    """A setting and where it comes from.

    Attributes:
        params: hyper-parameters under the registry's names; those left out keep their default.
        source: one line for a footnote: who chose it, and how.
        problem: the test problem that it was chosen on.
        num_epochs: the length of the runs that it was chosen by.
    """

    params: dict[str, Any]
    source: str
    problem: str
    num_epochs: int


# Problems that borrow the DeepOBS setting of another one: same network, data of the same form.
TRANSFERS = {"mnist_2c2d": "fmnist_2c2d"}


def known_setting(problem: str, optimizer: str) -> KnownSetting | None:
    """The best known setting of an optimizer on a problem, None where none is known.

    Those that DeepOBS chose for its baselines come first, then those of the measured results, which
    were chosen on equal terms; of several lengths of runs the greatest.

    Args:
        problem: name of the test problem.
        optimizer: name in the registry.

    Example:
        >>> known_setting("quadratic_deep", "momentum").params
        {'lr': 0.0025118864315, 'momentum': 0.99, 'nesterov': False}
        >>> known_setting("tolstoi_char_rnn", "alig") is None
        True
    """
    origin = TRANSFERS.get(problem, problem)
    runs = published_runs(origin, optimizer)
    if not runs:
        measured = [
            run
            for run in measured_results(problem)
            if run.optimizer == optimizer and run.tuning.get("protocol") == "equal"
        ]
        if not measured:
            return None
        run = max(measured, key=lambda run: run.num_epochs)
        params = _as_declared(run.hyperparams)
        return KnownSetting(params, run.setting_source, problem, run.num_epochs)
    params = _as_declared(runs[0].hyperparams)
    source = runs[0].setting_source
    failed = sum(map(is_trivial, runs))
    if failed:
        # Otherwise the table would pass off a failed baseline as a tuned one.
        source += (
            f"; there {failed} of {counted(len(runs), 'seed')} did not beat a constant prediction"
        )
    return KnownSetting(params, source, origin, runs[0].num_epochs)


def _as_declared(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with tuples, which optimizers want, for the lists that JSON has."""
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in params.items()
    }
