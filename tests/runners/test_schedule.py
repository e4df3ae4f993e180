"""Learning-rate schedules."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from alig_deepobs.errors import UsageError
from alig_deepobs.results import to_json
from alig_deepobs.runners import execute
from alig_deepobs.runners.schedule import Schedule, ScheduledRates, schedule_of


def test_factors_are_of_the_base_rate(spec):
    rates = []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    params = {"lr_sched_epochs": [1, 3], "lr_sched_factors": [0.5, 0.1]}
    result = execute(replace(spec, num_epochs=4, training_params=params), optimizer_class=Spy)
    per_epoch = result.steps // 4
    assert rates[::per_epoch] == pytest.approx([0.1, 0.05, 0.05, 0.01])
    assert to_json(result)["lr_sched_epochs"] == [1, 3]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lr_sched_epochs": [1]}, "give both or neither"),
        ({"lr_sched_factors": [1.0]}, "give both or neither"),
        ({"lr_sched_epochs": [1, 2], "lr_sched_factors": [0.1]}, "one factor for each epoch"),
        ({"lr_sched_epochs": [2, 1], "lr_sched_factors": [0.1, 0.2]}, "increase"),
        ({"lr_sched_epochs": [0], "lr_sched_factors": [0.1]}, "positive"),
        ({"lr_sched_epochs": [1], "lr_sched_factors": [0.0]}, "positive"),
    ],
)
def test_schedules_that_make_no_sense(params, message):
    with pytest.raises(UsageError, match=message):
        schedule_of(params)


def test_an_optimizer_without_a_rate():
    class Rateless:
        param_groups = [{"params": []}]  # noqa: RUF012

    with pytest.raises(UsageError, match="Rateless has no learning rate"):
        ScheduledRates(Rateless(), Schedule((1,), (0.1,)))
