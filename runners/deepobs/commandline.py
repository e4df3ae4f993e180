"""The command line of a DeepOBS run script: what `run()` was not given comes from there."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)


def complete_from_command_line(
    given: Mapping[str, Any],
    hyperparams: Mapping[str, Any] | None,
    declared: Mapping[str, Mapping[str, Any]],
    training_flags: Mapping[str, Mapping[str, Any]],
    optimizer_name: str,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fills in arguments that are None, from the command line or from DeepOBS's defaults.

    What was given in the call wins over the command line. Flags that nobody knows are reported and
    ignored, because the script may run under a tool with flags of its own.

    Args:
        given: arguments of ``run`` as they were passed.
        hyperparams: hyper-parameters of the optimizer as they were passed.
        declared: hyper-parameter -> ``{"type": ..., "default": ...}``.
        training_flags: training parameter -> options for its flag.
        optimizer_name: for the help text.

    Returns:
        The arguments and the hyper-parameters.
    """
    parser = argparse.ArgumentParser(description=f"Run {optimizer_name} on a DeepOBS test problem.")
    if given["testproblem"] is None:
        parser.add_argument("testproblem", help="name of the test problem")
    parser.add_argument("--batch_size", "--bs", type=int, help="by default the problem's")
    parser.add_argument("-N", "--num_epochs", type=int, help="by default the problem's")
    parser.add_argument("-r", "--random_seed", type=int, default=42)
    parser.add_argument("--weight_decay", "--l2_reg", "--wd", type=float, help="L2 factor")
    parser.add_argument("--data_dir", help="folder with the data files")
    parser.add_argument("--output_dir", default="./results", help="folder for the results")
    parser.add_argument("--train_log_interval", type=int, default=10)
    parser.add_argument("--print_train_iter", action="store_true")
    parser.add_argument("--no_logs", action="store_true", help="write no result file")
    parser.add_argument("--tb_log", action="store_true", help="log to TensorBoard")
    parser.add_argument("--tb_log_dir", default="none", help="'none': the setting's folder")
    for name, options in training_flags.items():
        parser.add_argument(f"--{name}", **options)
    open_params = {k: v for k, v in declared.items() if k not in (hyperparams or {})}
    for name, options in open_params.items():
        _add_hyperparameter(parser, name, options)
    read, unknown = parser.parse_known_args(sys.argv[1:])
    if unknown:
        logger.warning("arguments that DeepOBS does not know are ignored: %s", " ".join(unknown))
    values = vars(read)
    arguments = {
        name: values.get(name) if value is None else value for name, value in given.items()
    }
    chosen = {name: values[name] for name in open_params}
    chosen.update({k: v for k, v in (hyperparams or {}).items() if k in declared})
    return arguments, chosen


def _add_hyperparameter(
    parser: argparse.ArgumentParser, name: str, options: Mapping[str, Any]
) -> None:
    required = "default" not in options
    settings: dict[str, Any] = {"required": required, "default": options.get("default")}
    if options.get("type") is bool:
        # --flag and --no-flag: a default of True can be switched off.
        settings["action"] = argparse.BooleanOptionalAction
    else:
        settings["type"] = options.get("type", float)
    parser.add_argument(f"--{name}", **settings)
