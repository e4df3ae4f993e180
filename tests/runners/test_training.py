"""What a run does and records."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from alig_deepobs import registry
from alig_deepobs.errors import RunError, UsageError
from alig_deepobs.results import to_json, write_result
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import Callback, execute, training
from alig_deepobs.runners.evaluation import evaluate
from alig_deepobs.testproblems import digits_mlp


def metrics(result):
    """Everything of a result that is not a time."""
    record = to_json(result)
    for key in ("training_seconds", "evaluation_seconds", "environment", "started"):
        del record[key]
    return record


@pytest.mark.parametrize(
    "problem",
    [
        "digits_mlp",
        pytest.param("mnist_vae", marks=pytest.mark.slow),
        "quadratic_deep",
        "two_d_branin",
    ],
)
@pytest.mark.parametrize("optimizer", ["alig", "adam"])
def test_one_seed_gives_one_run_bit_for_bit(problem, optimizer):
    spec = RunSpec(problem, optimizer, num_epochs=1, synthetic=True, device="cpu")
    first, second = execute(spec), execute(spec)
    assert metrics(first) == metrics(second)
    assert metrics(first) != metrics(execute(replace(spec, random_seed=43)))


def test_the_global_random_state_is_left_alone_and_has_no_influence(spec):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = execute(spec)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert metrics(first) == metrics(execute(spec))


def test_evaluating_does_not_change_training(monkeypatch):
    """The VAE samples in evaluation too; the weights must not depend on how often."""
    vae = RunSpec("mnist_vae", "sgd", {"lr": 1e-3}, num_epochs=1, synthetic=True, device="cpu")
    once = execute(vae)

    def twice(*args):
        evaluate(*args)
        return evaluate(*args)

    monkeypatch.setattr(training, "evaluate", twice)
    assert execute(vae).epoch_mean_losses == once.epoch_mean_losses


def test_against_a_loop_written_by_hand(spec):
    problem = digits_mlp(32, synthetic=True, device="cpu", seed=42)
    problem.set_up()
    optimizer = torch.optim.SGD(problem.net.parameters(), lr=0.1)

    def evaluate(start):
        start()
        losses, accuracies = [], []
        while True:
            try:
                loss, accuracy = problem.get_batch_loss_and_accuracy()
            except StopIteration:
                return sum(losses) / len(losses), sum(accuracies) / len(accuracies)
            losses.append(float(loss))
            accuracies.append(float(accuracy))

    expected = [evaluate(problem.test_init_op)]
    means = []
    for _ in range(2):
        problem.train_init_op()
        losses = []
        while True:
            try:
                loss, _ = problem.get_batch_loss_and_accuracy()
            except StopIteration:
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        means.append(sum(losses) / len(losses))
        expected.append(evaluate(problem.test_init_op))
    result = execute(spec)
    assert result.test_losses == pytest.approx([loss for loss, _ in expected], rel=1e-5)
    assert result.test_accuracies == pytest.approx([accuracy for _, accuracy in expected])
    assert result.epoch_mean_losses == pytest.approx(means, rel=1e-5)


def test_lists_have_an_entry_before_training_and_one_per_epoch(spec):
    result = execute(replace(spec, num_epochs=3, split="validation", train_log_interval=2))
    assert result.outcome is Outcome.DONE
    for part in ("train", "valid", "test"):
        for kind in ("losses", "data_losses", "accuracies"):
            assert len(getattr(result, f"{part}_{kind}")) == 4
    assert len(result.evaluation_seconds) == 4
    assert len(result.training_seconds) == len(result.epoch_mean_losses) == 3
    per_epoch = result.steps // 3
    assert len(result.minibatch_train_losses) == 3 * math.ceil(per_epoch / 2)
    assert result.data_label == "Digits (synthetic twin)"
    assert result.environment["torch"] == torch.__version__


def test_no_epochs_means_evaluation_only(spec):
    result = execute(replace(spec, num_epochs=0))
    assert len(result.test_losses) == 1
    assert result.steps == 0


@pytest.mark.filterwarnings("ignore")
def test_divergence_is_recorded_and_nothing_is_padded(spec, tmp_path):
    result = execute(replace(spec, hyperparams={"lr": 1e30}, num_epochs=5))
    assert result.outcome is Outcome.DIVERGED
    assert "not finite after 1 epoch" in result.outcome_reason
    assert len(result.test_losses) == len(result.train_losses) == 1
    assert len(result.training_seconds) == 1
    assert all(map(math.isfinite, result.minibatch_train_losses))
    write_result(result, tmp_path)  # strict JSON takes it


def test_alig_records_its_steps(spec):
    result = execute(RunSpec("digits_mlp", "alig", {"max_lr": 0.01}, num_epochs=2, synthetic=True))
    assert len(result.step_sizes) == 2
    summary = result.step_sizes[0]
    assert 0 < summary["min"] <= summary["median"] <= summary["max"] <= 0.01
    assert 0 <= summary["clipped_fraction"] <= 1
    assert set(result.guarded_steps) == {"zero_norm", "below_f_min", "non_finite"}


@pytest.mark.filterwarnings("ignore")
def test_step_sizes_of_a_run_that_diverges_are_finite(spec, tmp_path):
    """BPGrad's step has the length lr times loss, and so feeds on its own growth."""
    result = execute(replace(spec, optimizer="bpgrad", hyperparams={"lr": 1e6}, num_epochs=5))
    assert result.outcome is Outcome.DIVERGED
    for summary in result.step_sizes:
        assert all(map(math.isfinite, summary.values()))
    write_result(result, tmp_path)


def test_interrupt_keeps_what_there_is(spec):
    class Stop(Callback):
        def evaluated(self, epoch, evaluations):
            if epoch == 1:
                raise KeyboardInterrupt

    result = execute(replace(spec, num_epochs=5), Stop())
    assert result.outcome is Outcome.INTERRUPTED
    assert len(result.test_losses) == 2


def test_an_optimizer_that_breaks_is_named(spec):
    class Broken(torch.optim.SGD):
        def step(self, closure=None):
            raise RuntimeError("sparse gradients are not supported")

    words = r"broke after 0 steps: RuntimeError: sparse .*test_training\.py, line"
    with pytest.raises(RunError, match=words):
        execute(spec, optimizer_class=Broken)


def test_bad_specifications(spec):
    for changes, message in [
        ({"testproblem": "digits"}, "unknown test problem"),
        ({"optimizer": "sdg"}, "did you mean sgd"),
        ({"hyperparams": {"lr": "x"}}, "lr must be a number"),
        ({"hyperparams": {"lr": -1.0}}, "sgd: Invalid learning rate"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"num_epochs": -1}, "num_epochs must be at least 0"),
        ({"split": "half"}, "unknown split 'half'"),
        ({"device": "cuda:77"}, "cuda"),
        ({"device": "warp"}, "warp"),
    ]:
        with pytest.raises(UsageError, match=message):
            execute(replace(spec, **changes))


def test_options_of_an_entry_reach_the_constructor(spec, monkeypatch):
    seen = {}

    class Optioned(torch.optim.SGD):
        def __init__(self, params, lr, **options):
            seen.update(options)
            super().__init__(params, lr)

    monkeypatch.setattr(torch.optim, "SGD", Optioned)
    entry = replace(registry.find_optimizer("sgd"), name="optioned", options={"fused": True})
    monkeypatch.setitem(registry.optimizers(), "optioned", entry)
    execute(replace(spec, optimizer="optioned"))
    assert seen == {"fused": True}
