"""The best known setting of an optimizer on a problem, or a small grid to look for one.

A comparison is only as fair as its tuning. So every setting says where it comes from, and where
none is known every optimizer gets a grid of the same size.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from alig_deepobs.baselines.published import published_result, read_table, tuples_for_lists
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

# The values of the main hyper-parameter that are tried where no setting is known.
GRIDS: dict[str, tuple[float, ...]] = {
    "alig": (1e-2, 3e-2, 1e-1, 3e-1, 1.0),
    "sgd": (1e-2, 3e-2, 1e-1, 3e-1, 1.0),
    "momentum": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "adam": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "nesterov": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "adagrad": (3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
    "amsgrad": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "adamw": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "rmsprop": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "rmsprop_tf1": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "yogi": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "l4adam": (1.5e-2, 5e-2, 1.5e-1, 2.5e-1, 5e-1),
    "l4mom": (1.5e-2, 5e-2, 1.5e-1, 2.5e-1, 5e-1),
    "dfw": (1e-2, 3e-2, 1e-1, 3e-1, 1.0),
    "bpgrad": (1e-2, 3e-2, 1e-1, 3e-1, 1.0),
    "aprox": (3e-1, 1.0, 3.0, 10.0, 30.0),
    "sps": (0.1, 0.2, 0.5, 1.0, 2.0),
    "sls": (0.01, 0.05, 0.1, 0.2, 0.5),
    "momo": (1e-1, 3e-1, 1.0, 3.0, 10.0),
    "momo_adam": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    "alig_plus": (1e-2, 3e-2, 1e-1, 3e-1, 1.0),
    "schedulefree_sgd": (1e-1, 3e-1, 1.0, 3.0, 10.0),
    "schedulefree_adamw": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    "prodigy": (0.25, 0.5, 1.0, 2.0, 4.0),
}

# Factors of the default for any other optimizer: as many as a grid above has values.
FACTORS = (0.01, 0.1, 1.0, 10.0, 100.0)

# Optimizers whose rate means what the rate of another one means.
SHIFTS_LIKE = {
    "nesterov": "momentum",
    "schedulefree_sgd": "sgd",
    "dfw": "alig",
    "aprox": "alig",
    "momo": "alig",
    "alig_plus": "alig",
    # A step of BPGrad has the length lr times loss.
    "bpgrad": "alig",
}

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
        return KnownSetting(tuples_for_lists(measured["params"]), measured["source"])
    found = published_result(TRANSFERS.get(problem, problem), optimizer)
    if found is None:
        return None
    if problem in TRANSFERS:
        return KnownSetting(found.params, f"{found.problem}'s DeepOBS setting")
    source = "DeepOBS baselines (36 rates, best final test result of one seed)"
    if found.trivial_seeds:
        # Otherwise the table would pass off a failed baseline as a tuned one.
        failed, seeds = len(found.trivial_seeds), len(found.per_seed)
        source += f"; there {failed} of {seeds} seeds did not beat a constant prediction"
    return KnownSetting(found.params, source)


def grid_for(problem: str, optimizer_entry: OptimizerEntry) -> list[dict[str, Any]]:
    """The settings to try where none is known: five values of the main hyper-parameter.

    The other hyper-parameters keep their defaults. An optimizer that this package does not know
    gets its default times 0.01 to 100. Where the main hyper-parameter is not a positive number
    there is nothing to scale, and the grid is its default alone.

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
    declared = optimizer_entry.hyperparameters[main]
    if optimizer_entry.name in GRIDS:
        like = SHIFTS_LIKE.get(optimizer_entry.name, optimizer_entry.name)
        decades = GRID_SHIFTS.get(problem, {}).get(like, 0)
        return [{main: _shifted(value, decades)} for value in GRIDS[optimizer_entry.name]]
    if declared.type is float and declared.default is not None and declared.default > 0:
        return [{main: _rounded(declared.default * factor)} for factor in FACTORS]
    return [{main: declared.default}]


def _shifted(value: float, decades: int) -> float:
    return _rounded(value * 10.0**decades)


def _rounded(value: float) -> float:
    """Drops the rounding noise of a product: 0.003, not 0.0030000000000000005."""
    return float(f"{value:.12g}")


@functools.cache
def _measured() -> dict[str, Any]:
    return read_table("measured_settings.json")
