"""DeepOBS's run scripts: ``python -m alig_deepobs.runners sgd mnist_mlp --lr 0.1``."""

from __future__ import annotations

import sys

from alig_deepobs.errors import AligDeepobsError
from alig_deepobs.registry import optimizers


def main(name: str = "") -> None:
    """Reads DeepOBS's command line and runs an optimizer once.

    Args:
        name: the optimizer; where it is empty, it is the first word of the command line.
    """
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
        raise SystemExit(f"Error: {error}") from error


if __name__ == "__main__":
    main()
