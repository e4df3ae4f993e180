"""Searches: which settings to try next, from what those so far have shown.

Each is a `alig_deepobs.runners.cells.Search`: the same candidates and scores give the same
settings, so that a study that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from alig_deepobs.errors import UsageError
from alig_deepobs.run import RunSpec
from alig_deepobs.spaces import Axis
from alig_deepobs.words import counted

EXTENSION = 4.0
"""Decades beyond either end of its range to which a search may go on."""
_ATTEMPTS = 10
"""How often TPE is asked for a setting that was not tried yet."""
KEPT = 3
"""Successive halving keeps one of so many settings, and trains it so many times as long."""


@dataclass(frozen=True)
class Extension:
    """Goes on beyond the end of a range where the best value lies: a `Search`.

    Two values at a time, with the ratio of those that are there, until the best one has a worse
    neighbour on either side, or the limit is reached.

    Attributes:
        axis: the hyper-parameter.
        trials: the number of values that the range started with.
    """

    axis: Axis
    trials: int

    def more(
        self, candidates: Sequence[RunSpec], scores: Sequence[tuple[float, ...]]
    ) -> list[RunSpec]:
        """See `alig_deepobs.runners.cells.Search`."""
        name, last = self.axis.name, self.trials - 1
        values = [spec.hyperparams[name] for spec in candidates]
        # Of equals the smallest: where all diverge, smaller steps are the way out.
        best = min(zip(scores, values, strict=True))[1]
        place = round(math.log(best / self.axis.low, self.axis.high / self.axis.low) * last)
        if best == max(values):
            steps = (place + 1, place + 2)
        elif best == min(values):
            steps = (place - 1, place - 2)
        else:
            return []
        further = [self.axis.at(step / last) for step in steps]
        lowest, highest = self.limits
        return [
            replace(candidates[0], hyperparams={**candidates[0].hyperparams, name: value})
            for value in further
            if lowest <= value <= highest and value not in values
        ]

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest value that is ever tried."""
        axis, factor = self.axis, 10.0**EXTENSION
        lowest, highest = axis.low / factor, axis.high * factor
        # Values are rounded, and the last one of the range is to be within it.
        return max(0.99 * lowest, axis.minimum), min(1.01 * highest, axis.maximum)


@dataclass(frozen=True)
class Halving:
    """Successive halving: the best third goes on, three times as long.

    Source: Jamieson, Talwalkar: Non-stochastic Best Arm Identification, AISTATS 2016.

    Attributes:
        epochs: the lengths of the runs, from the first stage to the last one.
    """

    epochs: tuple[int, ...]

    @staticmethod
    def of(num_epochs: int, trials: int) -> Halving:
        """Stages down to one epoch, or to fewer than three settings.

        Raises:
            UsageError: there is no stage but the last one.

        Example:
            >>> Halving.of(30, 9).epochs, Halving.of(100, 81).epochs
            ((3, 10, 30), (1, 4, 11, 33, 100))
        """
        epochs = [num_epochs]
        while round(num_epochs / KEPT ** len(epochs)) >= 1 and trials >= KEPT ** len(epochs):
            epochs.insert(0, round(num_epochs / KEPT ** len(epochs)))
        if len(epochs) < 2 or epochs[0] == num_epochs:
            raise UsageError(
                f"successive halving of {counted(trials, 'trial')} over "
                f"{counted(num_epochs, 'epoch')} has no stages: "
                "use --protocol budget, or more epochs"
            )
        return Halving(tuple(epochs))

    def more(
        self, candidates: Sequence[RunSpec], scores: Sequence[tuple[float, ...]]
    ) -> list[RunSpec]:
        """See `alig_deepobs.runners.cells.Search`."""
        last = max(spec.num_epochs or 0 for spec in candidates)
        stage = self.epochs.index(last)
        if stage + 1 == len(self.epochs):
            return []
        there = [n for n in _ranked(scores) if candidates[n].num_epochs == last]
        kept = sorted(there[: max(1, len(there) // KEPT)])
        return [replace(candidates[number], num_epochs=self.epochs[stage + 1]) for number in kept]


@dataclass(frozen=True)
class Tpe:
    """Optuna's tree-structured Parzen estimator, one trial at a time.

    Source: Bergstra, Bardenet, Bengio, Kegl: Algorithms for Hyper-Parameter Optimization, NeurIPS
    2011.

    Attributes:
        axes: what is searched.
        trials: the number of settings in all.
    """

    axes: tuple[Axis, ...]
    trials: int

    def more(
        self, candidates: Sequence[RunSpec], scores: Sequence[tuple[float, ...]]
    ) -> list[RunSpec]:
        """See `alig_deepobs.runners.cells.Search`."""
        if len(candidates) >= self.trials:
            return []
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        space: dict[str, optuna.distributions.BaseDistribution] = {
            axis.name: optuna.distributions.CategoricalDistribution(axis.values)
            if axis.values
            else optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.log)
            for axis in self.axes
        }
        tried = [{name: spec.hyperparams[name] for name in space} for spec in candidates]
        trials = [  # it only looks at the order
            optuna.trial.create_trial(params=tried[number], distributions=space, value=float(place))
            for place, number in enumerate(_ranked(scores))
        ]
        for attempt in range(_ATTEMPTS):
            # A sampler for each trial: what it draws depends on what is known, and on nothing else.
            seed = len(candidates) + attempt * self.trials
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1)
            study = optuna.create_study(sampler=sampler)
            study.add_trials(trials)
            asked = study.ask(space).params
            setting = {axis.name: axis.rounded(asked[axis.name]) for axis in self.axes}
            if setting not in tried:
                break
        else:
            # It has made up its mind where only listed values are left: the first of those.
            values = itertools.product(*(axis.values for axis in self.axes))
            others = [dict(zip(space, each, strict=True)) for each in values]
            setting = next((other for other in others if other not in tried), setting)
        fixed = candidates[0]
        return [replace(fixed, hyperparams={**fixed.hyperparams, **setting})]


def _ranked(scores: Sequence[tuple[float, ...]]) -> list[int]:
    return sorted(range(len(scores)), key=scores.__getitem__)
