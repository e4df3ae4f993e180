"""DeepOBS's run scripts: ``python -m alig_deepobs.runners sgd mnist_mlp --lr 0.1``."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from alig_deepobs.errors import AligDeepobsError, UsageError
from alig_deepobs.plugins import FOLDER_VARIABLE
from alig_deepobs.registry import optimizers


def main(name: str = "") -> None:
    """Reads DeepOBS's command line and runs an optimizer once.

    ``--debug`` shows the traceback of an error.

    Args:
        name: the optimizer; where it is empty, it is the first word of the command line.
    """
    # So that a class and a problem of the current folder are found, by name alone.
    os.environ[FOLDER_VARIABLE] = os.getcwd()  # noqa: PTH109 - a text is wanted
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    if not name:
        if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
            known = ", ".join(optimizers())
            _end(
                "usage: python -m alig_deepobs.runners OPTIMIZER TESTPROBLEM [FLAG...]\n"
                f"optimizers: {known}; OPTIMIZER --help has its flags",
                UsageError.exit_code,
            )
        name = sys.argv.pop(1)
        sys.argv[0] = f"alig_deepobs.runners {name}"  # what argparse calls the program
    from alig_deepobs.runners.deepobs.registered import RegisteredRunner

    try:
        RegisteredRunner(name).run()
    except AligDeepobsError as error:
        if debug:
            raise
        _end(f"Error: {error}", error.exit_code)
    except SystemExit as ended:
        if debug and isinstance(ended.__cause__, AligDeepobsError):
            raise ended.__cause__ from None
        raise


def _end(text: str, code: int) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
