"""Options that several verbs share, under DeepOBS's names and with dashes too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from alig_deepobs.catalog import TESTPROBLEMS
from alig_deepobs.registry import HyperParameter

Function = TypeVar("Function", bound=Callable[..., Any])


def option(*names: str, **settings: Any) -> Callable[[Function], Function]:
    """A click option; ``--batch_size`` is also understood as ``--batch-size``."""
    long = next(name for name in names if name.startswith("--"))
    dashed = [name.replace("_", "-") for name in names if "_" in name.lstrip("-")]
    return click.option(*names, *dashed, long.lstrip("-").replace("-", "_"), **settings)


def run_options(function: Function) -> Function:
    """What shapes a run, beside the problem and the optimizer."""
    function = training_options(function)
    for decorate in reversed(
        (
            option("-N", "--num_epochs", type=click.IntRange(min=0),
                   help="Epochs; by default the problem's."),
            option("--batch_size", "--bs", type=click.IntRange(min=1),
                   help="Mini-batch size; by default the problem's."),
            option("--weight_decay", "--wd", type=click.FloatRange(min=0),
                   help="L2 factor; by default the problem's."),
            option("-r", "--random_seed", type=int, default=42, show_default=True,
                   help="Seed, or the first of several."),
            option("--data_dir", type=click.Path(file_okay=False),
                   help="Folder with the data files; by default the user's cache."),
            option("--output_dir", type=click.Path(file_okay=False), default="results",
                   show_default=True, help="Folder for the results."),
            option("--train_log_interval", type=click.IntRange(min=1), default=10,
                   show_default=True, help="Steps between two logged mini-batch losses."),
            click.option("--reshuffle/--no-reshuffle", default=None,
                   help="New batch order in every epoch, or one for the run; by default the "
                   "problem's (DeepOBS: one for the run)."),
            option("--device", help="cpu, cuda, cuda:1, ...; by default the GPU if there is one."),
            option("--synthetic", is_flag=True,
                   help="Train on the small synthetic twin of the data set."),
            option("--offline", is_flag=True, help="Never touch the network."),
        )
    ):  # fmt: skip
        function = decorate(function)
    return problem_options(function)


def _numbers(kind: type[int] | type[float]) -> Callable[..., list[float] | None]:
    """Reads a list of numbers: ``60,120,160``, or with blanks, in quotes."""

    def read(_: click.Context, __: click.Parameter, value: str | None) -> list[float] | None:
        try:
            return None if value is None else [kind(w) for w in value.replace(",", " ").split()]
        except ValueError:
            raise click.BadParameter(f"{value!r} is not a list of numbers such as 60,120") from None

    return read


TRAINING_OPTIONS: dict[str, dict[str, Any]] = {
    "lr_sched_epochs": {
        "callback": _numbers(int), "metavar": "LIST",
        "help": "Change the learning rate after so many epochs, for example 60,120.",
    },
    "lr_sched_factors": {
        "callback": _numbers(float), "metavar": "LIST",
        "help": "Factors of the base learning rate from these epochs on, for example 0.2,0.04.",
    },
    "lr_decay_per_epoch": {
        "type": float, "help": "Multiply the learning rate by this in every epoch but the first.",
    },
    "lr_plateau_factor": {
        "type": float,
        "help": "Multiply the learning rate by this after each epoch without a new best validation "
        "metric.",
    },
    "clip_norm": {
        "type": float, "help": "Scale gradients down to this norm where it is larger.",
    },
}  # fmt: skip


def training_options(function: Function) -> Function:
    """Schedules and clipping; the function gets those that were given as ``training_params``."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in TRAINING_OPTIONS}
        chosen = {name: value for name, value in given.items() if value is not None}
        return function(*args, training_params=chosen, **kwargs)

    decorated: Any = wrapper
    for name, settings in reversed(TRAINING_OPTIONS.items()):
        decorated = option(f"--{name}", **settings)(decorated)
    return decorated  # type: ignore[no-any-return]


def problem_options(function: Function) -> Function:
    """One flag for each option of a test problem; the function gets them as ``problem_options``.

    Only the flags that were given are in that dictionary.
    """
    declared: dict[str, tuple[HyperParameter, list[str]]] = {}
    choices: dict[str, dict[Any, None]] = {}
    for entry in TESTPROBLEMS:
        for name, parameter in entry.options.items():
            declared.setdefault(name, (parameter, []))[1].append(entry.name)
            choices.setdefault(name, {}).update(dict.fromkeys(parameter.choices))

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = {name: kwargs.pop(name) for name in declared}
        chosen = {name: value for name, value in given.items() if value is not None}
        return function(*args, problem_options=chosen, **kwargs)

    decorated: Any = wrapper
    for name, (parameter, of) in reversed(declared.items()):
        text = f"{parameter.help} ({', '.join(of)})"
        if parameter.type is bool:
            dashed = name.replace("_", "-")
            decorated = click.option(
                f"--{name}/--no-{dashed}", name, default=None, help=text
            )(decorated)  # fmt: skip
        else:
            words = "|".join(map(str, choices[name])) or None
            decorated = option(
                f"--{name}", type=parameter.type, metavar=words, help=text
            )(decorated)  # fmt: skip
    return decorated  # type: ignore[no-any-return]
