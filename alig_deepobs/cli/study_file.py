"""A comparison written down in a file: the flags of `compare`, as TOML."""

from __future__ import annotations

import functools
import json
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from alig_deepobs.cli.options import option, with_options
from alig_deepobs.cli.output import say
from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.files import write_text_atomically
from alig_deepobs.foreign import brief, read_regular, shown
from alig_deepobs.settings import parse_setting, split_settings

Function = TypeVar("Function", bound=Callable[..., Any])

_LARGEST = 1 << 14
"""Bytes of the largest file that is read; the time for dotted keys grows with their square."""
_NOT_SAVED = ("study", "save_study", "trust_study", "dry_run", "force", "help")
_COMMANDS = ("slurm", "address", "emit")
"""Flags that run commands, send code to another machine, or write a file of commands."""
_HERE = ("auto", "vectorized", "processes")
"""Executors on this machine."""
_SENDING = ("wandb", "mlflow")
"""Loggers that may send what they hear to a server."""


def study_file_options(function: Function) -> Function:
    """``--study``, ``--trust_study`` and ``--save_study``."""

    @functools.wraps(function)
    def wrapper(*args: Any, save_study: str | None, trust_study: bool, **kwargs: Any) -> Any:
        if not trust_study:
            _check_runs_nothing(click.get_current_context())
        if save_study is not None:
            _save(click.get_current_context(), Path(save_study))
        return function(*args, **kwargs)

    options = (
        option("--save_study", type=click.Path(dir_okay=False), metavar="FILE",
               help="Write what was asked for into a file for --study."),
        option("--trust_study", is_flag=True,
               help="Import what the file of --study names as module:Class."),
        option("--study", type=click.Path(dir_okay=False), metavar="FILE", is_eager=True,
               expose_value=False, callback=_load,
               help="Take what is asked for from a file; flags on the command line win."),
    )  # fmt: skip
    decorated: Function = with_options(wrapper, options)
    return decorated


def _load(context: click.Context, _: click.Parameter, path: str | None) -> None:
    """Makes the values of a file the defaults of the flags."""
    if path is None:
        return
    known = {
        parameter.name: parameter
        for parameter in context.command.params
        if parameter.name is not None and parameter.name not in _NOT_SAVED
    }
    try:
        text = read_regular(Path(path), _LARGEST).decode()
        if "\\u0000" in text.lower():  # the only way to a character that no path may have
            raise ValueError("it has the character NUL")
        values = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"cannot read the study {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the study {path} is no TOML file: {error}") from None
    for name, value in values.items():
        if name not in known:
            raise UsageError(f"{path}: {unknown_choice('key', name, known)}")
        given = value if isinstance(value, list) else [value]
        if not all(isinstance(each, (str, int, float)) for each in given):
            raise UsageError(
                f"{path}: {name} must be a number or text, or a list of them, not {brief(value)}"
            )
        if known[name].multiple or known[name].nargs == -1:
            values[name] = [str(each) for each in given]
        elif not (isinstance(value, bool) and getattr(known[name], "is_flag", False)):
            values[name] = ",".join(map(str, given))  # as on the command line
        try:
            known[name].type_cast_value(context, values[name])
        except click.BadParameter as error:
            raise UsageError(f"{path}: {name}: {error.message}") from None
    context.default_map = values


def _check_runs_nothing(context: click.Context) -> None:
    """Refuses what would run code because a file says so.

    Raises:
        UsageError: the file names a class to import, or a command.
    """

    def from_file(name: str) -> Any:
        is_from_it = context.get_parameter_source(name) is ParameterSource.DEFAULT_MAP
        return context.params.get(name) if is_from_it else None

    # As `find_testproblem` and `find_optimizer` tell paths from names.
    problems = map(parse_setting, from_file("testproblems") or ())
    paths = [setting.name for setting in problems if set(setting.name) & set(":.")]
    optimizers = map(parse_setting, split_settings(from_file("optimizers") or ""))
    paths += [setting.name for setting in optimizers if ":" in setting.name]
    found = [f"would import {path!r}" for path in paths]
    found += [f"sets {name}" for name in _COMMANDS if from_file(name)]
    found += [f"sets log to {name!r}" for name in from_file("log") or () if name in _SENDING]
    if from_file("executor") not in (None, *_HERE):
        found.append(f"sets executor {from_file('executor')!r}")
    folder = Path(from_file("output_dir") or ".")
    if folder.is_absolute() or ".." in folder.parts or str(folder).startswith("~"):
        found.append(f"sets output_dir to {str(folder)!r}, which is not below the current folder")
    if found:
        raise UsageError(
            f"the study {shown(found[0][:200])}, and files run no code, send nothing and write "
            "nowhere else unasked: look at it, then add --trust_study, or give that on the command "
            "line"
        )


def _save(context: click.Context, path: Path) -> None:
    """Writes what differs from the defaults."""
    lines = []
    for parameter in context.command.params:
        name, value = parameter.name, context.params.get(parameter.name or "")
        source = context.get_parameter_source(parameter.name or "")
        if name is None or name in _NOT_SAVED or source is ParameterSource.DEFAULT:
            continue
        if isinstance(value, dict):  # as it was written: name=value, several times
            value = [f"{key}={each}" for key, each in value.items()]
        elif isinstance(value, list):  # numbers in one text; what may be repeated is a tuple
            value = ",".join(map(str, value))
        # Numbers and basic strings of TOML are written as those of JSON, but for these.
        text = str(value) if value == math.inf else json.dumps(value, ensure_ascii=False)
        lines.append(f"{name} = {text}".replace("\x7f", "\\u007f"))
    text = "\n".join([*lines, ""])
    if "\\u0000" in text:
        raise UsageError(f"the study {path} cannot be written: a value has the character NUL")
    write_text_atomically(path, text)
    say(f"Written: {path}")
