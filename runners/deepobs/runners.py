"""``deepobs.pytorch.runners`` of DeepOBS 1.2, with its hooks.

`PTRunner` is what scripts subclass to train in their own way: override ``training``. The two
runners that come with DeepOBS hand the training to this package's loop, which gives each optimizer
the loss if its step wants it.
"""

from __future__ import annotations

import abc
import dataclasses
import json
import logging
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alig_deepobs.errors import UsageError
from alig_deepobs.registry import entry_of_class, find_testproblem
from alig_deepobs.results import (
    Outcome,
    RunResult,
    check_writable,
    cut_at_first_non_finite,
    setting_folder,
    write_result,
)
from alig_deepobs.runners.deepobs import config
from alig_deepobs.runners.deepobs import pytorch_config as torch_config
from alig_deepobs.runners.deepobs.commandline import complete_from_command_line
from alig_deepobs.runners.environment import environment

logger = logging.getLogger(__name__)


class PTRunner(abc.ABC):
    """Base class of DeepOBS's PyTorch runners.

    Args:
        optimizer_class: a class called as ``optimizer_class(params, **hyperparams)``.
        hyperparameter_names: ``{"lr": {"type": float, "default": 0.1}, ...}``.
    """

    def __init__(
        self, optimizer_class: Any, hyperparameter_names: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._optimizer_class = optimizer_class
        self._optimizer_name = optimizer_class.__name__
        self._hyperparameter_names = dict(hyperparameter_names)

    def training_flags(self) -> dict[str, dict[str, Any]]:
        """Training parameters that the command line may give: name -> options of argparse."""
        return {}

    @abc.abstractmethod
    def training(
        self,
        tproblem: Any,
        hyperparams: dict[str, Any],
        num_epochs: int,
        print_train_iter: bool,
        train_log_interval: int,
        tb_log: bool,
        tb_log_dir: str,
        **training_params: Any,
    ) -> dict[str, Any]:
        """Trains and returns DeepOBS's lists (``train_losses``, ``valid_losses``, ...)."""

    def run(
        self,
        testproblem: str | None = None,
        hyperparams: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        num_epochs: int | None = None,
        random_seed: int | None = None,
        data_dir: str | None = None,
        output_dir: str | None = None,
        weight_decay: float | None = None,
        no_logs: bool | None = None,
        train_log_interval: int | None = None,
        print_train_iter: bool | None = None,
        tb_log: bool | None = None,
        tb_log_dir: str | None = None,
        skip_if_exists: bool = False,
        l2_reg: float | None = None,
        **training_params: Any,
    ) -> dict[str, Any]:
        """Runs the optimizer once; what is None is read from the command line.

        Returns:
            The dictionary that is written to the result file. With ``skip_if_exists``, that of an
            earlier run of the same setting and seed, if there is one.
        """
        arguments, chosen = complete_from_command_line(
            {
                "testproblem": testproblem,
                "batch_size": batch_size,
                "num_epochs": num_epochs,
                "random_seed": random_seed,
                "data_dir": data_dir,
                "output_dir": output_dir,
                "weight_decay": l2_reg if weight_decay is None else weight_decay,
                "no_logs": no_logs,
                "train_log_interval": train_log_interval,
                "print_train_iter": print_train_iter,
                "tb_log": tb_log,
                "tb_log_dir": tb_log_dir,
                **{name: training_params.get(name) for name in self.training_flags()},
            },
            hyperparams,
            self._hyperparameter_names,
            self.training_flags(),
            self._optimizer_name,
        )
        for name in self.training_flags():
            training_params[name] = arguments.pop(name)
        return self._run(chosen, skip_if_exists, training_params, **arguments)

    def _run(
        self,
        hyperparams: dict[str, Any],
        skip_if_exists: bool,
        training_params: dict[str, Any],
        *,
        testproblem: str,
        batch_size: int | None,
        num_epochs: int | None,
        random_seed: int,
        data_dir: str | None,
        output_dir: str,
        weight_decay: float | None,
        no_logs: bool,
        train_log_interval: int,
        print_train_iter: bool,
        tb_log: bool,
        tb_log_dir: str,
    ) -> dict[str, Any]:
        if data_dir is not None:
            config.set_data_dir(data_dir)
        defaults = find_testproblem(testproblem)
        result = RunResult(
            testproblem=testproblem,
            optimizer_name=self._optimizer_name,
            optimizer_hyperparams=dict(hyperparams),
            batch_size=defaults.batch_size if batch_size is None else batch_size,
            num_epochs=defaults.num_epochs if num_epochs is None else num_epochs,
            random_seed=random_seed,
            weight_decay=weight_decay,
            train_log_interval=train_log_interval,
            training_params={k: v for k, v in training_params.items() if v is not None},
        )
        folder = Path(output_dir) / testproblem / self._optimizer_name / setting_folder(result)
        earlier = sorted(folder.glob(f"random_seed__{random_seed}__*.json"))
        if skip_if_exists and earlier:
            logger.info("%s exists: the run is skipped", earlier[-1])
            return dict(json.loads(earlier[-1].read_text(encoding="utf-8")))
        if not no_logs:
            check_writable(output_dir)
        problem = self.create_testproblem(testproblem, result.batch_size, weight_decay, random_seed)
        self._describe(result, problem)
        output = self.training(
            problem,
            dict(hyperparams),
            result.num_epochs,
            print_train_iter,
            train_log_interval,
            tb_log,
            str(folder) if tb_log_dir in (None, "none") else tb_log_dir,
            **training_params,
        )
        known = {item.name for item in dataclasses.fields(RunResult)}
        identity = {"testproblem", "optimizer_name", "batch_size", "num_epochs"}
        for name, value in output.items():
            if name in known - identity:
                setattr(result, name, value)
        cut_at_first_non_finite(result)
        if not no_logs:
            write_result(result, output_dir)
        if result.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt  # what was measured is written; a search must end here
        return result.to_json()

    def _describe(self, result: RunResult, problem: Any) -> None:
        """Fills in what the record should say of any run, whoever trains."""
        entry = entry_of_class(self._optimizer_class)
        factor = max(problem.regularization_groups, default=0.0)
        result.optimizer = result.optimizer_class = entry.name
        result.data_set, result.data_label = problem.data.name, problem.data.label
        result.data_version = problem.data.version
        result.split = "validation" if "valid" in problem.data.parts else "full"
        result.reshuffle = problem.reshuffle
        # DeepOBS's own loop takes the loss with its L2 term, and so will an overridden one.
        result.regularization = "l2" if factor else "none"
        result.effective_weight_decay = factor
        result.environment = environment(problem.device)

    @staticmethod
    def create_testproblem(
        testproblem: str, batch_size: int, weight_decay: float | None, random_seed: int
    ) -> Any:
        """Seeds Python, NumPy and PyTorch, and sets the problem up."""
        if torch_config.get_is_deterministic():
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.benchmark = False
        random.seed(random_seed)
        np.random.seed(random_seed)
        torch.manual_seed(random_seed)
        entry = find_testproblem(testproblem)
        problem = entry.load()(
            batch_size,
            weight_decay,
            data_dir=config.get_data_dir(),
            device=torch_config.get_default_device(),
            seed=random_seed,
            split=torch_config.get_split() if entry.has_validation else "full",
        )
        problem.set_up()
        return problem

    @staticmethod
    def evaluate(tproblem: Any, phase: str) -> tuple[float, float]:
        """Mean loss (with the L2 term) and accuracy over a set.

        Args:
            tproblem: a problem that is set up.
            phase: ``TRAIN``, ``VALID`` or ``TEST``.
        """
        starts = {
            "TRAIN": tproblem.train_eval_init_op,
            "VALID": tproblem.valid_init_op,
            "TEST": tproblem.test_init_op,
        }
        if phase not in starts:
            raise UsageError(f"phase must be TRAIN, VALID or TEST, not {phase!r}")
        starts[phase]()
        loss, accuracy, batches = 0.0, 0.0, 0.0
        while True:
            try:
                batch_loss, batch_accuracy = tproblem.get_batch_loss_and_accuracy()
            except StopIteration:
                return loss / batches, accuracy / batches
            share = getattr(tproblem, "batch_share", 1.0)  # less for an incomplete mini-batch
            loss, accuracy = (
                loss + share * float(batch_loss), accuracy + share * float(batch_accuracy)
            )  # fmt: skip
            batches += share

    def evaluate_all(
        self,
        epoch_count: int,
        num_epochs: int,
        tproblem: Any,
        train_losses: list[float],
        valid_losses: list[float],
        test_losses: list[float],
        train_accuracies: list[float],
        valid_accuracies: list[float],
        test_accuracies: list[float],
    ) -> None:
        """Evaluates all sets, in DeepOBS's order, and appends to the lists."""
        logger.info("evaluating after %d of %d epochs", epoch_count, num_epochs)
        phases = {
            "TRAIN": (train_losses, train_accuracies),
            "VALID": (valid_losses, valid_accuracies),
            "TEST": (test_losses, test_accuracies),
        }
        for phase, (losses, accuracies) in phases.items():
            if phase == "VALID" and "valid" not in tproblem.data.parts:
                continue
            loss, accuracy = self.evaluate(tproblem, phase)
            losses.append(loss)
            if tproblem.has_accuracy:
                accuracies.append(accuracy)


class StandardRunner(PTRunner):
    """DeepOBS's standard runner; the loss is handed to optimizers that want it."""

    def training(
        self,
        tproblem: Any,
        hyperparams: dict[str, Any],
        num_epochs: int,
        print_train_iter: bool,
        train_log_interval: int,
        tb_log: bool,
        tb_log_dir: str,
        **training_params: Any,
    ) -> dict[str, Any]:
        """Trains with this package's loop; see `PTRunner.training`."""
        from alig_deepobs.runners.deepobs.watchers import watcher_for
        from alig_deepobs.runners.spec import RunSpec
        from alig_deepobs.runners.training import own_random_state, train

        entry = entry_of_class(self._optimizer_class)
        spec = RunSpec(
            testproblem=type(tproblem).__name__,
            optimizer=entry.name,
            hyperparams=hyperparams,
            batch_size=tproblem.batch_size,
            num_epochs=num_epochs,
            weight_decay=tproblem.weight_decay,
            random_seed=tproblem.seed,
            split="validation" if "valid" in tproblem.data.parts else "full",
            train_log_interval=train_log_interval,
            training_params={k: v for k, v in training_params.items() if v is not None},
        )
        watcher = watcher_for(print_train_iter, tb_log_dir if tb_log else None)
        with own_random_state(tproblem.seed, tproblem.device):
            result = train(spec, tproblem, entry, self._optimizer_class, watcher)
        asked = {"weight_decay", "random_seed", "optimizer_hyperparams", "training_params"}
        return {name: value for name, value in vars(result).items() if name not in asked}


class LearningRateScheduleRunner(StandardRunner):
    """The standard runner with a schedule: ``lr_sched_epochs`` and ``lr_sched_factors``."""

    def training_flags(self) -> dict[str, dict[str, Any]]:
        """The two flags of the schedule."""
        return {
            "lr_sched_epochs": {"nargs": "+", "type": int},
            "lr_sched_factors": {"nargs": "+", "type": float},
        }
