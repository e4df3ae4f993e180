"""The best known setting of an optimizer on a problem, or a small grid to look for one.

A comparison is only as fair as its tuning. So every setting says where it comes from, and where
none is known every optimizer gets a grid of the same size.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alig_deepobs.baselines.committed import published_runs
from alig_deepobs.baselines.trivial import is_trivial
from alig_deepobs.registry import OptimizerEntry


@dataclass(frozen=True)
class KnownSetting:
    """A setting and where it comes from.

    Attributes:
        params: hyper-parameters under the registry's names; those left out keep their default.
        source: one line for a footnote: who chose it, and how.
    """

    params: dict[str, Any]
    source: str


# Problems that borrow the DeepOBS setting of another one: same network, data of the same form.
TRANSFERS = {"mnist_2c2d": "fmnist_2c2d"}

# Factors of the default for any other optimizer: as many as the grids of the catalog have values.
FACTORS = (0.01, 0.1, 1.0, 10.0, 100.0)

# Decades by which a grid is moved where the curvature or the scale of the loss asks for it.
# Adam's step does not depend on the scale of the gradient, so its grid stays, but for Beale.
#   two_d_*: curvatures of hundreds at the start; Beale's are far larger there (loss 170,000),
#     and only ALI-G's step shrinks with them. Adam's best rate there is 1: with a grid that ended
#     at 0.01 it lost to ALI-G, with this one it wins.
#   quadratic_deep: the largest curvature is 60, so steps above 2/60 blow up.
#   *_vae: the loss is a sum over pixels, so its gradients are tens of times larger; DeepOBS's
#     best rate for SGD is 0.004.
#   dnc_copy: the paper finds every cap of ALI-G from 0.1 to a million good there.
GRID_SHIFTS: dict[str, dict[str, int]] = {
    "two_d_rosenbrock": {"alig": -2, "sgd": -2, "momentum": -2},
    "two_d_branin": {"alig": -2, "sgd": -2, "momentum": -2},
    "two_d_beale": {"alig": -2, "sgd": -5, "momentum": -5, "adam": 3},
    "quadratic_deep": {"alig": -1, "sgd": -1, "momentum": -1},
    "mnist_vae": {"alig": -2, "sgd": -2, "momentum": -2},
    "fmnist_vae": {"alig": -2, "sgd": -2, "momentum": -2},
    "dnc_copy": {"alig": 3},
}


def known_setting(problem: str, optimizer: str) -> KnownSetting | None:
    """The best known setting of an optimizer on a problem, None where none is known.

    Settings that this project chose (``measured_settings.json``) come first, then those that
    DeepOBS chose for its baselines.

    Args:
        problem: name of the test problem.
        optimizer: name in the registry.

    Example:
        >>> known_setting("quadratic_deep", "momentum").params
        {'lr': 0.0025118864315, 'momentum': 0.99, 'nesterov': False}
        >>> known_setting("mnist_mlp", "sgd") is None
        True
    """
    measured = _measured().get(problem, {}).get(optimizer)
    if measured is not None:
        return KnownSetting(_as_declared(measured["params"]), measured["source"])
    origin = TRANSFERS.get(problem, problem)
    runs = published_runs(origin, optimizer)
    if not runs:
        return None
    params = _as_declared(runs[0].hyperparams)
    if problem in TRANSFERS:
        return KnownSetting(params, f"{origin}'s DeepOBS setting")
    source = runs[0].setting_source
    failed = sum(map(is_trivial, runs))
    if failed:
        # Otherwise the table would pass off a failed baseline as a tuned one.
        source += f"; there {failed} of {len(runs)} seeds did not beat a constant prediction"
    return KnownSetting(params, source)


def grid_for(problem: str, optimizer_entry: OptimizerEntry) -> list[dict[str, Any]]:
    """The settings to try where none is known: five values of the main hyper-parameter.

    They are those of the optimizer's entry (`OptimizerEntry.grid`); without one, its default times
    0.01 to 100. Where the main hyper-parameter is not a positive number there is nothing to scale,
    and the grid is its default alone. The other hyper-parameters keep their defaults.

    Args:
        problem: name of the test problem; some problems need smaller steps (`GRID_SHIFTS`).
        optimizer_entry: the optimizer.

    Example:
        >>> from alig_deepobs.registry import find_optimizer
        >>> grid_for("mnist_mlp", find_optimizer("sgd"))
        [{'lr': 0.01}, {'lr': 0.03}, {'lr': 0.1}, {'lr': 0.3}, {'lr': 1.0}]
        >>> [setting["max_lr"] for setting in grid_for("quadratic_deep", find_optimizer("alig"))]
        [0.001, 0.003, 0.01, 0.03, 0.1]
    """
    main = optimizer_entry.main_hyperparameter
    if main is None:
        return [{}]
    if optimizer_entry.grid:
        shifts = GRID_SHIFTS.get(problem, {})
        decades = shifts.get(optimizer_entry.rate_like or optimizer_entry.name, 0)
        return [{main: _rounded(value * 10.0**decades)} for value in optimizer_entry.grid]
    declared = optimizer_entry.hyperparameters[main]
    if declared.type is float and declared.default is not None and declared.default > 0:
        return [{main: _rounded(declared.default * factor)} for factor in FACTORS]
    return [{main: declared.default}]


def _rounded(value: float) -> float:
    """Drops the rounding noise of a product: 0.003, not 0.0030000000000000005."""
    return float(f"{value:.12g}")


def _as_declared(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with tuples, which optimizers want, for the lists that JSON has."""
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in params.items()
    }


@functools.cache
def _measured() -> dict[str, Any]:
    path = Path(__file__).with_name("measured_settings.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
