"""Schedules that decay, clipping, and what an optimizer may ask of the runner."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from alig_deepobs import registry
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import OptimizerEntry, needs_loss_of
from alig_deepobs.run import RunSpec
from alig_deepobs.runners import execute
from alig_deepobs.runners.checks import check
from alig_deepobs.runners.evaluation import mini_batches
from alig_deepobs.runners.objective import Objective, batch_options, build_optimizer, make_step
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.runners.schedule import Decay, Schedule, ScheduledRates
from alig_deepobs.testproblems import digits_mlp, tolstoi_char_rnn

# --- Decay -----------------------------------------------------------------------------------


def rates_of(decay, metrics, schedule=None):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    rates = ScheduledRates(optimizer, schedule, decay)
    seen = []
    for finished, metric in enumerate(metrics):
        rates.set(finished)
        seen.append(optimizer.param_groups[0]["lr"])
        rates.note(metric)
    return seen


def test_infersents_rule():
    """Times 0.99 from the second epoch on, and over 5 after an epoch without a new best."""
    seen = rates_of(Decay(0.99, 0.2), [0.5, 0.6, 0.6, 0.55, 0.7, 0.9])
    q = 0.99
    assert seen == pytest.approx([1, q, q**2, q**3 / 5, q**4 / 25, q**5 / 25])


def test_decay_and_schedule_multiply():
    assert rates_of(Decay(0.5), [0.0] * 3, Schedule((2,), (0.1,))) == pytest.approx([1, 0.5, 0.025])


@pytest.mark.parametrize(
    ("params", "split", "message"),
    [
        ({"lr_decay_per_epoch": 0.0}, "full", r"lr_decay_per_epoch must be in \(0, 1\]"),
        ({"lr_plateau_factor": 2.0}, "validation", r"lr_plateau_factor must be in \(0, 1\]"),
        ({"lr_plateau_factor": 0.2}, "full", "run it with split 'validation'"),
        ({"clip_norm": 0.0}, "full", "clip_norm must be a positive number"),
        ({"lr_sched_epochs": [1]}, "full", "give both or neither"),
    ],
)
def test_options_that_make_no_sense(spec, params, split, message):
    wrong = replace(spec, training_params=params, split=split)
    for refuse in (lambda spec: check(resolve(spec)), execute):
        with pytest.raises(UsageError, match=message):
            refuse(wrong)


@pytest.mark.parametrize("name", ["alig", "dfw", "l4adam", "sps", "momo", "alig_plus", "sls"])
def test_clipping_is_refused_where_the_step_depends_on_the_loss(name):
    spec = RunSpec("digits_mlp", name, synthetic=True, training_params={"clip_norm": 1.0})
    with pytest.raises(UsageError, match=f"{name}: clip_norm cannot be used"):
        check(resolve(spec))


@pytest.mark.parametrize("name", ["l4adam", "l4mom", "polyak", "sps", "sls", "alig_inf"])
def test_schedules_are_refused_where_there_is_no_rate(name):
    params = {"lr_sched_epochs": [1], "lr_sched_factors": [0.1]}
    spec = RunSpec("digits_mlp", name, synthetic=True, training_params=params)
    with pytest.raises(UsageError, match=f"{name}: .*has no learning rate that a schedule"):
        check(resolve(spec))
    check(resolve(replace(spec, optimizer="alig")))  # its cap is one


def test_plateau_in_a_run(spec):
    """A rate of almost 0 improves nothing, so it falls after every epoch but the first."""
    rates = []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    frozen = replace(
        spec, hyperparams={"lr": 1e-20}, num_epochs=4, split="validation",
        training_params={"lr_plateau_factor": 0.1},
    )  # fmt: skip
    result = execute(frozen, optimizer_class=Spy)
    per_epoch = result.steps // 4
    assert rates[::per_epoch] == pytest.approx([1e-20, 1e-20, 1e-21, 1e-22])
    assert result.training_params == {"lr_plateau_factor": 0.1}


# --- Clipping --------------------------------------------------------------------------------


def test_gradients_are_clipped_to_the_norm(spec):
    norms = {}
    for clip in (None, 0.1):
        norms[clip] = []

        class Spy(torch.optim.SGD):
            def step(self, closure=None, clip=clip):
                grads = [p.grad for group in self.param_groups for p in group["params"]]
                norms[clip].append(float(torch.cat([g.flatten() for g in grads]).norm()))
                return super().step(closure)

        params = {} if clip is None else {"clip_norm": clip}
        result = execute(replace(spec, training_params=params), optimizer_class=Spy)
    assert result.training_params == {"clip_norm": 0.1}
    assert min(norms[None]) > 0.1
    assert norms[0.1] == pytest.approx([0.1] * len(norms[0.1]), rel=1e-4)


# --- Regularization of its own ---------------------------------------------------------------


def test_own_regularization_gets_the_factor_for_the_regularized_weights(spec):
    problem = digits_mlp(32, weight_decay=0.1, synthetic=True, device="cpu", seed=42)
    problem.set_up()
    parameters = list(problem.net.parameters())
    entry = registry.find_optimizer("dfw")
    optimizer, objective = build_optimizer(
        entry.load(), entry, parameters, entry.complete({}), problem.regularization_groups
    )
    decays = {group["weight_decay"]: group["params"] for group in optimizer.param_groups}
    assert {factor: [p.ndim for p in ps] for factor, ps in decays.items()} == {
        0.1: [2, 2, 2], 0.0: [1, 1, 1],
    }  # fmt: skip
    assert (objective.regularization, objective.weight_decay) == ("weight_decay", 0.1)
    assert not objective.has_l2


@pytest.mark.parametrize("name", ["dfw", "momo", "momo_adam", "alig_plus"])
def test_own_regularization_in_a_run(name):
    spec = RunSpec("digits_mlp", name, num_epochs=1, synthetic=True, weight_decay=0.1)
    result, plain = execute(spec), execute(replace(spec, weight_decay=None))
    assert (result.regularization, result.effective_weight_decay) == ("weight_decay", 0.1)
    assert (plain.regularization, plain.effective_weight_decay) == ("none", 0.0)
    assert result.test_losses == result.test_data_losses  # without the L2 term
    assert result.test_losses[0] == plain.test_losses[0]
    assert result.test_losses[1] != plain.test_losses[1]


def test_decoupled_weight_decay():
    spec = RunSpec("digits_mlp", "adamw", num_epochs=1, synthetic=True, weight_decay=0.1)
    default = execute(spec)
    assert (default.regularization, default.effective_weight_decay) == ("weight_decay", 0.01)
    of_problem = execute(replace(spec, hyperparams={"weight_decay": None}))
    assert of_problem.effective_weight_decay == 0.1
    assert of_problem.test_losses[1] != default.test_losses[1]
    none = execute(replace(spec, hyperparams={"weight_decay": 0.0}))
    adam = execute(replace(spec, optimizer="adam", weight_decay=None))
    assert none.test_losses == pytest.approx(adam.test_losses, rel=1e-6)


@pytest.mark.parametrize("name", ["sps", "aprox", "polyak"])
def test_polyak_steps_have_no_l2_term(name):
    spec = RunSpec("digits_mlp", name, num_epochs=1, synthetic=True, weight_decay=0.1)
    result, plain = execute(spec), execute(replace(spec, weight_decay=None))
    assert (result.regularization, result.effective_weight_decay) == ("none", 0.0)
    assert result.test_losses == plain.test_losses


# --- What an optimizer may ask for -----------------------------------------------------------


def test_facts_of_the_run_reach_the_constructor(spec):
    seen = {}

    class Curious(torch.optim.SGD):
        run_arguments = {"n": "data_size", "e": "num_epochs", "b": "batches_per_epoch"}  # noqa: RUF012

        def __init__(self, params, lr, n, e, b):
            seen.update(n=n, e=e, b=b)
            super().__init__(params, lr)

    result = execute(spec, optimizer_class=Curious)
    problem = digits_mlp(32, synthetic=True, device="cpu", seed=42)
    problem.set_up()
    size = problem.data.size("train")
    assert seen == {"n": size, "e": 2, "b": size // 32}
    assert result.steps == 2 * (size // 32)


def test_losses_come_with_the_numbers_of_their_examples(spec):
    """The same example has, at the same weights, the same loss wherever it is drawn."""
    table, calls = {}, []

    class Spy(torch.optim.SGD):
        needs_loss = "per_example"

        def step(self, closure=None, *, loss=None, losses=None, indices=None):
            calls.append(indices)
            for index, value in zip(indices.tolist(), losses.tolist(), strict=True):
                assert table.setdefault(index, value) == pytest.approx(value, rel=1e-5)

    result = execute(replace(spec, num_epochs=3), optimizer_class=Spy)
    per_epoch = result.steps // 3
    first, second = torch.cat(calls[:per_epoch]), torch.cat(calls[per_epoch : 2 * per_epoch])
    assert len(set(first.tolist())) == len(first)
    assert not torch.equal(first, second)  # a new order, and still the same losses
    assert len(table) > len(first) / 2


def test_indices_outside_of_training():
    problem = digits_mlp(32, synthetic=True, device="cpu", seed=42)
    problem.set_up()
    problem.train_init_op()
    with pytest.raises(UsageError, match="drawn in the train phase"):
        _ = problem.batch_indices
    problem.get_batch_loss_and_accuracy()
    assert torch.equal(problem.batch_indices, problem.batch_order(0)[0])
    problem.test_init_op()
    problem.get_batch_loss_and_accuracy()
    with pytest.raises(UsageError, match="drawn in the train phase"):
        _ = problem.batch_indices


def test_the_ends_of_epochs_and_the_two_modes(spec):
    events = []

    class Modal(torch.optim.SGD):
        def train(self):
            events.append("train")

        def eval(self):
            events.append("eval")

        def end_epoch(self):
            events.append("end")

    execute(spec, optimizer_class=Modal)
    assert events == ["eval", "train", "end", "eval", "train", "end", "eval"]


def test_schedule_free_results_are_those_of_the_average(spec):
    """Evaluated at the training point, the numbers would be others."""
    package = pytest.importorskip("schedulefree")

    class Deaf(package.SGDScheduleFree):
        eval = train = None

        def __init__(self, params, lr):
            super().__init__(params, lr)
            package.SGDScheduleFree.train(self)

    right = execute(replace(spec, optimizer="schedulefree_sgd", hyperparams={"lr": 1.0}))
    wrong = execute(replace(spec, hyperparams={"lr": 1.0}), optimizer_class=Deaf)
    assert right.epoch_mean_losses == pytest.approx(wrong.epoch_mean_losses, rel=1e-5)
    assert right.test_losses[2] != pytest.approx(wrong.test_losses[2], rel=1e-3)


def test_a_package_that_is_not_there():
    entry = OptimizerEntry("x", "X", "no_such_package:X", package="no-such-package")
    assert not entry.is_installed
    with pytest.raises(
        UsageError, match=r"x needs the package no-such-package.*pip install no-such"
    ):
        entry.load()


# --- Closures --------------------------------------------------------------------------------


class Repeating(torch.optim.SGD):
    """Evaluates every mini-batch several times before it steps."""

    needs_loss = "closure"
    seen: list[list[float]] = []  # noqa: RUF012 - filled by the tests

    def step(self, closure):
        values = [closure(), closure(), closure(backward=False)]
        with torch.no_grad():
            values.append(closure(backward=False))
        self.seen.append([float(value.detach()) for value in values])
        return super().step()


@pytest.mark.parametrize("problem_class", [digits_mlp, tolstoi_char_rnn])
def test_evaluations_within_a_step_are_of_one_function(problem_class):
    """With dropout and a state that goes from one mini-batch to the next, too."""
    Repeating.seen.clear()
    losses = {}
    for optimizer_class in (Repeating, torch.optim.SGD):
        problem = problem_class(20, synthetic=True, device="cpu", seed=42)
        problem.set_up()
        optimizer = optimizer_class(problem.net.parameters(), lr=0.1)
        needs = needs_loss_of(optimizer_class)
        problem.train_init_op()
        step = make_step(problem, optimizer, needs)
        options = batch_options(problem, Objective("none", 0.0, None), needs)
        batches = mini_batches(problem, **options)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            losses[needs] = [float(step(next(batches))) for _ in range(3)]
    for values in Repeating.seen:
        assert values == pytest.approx([values[0]] * 4, rel=1e-6)
    # And the steps are those of an optimizer that asks for nothing.
    assert losses["closure"] == pytest.approx(losses["nothing"], rel=1e-6)
