"""``deepobs.pytorch.runners`` of DeepOBS 1.2, with its hooks.

`PTRunner` is what scripts subclass to train in their own way: override ``training``. The two
runners that come with DeepOBS hand the training to this package's loop, which gives each optimizer
the loss if its step wants it.
"""

from __future__ import annotations

import abc
import contextlib
import json
import logging
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from alig_deepobs import registry
from alig_deepobs.entries import ProblemEntry
from alig_deepobs.errors import ResultError, RunError, UsageError
from alig_deepobs.files import write_text_atomically
from alig_deepobs.plugins import calling
from alig_deepobs.registry import (
    entry_of_class,
    find_testproblem,
    load_object,
    register_testproblem,
)
from alig_deepobs.results import (
    cut_at_first_non_finite,
    now,
    plain,
    read_result,
    run_folder,
    to_json,
)
from alig_deepobs.run import (
    PARTS,
    Evaluation,
    Outcome,
    ResolvedRun,
    Run,
    RunResult,
    RunSpec,
    facets,
)
from alig_deepobs.runners.callbacks import Callback, PrintEvaluations, PrintSteps, Several
from alig_deepobs.runners.checks import check
from alig_deepobs.runners.deepobs import config, configured, testproblems
from alig_deepobs.runners.deepobs import pytorch_config as torch_config
from alig_deepobs.runners.deepobs.commandline import complete, complete_from_command_line
from alig_deepobs.runners.deepobs.datasets import GivenLoaders
from alig_deepobs.runners.deepobs.hooks import Hooks
from alig_deepobs.runners.deepobs.parameters import as_given, for_json, names_an_object, recorded
from alig_deepobs.runners.environment import environment
from alig_deepobs.runners.evaluation import evaluate
from alig_deepobs.runners.loggers import RunLog, check_loggers
from alig_deepobs.runners.noise import own_random_state
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.store import Store
from alig_deepobs.runners.training import train
from alig_deepobs.testproblems.checks import find_device

__all__ = ["LearningRateScheduleRunner", "PTRunner", "StandardRunner"]

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


class PTRunner(Hooks, abc.ABC):
    """Base class of DeepOBS's PyTorch runners.

    Args:
        optimizer_class: a class, or something else with a name, called as
            ``optimizer_class(params, **hyperparams)``. What its ``step`` wants (nothing, the
            loss, a closure) is taken from its attribute ``needs_loss`` or from the registry.
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
        self._optimizer_class = _as_class(optimizer_class)
        self._optimizer_name = getattr(optimizer_class, "__name__", str(optimizer_class))
        if not isinstance(hyperparameter_names, Mapping):
            listed = [dict(item) for item in hyperparameter_names]
            hyperparameter_names = {
                "lr": {"type": float}, **{str(item.pop("name")): item for item in listed}
            }  # fmt: skip
        self._hyperparameter_names = {k: dict(v) for k, v in hyperparameter_names.items()}
        self._run_directory = self._file_name = ""  # of the last run
        self._written: dict[str, Any] = {}

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
    def has_own_hooks(self) -> bool:
        """Whether a run is what this object makes of it, and not what its specification says."""
        names = [name for name, value in vars(Hooks).items() if callable(value)]
        names += ["create_testproblem", "evaluate", "evaluate_all"]
        changed = [getattr(type(self), n) is not getattr(StandardRunner, n) for n in names
                   if n not in ("training_flags", "__init__")]  # fmt: skip
        return self.trains_itself or any(changed)

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
            SystemExit: the command line is wrong.
            KeyboardInterrupt: the run was interrupted; what it had is written.
        """
        asked = self.ask(
            testproblem=testproblem, hyperparams=hyperparams, batch_size=batch_size,
            num_epochs=num_epochs, random_seed=random_seed, data_dir=data_dir,
            output_dir=output_dir, weight_decay=weight_decay, no_logs=no_logs,
            train_log_interval=train_log_interval, print_train_iter=print_train_iter,
            tb_log=tb_log, tb_log_dir=tb_log_dir, **more,
        )  # fmt: skip
        self._written = {}
        result = self.carry_out(asked, skip_if_exists, callback)
        return self._written or to_json(result)

    def run_exists(
        self,
        testproblem: str | None = None,
        hyperparams: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        num_epochs: int | None = None,
        random_seed: int | None = None,
        **more: Any,
    ) -> tuple[bool, list[str]]:
        """Whether the result of such a run is there, and the files that have it.

        Args:
            testproblem: as for `run`.
            hyperparams: as for `run`.
            batch_size: as for `run`.
            num_epochs: as for `run`.
            random_seed: as for `run`.
            **more: as for `run`.
        """
        asked = self.ask(
            testproblem=testproblem, hyperparams=hyperparams, batch_size=batch_size,
            num_epochs=num_epochs, random_seed=random_seed, **more,
        )  # fmt: skip
        found = None if asked.store is None else self._found(self._resolve(asked.spec), asked)
        return found is not None, [] if found is None else [found[0]]

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
            read = given["testproblem"] is None
            given, chosen, params = complete_from_command_line(given, chosen, params, self)
            if given["data_dir"] is not None:
                config.set_data_dir(given["data_dir"])
            try:
                entry = find_entry(given["testproblem"])
            except UsageError as error:
                if not read:
                    raise
                sys.stderr.write(f"Error: {error}\n")  # as argparse ends
                raise SystemExit(error.exit_code) from error
            for name, value in config.DEFAULT_TEST_PROBLEMS_SETTINGS.get(entry.name, {}).items():
                given[name] = value if given[name] is None else given[name]
            if entry.data_set == testproblems.OWN and None in (
                given["batch_size"],
                given["num_epochs"],
            ):
                config.get_testproblem_default_setting(entry.name)  # raises DeepOBS's error
            defaults = configured.problem_options(entry)
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
        self._name_files(run, asked)
        found = self._found(run, asked) if skip_if_exists else None
        if found is not None:
            logger.info("%s with seed %d exists: the run is skipped", run.hyperparams,
                        run.random_seed)  # fmt: skip
            self._written = json.loads(Path(found[0]).read_text(encoding="utf-8"))
            return found[1]
        if asked.store is not None:
            asked.store.check()
        try:
            result = self._train(run, asked, callback)
        except RunError as error:
            if asked.store is not None and error.result is not None:
                asked.store.write(error.result)
            raise
        if asked.store is not None:
            self._write(result, asked.store)
        if result.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt  # what was measured is written; the caller's loop must end
        return result

    def _name_files(self, run: ResolvedRun, asked: Asked) -> None:
        """The folder and the name that the hooks, or this package, give to the file."""
        folder = Path("./results") if asked.store is None else asked.store.folder
        self._run_directory = str(run_folder(run, folder))
        with calling("the runner's _filename_no_date"):
            start = self._filename_no_date(run.random_seed)
        self._file_name = start + time.strftime("%Y-%m-%d-%H-%M-%S")
        if self._names_its_folder:
            with calling("the runner's hook that names the folder"):
                self._run_directory, self._file_name = self.generate_output_directory_name(
                    run.testproblem, run.batch_size, run.num_epochs, asked.spec.weight_decay,
                    run.random_seed, str(folder),
                    dict(run.hyperparams),
                    **as_given(run.training_params, asked.spec.training_params),
                )  # fmt: skip

    def _found(self, run: ResolvedRun, asked: Asked) -> tuple[str, RunResult] | None:
        """The file of an earlier run of the same that came to its end, and its content."""
        if asked.store is None or names_an_object(run.training_params):
            return None
        self._name_files(run, asked)
        pattern = f"random_seed__{run.random_seed}__*.json"
        for path in sorted(Path(self._run_directory).glob(pattern)):
            with contextlib.suppress(ResultError):
                result = read_result(path)
                same = result.identity() == run.identity()
                logged = result.train_log_interval == run.train_log_interval
                if same and logged and result.outcome.is_final:
                    return str(path), result
        return None

    def _write(self, result: RunResult, store: Store) -> None:
        """Writes the record, with what is the runner's own, where its hooks want it."""
        path = store.write(result)
        self._file_name = path.stem
        if not self._names_its_folder and self._written.keys() <= to_json(result).keys():
            return
        folder = Path(self._run_directory) if self._names_its_folder else path.parent
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"random_seed__{result.random_seed}__*.json"):
            with contextlib.suppress(ResultError):  # a file of the user's is left alone
                if old != path and read_result(old).identity() == result.identity():
                    old.unlink()
        text = json.dumps(self._written, indent=4, default=for_json)
        write_text_atomically(folder / path.name, text)
        if folder != path.parent:
            path.unlink()
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    def _resolve(self, spec: RunSpec) -> ResolvedRun:
        own_problem = is_own(spec.testproblem)
        if not own_problem and not self.trains_itself:
            run = resolve(spec, self._optimizer_class)
            check(run, self._optimizer_class)
            return run
        # What the parameters mean is known to the user's training alone, and what data and L2
        # factor of a user's problem are, to its class.
        known = replace(spec, training_params={})
        if own_problem:
            known = replace(known, weight_decay=None, problem_options={})
        run = resolve(known, self._optimizer_class, check_data=not own_problem)
        find_device(run.device)
        params = recorded(spec.training_params, spec.optimizer)
        factor = spec.weight_decay if own_problem else run.weight_decay
        return replace(run, weight_decay=factor, training_params=params)

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
        params = as_given(run.training_params, asked.spec.training_params)
        with calling("the runner's training"):
            output = self.training(
                problem, dict(run.hyperparams), run.num_epochs, asked.print_train_iter,
                run.train_log_interval, asked.tb_log, asked.tensorboard_dir(run),
                **{**dict.fromkeys(self.training_flags()), **params},
            )  # fmt: skip
        output = dict(output or {})
        accuracies = [name for name in output if name.endswith("_accuracies")]
        if not problem.has_accuracy or not any(output.get("test_accuracies", ())):
            # DeepOBS's sign of a problem without accuracy is that it is 0 throughout.
            has_none = not problem.has_accuracy or getattr(problem, "is_own", False)
            output |= {name: [] for name in accuracies if has_none}
        with calling("the runner's _post_process_output"):
            final = self._post_process_output(
                output, run.testproblem, run.batch_size, run.num_epochs, run.random_seed,
                run.weight_decay, dict(run.hyperparams), **params,
            )  # fmt: skip
        measured = {name: value for name, value in final.items() if name in _MEASURED}
        result = run.result(**{**facts, **measured})
        cut_at_first_non_finite(result)
        record = to_json(result)
        self._written = {**record, **{k: plain(v) for k, v in final.items() if _is_own(k, record)}}
        return result

    def _set_up(self, run: ResolvedRun) -> Any:
        """The problem, through the hook that makes it."""
        options: dict[str, Any] = {}
        if not is_own(run.testproblem):
            defaults = configured.problem_options(run.problem)
            options = {k: getattr(run, k) for k, v in defaults.items() if getattr(run, k) != v}
        if run.synthetic:
            options["synthetic"] = True
        with calling("the runner's create_testproblem"):
            return self.create_testproblem(
                run.testproblem, run.batch_size, run.weight_decay, run.random_seed,
                **options, **run.problem_options,
            )  # fmt: skip

    @staticmethod
    def create_testproblem(
        testproblem: str,
        batch_size: int,
        weight_decay: float | None = None,
        random_seed: int = 42,
        *,
        l2_reg: float | None = None,
        **options: Any,
    ) -> Any:
        """Seeds Python, NumPy and PyTorch, and sets the problem up.

        Args:
            testproblem: its name.
            batch_size: examples a step.
            weight_decay: L2 factor, None for the problem's default.
            random_seed: the seed.
            l2_reg: another name of ``weight_decay``.
            **options: further arguments of the problem.
        """
        deterministic = torch_config.get_is_deterministic()
        torch.backends.cudnn.deterministic = deterministic
        torch.backends.cudnn.benchmark = not deterministic
        random.seed(random_seed)
        np.random.seed(random_seed)
        torch.manual_seed(random_seed)
        factor = l2_reg if weight_decay is None else weight_decay
        problem_class = testproblems.find_class(testproblem)
        if is_own(testproblem):
            given = [] if factor is None else [factor]
            problem = problem_class(batch_size, *given, **options)
        else:
            problem = problem_class(batch_size, factor, **{"seed": random_seed, **options})
        problem.set_up()
        if not hasattr(problem.data, "parts"):
            problem.data = GivenLoaders(problem.data)
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
            accuracies.append(accuracy)


class _Evaluations(Callback):
    """Calls a subclass's ``evaluate_all`` wherever the loop has evaluated; its values count."""

    def __init__(self, runner: PTRunner, tproblem: Any, num_epochs: int) -> None:
        self.runner = runner
        self.tproblem = tproblem
        self.num_epochs = num_epochs
        self.found: dict[str, list[float]] = {}

    def evaluated(self, epoch: int, evaluations: dict[str, Evaluation]) -> None:
        """See `Callback.evaluated`."""
        names = [f"{part}_{kind}" for kind in ("losses", "accuracies") for part in PARTS]
        self.found = self.found or {name: [] for name in names}
        with calling("the runner's evaluate or evaluate_all"):
            self.runner.evaluate_all(
                epoch, self.num_epochs, self.tproblem, *(self.found[name] for name in names)
            )


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
            # A data set of the user's may have no validation set.
            split=self._run.split if "valid" in tproblem.data.parts else "full",
        )
        callbacks = [] if self._callback is None else [self._callback]
        callbacks += self.callbacks(print_train_iter, tb_log_dir if tb_log else None)
        measured = _Evaluations(self, tproblem, num_epochs)
        callbacks += [measured] if self._evaluates_itself else []
        tproblem.accuracy_is_float = False  # the device is read once for a set, not for each batch
        with own_random_state(run.random_seed, torch.device(tproblem.device)):
            result = train(run, tproblem, self._optimizer_class, Several(callbacks))
        tproblem.accuracy_is_float = True
        if result.outcome is Outcome.DIVERGED:
            self._tell_of_divergence(result)
        return {**{name: getattr(result, name) for name in _MEASURED}, **measured.found}

    @property
    def _evaluates_itself(self) -> bool:
        """Whether a subclass has an ``evaluate`` or an ``evaluate_all`` of its own."""
        names = ("evaluate", "evaluate_all")
        return any(getattr(type(self), name) is not getattr(PTRunner, name) for name in names)

    def _tell_of_divergence(self, result: RunResult) -> None:
        """Calls DeepOBS's hook of a run that ends early, where a subclass has one."""
        if type(self)._abort_routine is Hooks._abort_routine:
            return
        lists = [getattr(result, f"{part}_{kind}") for kind in ("losses", "accuracies")
                 for part in PARTS]  # fmt: skip
        lists.append(result.minibatch_train_losses)
        with calling("the runner's _abort_routine"):
            self._abort_routine(result.epochs_finished, result.num_epochs, *lists)

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


def _as_class(make: Any) -> Any:
    """A class for whatever makes optimizers and has a name, such as a function."""
    if isinstance(make, type):
        return make
    if not (callable(make) and hasattr(make, "__name__")):
        raise UsageError(f"{make!r} is not a class (or function) such as torch.optim.SGD")
    own = {
        "__new__": lambda cls, *arguments, **hyperparams: make(*arguments, **hyperparams),
        "__module__": getattr(make, "__module__", "__main__"),
    }
    wanted = getattr(make, "needs_loss", None)
    return type(make.__name__, (), own if wanted is None else {**own, "needs_loss": wanted})


def find_entry(testproblem: str) -> ProblemEntry:
    """What is known of a problem; of one that was written for DeepOBS, next to nothing.

    Raises:
        UsageError: there is none of that name.
        RuntimeError: it has no default settings (DeepOBS's own kind of error).
    """
    own = testproblems.own_class(testproblem)
    if own is None:
        return find_testproblem(testproblem)
    known = registry.testproblems().get(testproblem)
    if known is not None and known.data_set != testproblems.OWN:
        return known
    settings = config.DEFAULT_TEST_PROBLEMS_SETTINGS.get(testproblem, {})
    return register_testproblem(
        ProblemEntry(
            testproblem, testproblem, f"{own.__module__}:{own.__qualname__}", testproblems.OWN,
            settings.get("batch_size", 1), settings.get("num_epochs", 0),
            default_split="validation", description="written for DeepOBS",
        )
    )  # fmt: skip


def is_own(testproblem: str) -> bool:
    """Whether a problem was written for DeepOBS."""
    return testproblems.own_class(testproblem) is not None


def _is_own(key: str, record: Mapping[str, Any]) -> bool:
    """Whether a key of the output is none of this package's: a list that is empty is left out."""
    return key not in record and key not in _MEASURED
