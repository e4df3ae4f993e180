"""DeepOBS's run scripts: ``python -m alig_deepobs.runners sgd mnist_mlp --lr 0.1``."""

from __future__ import annotations

import os
import sys

from alig_deepobs.errors import AligDeepobsError
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
            raise SystemExit(
                "usage: python -m alig_deepobs.runners OPTIMIZER TESTPROBLEM [FLAG...]\n"
                f"optimizers: {known}; OPTIMIZER --help has its flags"
            )
        name = sys.argv.pop(1)
        sys.argv[0] = f"alig_deepobs.runners {name}"  # what argparse calls the program
    from alig_deepobs.runners.deepobs.registered import RegisteredRunner

    try:
        RegisteredRunner(name).run()
    except AligDeepobsError as error:
        if debug:
            raise
        raise SystemExit(f"Error: {error}") from error


if __name__ == "__main__":
    main()
