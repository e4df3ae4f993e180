"""DeepOBS's `StandardRunner`, for any PyTorch optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.files import check_writable
from alig_deepobs.registry import entry_of_class
from alig_deepobs.results import to_json, write_result
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners.callbacks import Callback
from alig_deepobs.runners.training import execute

HyperParameterNames = Mapping[str, Mapping[str, Any]] | Sequence[Mapping[str, Any]]


class StandardRunner:
    """Runs an optimizer on test problems and writes results in DeepOBS's folder tree.

    Args:
        optimizer_class: a class called as ``optimizer_class(params, **hyperparameters)``. What
            its ``step`` wants (nothing, the loss, a closure) is taken from its attribute
            ``needs_loss`` or from the registry.
        hyperparameter_names: its hyper-parameters, as DeepOBS 1.2 writes them,
            ``{"lr": {"type": float, "default": 0.1}, ...}``, or as 1.1 does,
            ``[{"name": "momentum", "type": float, "default": 0.0}, ...]`` (there the learning
            rate is not among them, and becomes ``lr``).

    Example:
        >>> import torch
        >>> runner = StandardRunner(torch.optim.SGD, {"lr": {"type": float}})
        >>> output = runner.run(
        ...     testproblem="quadratic_deep", hyperparams={"lr": 0.01}, num_epochs=1, no_logs=True
        ... )
        >>> round(output["test_losses"][0], 3)
        353.447
    """

    def __init__(self, optimizer_class: Any, hyperparameter_names: HyperParameterNames) -> None:
        self.optimizer_class = optimizer_class
        if isinstance(hyperparameter_names, Mapping):
            names = {name: dict(options) for name, options in hyperparameter_names.items()}
        else:
            names = {"lr": {"type": float}}
            for item in hyperparameter_names:
                options = dict(item)
                names[str(options.pop("name"))] = options
        self.hyperparameter_names: dict[str, dict[str, Any]] = names

    def run(
        self,
        testproblem: str,
        hyperparams: Mapping[str, Any] | None = None,
        batch_size: int | None = None,
        num_epochs: int | None = None,
        random_seed: int = 42,
        data_dir: str | None = None,
        output_dir: str | Path = "./results",
        weight_decay: float | None = None,
        no_logs: bool = False,
        train_log_interval: int = 10,
        print_train_iter: bool = False,
        *,
        l2_reg: float | None = None,
        learning_rate: float | None = None,
        device: str | None = None,
        split: str | None = None,
        synthetic: bool = False,
        problem_options: Mapping[str, Any] | None = None,
        training_params: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        **hyperparameters: Any,
    ) -> dict[str, Any]:
        """Trains once and returns the result.

        The arguments are those of both DeepOBS versions; the command line is never read.

        Args:
            testproblem: its name.
            hyperparams: hyper-parameters of the optimizer; they may also be given as keywords.
            batch_size: examples a step; None for the problem's default.
            num_epochs: None for the problem's default.
            random_seed: the base of every seed of the run.
            data_dir: folder with the data files; None for the per-user cache.
            output_dir: where results go.
            weight_decay: L2 factor, None for the problem's default; ``l2_reg`` is another name.
            no_logs: write no result file.
            train_log_interval: steps between two logged mini-batch losses.
            print_train_iter: print each logged mini-batch loss.
            l2_reg: another name of ``weight_decay``.
            learning_rate: another name of the hyper-parameter ``lr``, as in DeepOBS 1.1.
            device: torch device; None for the GPU if there is one.
            split: ``full`` or ``validation``; None for the problem's default.
            synthetic: use the synthetic twin of the data.
            problem_options: options of the test problem (`ProblemEntry.options`).
            training_params: schedules and clipping, see `RunSpec`.
            callback: hears of the progress.
            **hyperparameters: see ``hyperparams``.

        Returns:
            The dictionary that is written to the result file.

        Raises:
            UsageError: a hyper-parameter is missing or not declared, or an argument is wrong.
            KeyboardInterrupt: the run was interrupted; what it had is written.
        """
        spec = RunSpec(
            testproblem=testproblem,
            optimizer=entry_of_class(self.optimizer_class).name,
            hyperparams=self._hyperparams(hyperparams or {}, learning_rate, hyperparameters),
            batch_size=batch_size,
            num_epochs=num_epochs,
            weight_decay=l2_reg if weight_decay is None else weight_decay,
            random_seed=random_seed,
            split=split,
            synthetic=synthetic,
            problem_options=dict(problem_options or {}),
            data_dir=data_dir,
            device=device,
            train_log_interval=train_log_interval,
            training_params=dict(training_params or {}),
        )
        if not no_logs:
            check_writable(output_dir)
        if callback is None and print_train_iter:
            callback = _PrintSteps()
        result = execute(spec, callback, self.optimizer_class)
        if not no_logs:
            write_result(result, output_dir)
        if result.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt  # what was measured is written; the caller's loop must end
        return to_json(result)

    def _hyperparams(
        self, given: Mapping[str, Any], learning_rate: float | None, keywords: Mapping[str, Any]
    ) -> dict[str, Any]:
        merged = {**given, **keywords}
        if learning_rate is not None:
            merged["lr"] = learning_rate
        for name in merged:
            if name not in self.hyperparameter_names:
                known = ", ".join(self.hyperparameter_names)
                raise UsageError(f"hyper-parameter {name!r} was not declared; declared: {known}")
        complete = {}
        for name, options in self.hyperparameter_names.items():
            if name in merged:
                complete[name] = merged[name]
            elif "default" in options:
                complete[name] = options["default"]
            else:
                raise UsageError(f"hyper-parameter {name!r} has no default: give it in hyperparams")
        return complete


class _PrintSteps(Callback):
    """DeepOBS's ``print_train_iter``."""

    def stepped(self, epoch: int, step: int, loss: float) -> None:
        print(f"Epoch {epoch - 1}, step {step}: loss {loss:g}")  # noqa: T201 - what was asked for
