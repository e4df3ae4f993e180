"""Options that several verbs share, under DeepOBS's names and with dashes too.

What shapes a run becomes an option by the metadata of its field (`alig_deepobs.run.Facet`).
"""

from __future__ import annotations

import dataclasses
import functools
import os
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from alig_deepobs.catalog import TESTPROBLEMS
from alig_deepobs.entries import HyperParameter
from alig_deepobs.run import TRAINING_PARAMS, Facet, ResolvedRun, RunSpec, facets
from alig_deepobs.runners.vectorized import MODES

Function = TypeVar("Function", bound=Callable[..., Any])


def option(*names: str, **settings: Any) -> Callable[[Function], Function]:
    """A click option; ``--batch_size`` is also understood as ``--batch-size``."""
    long = next(name for name in names if name.startswith("--"))
    dashed = [name.replace("_", "-") for name in names if "_" in name.lstrip("-")]
    return click.option(*names, *dashed, long.lstrip("-").replace("-", "_"), **settings)


def run_options(*without: str) -> Callable[[Function], Function]:
    """What shapes a run, beside the problem and the optimizer; the function gets the values.

    Args:
        *without: fields that the verb itself decides on.
    """
    names = [name for name, facet in facets(ResolvedRun).items() if facet.flags is not None]

    def decorate(function: Function) -> Function:
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
    types_of = typing.get_type_hints(ResolvedRun)
    defaults = {item.name: item.default for item in dataclasses.fields(RunSpec)}

    def decorate(function: Function) -> Function:
        for name in reversed([name for name in names if name in defaults]):
            decorated = _field_option(name, known[name], types_of[name], defaults[name])
            function = decorated(function)
        return function

    return decorate


def study_options(output_dir: str = "results") -> Callable[[Function], Function]:
    """How the runs of a study are carried out."""

    def decorate(function: Function) -> Function:
        for each in (
            option("--dry_run", is_flag=True, help="Only show the runs and their estimated time."),
            option("--force", is_flag=True,
                   help="Run again what is in the folder; new results take the place of old ones."),
            option("--jobs", default="1", show_default=True, metavar="N|auto", callback=_jobs,
                   help="Runs at the same time, each on its share of the cores; auto: one for "
                   "each core."),
            option("--executor", type=click.Choice(MODES),
                   default="auto", show_default=True,
                   help="Train runs that differ in numbers alone as one computation: where that "
                   "is faster, wherever it can be done, or never."),
            option("--output_dir", type=click.Path(file_okay=False), default=output_dir,
                   show_default=True, help="Folder for the results."),
        ):  # fmt: skip
            function = each(function)
        return function

    return decorate


def _field_option(
    name: str, facet: Facet, kind: Any, default: Any
) -> Callable[[Function], Function]:
    """The option of a field of a run."""
    settings: dict[str, Any] = {"help": facet.help}
    if default is not None and not isinstance(default, bool):
        settings |= {"default": default, "show_default": True}
    if isinstance(kind, types.UnionType):
        kind = next(member for member in typing.get_args(kind) if member is not types.NoneType)
    if kind is bool and default is None:
        return click.option(f"--{name}/--no-{name}", default=None, **settings)
    if kind is bool:
        return option(f"--{name}", is_flag=True, **settings)
    if facet.choices:
        settings["type"] = click.Choice(facet.choices)
    elif facet.minimum is not None:
        ranges = {int: click.IntRange, float: click.FloatRange}
        settings["type"] = ranges[kind](min=facet.minimum)
    elif facet.metavar == "DIR":
        settings |= {"type": click.Path(file_okay=False), "metavar": facet.metavar}
    else:
        settings["type"] = kind
    short = [flag for flag in facet.flags or () if not flag.startswith("--")]
    others = [flag for flag in facet.flags or () if flag.startswith("--")]
    return option(*short, f"--{name}", *others, **settings)


def _jobs(_: click.Context, __: click.Parameter, value: str) -> int:
    """Reads the number of processes."""
    if value == "auto":
        available = getattr(os, "sched_getaffinity", None)
        return len(available(0)) if available else os.cpu_count() or 1
    if not value.isdigit() or int(value) < 1:
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

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            given = {name: kwargs.pop(name) for name in declared}
            chosen = {name: value for name, value in given.items() if value is not None}
            return function(*args, **{argument: chosen}, **kwargs)

        decorated: Any = wrapper
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
            decorated = each(decorated)
        return decorated  # type: ignore[no-any-return]

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
