"""What DeepOBS 1.1.2's runner needs on today's Python, NumPy and TensorFlow."""

from __future__ import annotations

import argparse
import functools
import json
import warnings
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np

from alig_deepobs.errors import UsageError


class Arguments(argparse.ArgumentParser):
    """The runner's parser, which looks at ``sys.argv`` only for a script that is its command line.

    DeepOBS parses the command line in every run, for the options that were not passed to ``run``,
    and so trips over the arguments of pytest, of a notebook or of the user's own script. Here the
    command line counts only if ``run`` was called without a test problem, which then can come from
    nowhere else.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._reads_command_line = False
        super().__init__(*args, **kwargs)

    def add_argument(self, *names: Any, **kwargs: Any) -> argparse.Action:
        """Adds an argument; the test problem is one only if it was not passed to ``run``."""
        if names[:1] == ("testproblem",):
            self._reads_command_line = True
        return super().add_argument(*names, **kwargs)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parses the command line, or nothing."""
        if args is None and not self._reads_command_line:
            args = ()
        return super().parse_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Ends the program, as argparse does, if it is its command line that is wrong.

        Raises:
            UsageError: ``run`` lacks an argument.
        """
        if self._reads_command_line:
            super().error(message)
        raise UsageError(
            f"StandardRunner.run: {message} (it was called with a test problem, so the command "
            "line is not read; `enable(command_line=True)` changes that)"
        )


def mend(runner: Any, tf: Any) -> None:
    """Mends the module ``deepobs.tensorflow.runners.standard_runner`` in place.

    Args:
        runner: the module.
        tf: TensorFlow 2.
    """
    # Under NumPy 2 the averages are NumPy's scalars, which json does not know.
    runner.json = SimpleNamespace(dump=functools.partial(json.dump, default=_plain))
    runner.StandardRunner._run = _in_own_graph(runner.StandardRunner._run, tf)
    read_command_line(runner, False)


def read_command_line(runner: Any, always: bool) -> None:
    """Chooses whether the runner's options may come from ``sys.argv`` in every run."""
    runner.argparse = argparse if always else SimpleNamespace(ArgumentParser=Arguments)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _in_own_graph(run: Callable[..., None], tf: Any) -> Callable[..., None]:
    @functools.wraps(run)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        # A graph of its own takes the run out of eager execution, and nothing else in the process.
        with tf.Graph().as_default(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`tf\.(layers|nn)\.", UserWarning)
            run(*args, **kwargs)

    return wrapper
