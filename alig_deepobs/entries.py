"""What an entry of the registry holds: a test problem or an optimizer, as plain data.

Nothing here imports a framework: entries name their class as ``"package.module:Class"``, which is
imported when it is used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from importlib.util import find_spec
from typing import Any, Literal

from alig_deepobs.errors import UsageError, no_weight_decay
from alig_deepobs.plugins import calling, load_object


class NeedsLoss(StrEnum):
    """What an optimizer's ``step`` wants to know about the loss.

    The value handed over is always the objective whose gradient was taken.
    """

    NOTHING = "nothing"
    VALUE = "value"
    PER_EXAMPLE = "per_example"
    CLOSURE = "closure"


@dataclass(frozen=True)
class HyperParameter:
    """One hyper-parameter of an optimizer: its type, default and meaning."""

    type: type[Any]
    default: Any = None
    help: str = ""
    optional: bool = False
    """Whether None is a value (for example: no cap)."""
    choices: tuple[Any, ...] = ()
    """The only values that there are; empty: any of the type."""
    low: float | None = None
    """Where its range for tuning starts; None: it has none."""
    high: float | None = None
    """Where its range for tuning ends."""
    log: bool = True
    """Whether the range is stepped through by factors."""
    minimum: float | None = None
    """Tuning never goes below this."""
    maximum: float | None = None
    """Tuning never goes above this."""

    def __post_init__(self) -> None:
        """Checks the range.

        Raises:
            UsageError: it is not one.
        """
        low, high = self.low, self.high
        if low is None and high is None:
            return
        if low is None or high is None or not low < high:
            raise UsageError(f"a range for tuning has low < high, not low={low}, high={high}")
        if self.log and low <= 0:
            raise UsageError(f"a range from low={low:g} has no logarithm: say log=False")
        bounds = (self.minimum, self.maximum)
        if (self.minimum is not None and low < self.minimum) or (
            self.maximum is not None and high > self.maximum
        ):
            raise UsageError(f"the range {low:g} to {high:g} leaves its bounds {bounds}")

    def check(self, name: str, value: Any, of: str) -> Any:
        """Returns the value in the declared type.

        Raises:
            UsageError: the value has another type (integers pass as floats), or is no choice.
        """
        if value is None and self.optional:
            return None
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                raise UsageError(f"{of}: {name} is too large an integer for a number") from None
        if type(value) is not self.type or (isinstance(value, float) and math.isnan(value)):
            none = " or None" if self.optional else ""
            raise UsageError(
                f"{of}: {name} must be {_TYPE_NAMES.get(self.type, self.type.__name__)}{none}"
                f"{f' such as {self.default}' if isinstance(self.default, tuple) else ''}, "
                f"not {value!r}"
            )
        if self.choices and value not in self.choices:
            known = " or ".join(map(str, self.choices))
            raise UsageError(f"{of}: {name} must be {known}, not {value!r}")
        return value


def check_name(entry: OptimizerEntry | ProblemEntry) -> None:
    """Checks that an entry can be named on the command line.

    Raises:
        UsageError: its name is empty, or has characters that mean something there.
    """
    if not re.fullmatch(r"[^\s\[\],=]+", entry.name) or not entry.name.isprintable():
        raise UsageError(f"{entry.name!r} is no name for the command line")


def _checked(
    of: str, kind: str, declared: Mapping[str, HyperParameter], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The given values in their declared types."""
    for key in given:
        if key not in declared:
            known = ", ".join(declared) or "none"
            rate = next((name for name in RATES if name in declared), None)
            hint = f": write {rate}" if key in RATES and rate else ""
            raise UsageError(f"{of} has no {kind} {key!r}{hint}; it has: {known}")
    return {key: declared[key].check(key, value, of) for key, value in given.items()}


RUN_FACTS = ("data_size", "num_epochs", "batches_per_epoch")
"""What `OptimizerEntry.run_arguments` may ask for."""

LEARNING_RATES = ("lr", "learning_rate", "max_lr")
"""Names under which optimizers know their learning rate, or its cap."""

RATES = (*LEARNING_RATES, "fraction")
"""The same, and what takes its place."""

_TYPE_NAMES = {
    list: "a list",
    dict: "a dictionary",
    float: "a number",
    int: "an integer",
    bool: "True or False",
    str: "text",
    tuple: "a tuple",
}


def _one_of(of: str, name: str, value: Any, known: tuple[str, ...]) -> str:
    if not (isinstance(value, str) and value in known):
        raise UsageError(f"{of}: {name} must be {' or '.join(known)}, not {value!r}")
    return value


def check_counts(of: str, batch_size: int, num_epochs: int) -> None:
    """Checks the defaults of a test problem.

    Raises:
        UsageError: one is no such number.
    """
    for name, value, lowest in (("batch_size", batch_size, 1), ("num_epochs", num_epochs, 0)):
        if type(value) is not int or value < lowest:
            raise UsageError(f"{of}: {name} must be an integer from {lowest} on, not {value!r}")


def _check_entry(entry: Any, declared: Any) -> None:
    """Checks that the texts of an entry are texts, and its parameters declarations."""
    for item in fields(entry):
        value = getattr(entry, item.name)
        if item.type == "str" and not isinstance(value, str):
            raise UsageError(f"{type(entry).__name__}: {item.name} must be text, not {value!r}")
        if str(item.type).startswith("Mapping") and not isinstance(value, Mapping):
            raise UsageError(f"{entry.name}: {item.name} must be a mapping, not {value!r}")
    _one_of(entry.name, "framework", entry.framework, ("pytorch", "tensorflow"))
    for name, parameter in declared.items():
        if not (
            isinstance(name, str)
            and isinstance(parameter, HyperParameter)
            and isinstance(parameter.type, type)
        ):
            raise UsageError(f"{entry.name}: {name!r} is not declared by a HyperParameter")


@dataclass(frozen=True)
class OptimizerEntry:
    """An optimizer and what a runner must know to drive it.

    Attributes:
        name: the name on the command line.
        label: the name in tables and result folders.
        title: the name in papers, where it is another one.
        factory: ``"package.module:Class"``, called as ``Class(params, **hyperparameters)``.
        needs_loss: what its ``step`` wants.
        hyperparameters: name -> declaration; the first one is the main one, which every protocol
            tunes. Those that declare a range, too, are tuned where a protocol tunes several.
        regularization: ``"l2"`` if the runner adds the problem's L2 term to loss and gradient,
            ``"ball"`` if it leaves it out and, where ``max_norm`` is set, keeps the weights in
            the ball ``|w| <= max_norm`` through ``projection_fn``, ``"own"`` if it leaves it out
            and gives its factor to the optimizer as ``weight_decay``, ``"none"`` if it leaves it
            out.
        run_arguments: constructor argument -> the fact of the run that is given for it:
            ``data_size`` (training examples), ``num_epochs`` or ``batches_per_epoch``.
        package: the package (as pip knows it) that an optional optimizer comes from.
        options: further constructor arguments that are not hyper-parameters (they choose an
            implementation, not a method).
        framework: ``"pytorch"`` or ``"tensorflow"``.
        tensorflow_factory: ``"package.module:Class"`` of the same method for ``tf.compat.v1``,
            called as ``Class(learning_rate, **hyperparameters)``; empty where there is none. The
            learning rate is the first hyper-parameter.
        tensorflow_names: hyper-parameter -> its name there (several names for a tuple), where it
            differs.
        citation: where the method comes from.
        description: one line.
    """

    name: str
    label: str
    factory: str
    needs_loss: NeedsLoss = NeedsLoss.NOTHING
    hyperparameters: Mapping[str, HyperParameter] = field(default_factory=dict)
    regularization: Literal["l2", "ball", "own", "none"] = "l2"
    run_arguments: Mapping[str, str] = field(default_factory=dict)
    package: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    framework: str = "pytorch"
    tensorflow_factory: str = ""
    tensorflow_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    title: str = ""
    citation: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        """Finds a mistake of whoever declared the optimizer.

        Raises:
            UsageError: a value is none of its field's.
        """
        _check_entry(self, self.hyperparameters)
        # A text that is equal to a member is as good as the member.
        needs = _one_of(self.name, "needs_loss", self.needs_loss, tuple(map(str, NeedsLoss)))
        object.__setattr__(self, "needs_loss", NeedsLoss(needs))
        _one_of(self.name, "regularization", self.regularization, ("l2", "ball", "own", "none"))
        for argument, fact in self.run_arguments.items():
            _one_of(self.name, f"run_arguments[{argument!r}]", fact, RUN_FACTS)

    @property
    def main_hyperparameter(self) -> str | None:
        """The hyper-parameter that is tuned first (None if there is none)."""
        return next(iter(self.hyperparameters), None)

    def complete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All hyper-parameters: the given ones, checked, and the defaults of the others.

        Raises:
            UsageError: a name is not declared or a value has the wrong type.
        """
        if (
            params.get("weight_decay")
            and "weight_decay" not in self.hyperparameters
            and self.regularization in ("ball", "none")
        ):
            raise UsageError(no_weight_decay(self.name))
        given = _checked(self.name, "hyper-parameter", self.hyperparameters, params)
        return {
            key: given.get(key, declared.default) for key, declared in self.hyperparameters.items()
        }

    @property
    def rate(self) -> str | None:
        """The hyper-parameter that is a learning rate, a cap or the like (None: there is none)."""
        return next((name for name in RATES if name in self.hyperparameters), None)

    @property
    def is_path(self) -> bool:
        """Whether it was made up for a class that is in no registry."""
        return ":" in self.name

    @property
    def is_installed(self) -> bool:
        """Whether the package that the optimizer comes from is there."""
        return not self.package or find_spec(re.split("[.:]", self.factory)[0]) is not None

    def load(self) -> Any:
        """The optimizer's class.

        Raises:
            UsageError: it cannot be imported; the message says how to install what is missing.
        """
        if not self.is_installed:
            raise UsageError(
                f"{self.name} needs the package {self.package}, which is not installed: "
                f"pip install {self.package}"
            )
        return load_object(self.factory)


@dataclass(frozen=True)
class ProblemEntry:
    """A test problem and its metadata.

    Attributes:
        name: the name on the command line, and of the class.
        label: the name in tables.
        factory: ``"package.module:Class"``.
        data_set: name of the data set, as ``alig-deepobs data`` knows it.
        batch_size: default mini-batch size.
        num_epochs: default number of epochs.
        weight_decay: default L2 factor; None where the problem has no L2 term.
        metric: the headline metric, ``"accuracy"`` (a fraction, higher is better) or ``"loss"``
            (the data term, lower is better), always on the test set.
        target: value of the headline metric that counts as converged, or None.
        interpolates: whether a network of this size can bring every training loss to 0 (what a
            Polyak step with ``f_min = 0`` assumes); None where it is not known.
        has_validation: whether a part of the training data can be held out.
        default_split: ``"validation"`` where a part is held out unless the user says otherwise.
        reshuffles: whether every epoch has a batch order of its own unless the user says otherwise.
        options: what may be changed in the problem itself (a width, a file of word vectors), by
            name; passed to the class as keyword arguments.
        optimizer_defaults: optimizer name -> hyper-parameters whose default is another one on
            this problem (``{"alig": {"momentum": 0.0}}``); given ones win.
        framework: ``"pytorch"`` or ``"tensorflow"``.
        tensorflow_factory: ``"package.module:Class"`` of the same problem for DeepOBS 1.1.2, which
            `alig_deepobs.register` puts into ``deepobs.tensorflow.testproblems``; empty where there
            is none, or where DeepOBS has it itself.
        citation: where the problem comes from.
        description: one line.
    """

    name: str
    label: str
    factory: str
    data_set: str
    batch_size: int
    num_epochs: int
    weight_decay: float | None = None
    metric: Literal["accuracy", "loss"] = "accuracy"
    target: float | None = None
    interpolates: bool | None = None
    has_validation: bool = True
    default_split: Literal["full", "validation"] = "full"
    reshuffles: bool = False
    options: Mapping[str, HyperParameter] = field(default_factory=dict)
    optimizer_defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    framework: str = "pytorch"
    tensorflow_factory: str = ""
    citation: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        """Finds a mistake of whoever declared the problem.

        Raises:
            UsageError: a value is none of its field's.
        """
        _check_entry(self, self.options)
        _one_of(self.name, "metric", self.metric, ("accuracy", "loss"))
        _one_of(self.name, "default_split", self.default_split, ("full", "validation"))
        check_counts(self.name, self.batch_size, self.num_epochs)

    @property
    def higher_is_better(self) -> bool:
        """The direction of the headline metric."""
        return self.metric == "accuracy"

    def changed_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The given options, checked, without those that are the default anyway.

        Raises:
            UsageError: an option is not declared or its value has the wrong type.
        """
        given = _checked(self.name, "option", self.options, options)
        return {
            key: value for key, value in sorted(given.items()) if value != self.options[key].default
        }

    def with_defaults(self, optimizer: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Hyper-parameters of an optimizer with this problem's defaults; given ones win.

        What neither gives gets the optimizer's own default later.
        """
        return {**self.optimizer_defaults.get(optimizer, {}), **params}

    def load(self) -> Any:
        """The problem's class."""
        return load_object(self.factory)

    def make(self, *arguments: Any, **options: Any) -> Any:
        """A problem, made by its class with these arguments.

        Raises:
            UsageError: it cannot be imported or made; the message has the file and the line.
        """
        problem_class = self.load()
        with calling(f"making {self.name}"):
            return problem_class(*arguments, **options)
