"""How optimizers get their settings: protocols, which a comparison is only as fair as.

A protocol turns an optimizer on a problem into a cell of a study: settings to try, the seeds to
try them with, the rule that chooses, and what may be tried after that.

* ``equal``: as many trials for every optimizer, over the range that its entry declares.
* ``budget:N``: N trials over all hyper-parameters with a range, quasi-random.
* ``halving:N``: N trials likewise, of which the best third goes on three times as long, and so on.
* ``tpe:N``: N trials, each where Optuna's estimator expects the best.
* ``grid``: what the user lists.
* ``deepobs``: what DeepOBS's baselines were tuned by: 36 rates, one seed, the test set.
* ``known``: settings of the literature, where they fit.
* ``defaults``: nothing is tuned.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

from alig_deepobs.baselines import known_setting
from alig_deepobs.entries import HyperParameter, OptimizerEntry
from alig_deepobs.errors import UsageError, unknown_choice
from alig_deepobs.foreign import plain_scalar
from alig_deepobs.registry import find_optimizer, find_testproblem, required_arguments
from alig_deepobs.run import RunSpec
from alig_deepobs.runners.cells import Cell, Search
from alig_deepobs.runners.selection import Rule, tuning_seeds
from alig_deepobs.searches import Extension, Halving, Tpe
from alig_deepobs.spaces import Axis, check_axes, declared_axis, main_axis, parse_axes
from alig_deepobs.words import counted

KINDS = ("equal", "budget", "halving", "tpe", "grid", "deepobs", "known", "defaults")
DEFAULT = "equal"
TRIALS = 9
"""Trials of ``equal`` where no number is given: half a decade apart, over four decades."""
TUNING_SEEDS = 3
MOST_TRIALS = 10_000
_ROUNDS = 50
"""How many times as many points are looked at, to find enough that are different."""
Axes = tuple[Axis, ...]
Seeds = tuple[int, ...]
_BUDGETS = ("budget", "halving", "tpe")
DEEPOBS_RATES = (1e-5, 1e2, 36)
DEEPOBS_SEED = 42


@dataclass(frozen=True)
class Protocol:
    """A protocol as it was asked for.

    Attributes:
        kind: one of `KINDS`.
        trials: settings of each optimizer (``equal`` and ``budget``).
        seeds: runs of each setting that serve to choose.
        grids: optimizer -> the values that the user lists for it.
        force_known: take known settings also where they were made for something else.

    Example:
        >>> str(Protocol.parse("budget:12")), str(Protocol.parse("equal"))
        ('budget:12', 'equal')
    """

    kind: str = DEFAULT
    trials: int = TRIALS
    seeds: int = TUNING_SEEDS
    grids: Mapping[str, Axes] = field(default_factory=dict)
    force_known: bool = False

    @staticmethod
    def parse(
        text: str = DEFAULT,
        grids: Sequence[str] = (),
        seeds: int | None = None,
        force_known: bool = False,
    ) -> Protocol:
        """Reads the name of a protocol, with a number of trials where it has one.

        Args:
            text: ``equal``, ``equal:5``, ``budget:12``, ...
            grids: lists and ranges of values (`alig_deepobs.spaces.parse_axes`).
            seeds: runs of each setting that serve to choose; None: the protocol's.
            force_known: see the attribute.

        Raises:
            UsageError: there is no such protocol, or a number makes no sense.
        """
        seeds = HyperParameter(int, optional=True).check(
            "tuning_seeds", plain_scalar(seeds), "the protocol"
        )
        kind, colon, number = text.partition(":")
        if kind not in KINDS:
            raise unknown_choice("protocol", kind, KINDS)
        counted = kind in ("equal", *_BUDGETS)
        if colon and not counted:
            raise UsageError(f"the protocol {kind} has no number of trials")
        if kind in _BUDGETS and not colon:
            raise UsageError(f"the protocol {kind} needs a number of trials: {kind}:12, say")
        if kind == "tpe" and find_spec("optuna") is None:
            raise UsageError("the protocol tpe needs optuna: pip install 'alig-deepobs[optuna]'")
        if colon and not (re.fullmatch("[0-9]{1,5}", number) and 2 <= int(number) <= MOST_TRIALS):
            raise UsageError(f"protocol {text!r}: {number or 'nothing'} is no number of trials; "
                             f"write one from 2 to {MOST_TRIALS}")  # fmt: skip
        if grids and kind in ("deepobs", "known", "defaults"):
            raise UsageError(f"the protocol {kind} takes no grid: use equal, budget or grid")
        if seeds is not None and kind in ("deepobs", "known", "defaults"):
            raise UsageError(f"the protocol {kind} takes no tuning seeds: use another, or none")
        if seeds is not None and seeds < 1:
            raise UsageError(f"tuning_seeds must be at least 1, not {seeds}")
        if force_known and kind != "known":
            raise UsageError("force_known belongs to the protocol known")
        parsed: dict[str, Axes] = {}
        for name, axes in map(parse_axes, grids):
            if name in parsed:
                raise UsageError(f"there are two grids for {name}: write one, with commas")
            parsed[name] = axes
        return Protocol(
            kind, int(number) if colon else TRIALS, TUNING_SEEDS if seeds is None else seeds,
            parsed, force_known,
        )  # fmt: skip

    def __str__(self) -> str:
        numbered = self.kind in _BUDGETS or (self.kind == "equal" and self.trials != TRIALS)
        return f"{self.kind}:{self.trials}" if numbered else self.kind

    @property
    def words(self) -> str:
        """What it does, in one line for the foot of a table."""
        several = self.seeds > 1
        per_trial = f"each with {counted(self.seeds, 'tuning seed')}, " + (
            "which are not reported" if several else "which is not reported"
        )
        trials = counted(self.trials, "trial")
        quasi_random = counted(self.trials, "quasi-random trial")
        return {
            "equal": f"{trials} for every optimizer, {per_trial}; two more at a time where the "
            "best lies at the end of its range",
            "budget": f"{quasi_random} for every optimizer over all its "
            f"hyper-parameters with a range, {per_trial}",
            "halving": f"{quasi_random} for every optimizer over all its "
            f"hyper-parameters with a range, {per_trial}; the best third goes on three times as "
            "long, until the full length (successive halving)",
            "tpe": f"{trials} for every optimizer over all its hyper-parameters with a "
            f"range, chosen one by one by Optuna's TPE, {per_trial}",
            "grid": f"the values given for each optimizer, {per_trial}",
            "deepobs": "36 rates from 1e-5 to 100 with seed 42, the best by the headline metric "
            "on the test set, as DeepOBS's baselines",
            "known": "settings of the literature, tuned by others",
            "defaults": "defaults, nothing tuned",
        }[self.kind]

    def cell(self, spec: RunSpec, reported: Seeds) -> Cell:
        """The cell of an optimizer on a problem.

        Args:
            spec: a run of it; hyper-parameters that it has are fixed.
            reported: the seeds to report.

        Raises:
            UsageError: a hyper-parameter does not exist, or the protocol has nothing to offer.
        """
        entry = find_optimizer(spec.optimizer, spec.framework)
        listed = check_axes(self.grids.get(spec.optimizer, ()), entry)
        for axis in listed:
            if axis.name in spec.hyperparams:
                raise UsageError(f"{spec.optimizer}: {axis.name} is given and has a grid")
        open_ = {axis.name for axis in listed} | set(spec.hyperparams)
        for name in required_arguments(entry):
            if name not in open_:
                raise UsageError(
                    f"{entry.name} needs a value of {name}: give one as {entry.name}[{name}=...], "
                    f"a range as --grid '{entry.name}:{name}=1e-4..1', or a default in its "
                    "constructor"
                )
        main = entry.main_hyperparameter
        if not listed and spec.hyperparams and (main is None or main in spec.hyperparams):
            return _fixed(spec, reported, "given", "given by hand, not tuned")
        make = getattr(self, f"_{self.kind}")
        cell: Cell = make(spec, reported, entry, listed)
        return cell

    def _equal(self, spec: RunSpec, reported: Seeds, entry: OptimizerEntry, listed: Axes) -> Cell:
        axes = listed or tuple(filter(None, [main_axis(entry)]))
        if not axes:
            return _fixed(spec, reported, str(self), "nothing to tune")
        if len(axes) == 1 and axes[0].log and not axes[0].values:
            search = Extension(axes[0], self.trials)
            return self._cell(spec, reported, _spread(axes, self.trials), axes, search)
        return self._cell(spec, reported, self._settings(spec, axes), axes)

    def _settings(self, spec: RunSpec, axes: Axes) -> list[dict[str, Any]]:
        """As many settings as each optimizer gets: a grid of values, or points of a box."""
        if not all(axis.values for axis in axes):
            return _spread(axes, self.trials)
        settings = _product(axes)
        if len(settings) != self.trials:
            alike = f"use --protocol {self.kind}:{len(settings)} for all"
            raise UsageError(
                f"{spec.optimizer} has a grid of {counted(len(settings), 'setting')}, and the "
                f"protocol gives each optimizer {self.trials}: "
                f"{alike if len(settings) > 1 else 'add values'}, or use --protocol grid"
            )
        return settings

    def _budget(self, spec: RunSpec, reported: Seeds, entry: OptimizerEntry, listed: Axes) -> Cell:
        declared = (
            declared_axis(name, parameter)
            for name, parameter in list(entry.hyperparameters.items())[1:]
            if name not in spec.hyperparams
        )
        axes = listed or tuple(filter(None, [main_axis(entry), *declared]))
        if not axes:
            return _fixed(spec, reported, str(self), "nothing to tune")
        # Of many combinations some are drawn; of the values of one axis all are taken.
        is_drawn = len(axes) > 1 and math.prod(len(axis.values) for axis in axes) > self.trials
        settings = _spread(axes, self.trials) if is_drawn else self._settings(spec, axes)
        if self.kind == "tpe":
            first = settings[: max(2, self.trials // 4)] if len(axes) > 1 else settings[::4]
            return self._cell(spec, reported, first, axes, Tpe(axes, self.trials))
        if self.kind == "halving":
            epochs = find_testproblem(spec.testproblem).num_epochs
            halving = Halving.of(
                epochs if spec.num_epochs is None else spec.num_epochs, self.trials
            )
            short = replace(spec, num_epochs=halving.epochs[0])
            return self._cell(short, reported, settings, axes, halving)
        return self._cell(spec, reported, settings, axes)

    _halving = _tpe = _budget

    def _grid(self, spec: RunSpec, reported: Seeds, entry: OptimizerEntry, listed: Axes) -> Cell:
        if not listed:
            raise UsageError(
                f"the protocol grid needs a grid for {entry.name}: "
                f"--grid '{entry.name}:{entry.main_hyperparameter or 'name'}=1e-3..1/7', or "
                f"{entry.name}[...] to fix its setting"
            )
        for axis in listed:
            if not axis.values:
                raise UsageError(f"the protocol grid needs a number of values: {axis.name}="
                                 f"{axis.low:g}..{axis.high:g}/7, say")  # fmt: skip
        return self._cell(spec, reported, _product(listed), listed)

    def _deepobs(self, spec: RunSpec, reported: Seeds, entry: OptimizerEntry, listed: Axes) -> Cell:
        main = entry.main_hyperparameter
        if main is None or main_axis(entry) is None:
            return _fixed(spec, reported, str(self), "nothing to tune")
        low, high, count = DEEPOBS_RATES
        axis = Axis(main, (), low, high)
        settings = [
            {main: float(f"{low * (high / low) ** (i / (count - 1)):.11g}")} for i in range(count)
        ]
        metric = find_testproblem(spec.testproblem).metric
        lists = {"accuracy": "test_accuracies", "loss": "test_losses"}
        rule = Rule((DEEPOBS_SEED,), metric=lists[metric])
        return self._cell(spec, reported, settings, (axis,), rule=rule)

    def _known(self, spec: RunSpec, reported: Seeds, entry: OptimizerEntry, listed: Axes) -> Cell:
        problem = find_testproblem(spec.testproblem)
        known = known_setting(problem.name, entry.name)
        tune = "--protocol equal tunes it"
        if known is None:
            raise UsageError(
                f"no setting of {entry.name} is known for {problem.name}: {tune}, or give one as "
                f"{entry.name}[...]"
            )
        epochs = problem.num_epochs if spec.num_epochs is None else spec.num_epochs
        made_for = [] if known.problem == problem.name else [f"for {known.problem}"]
        made_for += (
            [] if known.num_epochs == epochs else [f"for {counted(known.num_epochs, 'epoch')}"]
        )
        words = " and ".join(made_for)
        if made_for and not self.force_known:
            raise UsageError(
                f"the known setting of {entry.name} was tuned {words}, not for "
                f"{counted(epochs, 'epoch')} of {problem.name}: --force_known takes it all the "
                f"same, {tune}"
            )
        source = f"{known.source}, tuned {words}" if made_for else known.source
        spec = replace(spec, hyperparams={**known.params, **spec.hyperparams})
        return _fixed(spec, reported, str(self), f"known: {source}")

    def _defaults(
        self, spec: RunSpec, reported: Seeds, entry: OptimizerEntry, listed: Axes
    ) -> Cell:
        own = entry.name in find_testproblem(spec.testproblem).optimizer_defaults
        source = "the problem's defaults" if own else "defaults, not tuned"
        return _fixed(spec, reported, str(self), source)

    def _cell(
        self, spec: RunSpec, reported: Seeds, settings: Sequence[Mapping[str, Any]],
        axes: Axes, search: Search | None = None, rule: Rule | None = None,
    ) -> Cell:  # fmt: skip
        candidates = tuple(
            replace(spec, hyperparams={**spec.hyperparams, **setting}) for setting in settings
        )
        rule = rule or Rule(tuning_seeds(reported, self.seeds))
        return Cell(candidates, reported, rule, search, str(self), axes)


def _fixed(spec: RunSpec, reported: Seeds, protocol: str, source: str) -> Cell:
    """A cell with nothing to choose."""
    return Cell((replace(spec, setting_source=source),), reported, protocol=protocol)


def _product(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """All combinations of listed values."""
    names = [axis.name for axis in axes]
    values = itertools.product(*(axis.values for axis in axes))
    return [dict(zip(names, each, strict=True)) for each in values]


def _spread(axes: Sequence[Axis], count: int) -> list[dict[str, Any]]:
    """That many different points, evenly spread over the box: a scrambled Halton sequence."""
    if len(axes) == 1:
        points: Any = [(value,) for value in axes[0].spaced(count)]
    else:
        from scipy.stats import qmc  # takes a while to import

        sequence = qmc.Halton(len(axes), rng=0)
        points = (
            tuple(axis.at(float(share)) for axis, share in zip(axes, point, strict=True))
            for _ in range(_ROUNDS)
            for point in sequence.random(count)
        )
    # Listed values, and three digits of a narrow range, come again.
    different: dict[Any, None] = {}
    for point in points:
        different[point] = None
        if len(different) == count:
            break
    else:
        raise UsageError(
            f"{', '.join(map(str, axes))}: there are fewer than {count} different settings: "
            "widen a range, or ask for fewer"
        )
    names = [axis.name for axis in axes]
    return [dict(zip(names, point, strict=True)) for point in different]
