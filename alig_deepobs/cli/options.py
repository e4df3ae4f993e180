"""Options that several verbs share, under DeepOBS's names and with dashes too.

What shapes a run becomes an option by the metadata of its field (`alig_deepobs.run.Facet`).
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from alig_deepobs.catalog import TESTPROBLEMS
from alig_deepobs.entries import HyperParameter
from alig_deepobs.run import TRAINING_PARAMS, Facet, ResolvedRun, RunSpec, facets, value_types
from alig_deepobs.runners.places import Place
from alig_deepobs.runners.vectorized import MODES

Function = TypeVar("Function", bound=Callable[..., Any])

MOST_SEEDS = 10_000
"""Repetitions that are planned; each is held in memory, and a file may ask for any number."""


def option(*names: str, **settings: Any) -> Callable[[Function], Function]:
    """A click option; ``--batch_size`` is also understood as ``--batch-size``."""
    long = next(name for name in names if name.startswith("--"))
    dashed = [name.replace("_", "-") for name in names if "_" in name.lstrip("-")]
    return click.option(*names, *dashed, long.lstrip("-").replace("-", "_"), **settings)


def with_options(function: Any, options: Iterable[Callable[[Any], Any]]) -> Any:
    """A function with options, of which ``--help`` shows the last one first."""
    for each in options:
        function = each(function)
    return function


optimizers_option = option(
    "--optimizers", default="alig,sgd,momentum,adam", show_default=True, metavar="LIST",
    help="Names or settings, with commas; what a setting has in [...] is fixed.",
)  # fmt: skip
reference_option = option(
    "--reference", metavar="NAME",
    help="Optimizer with which every other is compared, beside the best; by default ALI-G, where "
    "it takes part.",
)  # fmt: skip


def run_options(*without: str) -> Callable[[Function], Function]:
    """What shapes a run, beside the problem and the optimizer; the function gets the values.

    Args:
        *without: fields that the verb itself decides on.
    """
    names = [name for name, facet in facets(ResolvedRun).items() if facet.flags is not None]

    def decorate(function: Function) -> Any:
        function = _dictionary("training_params", TRAINING_PARAMS)(function)
        function = field_options(*(name for name in names if name not in without))(function)
        return problem_options(function)

    return decorate


def field_options(*names: str) -> Callable[[Function], Function]:
    """The options of some fields of a run; the function gets their values.

    Args:
        *names: the fields; those that are not asked for in a `RunSpec` have none.
    """
    known = facets(ResolvedRun)
    types_of = value_types(ResolvedRun)
    defaults = {item.name: item.default for item in dataclasses.fields(RunSpec)}

    def decorate(function: Function) -> Any:
        options = [
            _field_option(name, known[name], types_of[name], defaults[name])
            for name in reversed(names)
            if name in defaults
        ]
        return with_options(function, options)

    return decorate


def study_options(output_dir: str = "results") -> Callable[[Function], Function]:
    """The folder of a study, and ``how`` it is carried out: further arguments of `carry_out`."""

    def decorate(function: Function) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            how = {name: kwargs.pop(name) for name in ("force", "dry_run", "emit")}
            how["place"] = _place(kwargs)
            return function(*args, how=how, **kwargs)

        options = (
            option("--dry_run", is_flag=True, help="Only show the runs and their estimated time."),
            option("--force", is_flag=True,
                   help="Run again what is in the folder; new results take the place of old ones."),
            option("--jobs", metavar="N|auto", callback=_jobs,
                   help="Runs at the same time, each on its share of the cores; auto: one for "
                   "each core; by default 1, on a cluster as many as it has room for."),
            option("--executor", type=click.Choice([*MODES, "ray", "slurm"]), default="auto",
                   show_default=True, help="Where and how runs happen. auto: here, and those that "
                   "differ in numbers alone as one computation, where that is faster; vectorized: "
                   "wherever it can be done; processes: never; ray: on a Ray cluster; slurm: as "
                   "jobs of Slurm."),
            option("--address", metavar="ADDRESS",
                   help="Ray cluster to use, auto for that of this machine; by default one is "
                   "started here."),
            option("--cpus", type=click.IntRange(min=1), default=1, metavar="N",
                   help="CPUs of each run on a cluster."),
            option("--gpus", type=click.FloatRange(min=0), default=0.0, metavar="X",
                   help="GPUs of each run on a cluster; with Ray, runs may share one."),
            option("--retries", type=click.IntRange(min=0), default=3, metavar="N",
                   help="On a cluster, start a run that died so often again."),
            option("--slurm", multiple=True, metavar="NAME=VALUE", callback=_pairs,
                   help="Option of Slurm, such as partition=gpu; repeatable."),
            option("--ddp", type=click.IntRange(min=1), default=1, metavar="N",
                   help="Processes of one run, each with its part of every mini-batch."),
            option("--log", multiple=True,
                   type=click.Choice(["tensorboard", "wandb", "mlflow", "csv"]),
                   help="Log every run while it goes on, through that package; repeatable. Files "
                   "lie in the folder log of the results."),
            option("--emit", type=click.Path(dir_okay=False), metavar="FILE",
                   help="Run nothing; write one command for each run that is missing."),
            option("--output_dir", type=click.Path(file_okay=False), default=output_dir,
                   show_default=True, help="Folder for the results."),
        )  # fmt: skip
        return with_options(wrapper, options)

    return decorate


def protocol_options() -> Callable[[Function], Function]:
    """How settings are chosen; the function gets a `Protocol` as ``protocol``."""

    def decorate(function: Function) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, protocol: str, grid: tuple[str, ...], tuning_seeds: int | None,
                    force_known: bool, **kwargs: Any) -> Any:  # fmt: skip
            from alig_deepobs.protocols import Protocol  # with the engine, which takes a while

            parsed = Protocol.parse(protocol, grid, tuning_seeds, force_known)
            return function(*args, protocol=parsed, **kwargs)

        options = (
            option("--force_known", is_flag=True,
                   help="With known: take settings also where they were tuned for another problem "
                   "or another number of epochs."),
            option("--tuning_seeds", type=click.IntRange(1, MOST_SEEDS),
                   help="Runs of each setting that serve to choose; by default 3."),
            option("--grid", multiple=True, metavar="NAME:PARAM=VALUES",
                   help="Values to choose from, for example "
                   "'alig:max_lr=1e-3..10/9,momentum=0|0.9'; once for each optimizer."),
            option("--protocol", default="equal", show_default=True, metavar="NAME",
                   help="How settings are chosen: equal (as many trials for every optimizer), "
                   "budget:N, halving:N, tpe:N (N trials over all hyper-parameters), grid (the "
                   "values of --grid), "
                   "deepobs (36 rates, by the test set), known (the literature's), defaults."),
        )  # fmt: skip
        return with_options(wrapper, options)

    return decorate


def _place(values: dict[str, Any]) -> Place:
    """Takes what makes up the place out of the values of the options."""
    ddp, executor = values.pop("ddp"), values.pop("executor")
    if ddp > 1 and executor not in MODES:
        raise click.UsageError("--ddp runs here: leave --executor out")
    names = ("jobs", "address", "cpus", "gpus", "retries", "slurm", "log")
    return Place(
        executor="ddp" if ddp > 1 else executor, processes=ddp,
        **{name: values.pop(name) for name in names},
    )  # fmt: skip


def _field_option(
    name: str, facet: Facet, kind: Any, default: Any
) -> Callable[[Function], Function]:
    """The option of a field of a run."""
    settings: dict[str, Any] = {"help": facet.help}
    if default is not None and not isinstance(default, bool):
        settings |= {"default": default, "show_default": True}
    if kind is bool and default is None:
        return click.option(f"--{name}/--no-{name}", default=None, **settings)
    if kind is bool:
        return option(f"--{name}", is_flag=True, **settings)
    if facet.choices:
        settings["type"] = click.Choice(facet.choices)
    elif facet.minimum is not None:
        ranges = {int: click.IntRange, float: click.FloatRange}
        settings |= {"type": ranges[kind](min=facet.minimum), "metavar": facet.metavar}
    elif facet.metavar == "DIR":
        settings |= {"type": click.Path(file_okay=False), "metavar": facet.metavar}
    else:
        settings["type"] = kind
    short = [flag for flag in facet.flags or () if not flag.startswith("--")]
    others = [flag for flag in facet.flags or () if flag.startswith("--")]
    return option(*short, f"--{name}", *others, **settings)


def _pairs(
    _: click.Context, __: click.Parameter, value: tuple[str, ...]
) -> dict[str, str | int]:  # fmt: skip
    """Reads ``name=value``."""
    pairs = [pair.partition("=") for pair in value]
    for name, equals, text in pairs:
        if not name or not equals:
            raise click.BadParameter(f"{name + equals + text!r} is not NAME=VALUE")
    # As text where a number would be written in another way: account=007.
    return {
        name: int(text) if re.fullmatch("0|[1-9][0-9]*", text) else text
        for name, _equals, text in pairs
    }


def _jobs(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Reads the number of processes."""
    if value is None:
        return None
    if value == "auto":
        available = getattr(os, "sched_getaffinity", None)
        return len(available(0)) if available else os.cpu_count() or 1
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter(f"{value!r} is neither a number from 1 on nor auto")
    return int(value)


def _numbers(kind: type[int] | type[float]) -> Callable[..., list[float] | None]:
    """Reads a list of numbers: ``60,120,160``, or with blanks, in quotes."""

    def read(_: click.Context, __: click.Parameter, value: str | None) -> list[float] | None:
        try:
            return None if value is None else [kind(w) for w in value.replace(",", " ").split()]
        except ValueError:
            raise click.BadParameter(f"{value!r} is not a list of numbers such as 60,120") from None

    return read


def _dictionary(
    argument: str, declared: Mapping[str, HyperParameter], of: Mapping[str, str] | None = None
) -> Callable[[Function], Function]:
    """One flag for each entry of a dictionary; the function gets those that were given.

    Args:
        argument: the function's argument.
        declared: the entries.
        of: what each belongs to, for its help.
    """

    def decorate(function: Function) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            given = {name: kwargs.pop(name) for name in declared}
            chosen = {name: value for name, value in given.items() if value is not None}
            return function(*args, **{argument: chosen}, **kwargs)

        options = []
        for name, parameter in reversed(list(declared.items())):
            text = f"{parameter.help} ({of[name]})" if of else parameter.help
            if parameter.type is bool:
                dashed = name.replace("_", "-")
                each = click.option(f"--{name}/--no-{dashed}", name, default=None, help=text)
            elif parameter.type is list:
                kind = int if name.endswith("epochs") else float
                each = option(f"--{name}", callback=_numbers(kind), metavar="LIST", help=text)
            else:
                words = "|".join(map(str, parameter.choices)) or None
                each = option(f"--{name}", type=parameter.type, metavar=words, help=text)
            options.append(each)
        return with_options(wrapper, options)

    return decorate


def problem_options(function: Function) -> Function:
    """One flag for each option of a test problem; the function gets them as ``problem_options``.

    Only the flags that were given are in that dictionary.
    """
    declared: dict[str, HyperParameter] = {}
    of: dict[str, str] = {}
    for entry in TESTPROBLEMS:
        for name, parameter in entry.options.items():
            other = declared.get(name, parameter)
            choices = tuple(dict.fromkeys((*other.choices, *parameter.choices)))
            declared[name] = dataclasses.replace(other, choices=choices)
            of[name] = f"{of[name]}, {entry.name}" if name in of else entry.name
    return _dictionary("problem_options", declared, of)(function)
