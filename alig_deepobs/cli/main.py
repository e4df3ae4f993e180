"""The entry point: finds the verb, and turns errors into one line and an exit code.

A verb's module is imported when the verb is called, so ``--help`` needs neither torch nor pandas.
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import signal
import sys
from typing import Any

import click

from alig_deepobs import __version__
from alig_deepobs.cli.output import CLOSED, ShownFormatter, is_open, say
from alig_deepobs.errors import AligDeepobsError, unknown_choice
from alig_deepobs.plugins import (
    FOLDER_VARIABLE,
    TRACEBACKS,
    failure,
    is_of_others,
    last_module,
    message,
)

# verb -> (module:command, help). The help stands here, so that showing it imports nothing.
VERBS = {
    "list": ("alig_deepobs.cli.listing:list_entries", "List the test problems and optimizers."),
    "run": ("alig_deepobs.cli.run:run", "Train an optimizer on test problems."),
    "compare": ("alig_deepobs.cli.compare:compare", "Compare optimizers on test problems."),
    "tune": ("alig_deepobs.cli.tune:tune", "Find the best setting of optimizers."),
    "deepobs": ("alig_deepobs.cli.deepobs:deepobs", "Run DeepOBS 1.1.2's scripts."),
    "report": ("alig_deepobs.cli.report:report", "Say what results folders show; write a page."),
    "table": ("alig_deepobs.cli.table:table", "Make one table over several problems."),
    "reproduce": (
        "alig_deepobs.cli.reproduce:reproduce",
        "Reproduce a figure or a table of ALI-G's paper.",
    ),
    "data": ("alig_deepobs.cli.data:data", "List, fetch and verify the data sets."),
    "baselines": ("alig_deepobs.cli.baselines:baselines", "Show, fetch and import baselines."),
    "doctor": ("alig_deepobs.cli.doctor:doctor", "Check this installation."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module_name, _, attribute = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module_name), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(str(unknown_choice("command", args[0], VERBS)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-v", "--version", prog_name="alig-deepobs")
@click.option("--debug", is_flag=True, help="Show the traceback of an error, of one in a run too.")
def cli(debug: bool) -> None:
    """ALI-G and the DeepOBS benchmark: train optimizers, compare them, read the results."""


def main(args: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 1 a run failed, 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if args is None else args)
    os.environ.pop("MPLBACKEND", None)  # a notebook's; nothing here is drawn on a screen
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever called
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):  # a terminal may not have every character
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if logging.lastResort is not None:  # what says the warnings where nobody has asked for more
        logging.lastResort.setFormatter(ShownFormatter())
    debug = "--debug" in words  # wherever it stands, also behind the verb
    TRACEBACKS.setLevel(logging.DEBUG if debug else logging.WARNING)
    shown = logging.StreamHandler()
    shown.setFormatter(ShownFormatter())
    TRACEBACKS.handlers = [shown] if debug else []
    # So that --optimizer finds a file of the current folder, here and in processes of runs.
    try:
        os.environ[FOLDER_VARIABLE] = os.getcwd()  # noqa: PTH109 - a text is wanted
    except FileNotFoundError:
        say("Error: the current folder does not exist any more: go to another one", err=True)
        sys.exit(2)
    os.environ["PYTHONSAFEPATH"] = "1"  # processes of Python must not look there for anything else
    sys.exit(_exit_code([word for word in words if word != "--debug"], debug))


_PRINTERS = ("click", "rich")
"""Libraries that end with SystemExit where a pipe is closed."""


def _exit_code(words: list[str], debug: bool) -> int:
    try:
        result: Any = cli.main(words, prog_name="alig-deepobs", standalone_mode=False)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        say(said.getvalue().rstrip(), err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        say("Interrupted.", err=True)
        # click makes an Abort of every interrupt.
        return 128 + int(getattr(error.__cause__ or error, "number", signal.SIGINT))
    except AligDeepobsError as error:
        if debug:
            raise
        say(f"Error: {' '.join(str(error).split())}", err=True)
        return error.exit_code
    except OSError as error:
        if debug and not isinstance(error, BrokenPipeError):
            raise
        return _without_output(error)
    except (Exception, SystemExit, GeneratorExit) as error:
        if isinstance(error, SystemExit) and last_module(error).partition(".")[0] in _PRINTERS:
            return _without_output(BrokenPipeError())
        if not is_open(sys.stdout):
            return _without_output(OSError(CLOSED))
        if debug:
            raise
        if is_of_others(error):
            say(f"Error: code that is no part of alig-deepobs failed: {failure(error)}", err=True)
            return 1
        text = f"{type(error).__name__}: {message(error)} (this is a bug; --debug shows where)"
        say(f"Error: {text}", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _without_output(error: OSError) -> int:
    """Ends where something could not be shown, or a file is at fault."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        say(f"Error: {error.filename}: {reason}", err=True)
        return 1
    # Python would complain at exit. The reader of a pipe, for example `head`, is gone on purpose.
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (AttributeError, OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if not isinstance(error, BrokenPipeError):
        say(f"Error: the output could not be written: {reason}", err=True)
    return 1
