"""What `run()` of a DeepOBS runner was not given: from the command line, or DeepOBS's defaults."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.plugins import calling

logger = logging.getLogger(__name__)

Declared = Mapping[str, Mapping[str, Any]]
"""Name -> options of its flag, such as ``{"type": float, "default": 0.1}``."""

DEFAULTS: Mapping[str, Any] = {
    "random_seed": 42, "output_dir": "./results", "train_log_interval": 10, "no_logs": False,
    "print_train_iter": False, "tb_log": False, "tb_log_dir": "none",
}  # fmt: skip
"""DeepOBS's; everything else is up to the test problem."""


def complete(
    given: Mapping[str, Any], hyperparams: Mapping[str, Any], declared: Declared
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fills in arguments that are None, and hyper-parameters that are missing, with defaults.

    Args:
        given: arguments of ``run`` as they were passed.
        hyperparams: hyper-parameters of the optimizer as they were passed.
        declared: the hyper-parameters that there are.

    Returns:
        The arguments and the hyper-parameters.

    Raises:
        UsageError: the test problem or a hyper-parameter without a default is missing, or a
            hyper-parameter is not declared.
    """
    if given["testproblem"] is None:
        raise UsageError("run() needs a test problem")
    for name in hyperparams:
        if name not in declared:
            known = ", ".join(declared)
            raise UsageError(f"hyper-parameter {name!r} was not declared; declared: {known}")
    complete = {}
    for name, options in declared.items():
        if name not in hyperparams and "default" not in options:
            raise UsageError(f"hyper-parameter {name!r} has no default: give it in hyperparams")
        complete[name] = hyperparams.get(name, options.get("default"))
    return {k: DEFAULTS.get(k) if v is None else v for k, v in given.items()}, complete


def complete_from_command_line(
    given: Mapping[str, Any],
    hyperparams: Mapping[str, Any],
    training_params: Mapping[str, Any],
    runner: Any,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Fills in arguments that are None, from the command line or from DeepOBS's defaults.

    What was given in the call wins over the command line. Hyper-parameters that are not declared
    are dropped, as in DeepOBS. Flags that nobody knows are reported and ignored, because the script
    may run under a tool with flags of its own.

    Args:
        given: arguments of ``run`` as they were passed.
        hyperparams: hyper-parameters of the optimizer as they were passed.
        training_params: training parameters as they were passed.
        runner: its hooks add the flags of both.

    Returns:
        The arguments, the hyper-parameters and the training parameters.
    """
    name = runner._optimizer_name
    parser = argparse.ArgumentParser(
        description=f"Run {name} on a DeepOBS test problem.", conflict_handler="resolve"
    )
    if given["testproblem"] is None:
        parser.add_argument("testproblem", help="name of the test problem")
    parser.add_argument("--batch_size", "--bs", type=int, help="by default the problem's")
    parser.add_argument("-N", "--num_epochs", type=int, help="by default the problem's")
    parser.add_argument("-r", "--random_seed", type=int)
    parser.add_argument("--weight_decay", "--l2_reg", "--wd", type=float, help="L2 factor")
    parser.add_argument("--data_dir", help="folder with the data files")
    parser.add_argument("--output_dir", help="folder for the results")
    parser.add_argument("--train_log_interval", type=int)
    parser.add_argument("--print_train_iter", action="store_true")
    parser.add_argument("--no_logs", action="store_true", help="write no result file")
    parser.add_argument("--tb_log", action="store_true", help="log to TensorBoard")
    parser.add_argument("--tb_log_dir", help="'none': the setting's folder")
    parser.set_defaults(**DEFAULTS)
    filled: dict[str, Any] = {}  # what a hook reads from somewhere else
    with calling("the runner's _add_hyperparams_to_argparse"):
        runner._add_hyperparams_to_argparse(parser, filled, dict(hyperparams) or None)
    chosen_by_hook, filled = filled, dict(filled)
    known = {action.dest for action in parser._actions} | chosen_by_hook.keys()
    with calling("the runner's _add_training_params_to_argparse"):
        runner._add_training_params_to_argparse(parser, filled, dict(training_params))
    own = ({action.dest for action in parser._actions} | filled.keys()) - known
    read, unknown = parser.parse_known_args(sys.argv[1:])
    if unknown:
        logger.warning("arguments that DeepOBS does not know are ignored: %s", " ".join(unknown))
    values = {**vars(read), **filled}
    arguments = {k: values.get(k) if v is None else v for k, v in given.items()}
    chosen = {k: hyperparams.get(k, values.get(k)) for k in runner._hyperparameter_names}
    params = {**{k: values[k] for k in own}, **training_params}
    return arguments, chosen, params


def add_hyperparameter(
    parser: argparse.ArgumentParser, flags: list[str], options: Mapping[str, Any]
) -> None:
    """Adds a hyper-parameter's flags to a parser.

    Args:
        parser: of the command line.
        flags: its names there.
        options: its declaration.
    """
    settings: dict[str, Any] = {
        "required": "default" not in options, "default": options.get("default"),
        "help": options.get("help"),
    }  # fmt: skip
    if options.get("type") is bool:
        # --flag and --no-flag: a default of True can be switched off.
        settings["action"] = argparse.BooleanOptionalAction
    else:
        settings["type"] = options.get("type", float)
    parser.add_argument(*flags, **settings)
