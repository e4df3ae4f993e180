"""From what is asked to what will be run: every default filled in, names and numbers checked.

No framework is imported for that, so that what is already in a store is found at once; the rest is
checked by `alig_deepobs.runners.checks` before it is run.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
from collections.abc import Mapping
from typing import Any

from alig_deepobs.entries import OptimizerEntry, ProblemEntry
from alig_deepobs.errors import ResultError, UsageError, unknown_choice
from alig_deepobs.foreign import is_short, plain_scalar
from alig_deepobs.record_checks import LARGEST, is_finite
from alig_deepobs.registry import entry_of_class, find_testproblem, resolve_optimizer
from alig_deepobs.results import check_folder_name, check_readable
from alig_deepobs.run import (
    TRAINING_PARAMS,
    ResolvedRun,
    RunSpec,
    facets,
)
from alig_deepobs.settings import Setting
from alig_deepobs.testproblems.checks import batch_does_not_fit, check_weight_decay
from alig_deepobs.testproblems.datasets.identity import data_identity

logger = logging.getLogger(__name__)


def resolve(spec: RunSpec, optimizer_class: Any = None, *, check_data: bool = True) -> ResolvedRun:
    """The run that a specification means.

    Data that is missing in the user's cache is downloaded now.

    Args:
        spec: what is asked.
        optimizer_class: the class to use instead of importing the one that the specification
            names (for classes that cannot be imported, such as those of a notebook); its
            hyper-parameters are taken as given.
        check_data: False to leave the data alone; the run then does not know its version.

    Raises:
        UsageError: the specification makes no sense.
        DataError: data is missing.
    """
    problem = find_testproblem(spec.testproblem)
    _check_choice("framework", spec.framework)
    entry, hyperparams = _optimizer(spec, problem, optimizer_class)
    in_pytorch = spec.framework == "pytorch"
    values = {
        **{item.name: getattr(spec, item.name) for item in dataclasses.fields(spec)},
        "testproblem": problem.name,  # one of several spellings was given
        "optimizer_name": entry.label,
        "hyperparams": hyperparams,
        "problem_options": problem.changed_options(spec.problem_options),
        "training_params": _training_params(spec.training_params),
        "batch_size": _first(spec.batch_size, problem.batch_size),
        "num_epochs": _first(spec.num_epochs, problem.num_epochs),
        "weight_decay": _weight_decay(spec, problem, entry),
        # DeepOBS's own runner knows no validation sets and no other order.
        "split": _first(spec.split, problem.default_split if in_pytorch else "full"),
        "reshuffle": _first(spec.reshuffle, problem.reshuffles if in_pytorch else False),
        "problem": problem,
        "entry": entry,
    }
    _check_values(values)
    run = ResolvedRun(**values)
    check_readable(run)
    if check_data:
        data = data_identity(
            problem, problem_options=run.problem_options, split=run.split,
            synthetic=run.synthetic, data_dir=run.data_dir, offline=run.offline,
            framework=run.framework,
        )  # fmt: skip
        run.data_set, run.data_label = data.data_set, data.label
        run.data_source, run.data_version = data.source, data.version
        if data.smallest_set and run.batch_size > data.smallest_size:
            raise batch_does_not_fit(
                run.testproblem, data.smallest_size, data.smallest_set, data.label, run.batch_size
            )
    return run


def _weight_decay(spec: RunSpec, problem: ProblemEntry, entry: OptimizerEntry) -> float | None:
    """The factor of the L2 term; the problem's where the optimizer takes neither term nor decay."""
    given = check_weight_decay(spec.weight_decay, problem.name, problem.weight_decay is not None)
    if given is None:
        return problem.weight_decay
    if entry.regularization not in ("ball", "none"):
        return given
    if given:
        _say_without_effect(spec.optimizer, entry.regularization == "ball")
    return problem.weight_decay


@functools.cache
def _say_without_effect(optimizer: str, has_ball: bool) -> None:
    """Once for each optimizer."""
    remedy = ": bound its weights with max_norm instead" if has_ball else ""
    logger.warning(
        "--weight_decay has no effect on %s, which takes no L2 term%s", optimizer, remedy
    )


def _optimizer(
    spec: RunSpec, problem: ProblemEntry, optimizer_class: Any
) -> tuple[OptimizerEntry, dict[str, Any]]:
    given = {key: json_value(key, value, spec.optimizer) for key, value in spec.hyperparams.items()}
    if optimizer_class is not None:
        return entry_of_class(optimizer_class), given
    given = problem.with_defaults(spec.optimizer, given)
    return resolve_optimizer(Setting(spec.optimizer, given), spec.framework)


def json_value(name: str, value: Any, of: str) -> Any:
    """A hyper-parameter in a form that a result file can hold.

    Args:
        name: its name.
        value: its value.
        of: name of the optimizer, for messages.

    Raises:
        UsageError: it has none.
    """
    value = plain_scalar(value)
    if isinstance(value, (list, tuple)):
        return tuple(json_value(name, item, of) for item in value)
    if isinstance(value, float) and not is_finite(value):
        limit = ", or None for no limit, where the optimizer takes it" if value == math.inf else ""
        raise UsageError(
            f"{of}: {name}={value} is no number to train with: give one of at most "
            f"{LARGEST:g}{limit}"
        )
    if isinstance(value, int) and not is_short(value):
        raise UsageError(f"{of}: {name} has more than 64 bits, which a result file cannot hold")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise UsageError(
        f"{of}: {name} is a {type(value).__name__}, which a result file cannot hold: "
        "give numbers, text, True, False, None or tuples of them"
    )


def _training_params(given: Mapping[str, Any]) -> dict[str, Any]:
    for name in given:
        if name not in TRAINING_PARAMS:
            raise unknown_choice("training parameter", name, TRAINING_PARAMS)
    return {
        name: TRAINING_PARAMS[name].check(name, _plain(value), "training_params")
        for name, value in given.items()
        if value is not None
    }


def _plain(value: Any) -> Any:
    """Plain numbers, and plain lists of them in place of other sequences."""
    if hasattr(value, "tolist"):  # NumPy's and torch's
        return value.tolist()
    return list(map(plain_scalar, value)) if isinstance(value, (list, tuple, range)) else value


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value


def _check_choice(name: str, value: Any) -> None:
    choices = facets(ResolvedRun)[name].choices
    if choices and value not in choices:
        raise unknown_choice(name, value, choices)


def _check_values(values: Mapping[str, Any]) -> None:
    for name, facet in facets(ResolvedRun).items():
        if (value := values.get(name)) is None:
            continue
        if facet.minimum is not None and value < facet.minimum:
            raise UsageError(f"{name} must be at least {facet.minimum}, not {value}")
        _check_choice(name, value)
    ways = [name for name in ("compile", "channels_last") if values[name]]
    ways += ["precision"] if values["precision"] != "float32" else []
    if ways and values["framework"] == "tensorflow":
        raise UsageError(f"{' and '.join(ways)} are PyTorch's: leave it out with TensorFlow")
    if values["keep_best"] is not None and values["split"] != "validation":
        raise UsageError("keep_best needs a validation set: add --split validation")
    try:
        check_folder_name(values["testproblem"], "the test problem")
        check_folder_name(values["optimizer_name"], "the optimizer's label")
    except ResultError as error:
        raise UsageError(str(error)) from None
