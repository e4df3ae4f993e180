"""Names -> optimizers and test problems, with the metadata that runs and reports need.

Third parties add theirs with `register_optimizer` and `register_testproblem`, or by the entry
points ``alig_deepobs.optimizers`` and ``alig_deepobs.testproblems``, each of which names an
`OptimizerEntry` or a `ProblemEntry`. A call may replace an entry, an entry point may not.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from importlib import metadata
from typing import Any, TypeVar

from alig_deepobs.entries import (
    RATES,
    HyperParameter,
    NeedsLoss,
    OptimizerEntry,
    ProblemEntry,
    check_name,
)
from alig_deepobs.errors import AligDeepobsError, UsageError, check_text, unknown_name
from alig_deepobs.foreign import shown
from alig_deepobs.plugins import calling, load_object
from alig_deepobs.settings import Setting

__all__ = [
    "PROBLEM_SETS",
    "RATES",
    "HyperParameter",
    "NeedsLoss",
    "OptimizerEntry",
    "ProblemEntry",
    "entry_of_class",
    "entry_of_problem",
    "expand_names",
    "find_optimizer",
    "find_testproblem",
    "load_object",
    "needs_loss_of",
    "optimizers",
    "register_optimizer",
    "register_testproblem",
    "required_arguments",
    "resolve_optimizer",
    "testproblems",
]

logger = logging.getLogger(__name__)

Entry = TypeVar("Entry", OptimizerEntry, ProblemEntry)

_optimizers: dict[str, OptimizerEntry] = {}
_testproblems: dict[str, ProblemEntry] = {}


def register_optimizer(entry: OptimizerEntry) -> OptimizerEntry:
    """Adds an optimizer (or replaces the one of that name) and returns its entry."""
    check_name(entry)
    optimizers()  # the entry points first, so that a call of the user has the last word
    _optimizers[entry.name] = entry
    return entry


def register_testproblem(entry: ProblemEntry) -> ProblemEntry:
    """Adds a test problem (or replaces the one of that name) and returns its entry."""
    check_name(entry)
    testproblems()
    _testproblems[entry.name] = entry
    return entry


def optimizers() -> dict[str, OptimizerEntry]:
    """All optimizers by name."""
    if not _optimizers:
        from alig_deepobs.catalog import OPTIMIZERS

        _optimizers.update({entry.name: entry for entry in OPTIMIZERS})
        _add_entry_points("alig_deepobs.optimizers", OptimizerEntry, _optimizers)
    return _optimizers


def testproblems() -> dict[str, ProblemEntry]:
    """All test problems by name."""
    if not _testproblems:
        from alig_deepobs.catalog import TESTPROBLEMS

        _testproblems.update({entry.name: entry for entry in TESTPROBLEMS})
        _add_entry_points("alig_deepobs.testproblems", ProblemEntry, _testproblems)
    return _testproblems


PROBLEM_SETS = {
    "small": ("quadratic_deep", "mnist_vae", "fmnist_2c2d", "cifar10_3c3d"),
    "large": ("fmnist_vae", "cifar100_allcnnc", "svhn_wrn164", "tolstoi_char_rnn"),
    "paper": (
        "dnc_copy", "snli_bilstm", "snli_bilstm_svm",
        "svhn_wrn164_alig", "cifar10_wrn404_alig", "cifar10_densenet4040_alig",
        "cifar100_wrn404_alig", "cifar100_densenet4040_alig", "imagenet_resnet18_alig",
    ),
}  # fmt: skip
"""DeepOBS's benchmark sets, its problems P1 to P4 and P5 to P8, and those of the ALI-G paper."""


def expand_names(names: Iterable[str]) -> list[str]:
    """Names of test problems, with the names of sets replaced by those of their problems.

    Names that are no sets are left as they are, known or not; the path of a class of the user's
    becomes its name, ``module.Class``. Of several equal names the first one stays.

    Example:
        >>> expand_names(["mnist_vae", "small"])
        ['mnist_vae', 'quadratic_deep', 'fmnist_2c2d', 'cifar10_3c3d']
    """
    expanded = (
        path.replace(":", ".") + bracket + options
        for name in names
        for member in PROBLEM_SETS.get(name, (name,))
        for path, bracket, options in [member.partition("[")]
    )
    return list(dict.fromkeys(expanded))


def find_testproblem(name: str) -> ProblemEntry:
    """The entry of a test problem, or one made up for an import path ``package.module:Class``.

    Args:
        name: its name or import path. A class that was given by its path is known by
            ``package.module.Class`` from then on, which can be the name of a folder, too.

    Raises:
        UsageError: there is none of that name; the message has the nearest names. Or the path
            cannot be imported, or is that of something else.
    """
    check_text("test problem", name)
    entries = testproblems()
    dotted = name.replace(":", ".")
    if dotted in entries:
        return entries[dotted]
    module, _, attribute = dotted.rpartition(".")
    if not module:
        raise unknown_name("test problem", name, entries)
    path = name if ":" in name else f"{module}:{attribute}"
    return register_testproblem(entry_of_problem(load_object(path), path))


def entry_of_problem(problem_class: Any, path: str) -> ProblemEntry:
    """An entry made up for a class of test problems that is not in the registry.

    Args:
        problem_class: a subclass of `alig_deepobs.testproblems.TestProblem`; what its class
            attributes say of its defaults is believed.
        path: its import path.

    Raises:
        UsageError: it is no such class.
    """
    with calling(f"looking at the class {path}"):
        is_one = hasattr(problem_class, "get_batch_loss_and_accuracy_func")
        if not (isinstance(problem_class, type) and is_one):
            raise UsageError(f"{path} is no class of test problems: derive it from TestProblem")
        known: Any = problem_class
        return ProblemEntry(
            name=path.replace(":", "."),
            label=known.__name__,
            factory=path,
            data_set=known.__name__,
            batch_size=known.default_batch_size,
            num_epochs=known.default_num_epochs,
            weight_decay=known.default_weight_decay,
            metric="accuracy" if known.has_accuracy else "loss",
            default_split=known.default_split,
            reshuffles=known.reshuffles,
            description=(known.__doc__ or "").partition("\n")[0],
        )


def find_optimizer(name: str, framework: str = "pytorch") -> OptimizerEntry:
    """The entry of an optimizer, or one made up for an import path ``package.module:Class``.

    Args:
        name: its name or import path.
        framework: where it is to run. A path for TensorFlow is not imported here.

    Raises:
        UsageError: there is none of that name, it does not run in that framework, or the path
            cannot be imported.
    """
    check_text("optimizer", name)
    entries = optimizers()
    for_tensorflow = framework == "tensorflow"
    if name in entries:
        entry = entries[name]
        if for_tensorflow and not entry.tensorflow_factory:
            known = ", ".join(e.name for e in entries.values() if e.tensorflow_factory)
            raise UsageError(
                f"{name} does not run in TensorFlow; what does: {known}, or an optimizer of "
                "tf.compat.v1 as package.module:Class[learning_rate=...]"
            )
        return entry
    if ":" in name:
        return (
            _tensorflow_entry(name) if for_tensorflow else entry_of_class(load_object(name), name)
        )
    module, _, attribute = name.rpartition(".")
    if module and attribute.isidentifier():
        raise UsageError(
            f"unknown optimizer {name!r}: a class has a colon before its name, {module}:{attribute}"
        )
    raise unknown_name("optimizer", name, entries)


def _tensorflow_entry(path: str) -> OptimizerEntry:
    return OptimizerEntry(
        name=path,
        label=path.rpartition(":")[2].rpartition(".")[2],
        factory="",
        hyperparameters={"learning_rate": HyperParameter(float, None, "learning rate")},
        framework="tensorflow",
        tensorflow_factory=path,
    )


def resolve_optimizer(
    setting: Setting, framework: str = "pytorch"
) -> tuple[OptimizerEntry, dict[str, Any]]:
    """The entry of a setting and its complete hyper-parameters.

    Raises:
        UsageError: unknown optimizer or hyper-parameter, or a value of the wrong type.
    """
    entry = find_optimizer(setting.name, framework)
    if setting.name in optimizers():
        return entry, entry.complete(setting.params)
    # The constructor of a class given by its path checks its arguments itself.
    return entry, dict(setting.params)


def needs_loss_of(optimizer_class: Any) -> NeedsLoss:
    """What the step of a class wants: its attribute ``needs_loss``, or its entry's word for it."""
    declared = getattr(optimizer_class, "needs_loss", None)
    if declared is not None:
        try:
            return NeedsLoss(declared)
        except ValueError:
            known = " or ".join(NeedsLoss)
            raise UsageError(
                f"{optimizer_class.__qualname__}: needs_loss must be {known}, not {declared!r}"
            ) from None
    path = f"{optimizer_class.__module__}:{optimizer_class.__qualname__}"
    for entry in optimizers().values():
        if entry.factory == path:
            return entry.needs_loss
    return _FOREIGN_NEEDS.get(path, NeedsLoss.NOTHING)


# Optimizers that cannot say it themselves.
_FOREIGN_NEEDS = {"torch.optim.lbfgs:LBFGS": NeedsLoss.CLOSURE}


def entry_of_class(optimizer_class: Any, path: str | None = None) -> OptimizerEntry:
    """An entry made up for a class that is not in the registry.

    Args:
        optimizer_class: a class called as ``optimizer_class(params, **hyperparameters)``; its
            attributes ``needs_loss``, ``regularization``, ``run_arguments`` and ``hyperparameters``
            (name -> `HyperParameter`, with ranges) are believed.
        path: its import path, if it has another one than its module and name say.

    Raises:
        UsageError: it is not a class.
    """
    if not isinstance(optimizer_class, type):
        raise UsageError(f"{path or optimizer_class!r} is not a class")
    with calling(f"looking at the class {path or ''}".rstrip()):
        path = path or f"{optimizer_class.__module__}:{optimizer_class.__qualname__}"
        return OptimizerEntry(
            name=path,
            label=optimizer_class.__name__,
            factory=path,
            needs_loss=needs_loss_of(optimizer_class),
            hyperparameters=_hyperparameters_of(optimizer_class),
            regularization=getattr(optimizer_class, "regularization", "l2"),
            run_arguments=getattr(optimizer_class, "run_arguments", {}),
        )


def _hyperparameters_of(optimizer_class: type) -> dict[str, HyperParameter]:
    """What a class declares in its attribute ``hyperparameters``, else its learning rate."""
    declared = getattr(optimizer_class, "hyperparameters", None)
    if declared is not None:
        if not isinstance(declared, dict):
            raise UsageError(
                f"{optimizer_class.__name__}.hyperparameters must be a dictionary of "
                f"HyperParameter, not a {type(declared).__name__}"
            )
        for name, parameter in declared.items():
            if not isinstance(parameter, HyperParameter):
                raise UsageError(
                    f"{optimizer_class.__name__}.hyperparameters[{name!r}] is no HyperParameter"
                )
        return dict(declared)
    try:
        arguments = inspect.signature(optimizer_class).parameters
    except (TypeError, ValueError):  # some constructors cannot be looked at
        return {}
    for name in RATES:
        default = arguments[name].default if name in arguments else None
        if isinstance(default, (int, float)) and not isinstance(default, bool):
            return {name: HyperParameter(float, float(default), "learning rate")}
    return {}


def required_arguments(entry: OptimizerEntry) -> list[str]:
    """Arguments without a default of a class in no registry, beside its parameters."""
    if not entry.is_path or entry.framework == "tensorflow":
        return []
    try:
        arguments = list(inspect.signature(entry.load()).parameters.values())[1:]
    except (TypeError, ValueError):
        return []
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        each.name
        for each in arguments
        if each.default is each.empty
        and each.kind not in several
        and each.name not in entry.run_arguments
    ]


def _add_entry_points(group: str, kind: type[Entry], known: dict[str, Entry]) -> None:
    """Adds the entries of installed packages; a broken one is reported and left out.

    A name that is taken stays what it is: a package that happens to be installed must not change
    what a run of ``sgd`` means. Who wants that calls `register_optimizer`.
    """
    try:
        points = list(metadata.entry_points(group=group))
    except Exception as error:  # noqa: BLE001 - of a package that is half installed
        logger.warning("entry points of other packages are left out: %s", shown(error))
        return
    for point in points:
        try:
            with calling(f"importing {point.value!r}"):
                entry = point.load()
                if isinstance(entry, kind):
                    check_name(entry)
        except AligDeepobsError as error:
            logger.warning("entry point %s left out: %s", point.name, shown(error))
            continue
        if not isinstance(entry, kind):
            logger.warning("entry point %s (%s) is no %s", point.name, point.value, kind.__name__)
        elif entry.name in known:
            logger.warning(
                "entry point %s (%s) left out: the name %s is taken by %s, and this one is %s",
                point.name, point.value, entry.name, known[entry.name].factory, entry.factory,
            )  # fmt: skip
        else:
            known[entry.name] = entry
