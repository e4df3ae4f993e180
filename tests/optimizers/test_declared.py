"""What every optimizer declares: its arguments with their defaults, and what it wants of a runner.

The defaults are those of the authors' code where there is one; a change of them changes numbers.
"""

from __future__ import annotations

import inspect

import pytest

import alig_deepobs.optimizers as package
from alig_deepobs.registry import needs_loss_of

MUST = inspect.Parameter.empty
L4 = {
    "fraction": 0.15, "minloss_factor": 0.9, "init_factor": 0.75, "minloss_forget_time": 1000.0,
    "eps": 1e-12, "weight_decay": 0.0,
}  # fmt: skip
BATCHES = {"n_batches_per_epoch": "batches_per_epoch"}

# needs_loss, regularization, facts of the run, arguments that may be given by position.
DECLARED = {
    "AliG": ("value", "ball", {}, {
        "max_lr": None, "momentum": 0.0, "projection_fn": None, "eps": 1e-5,
        "adjusted_momentum": False,
    }),
    "AligPlus": ("per_example", "own", {"data_size": "data_size", "epochs": "num_epochs"}, {
        "lr": MUST, "data_size": MUST, "epochs": MUST, "weight_decay": 0.0, "momentum": 0.9,
        "num_updates": 5,
    }),
    "Aprox": ("value", "none", {}, {"lr": MUST, "power": 0.6, "f_min": 0.0, "eps": 0.0}),
    "BPGrad": ("value", "l2", {}, {
        "lr": MUST, "momentum": 0.0, "weight_decay": 0.0, "eps": 1e-5,
    }),
    "DFW": ("value", "own", {}, {"lr": MUST, "momentum": 0.0, "weight_decay": 0.0, "eps": 1e-5}),
    "L4Adam": ("value", "l2", {}, L4),
    "L4Mom": ("value", "l2", {}, L4),
    "Momo": ("value", "own", {}, {
        "lr": 1.0, "weight_decay": 0.0, "beta": 0.9, "lb": 0.0, "bias_correction": False,
        "use_fstar": False,
    }),
    "MomoAdam": ("value", "own", {}, {
        "lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "lb": 0.0,
        "divide": True, "use_fstar": False,
    }),
    "Polyak": ("value", "none", {}, {"f_star": 0.0}),
    "RMSpropTF1": ("nothing", "l2", {}, {
        "lr": 1e-3, "decay": 0.9, "momentum": 0.0, "eps": 1e-10,
    }),
    "SLS": ("closure", "l2", BATCHES, {
        "n_batches_per_epoch": 500, "init_step_size": 1.0, "c": 0.1, "beta_b": 0.9, "gamma": 2.0,
        "eta_max": 10.0,
    }),
    "SPS": ("value", "none", BATCHES, {
        "n_batches_per_epoch": 500, "init_step_size": 1.0, "c": 0.5, "gamma": 2.0,
        "eta_max": None, "adapt_flag": "smooth_iter", "f_star": 0.0, "eps": 1e-8,
    }),
    "Yogi": ("nothing", "l2", {}, {
        "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0,
        "initial_accumulator": 0.0,
    }),
}  # fmt: skip
# Of those that must be given by name, what is not None, 0 or False would be a surprise.
QUIET = (None, 0.0, False)


def test_every_optimizer_is_in_the_table():
    assert set(DECLARED) <= set(package.__all__)
    classes = {name for name in package.__all__ if inspect.isclass(getattr(package, name))}
    optimizers = {name for name in classes if hasattr(getattr(package, name), "step")}
    assert optimizers == set(DECLARED)


@pytest.mark.parametrize("name", DECLARED)
def test_declared(name):
    needs, regularization, facts, expected = DECLARED[name]
    method = getattr(package, name)
    assert needs_loss_of(method) == needs
    assert getattr(method, "regularization", "l2") == regularization
    assert getattr(method, "run_arguments", {}) == facts
    found, quiet = {}, {}
    for argument in list(inspect.signature(method).parameters.values())[1:]:
        by_name = argument.kind is inspect.Parameter.KEYWORD_ONLY
        (quiet if by_name else found)[argument.name] = argument.default
    assert found == expected
    assert list(found) == list(expected)
    assert all(value in QUIET for value in quiet.values())
    assert quiet["foreach"] is None
