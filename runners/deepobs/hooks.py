"""The hooks of DeepOBS's runner that subclasses override, beside ``training`` and the problem's."""

from __future__ import annotations

import argparse
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alig_deepobs.runners.deepobs.commandline import add_hyperparameter
from alig_deepobs.runners.deepobs.runner_utils import float2str

__all__ = ["Runner"]

logger = logging.getLogger(__name__)

_FOLDER_HOOKS = (
    "_add_training_params_to_output_dir_name", "_add_hyperparams_to_output_dir_name",
    "generate_output_directory_name",
)  # fmt: skip


class Hooks:
    """DeepOBS's hooks, as it calls them."""

    _optimizer_name: str
    _hyperparameter_names: dict[str, dict[str, Any]]

    def training_flags(self) -> dict[str, dict[str, Any]]:
        """Training parameters that the command line may give: name -> options of argparse."""
        return {}

    def _add_training_params_to_argparse(
        self, parser: argparse.ArgumentParser, args: dict[str, Any], training_params: dict[str, Any]
    ) -> None:
        """Adds flags of training parameters, or fills ``args`` with those that are known."""
        for name, options in self.training_flags().items():
            parser.add_argument(f"--{name}", **options)

    def _add_hyperparams_to_argparse(
        self,
        parser: argparse.ArgumentParser,
        args: dict[str, Any],
        hyperparams: dict[str, Any] | None,
    ) -> None:
        """Adds flags of hyper-parameters, or fills ``args`` with those that are known."""
        declared = self._hyperparameter_names
        args.update({k: v for k, v in (hyperparams or {}).items() if k in declared})
        for name, options in declared.items():
            if name in args:
                continue
            # DeepOBS 1.1's name of the rate, too.
            more = ["--learning_rate"] if name == "lr" and "learning_rate" not in declared else []
            add_hyperparameter(parser, [f"--{name}", *more], options)

    def _add_training_params_to_output_dir_name(
        self, training_params: dict[str, Any], run_folder_name: str
    ) -> str:
        """Appends the training parameters to the name of the setting's folder."""
        return run_folder_name + _parts(training_params)

    def _add_hyperparams_to_output_dir_name(
        self, optimizer_hyperparams: dict[str, Any], run_folder_name: str
    ) -> str:
        """Appends the hyper-parameters to the name of the setting's folder."""
        return run_folder_name + _parts(optimizer_hyperparams)

    def generate_output_directory_name(
        self,
        testproblem: str,
        batch_size: int,
        num_epochs: int,
        weight_decay: float | None,
        random_seed: int,
        output_dir: str,
        optimizer_hyperparams: dict[str, Any],
        **training_params: Any,
    ) -> tuple[str, str]:
        """The folder of a run and the name of its file, without ``.json``."""
        name = f"num_epochs__{num_epochs}__batch_size__{batch_size}"
        if weight_decay is not None:
            name += f"__weight_decay__{float2str(weight_decay)}"
        name = self._add_hyperparams_to_output_dir_name(optimizer_hyperparams, name)
        name = self._add_training_params_to_output_dir_name(training_params, name)
        file_name = self._filename_no_date(random_seed) + time.strftime("%Y-%m-%d-%H-%M-%S")
        return str(Path(output_dir) / testproblem / self._optimizer_name / name), file_name

    @staticmethod
    def _filename_no_date(random_seed: int) -> str:
        """The start of the file's name."""
        return f"random_seed__{random_seed}__"

    @property
    def _names_its_folder(self) -> bool:
        """Whether a subclass has a folder of its own for a setting."""
        return any(getattr(type(self), name) is not getattr(Hooks, name) for name in _FOLDER_HOOKS)

    def _post_process_output(
        self,
        output: dict[str, Any],
        testproblem: str,
        batch_size: int,
        num_epochs: int,
        random_seed: int,
        weight_decay: float | None,
        hyperparams: dict[str, Any],
        **training_params: Any,
    ) -> dict[str, Any]:
        """Makes of what ``training`` has returned what is written."""
        return {
            "testproblem": testproblem, "batch_size": batch_size, "num_epochs": num_epochs,
            "random_seed": random_seed, "weight_decay": weight_decay,
            "optimizer_name": self._optimizer_name, "optimizer_hyperparams": hyperparams,
            "training_params": training_params, **output,
        }  # fmt: skip

    @staticmethod
    def _abort_routine(
        epoch_count: int,
        num_epochs: int,
        train_losses: list[float],
        valid_losses: list[float],
        test_losses: list[float],
        train_accuracies: list[float],
        valid_accuracies: list[float],
        test_accuracies: list[float],
        minibatch_train_losses: list[float],
    ) -> None:
        """Fills the lists of a run that has diverged up to their full length.

        With nan, so that the record says that it has diverged: DeepOBS takes the first values,
        which are finite.
        """
        logger.warning("the loss is not finite after epoch %d: the run ends here", epoch_count)
        lists = (
            train_losses, valid_losses, test_losses, train_accuracies, valid_accuracies,
            test_accuracies, minibatch_train_losses,
        )  # fmt: skip
        for values in lists:
            if values:
                values += [math.nan] * (num_epochs - epoch_count)


Runner = Hooks  # under DeepOBS's name, for those who import or ask for it


def _parts(params: Mapping[str, Any]) -> str:
    given = {name: value for name, value in sorted(params.items()) if value is not None}
    return "".join(
        f"__{name}__{float2str(value) if isinstance(value, float) else value}"
        for name, value in given.items()
    )
