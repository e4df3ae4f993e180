"""``deepobs.pytorch.runners`` of DeepOBS 1.2, with its hooks.

`PTRunner` is what scripts subclass to train in their own way: override ``training``. The two
runners that come with DeepOBS hand the training to this package's loop, which gives each optimizer
the loss if its step wants it.
"""

from __future__ import annotations

import abc
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from alig_deepobs.errors import RunError, UsageError
from alig_deepobs.registry import entry_of_class, find_testproblem, load_object
from alig_deepobs.results import cut_at_first_non_finite, now, run_folder, to_json
from alig_deepobs.run import Outcome, ResolvedRun, Run, RunResult, RunSpec, facets
from alig_deepobs.runners.callbacks import Callback, Several
from alig_deepobs.runners.checks import check
from alig_deepobs.runners.deepobs import config
from alig_deepobs.runners.deepobs import pytorch_config as torch_config
from alig_deepobs.runners.deepobs.callbacks import PrintEvaluations, PrintSteps
from alig_deepobs.runners.deepobs.commandline import complete, complete_from_command_line
from alig_deepobs.runners.environment import environment
from alig_deepobs.runners.evaluation import evaluate
from alig_deepobs.runners.loggers import RunLog, check_loggers
from alig_deepobs.runners.noise import own_random_state
from alig_deepobs.runners.resolve import json_value, resolve
from alig_deepobs.runners.store import Store
from alig_deepobs.runners.training import train
from alig_deepobs.testproblems.checks import find_device

logger = logging.getLogger(__name__)

HyperParameterNames = Mapping[str, Mapping[str, Any]] | Sequence[Mapping[str, Any]]

_MEASURED = facets(RunResult).keys() - facets(Run).keys() - {"command"}


@dataclass(frozen=True)
class Asked:
    """What `PTRunner.run` was asked for: the run, and what to do beside it."""

    spec: RunSpec
    store: Store | None
    print_train_iter: bool
    tb_log: bool
    tb_log_dir: str

    def tensorboard_dir(self, run: Run) -> str:
        """The folder for TensorBoard's files: by default that of the setting."""
        if self.tb_log_dir != "none":
            return self.tb_log_dir
        return str(run_folder(run, "./results" if self.store is None else self.store.folder))


class PTRunner(abc.ABC):
    """Base class of DeepOBS's PyTorch runners.

    Args:
        optimizer_class: a class called as ``optimizer_class(params, **hyperparams)``. What its
            ``step`` wants (nothing, the loss, a closure) is taken from its attribute
            ``needs_loss`` or from the registry.
        hyperparameter_names: its hyper-parameters, as DeepOBS 1.2 writes them,
            ``{"lr": {"type": float, "default": 0.1}, ...}``, or as 1.1 does,
            ``[{"name": "momentum", "type": float, "default": 0.0}, ...]`` (there the learning
            rate is not among them, and becomes ``lr``).
    """

    is_script: ClassVar[bool] = True
    """Whether ``run`` behaves as in a DeepOBS script: what it is not given is read from the command
    line and ``deepobs.config``, the global seeds are set, evaluations are printed, and
    hyper-parameters that are not declared are dropped."""

    def __init__(self, optimizer_class: Any, hyperparameter_names: HyperParameterNames) -> None:
        self._optimizer_class = optimizer_class
        self._optimizer_name = getattr(optimizer_class, "__name__", str(optimizer_class))
        if not isinstance(hyperparameter_names, Mapping):
            listed = [dict(item) for item in hyperparameter_names]
            hyperparameter_names = {
                "lr": {"type": float}, **{str(item.pop("name")): item for item in listed}
            }  # fmt: skip
        self._hyperparameter_names = {k: dict(v) for k, v in hyperparameter_names.items()}

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

    @property
    def trains_itself(self) -> bool:
        """Whether a subclass has a ``training`` of its own."""
        return type(self).training is not StandardRunner.training

    @property
    def is_importable(self) -> bool:
        """Whether another process would find the optimizer's class."""
        try:
            return load_object(entry_of_class(self._optimizer_class).name) is self._optimizer_class
        except UsageError:
            return False

    def run(
        self,
        testproblem: str | None = None,
        hyperparams: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        num_epochs: int | None = None,
        random_seed: int | None = None,
        data_dir: str | None = None,
        output_dir: str | Path | None = None,
        weight_decay: float | None = None,
        no_logs: bool | None = None,
        train_log_interval: int | None = None,
        print_train_iter: bool | None = None,
        tb_log: bool | None = None,
        tb_log_dir: str | None = None,
        skip_if_exists: bool = False,
        *,
        callback: Callback | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Runs the optimizer once.

        Args:
            testproblem: its name.
            hyperparams: hyper-parameters of the optimizer; they may also be given as keywords.
            batch_size: examples a step; None for the problem's default.
            num_epochs: None for the problem's default.
            random_seed: the base of every seed of the run; by default 42.
            data_dir: folder with the data files; None for the per-user cache.
            output_dir: where results go; by default ``./results``.
            weight_decay: L2 factor, None for the problem's default; ``l2_reg`` is another name.
            no_logs: write no result file.
            train_log_interval: steps between two logged mini-batch losses; by default 10.
            print_train_iter: print each logged mini-batch loss.
            tb_log: log to TensorBoard.
            tb_log_dir: where to; ``none`` for the folder of the setting.
            skip_if_exists: return the result of an earlier run of the same, if there is one.
            callback: hears of the progress.
            **more: ``l2_reg`` and ``learning_rate`` (DeepOBS's other names of ``weight_decay`` and
                ``lr``); ``device``, ``split``, ``synthetic`` and ``problem_options`` (see
                `RunSpec`; by default the problem's); hyper-parameters; and everything else is a
                training parameter, as in ``training_params``.

        Returns:
            The dictionary that is written to the result file.

        Raises:
            UsageError: a hyper-parameter is missing, or an argument is wrong.
            KeyboardInterrupt: the run was interrupted; what it had is written.
        """
        asked = self.ask(
            testproblem=testproblem, hyperparams=hyperparams, batch_size=batch_size,
            num_epochs=num_epochs, random_seed=random_seed, data_dir=data_dir,
            output_dir=output_dir, weight_decay=weight_decay, no_logs=no_logs,
            train_log_interval=train_log_interval, print_train_iter=print_train_iter,
            tb_log=tb_log, tb_log_dir=tb_log_dir, **more,
        )  # fmt: skip
        return to_json(self.carry_out(asked, skip_if_exists, callback))

    def ask(
        self,
        *,
        hyperparams: Mapping[str, Any] | None = None,
        l2_reg: float | None = None,
        learning_rate: float | None = None,
        training_params: Mapping[str, Any] | None = None,
        device: str | None = None,
        split: str | None = None,
        synthetic: bool = False,
        problem_options: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Asked:
        """What `run` would do if it were called with the same arguments."""
        names = (
            "testproblem", "batch_size", "num_epochs", "random_seed", "data_dir", "output_dir",
            "weight_decay", "no_logs", "train_log_interval", "print_train_iter", "tb_log",
            "tb_log_dir",
        )  # fmt: skip
        given = {name: more.pop(name, None) for name in names}
        given["weight_decay"] = l2_reg if given["weight_decay"] is None else given["weight_decay"]
        declared = self._hyperparameter_names
        chosen = {**(hyperparams or {}), **{n: more.pop(n) for n in declared if n in more}}
        if learning_rate is not None:
            chosen["learning_rate" if "learning_rate" in declared else "lr"] = learning_rate
        params = {**(training_params or {}), **more}
        if self.is_script:
            flags = self.training_flags()
            given |= {name: params.get(name) for name in flags}
            given, chosen = complete_from_command_line(
                given, chosen, declared, flags, self._optimizer_name
            )
            params |= {name: given[name] for name in flags}
            if given["data_dir"] is not None:
                config.set_data_dir(given["data_dir"])
            defaults = _configured(given["testproblem"])
        else:
            given, chosen = complete(given, chosen, declared)
            defaults = {"data_dir": given["data_dir"], "device": None, "split": None}
        own = ("testproblem", "batch_size", "num_epochs", "random_seed", "weight_decay",
               "train_log_interval")  # fmt: skip
        spec = RunSpec(
            optimizer=entry_of_class(self._optimizer_class).name,
            hyperparams=chosen,
            split=defaults["split"] if split is None else split,
            synthetic=synthetic,
            data_dir=defaults["data_dir"],
            device=defaults["device"] if device is None else device,
            problem_options=dict(problem_options or {}),
            training_params={k: v for k, v in params.items() if v is not None},
            **{name: given[name] for name in own},
        )
        store = None if given["no_logs"] else Store(Path(given["output_dir"]))
        if given["tb_log"]:
            check_loggers(["tensorboard"])  # before the first step
        return Asked(spec, store, given["print_train_iter"], given["tb_log"], given["tb_log_dir"])

    def carry_out(
        self, asked: Asked, skip_if_exists: bool = False, callback: Callback | None = None
    ) -> RunResult:
        """Does what was asked for; see `run`."""
        run = self._resolve(asked.spec)
        found = asked.store.find(run) if asked.store is not None and skip_if_exists else None
        if found is not None:
            logger.info("%s with seed %d exists: the run is skipped", run.hyperparams,
                        run.random_seed)  # fmt: skip
            return found
        if asked.store is not None:
            asked.store.check()
        try:
            result = self._train(run, asked, callback)
        except RunError as error:
            if asked.store is not None and error.result is not None:
                asked.store.write(error.result)
            raise
        if asked.store is not None:
            asked.store.write(result)
        if result.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt  # what was measured is written; the caller's loop must end
        return result

    def _resolve(self, spec: RunSpec) -> ResolvedRun:
        if not self.trains_itself:
            run = resolve(spec, self._optimizer_class)
            check(run, self._optimizer_class)
            return run
        # What its parameters mean is known to its own training alone.
        run = resolve(replace(spec, training_params={}), self._optimizer_class)
        find_device(run.device)
        params = {k: json_value(k, v, spec.optimizer) for k, v in spec.training_params.items()}
        return replace(run, training_params=params)

    def _train(self, run: ResolvedRun, asked: Asked, callback: Callback | None) -> RunResult:
        started = now()
        problem = self._set_up(run)
        self._run, self._callback = run, callback
        # DeepOBS's own loop takes the loss with its L2 term, and so will an overridden one.
        factor = max(problem.regularization_groups, default=0.0)
        facts = {
            "started": started,
            "optimizer_class": run.entry.name,
            "regularization": "l2" if factor else "none",
            "effective_weight_decay": factor,
            "environment": environment(torch.device(problem.device)),
        }
        output = self.training(
            problem, dict(run.hyperparams), run.num_epochs, asked.print_train_iter,
            run.train_log_interval, asked.tb_log, asked.tensorboard_dir(run),
            **{**dict.fromkeys(self.training_flags()), **run.training_params},
        )  # fmt: skip
        measured = {name: value for name, value in output.items() if name in _MEASURED}
        result = run.result(**{**facts, **measured})
        cut_at_first_non_finite(result)
        return result

    def _set_up(self, run: ResolvedRun) -> Any:
        """The problem, through the hook that makes it."""
        configured = _configured(run.testproblem)
        options = {k: getattr(run, k) for k, v in configured.items() if getattr(run, k) != v}
        if run.synthetic:
            options["synthetic"] = True
        return self.create_testproblem(
            run.testproblem, run.batch_size, run.weight_decay, run.random_seed,
            **options, **run.problem_options,
        )  # fmt: skip

    @staticmethod
    def create_testproblem(
        testproblem: str,
        batch_size: int,
        weight_decay: float | None,
        random_seed: int,
        **options: Any,
    ) -> Any:
        """Seeds Python, NumPy and PyTorch, and sets the problem up.

        Args:
            testproblem: its name.
            batch_size: examples a step.
            weight_decay: L2 factor, None for the problem's default.
            random_seed: the seed.
            **options: further arguments of the problem.
        """
        if torch_config.get_is_deterministic():
            torch.backends.cudnn.deterministic = True
            torch.backends.cudnn.benchmark = False
        random.seed(random_seed)
        np.random.seed(random_seed)
        torch.manual_seed(random_seed)
        options = {**_configured(testproblem), "seed": random_seed, **options}
        problem = find_testproblem(testproblem).load()(batch_size, weight_decay, **options)
        problem.set_up()
        return problem

    @staticmethod
    def evaluate(tproblem: Any, phase: str) -> tuple[float, float]:
        """Mean loss (with the L2 term) and accuracy over a set.

        Args:
            tproblem: a problem that is set up.
            phase: ``TRAIN``, ``VALID`` or ``TEST``.
        """
        if phase not in ("TRAIN", "VALID", "TEST"):
            raise UsageError(f"phase must be TRAIN, VALID or TEST, not {phase!r}")
        found = evaluate(tproblem, phase.lower(), has_l2=True)
        return found.loss, found.accuracy or 0.0

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
        run = replace(
            self._run,
            hyperparams=hyperparams,
            num_epochs=num_epochs,
            train_log_interval=train_log_interval,
            training_params={k: v for k, v in training_params.items() if v is not None},
        )
        callbacks = [] if self._callback is None else [self._callback]
        callbacks += self.callbacks(print_train_iter, tb_log_dir if tb_log else None)
        with own_random_state(run.random_seed, torch.device(tproblem.device)):
            result = train(run, tproblem, self._optimizer_class, Several(callbacks))
        return {name: getattr(result, name) for name in _MEASURED}

    def callbacks(self, print_train_iter: bool, tensorboard_dir: str | None) -> list[Callback]:
        """What shows the progress of a run.

        Args:
            print_train_iter: whether mini-batch losses are printed.
            tensorboard_dir: folder for TensorBoard's files; None: no TensorBoard.
        """
        found: list[Callback] = [PrintEvaluations()] if self.is_script else []
        found += [PrintSteps()] if print_train_iter else []
        if tensorboard_dir is not None:
            found.append(RunLog("tensorboard", "", "", Path(tensorboard_dir)))
        return found


class LearningRateScheduleRunner(StandardRunner):
    """The standard runner with a schedule: ``lr_sched_epochs`` and ``lr_sched_factors``."""

    def training_flags(self) -> dict[str, dict[str, Any]]:
        """The two flags of the schedule."""
        return {
            "lr_sched_epochs": {"nargs": "+", "type": int},
            "lr_sched_factors": {"nargs": "+", "type": float},
        }


def _configured(testproblem: str) -> dict[str, Any]:
    """What ``deepobs.config`` and ``deepobs.pytorch.config`` say of where and how."""
    has_validation = find_testproblem(testproblem).has_validation
    return {
        "data_dir": config.get_data_dir(),
        "device": torch_config.get_default_device(),
        "split": torch_config.get_split() if has_validation else "full",
    }
