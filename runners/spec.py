"""A run described by plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.registry import find_testproblem, resolve_optimizer
from alig_deepobs.results import plain_scalar
from alig_deepobs.settings import Setting


@dataclass(frozen=True)
class RunSpec:
    """Everything that shapes a run; `alig_deepobs.runners.execute` carries it out.

    Attributes:
        testproblem: name in the registry.
        optimizer: name in the registry, or ``package.module:Class``.
        hyperparams: hyper-parameters of the optimizer; those left out get the problem's default
            for this optimizer (`ProblemEntry.optimizer_defaults`), else the optimizer's.
        batch_size, num_epochs: None for the problem's default.
        weight_decay: L2 factor; None for the problem's default.
        random_seed: the base of every seed of the run.
        split: ``full`` (all training data train) or ``validation`` (a part is held out); None for
            the problem's default, which is ``full`` for DeepOBS's problems.
        reshuffle: draw a new batch order in every epoch (True), or one for the whole run (False,
            as DeepOBS 1.1.2 does); None for the problem's default.
        synthetic: train on the small synthetic twin of the data set.
        data_dir: folder with the official files; None for the per-user cache.
        offline: never touch the network.
        device: torch device, None for the GPU if there is one.
        train_log_interval: steps between two logged mini-batch losses.
        problem_options: options of the problem that are not its defaults (`ProblemEntry.options`).
        training_params: further training parameters: ``lr_sched_epochs`` and ``lr_sched_factors``
            (a schedule), ``lr_decay_per_epoch`` and ``lr_plateau_factor`` (a decay), ``clip_norm``.
        keep_best: folder for the weights of the epoch with the best validation accuracy; None:
            do not keep them.
        purpose: ``tuning`` for a run that only serves to choose a setting.
        setting_source: who chose the hyper-parameters and how, one line for the record.
    """

    testproblem: str
    optimizer: str
    hyperparams: dict[str, Any] = field(default_factory=dict)
    batch_size: int | None = None
    num_epochs: int | None = None
    weight_decay: float | None = None
    random_seed: int = 42
    split: str | None = None
    reshuffle: bool | None = None
    synthetic: bool = False
    data_dir: str | None = None
    offline: bool = False
    device: str | None = None
    train_log_interval: int = 10
    problem_options: dict[str, Any] = field(default_factory=dict)
    training_params: dict[str, Any] = field(default_factory=dict)
    keep_best: str | None = None
    purpose: str = ""
    setting_source: str = ""

    def complete(self, check_optimizer: bool = True) -> RunSpec:
        """The same run with every default filled in.

        Args:
            check_optimizer: False for a class that is not in the registry and that cannot be
                imported either; its hyper-parameters are then as given.

        Raises:
            UsageError: unknown problem, optimizer or hyper-parameter, or a bad number.
        """
        problem = find_testproblem(self.testproblem)
        # People loop over NumPy's ranges; a record has plain numbers.
        values = {name: plain_scalar(value) for name, value in self.__dict__.items()}
        values["hyperparams"] = {k: plain_scalar(v) for k, v in self.hyperparams.items()}
        if check_optimizer:
            given = problem.with_defaults(self.optimizer, values["hyperparams"])
            _, values["hyperparams"] = resolve_optimizer(Setting(self.optimizer, given))
        values["problem_options"] = problem.changed_options(self.problem_options)
        for name in ("batch_size", "num_epochs"):
            if values[name] is None:
                values[name] = getattr(problem, name)
        split = values["split"] = problem.default_split if self.split is None else self.split
        for name, lowest in (("batch_size", 1), ("num_epochs", 0), ("train_log_interval", 1)):
            if values[name] < lowest:
                raise UsageError(f"{name} must be at least {lowest}, not {values[name]}")
        if split not in ("full", "validation"):
            raise UsageError(f"split must be 'full' or 'validation', not {split!r}")
        if self.keep_best is not None and split != "validation":
            raise UsageError("keep_best needs a validation set: add --split validation")
        return RunSpec(**values)
