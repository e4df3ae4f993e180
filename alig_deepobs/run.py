"""A run as a value: asked (`RunSpec`), with nothing left open (`Run`), carried out (`RunResult`).

Every field of a run says in its own metadata (`Facet`) what it is for: whether it belongs to the
run's identity, whether runs must share it to be compared, and how its flag, its key in a file and
its column are called. The command line's options, the folder's name, the command that repeats a
run, resuming, grouping and the columns of the frame all come from there.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import os
import shlex
import statistics
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from json import dumps  # ours, whatever a plug-in puts in its place
from pathlib import Path
from typing import Any

from alig_deepobs.entries import LEARNING_RATES, HyperParameter, OptimizerEntry, ProblemEntry
from alig_deepobs.errors import UsageError
from alig_deepobs.foreign import is_short, plain_scalar
from alig_deepobs.registry import testproblems
from alig_deepobs.settings import Setting

NUMBERS_VERSION = 1
"""Raised by a release with which the same run gives other numbers."""

FRAMEWORKS = ("pytorch", "tensorflow")
SPLITS = ("full", "validation")
PRECISIONS = ("float32", "bf16")
PARTS = ("train", "valid", "test")
"""The sets of which a record may have curves; they are parts of the data set."""

PURPOSES = ("", "tuning")
"""What a run is made for: to be reported, or to tune; the latter is the name of a folder, too."""

TRAINING_PARAMS: Mapping[str, HyperParameter] = {
    "lr_sched_epochs": HyperParameter(
        list, help="Change the learning rate after so many epochs, for example 60,120."
    ),
    "lr_sched_factors": HyperParameter(
        list, help="Factors of the base learning rate from these epochs on, for example 0.2,0.04."
    ),
    "lr_decay_per_epoch": HyperParameter(
        float, help="Multiply the learning rate by this in every epoch but the first."
    ),
    "lr_plateau_factor": HyperParameter(
        float,
        help="Multiply the learning rate by this after each epoch without a new best validation "
        "metric.",
    ),
    "clip_norm": HyperParameter(
        float, help="Scale gradients down to this norm where it is larger."
    ),
}
"""Schedules and clipping: what ``training_params`` may hold."""


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out of memory"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether the run came to an end of its own, so that running it again gives the same."""
        return self in (Outcome.DONE, Outcome.DIVERGED)


@dataclass(frozen=True)
class Facet:
    """What a field of a run is for.

    Attributes:
        identity: whether its value can change the numbers.
        comparable: whether runs must share it to stand in one table.
        label: its name in messages and headings.
        key: its name in result files, where it is not that of the field.
        flags: short forms of its flag on the command line (the long one is ``--<name>``); None:
            it has no flag.
        help: of the flag.
        minimum: the smallest value that the flag takes.
        choices: the only values that it takes.
        metavar: of the flag.
    """

    identity: bool = False
    comparable: bool = False
    label: str = ""
    key: str = ""
    flags: tuple[str, ...] | None = None
    help: str = ""
    minimum: int | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None


def facets(of: type[Run]) -> dict[str, Facet]:
    """The facet of every field of a class of runs, by name of the field."""
    return {item.name: item.metadata["facet"] for item in dataclasses.fields(of)}


@functools.cache
def value_types(of: type[Run] | type[RunSpec]) -> dict[str, Any]:
    """The type of every field of a class of runs, None left out, by name of the field."""
    hints = typing.get_type_hints(of)
    return {
        name: next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
        if isinstance(hint, types.UnionType)
        else hint
        for name, hint in hints.items()
    }


def _field(label: str, default: Any = dataclasses.MISSING, kw_only: bool = True, **of: Any) -> Any:
    """A field with its facet; dictionaries and lists are given as their type."""
    settings: dict[str, Any] = {"kw_only": kw_only, "metadata": {"facet": Facet(label=label, **of)}}
    if isinstance(default, type):
        settings["default_factory"] = default
    elif default is not dataclasses.MISSING:
        settings["default"] = default
    return field(**settings)


def _measured(default: Any, label: str = "") -> Any:
    return _field(label, default)


@dataclass
class Run:
    """Everything that shapes the numbers of a run, with nothing left open.

    Attributes:
        testproblem: name of the test problem.
        optimizer_name: label of the optimizer (the folder name).
        hyperparams: all hyper-parameters, the learning rate or cap included.
        optimizer: registry name, or ``package.module:Class``; empty in files of DeepOBS.
        batch_size: examples a step.
        num_epochs: epochs that were asked for.
        random_seed: the base of every seed of the run.
        weight_decay: factor of the problem's L2 term; None where the problem has none.
        split: ``full`` (all training data train) or ``validation`` (a part is held out).
        reshuffle: whether every epoch has a batch order of its own.
        problem_options: options of the test problem that are not its defaults.
        training_params: schedules and clipping (`TRAINING_PARAMS`).
        framework: ``pytorch`` or ``tensorflow``.
        precision: of the network's arithmetic, ``float32`` or ``bf16``; weights are float32.
        synthetic: whether the data are the small synthetic twin.
        data_set: name of the data set.
        data_label: what the data are, for a reader, for example ``"MNIST (synthetic twin)"``.
        data_source: ``official``, ``unverified``, ``bundled``, ``generated``, ``synthetic``, or
            empty where it is not known.
        data_version: digest of the decoded data, and of what is held out.
        numbers_version: see `NUMBERS_VERSION`; 0 for files of DeepOBS.
        train_log_interval: steps between two logged mini-batch losses.
        purpose: ``tuning`` for a run that only serves to choose a setting, else empty.
        setting_source: who chose the hyper-parameters and how, one line.
        tuning: the same for programs: ``protocol`` (`alig_deepobs.protocols`), and where a search
            chose ``trials``, ``seeds``, ``criterion``, ``range`` and, where the value is the last
            of those that were tried, ``at_end``; empty if nothing is known.
    """

    testproblem: str = _field("problem", kw_only=False, identity=True, comparable=True)
    optimizer_name: str = _field("optimizer", kw_only=False)
    hyperparams: dict[str, Any] = _field(
        "hyper-parameters", kw_only=False, identity=True, key="optimizer_hyperparams"
    )
    optimizer: str = _field("optimizer", "", identity=True)
    batch_size: int = _field(
        "batch size", identity=True, flags=("--bs",), minimum=1,
        help="Mini-batch size; by default the problem's.",
    )  # fmt: skip
    num_epochs: int = _field(
        "number of epochs", identity=True, comparable=True, flags=("-N",), minimum=0,
        help="Epochs; by default the problem's.",
    )  # fmt: skip
    random_seed: int = _field(
        "seed", identity=True, flags=("-r",), help="Seed, or the first of several."
    )
    weight_decay: float | None = _field(
        "weight decay", None, identity=True, flags=("--wd",), minimum=0,
        help="L2 factor; by default the problem's.",
    )  # fmt: skip
    split: str = _field(
        "split", "full", identity=True, comparable=True, flags=(), choices=SPLITS,
        help="validation: hold out a part of the training data; by default the problem's "
        "(DeepOBS: full).",
    )  # fmt: skip
    reshuffle: bool = _field(
        "reshuffling", False, identity=True, comparable=True, flags=(),
        help="New batch order in every epoch, or one for the run; by default the problem's "
        "(DeepOBS: one for the run).",
    )  # fmt: skip
    problem_options: dict[str, Any] = _field(
        "problem's options", dict, identity=True, comparable=True
    )
    training_params: dict[str, Any] = _field("schedule and clipping", dict, identity=True)
    framework: str = _field(
        "framework", "pytorch", identity=True, comparable=True, flags=(), choices=FRAMEWORKS,
        help="tensorflow: DeepOBS 1.1.2's own problem and runner.",
    )  # fmt: skip
    precision: str = _field(
        "precision", "float32", identity=True, comparable=True, flags=("--amp",),
        choices=PRECISIONS,
        help="bf16: the network computes in bfloat16 where torch's autocast does; weights and "
        "optimizer stay float32.",
    )  # fmt: skip
    synthetic: bool = _field(
        "synthetic data", False, identity=True, comparable=True, flags=(),
        help="Train on the small synthetic twin of the data set.",
    )  # fmt: skip
    data_set: str = _field("data set", "")
    data_label: str = _field("data", "", comparable=True)
    data_source: str = _field("source of the data", "")
    data_version: str = _field("version of the data", "", identity=True, comparable=True)
    numbers_version: int = _field(
        "version of the numbers", NUMBERS_VERSION, identity=True, comparable=True
    )
    train_log_interval: int = _field(
        "log interval", 10, flags=(), minimum=1,
        help="Steps between two logged mini-batch losses.",
    )  # fmt: skip
    purpose: str = _field("purpose", "", choices=PURPOSES)
    setting_source: str = _field("source of the setting", "")
    tuning: dict[str, Any] = _field("tuning", dict)

    def identity(self) -> str:
        """The same for two runs if and only if they are the same run, tried twice."""
        return self._digest({name for name, facet in facets(Run).items() if facet.identity})

    def setting(self) -> str:
        """The same for two runs if and only if they differ in the seed at most."""
        names = {name for name, facet in facets(Run).items() if facet.identity}
        return self._digest(names - {"random_seed"})

    def comparison(self) -> dict[str, Any]:
        """What runs must share to stand in one table."""
        return {
            name: _canonical(getattr(self, name))
            for name, facet in facets(Run).items()
            if facet.comparable
        }

    def setting_params(self) -> dict[str, Any]:
        """What was set by hand: hyper-parameters, schedules, a weight decay of its own."""
        params = {**self.hyperparams, **self.training_params}
        entry = testproblems().get(self.testproblem)
        default = None if entry is None else entry.weight_decay
        # An optimizer with a weight decay of its own, such as AdamW, does not use the problem's.
        if self.weight_decay != default and params.get("weight_decay") is None:
            params["weight_decay"] = self.weight_decay
        # A file holds lists where a run in memory holds tuples; both are the same setting.
        return {key: _tuples(value) for key, value in params.items()}

    @property
    def learning_rate(self) -> float | None:
        """The learning rate or cap, whatever the optimizer calls it; None if there is none."""
        for name in LEARNING_RATES:
            rate = self.hyperparams.get(name)
            if isinstance(rate, (int, float)) and math.isfinite(rate):
                return float(rate)
        return None

    def repeat_command(self, seeds: int = 1) -> str:
        """The command line that repeats the run, and as many more with the seeds after it.

        Everything is written out, defaults too, so that a version with other defaults repeats the
        same run. Empty where the record does not say what would have to be called.
        """
        if not self.optimizer:
            return ""
        words = [
            "alig-deepobs", "run", str(Setting(self.testproblem, self.problem_options)),
            "--optimizer", str(Setting(self.optimizer, self.hyperparams)),
        ]  # fmt: skip
        for name, facet in facets(Run).items():
            value = getattr(self, name)
            if not facet.identity or facet.flags is None or value is None:
                continue
            if isinstance(value, bool):
                if value or name == "reshuffle":
                    words.append(f"--{name}" if value else f"--no-{name}")
            elif not facet.choices or value != facet.choices[0]:
                words += [f"--{name}", str(value)]
        for name, value in self.training_params.items():
            text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            words += [f"--{name}", text]
        return shlex.join([*words, "--seeds", str(seeds)] if seeds > 1 else words)

    def _digest(self, names: set[str]) -> str:
        values = {name: _canonical(getattr(self, name)) for name in names}
        # Files of DeepOBS know an optimizer by its label only.
        values["optimizer"] = self.optimizer or self.optimizer_name
        return hashlib.sha256(dumps(values, sort_keys=True).encode()).hexdigest()[:20]


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _canonical(value: Any) -> Any:
    """One form for values that mean the same: ``1`` and ``1.0``, lists and tuples."""
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@dataclass
class ResolvedRun(Run):
    """A run that can be carried out: a `Run`, its registry entries, and where and how.

    Attributes:
        problem, entry: what the registry says of problem and optimizer.
        device: torch device; None for the GPU if there is one.
        threads: CPU threads of the framework; None: as many as suit the size of the problem.
        compile: whether the network is compiled (`torch.compile`).
        channels_last: whether images have their channels last in memory.
        data_dir: folder with the official files; None for the per-user cache.
        offline: never touch the network.
        keep_best: folder for the weights of the epoch with the best validation accuracy; None:
            do not keep them.
        time_limit: seconds after which the run is ended, those before an interruption included;
            None: never.
        checkpoint_interval: seconds between two checkpoints; None: see
            `alig_deepobs.runners.checkpoint`.
        checkpoint: file that the run is kept in while it goes on, and taken up from; None: none.
    """

    problem: ProblemEntry = _field("problem's entry")
    entry: OptimizerEntry = _field("optimizer's entry")
    device: str | None = _field(
        "device", None, flags=(),
        help="cpu, cuda, cuda:1, ...; by default the GPU if there is one.",
    )  # fmt: skip
    threads: int | None = _field(
        "threads", None, flags=(), minimum=1,
        help="CPU threads of a run; by default one for small problems, else all there are.",
    )  # fmt: skip
    compile: bool = _field(
        "compiled", False, flags=(), help="Compile the network with torch.compile."
    )
    channels_last: bool = _field(
        "channels last", False, flags=(),
        help="Keep images with their channels last in memory, which convolutions may prefer.",
    )  # fmt: skip
    data_dir: str | None = _field(
        "data folder", None, flags=(), metavar="DIR",
        help="Folder with the data files; by default the user's cache.",
    )  # fmt: skip
    offline: bool = _field("offline", False, flags=(), help="Never touch the network.")
    keep_best: str | None = _field(
        "kept weights", None, flags=(), metavar="DIR",
        help="Keep the weights of the epoch with the best validation accuracy there.",
    )  # fmt: skip
    time_limit: float | None = _field(
        "time limit", None, flags=(), minimum=0, metavar="SECONDS",
        help="End a run after so many seconds, and keep what was measured.",
    )  # fmt: skip
    checkpoint_interval: float | None = _field(
        "checkpoint interval", None, flags=(), minimum=0, metavar="SECONDS",
        help="Seconds between two checkpoints of a run; by default after epochs, not in the "
        "first seconds, and every five minutes within an epoch.",
    )  # fmt: skip
    checkpoint: str | None = _field("checkpoint", None)

    def command_line(self) -> str:
        """`repeat_command` with everything that is no part of the identity: the very same run."""
        words = [self.repeat_command()]
        for name, facet in facets(ResolvedRun).items():
            value = getattr(self, name)
            plain = facet.flags is not None or name in ("purpose", "setting_source", "tuning")
            is_left_out = value is None or value is False or value in ("", {})  # 0 is not
            if facet.identity or not plain or is_left_out:
                continue
            if isinstance(value, dict):
                value = dumps(value)
            if facet.metavar == "DIR":
                value = Path(value).expanduser().absolute()
            words.append(f"--{name}" if value is True else shlex.join([f"--{name}", str(value)]))
        return " ".join(words)

    def result(self, **measured: Any) -> RunResult:
        """The result of this run, with what was measured so far."""
        shared = {name: getattr(self, name) for name in facets(Run)}
        return RunResult(**shared, command=self.repeat_command(), **measured)


@dataclass(frozen=True)
class RunSpec:
    """What is asked; `alig_deepobs.runners.resolve` says what it means, `execute` carries it out.

    The fields are those of `Run` and `ResolvedRun`. None stands for a default: the problem's, or,
    for hyper-parameters that are left out, the problem's for this optimizer
    (`ProblemEntry.optimizer_defaults`) and else the optimizer's.

    Example:
        >>> RunSpec("digits_mlp", "alig", {"max_lr": 0.1}, num_epochs=3).random_seed
        42
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
    threads: int | None = None
    compile: bool = False
    channels_last: bool = False
    framework: str = "pytorch"
    precision: str = "float32"
    train_log_interval: int = 10
    problem_options: dict[str, Any] = field(default_factory=dict)
    training_params: dict[str, Any] = field(default_factory=dict)
    keep_best: str | None = None
    time_limit: float | None = None
    checkpoint_interval: float | None = None
    purpose: str = ""
    setting_source: str = ""
    tuning: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Takes plain values, and checks their types.

        Raises:
            UsageError: a value has another type, or more than 64 bits.
        """
        for name, parameter in _parameters():
            value = parameter.check(name, _plain(getattr(self, name)), "the run")
            if type(value) is int and not is_short(value):
                raise UsageError(f"{name} has more than 64 bits, which a result file cannot hold")
            object.__setattr__(self, name, value)


@functools.cache
def _parameters() -> list[tuple[str, HyperParameter]]:
    """The name and the type of each field of a `RunSpec`."""
    kinds = value_types(RunSpec)
    return [
        (
            item.name,
            HyperParameter(
                typing.get_origin(kinds[item.name]) or kinds[item.name],
                optional=item.default is None,
            ),
        )
        for item in dataclasses.fields(RunSpec)
    ]


def _plain(value: Any) -> Any:
    """A plain value for what stands for one: people loop over NumPy's ranges, and join paths."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, os.PathLike) or type(value).__name__ == "device":  # torch's
        return str(value)
    return plain_scalar(value)


def step_size_facts(sizes: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Mean, median, extremes and the clipped share of an epoch's logged steps.

    Args:
        sizes: each step size after and before the cap.
    """
    clipped = [size for size, _ in sizes]
    return {
        "mean": statistics.fmean(clipped),
        "median": statistics.median(clipped),
        "min": min(clipped),
        "max": max(clipped),
        "clipped_fraction": statistics.fmean(size < unclipped for size, unclipped in sizes),
    }


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one set at one epoch.

    Attributes:
        loss: the run's objective (with its L2 term, if it has one), mean over mini-batches.
        data_loss: the data term alone.
        accuracy: a fraction, None for problems without accuracy.
    """

    loss: float
    data_loss: float
    accuracy: float | None

    @property
    def is_finite(self) -> bool:
        """Whether both losses are finite numbers."""
        return math.isfinite(self.loss) and math.isfinite(self.data_loss)


@dataclass
class RunResult(Run):
    """Everything that is known of one run.

    The lists per epoch have one entry before training and one after each finished epoch; a list
    is empty where the quantity does not exist (no accuracy, no validation part). Losses and
    accuracies are means over the full mini-batches of the set (over all of it, where the problem
    keeps incomplete ones); accuracies are fractions.

    Attributes:
        outcome: how the run ended.
        outcome_reason: for anything but ``done``, one line.
        time_limit: seconds after which the run was ended; None if it was not.
        train_losses: the objective of this run (L2 term included if it had one) on the
            train-eval set.
        valid_losses, test_losses: likewise.
        train_data_losses, valid_data_losses, test_data_losses: the data term alone. Compare
            optimizers by these.
        train_accuracies, valid_accuracies, test_accuracies: fractions.
        minibatch_train_losses: objective of every ``train_log_interval``-th step.
        epoch_mean_losses: running mean of the objective over each epoch's examples: the training
            objective as the ALI-G paper plots it, while the weights change.
        best_valid_epoch: the epoch with the best validation accuracy (or, for problems without
            accuracy, loss), the first of several; None without a validation set.
        best_valid_test_loss: data term of the test loss after that epoch.
        best_valid_test_accuracy: likewise. It is what the ALI-G paper reports.
        best_weights: path of the weights after that epoch, if they were kept.
        step_sizes: one dictionary per epoch (mean, median, min, max, clipped_fraction), from
            every ``train_log_interval``-th step, for optimizers that compute their step size.
        guarded_steps: name of a guard -> steps in which it set the step size to 0.
        regularization: ``l2``, ``ball``, ``weight_decay`` (by the optimizer itself) or ``none``:
            what the run really did.
        effective_weight_decay: factor of the L2 term in loss and gradient, or of the optimizer's
            own weight decay; 0.0 if there was none.
        max_norm: radius of the ball, None if there was none.
        training_seconds, evaluation_seconds: one entry per epoch (evaluation: one more).
        steps: optimizer steps taken.
        peak_memory_bytes: of the device, None where it cannot be measured.
        optimizer_class: ``package.module:Class``.
        environment: versions, hardware, threads.
        started: when it started, UTC, in ISO 8601 with fractions of a second; empty if unknown.
        command: the command line that repeats the run.
        schema_version: of the file; 0 for files of DeepOBS.
    """

    outcome: Outcome = _measured(Outcome.DONE, "outcome")
    outcome_reason: str = _measured("", "reason")
    time_limit: float | None = _measured(None)
    train_losses: list[float] = _measured(list)
    valid_losses: list[float] = _measured(list)
    test_losses: list[float] = _measured(list)
    train_data_losses: list[float] = _measured(list)
    valid_data_losses: list[float] = _measured(list)
    test_data_losses: list[float] = _measured(list)
    train_accuracies: list[float] = _measured(list)
    valid_accuracies: list[float] = _measured(list)
    test_accuracies: list[float] = _measured(list)
    minibatch_train_losses: list[float] = _measured(list)
    epoch_mean_losses: list[float] = _measured(list)
    best_valid_epoch: int | None = _measured(None)
    best_valid_test_loss: float | None = _measured(None)
    best_valid_test_accuracy: float | None = _measured(None)
    best_weights: str = _measured("")
    step_sizes: list[dict[str, float]] = _measured(list)
    guarded_steps: dict[str, int] = _measured(dict)
    regularization: str = _measured("none")
    effective_weight_decay: float = _measured(0.0)
    max_norm: float | None = _measured(None)
    training_seconds: list[float] = _measured(list)
    evaluation_seconds: list[float] = _measured(list)
    steps: int = _measured(0)
    peak_memory_bytes: int | None = _measured(None)
    optimizer_class: str = _measured("")
    environment: dict[str, Any] = _measured(dict)
    started: str = _measured("")
    command: str = _measured("")
    schema_version: int = _measured(2)

    @property
    def epochs_finished(self) -> int:
        """The epochs after which it was evaluated."""
        return max(0, len(self.test_losses or self.test_data_losses) - 1)

    def append(self, of: str, evaluation: Evaluation) -> None:
        """Takes an evaluation on the ``train``, ``valid`` or ``test`` set."""
        getattr(self, f"{of}_losses").append(evaluation.loss)
        getattr(self, f"{of}_data_losses").append(evaluation.data_loss)
        if evaluation.accuracy is not None:
            getattr(self, f"{of}_accuracies").append(evaluation.accuracy)

    def last(self, of: str) -> Evaluation:
        """The last evaluation on a set."""
        accuracies = getattr(self, f"{of}_accuracies")
        return Evaluation(
            getattr(self, f"{of}_losses")[-1],
            getattr(self, f"{of}_data_losses")[-1],
            accuracies[-1] if accuracies else None,
        )
