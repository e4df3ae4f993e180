"""Single facts of a run: what its record says of steps, sets and noise."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import Callback, execute
from alig_deepobs.runners.evaluation import evaluate
from alig_deepobs.seeds import derive_seed
from alig_deepobs.testproblems import digits_mlp

# --- Step sizes ------------------------------------------------------------------------------


def sized(sizes):
    """SGD that says that its steps had these sizes, and these before the cap."""

    class Sized(torch.optim.SGD):
        left = iter(sizes)
        last_step_sizes = (math.nan, math.nan)

        def step(self, closure=None):
            super().step()
            self.last_step_sizes = next(self.left)

    return Sized


@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_summary_of_step_sizes(spec, kind):
    """The synthetic digits are 16 mini-batches; of these steps, 4 had to be cut."""
    pairs = [(0.1, 0.2)] * 4 + [(0.1, 0.1)] * 4 + [(0.02, 0.02)] * 7 + [(math.nan, math.nan)]
    sizes = [(kind(step), kind(unclipped)) for step, unclipped in pairs]
    run = replace(spec, num_epochs=1, train_log_interval=1)
    result = execute(run, optimizer_class=sized(sizes))
    assert result.steps == 16
    assert result.step_sizes == [
        {
            "mean": pytest.approx(0.94 / 15),
            "median": pytest.approx(0.1),
            "min": pytest.approx(0.02),
            "max": pytest.approx(0.1),
            "clipped_fraction": pytest.approx(4 / 15),
        }
    ]


def test_sizes_of_the_logged_steps_alone(spec):
    sizes = [(float(number), math.inf if number % 2 else float(number)) for number in range(32)]
    run = replace(spec, num_epochs=2, train_log_interval=5)
    first, second = execute(run, optimizer_class=sized(sizes)).step_sizes
    assert (first["min"], first["median"], first["max"]) == (0.0, 7.5, 15.0)
    assert first["clipped_fraction"] == 0.5
    assert (second["min"], second["max"]) == (16.0, 31.0)


def test_steps_none_of_which_is_finite_have_no_summary(spec):
    run = replace(spec, num_epochs=1)
    assert execute(run, optimizer_class=sized([(math.inf, math.inf)] * 16)).step_sizes == []


# --- Divergence ------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["train", "valid", "test"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_on_any_set_is_a_divergence(spec, monkeypatch, bad, value):
    """From the second epoch on the loss on one set is made infinite or nan."""

    class Epochs(Callback):
        evaluations = 0

        def evaluated(self, epoch, evaluations):
            Epochs.evaluations = epoch + 1
            assert set(evaluations) == {"train", "valid", "test"}

    current = {}
    inits = {"train": "train_eval_init_op", "valid": "valid_init_op", "test": "test_init_op"}
    for name, method in {**inits, "": "train_init_op"}.items():
        original = getattr(digits_mlp, method)

        def init(self, name=name, original=original):
            current["set"] = name
            return original(self)

        monkeypatch.setattr(digits_mlp, method, init)
    losses_of = digits_mlp.losses_of

    def spoilt(self, *args):
        losses = losses_of(self, *args)
        return losses + value if current["set"] == bad and Epochs.evaluations == 2 else losses

    monkeypatch.setattr(digits_mlp, "losses_of", spoilt)
    result = execute(replace(spec, num_epochs=4, split="validation"), Epochs())
    assert result.outcome is Outcome.DIVERGED
    assert result.outcome_reason == f"{bad} loss is not finite after 2 epochs"
    for name in inits:
        for kind in ("losses", "data_losses", "accuracies"):
            assert len(getattr(result, f"{name}_{kind}")) == 2
    assert len(result.training_seconds) == 2
    assert len(result.evaluation_seconds) == 3
    assert len(result.epoch_mean_losses) == 2


# --- Noise -----------------------------------------------------------------------------------


@pytest.fixture
def with_dropout(monkeypatch):
    build = digits_mlp.build_net
    monkeypatch.setattr(
        digits_mlp, "build_net",
        lambda self, generator: nn.Sequential(nn.Dropout(0.5), build(self, generator)),
    )  # fmt: skip


def test_dropout_masks_are_new_in_every_epoch_and_of_the_seed(spec, with_dropout):
    """Order and weights stay, so the masks alone make a difference."""
    run = replace(spec, reshuffle=False, hyperparams={"lr": 0.0}, num_epochs=3)
    result, other = execute(run), execute(replace(run, random_seed=43))
    first, second, third = result.epoch_mean_losses
    assert min(abs(first - second), abs(second - third), abs(first - third)) > 1e-4
    assert execute(run).epoch_mean_losses == result.epoch_mean_losses
    assert other.epoch_mean_losses != result.epoch_mean_losses
    # Evaluation drops nothing.
    assert len(set(result.test_losses)) == 1


def test_a_line_search_sees_one_function(spec, with_dropout):
    """Every evaluation within a step draws the same masks; those of the next step are others."""
    seen = []

    class Looks(torch.optim.SGD):
        needs_loss = "closure"

        def step(self, closure=None):
            seen.append([closure().item(), closure(backward=False).item(), closure().item()])

    run = replace(spec, batch_size=256, num_epochs=1, train_log_interval=1)
    result = execute(run, optimizer_class=Looks)
    assert len(seen) == result.steps == 2
    assert all(len(set(values)) == 1 for values in seen)
    assert seen[0] != seen[1]
    assert result.minibatch_train_losses == [values[0] for values in seen]


# --- What is recorded ------------------------------------------------------------------------


def test_callbacks_hear_of_every_logged_step(spec):
    class Ears(Callback):
        def __init__(self):
            self.heard = {
                "started": [],
                "ticked": [],
                "stepped": [],
                "evaluated": [],
                "finished": 0,
            }

        def started(self, result, steps_per_epoch):
            self.heard["started"].append(steps_per_epoch)
            self.result = result

        def ticked(self, epoch, step):
            self.heard["ticked"].append((epoch, step))

        def stepped(self, epoch, step, loss):
            self.heard["stepped"].append((epoch, step, loss))

        def evaluated(self, epoch, evaluations):
            self.heard["evaluated"].append(epoch)

        def finished(self, result):
            self.heard["finished"] += 1
            assert result is self.result

    ears = Ears()
    result = execute(replace(spec, train_log_interval=7), ears)
    places = [(epoch, step) for epoch in (1, 2) for step in (0, 7, 14)]
    assert ears.result is result
    assert ears.heard["started"] == [16]
    assert ears.heard["ticked"] == places
    assert [heard[:2] for heard in ears.heard["stepped"]] == places
    assert [heard[2] for heard in ears.heard["stepped"]] == result.minibatch_train_losses
    assert ears.heard["evaluated"] == [0, 1, 2]
    assert ears.heard["finished"] == 1


def test_record_of_the_class_and_of_an_interrupt_at_once(spec):
    class Mine(torch.optim.SGD):
        pass

    result = execute(replace(spec, num_epochs=0), optimizer_class=Mine)
    assert result.optimizer_class == f"{__name__}:{Mine.__qualname__}"
    assert result.started.endswith("+00:00")

    class Stop(Callback):
        def evaluated(self, epoch, evaluations):
            raise KeyboardInterrupt

    result = execute(spec, Stop())
    assert (result.outcome, result.outcome_reason) == (
        Outcome.INTERRUPTED, "interrupted after 0 epochs",
    )  # fmt: skip


def test_facts_of_the_run_reach_the_optimizer(spec):
    result = execute(RunSpec("digits_mlp", "sls", num_epochs=1, synthetic=True, device="cpu"))
    assert result.outcome is Outcome.DONE
    # SLS grows its step by a factor of 2 an epoch: 16 steps make 2^(1/16) each.
    assert result.step_sizes[0]["max"] == pytest.approx(2 ** (1 / 16))


def test_plateau_of_validation_lowers_the_rate(spec):
    rates = []

    class Still(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])

    params = {"lr_plateau_factor": 0.5, "lr_decay_per_epoch": 0.9}
    run = replace(spec, num_epochs=4, split="validation", training_params=params, batch_size=128)
    steps = execute(run, optimizer_class=Still).steps // 4
    # Weights that never move are never better than after the first epoch.
    expected = [0.1, 0.1 * 0.9, 0.1 * 0.81 * 0.5, 0.1 * 0.729 * 0.25]
    assert rates[::steps] == pytest.approx(expected)


# --- The objective ---------------------------------------------------------------------------


def test_a_ball_is_recorded_with_every_kind_of_regularization(spec):
    """A projection does not take the place of an L2 term that the optimizer asks for."""

    class Projected(torch.optim.SGD):
        def __init__(self, params, lr, projection_fn=None, weight_decay=0.0):
            super().__init__(params, lr)
            self.project = projection_fn

    recorded = {}
    for kind in ("l2", "own", "ball", "none"):
        Projected.regularization = kind
        run = replace(
            spec, num_epochs=0, weight_decay=0.1, hyperparams={"lr": 0.1, "max_norm": 2.0}
        )
        result = execute(run, optimizer_class=Projected)
        recorded[kind] = (result.regularization, result.effective_weight_decay, result.max_norm)
    assert recorded == {
        "l2": ("l2", 0.1, 2.0), "own": ("weight_decay", 0.1, 2.0), "ball": ("ball", 0.0, 2.0),
        "none": ("ball", 0.0, 2.0),
    }  # fmt: skip


def test_losses_of_the_examples_and_their_mean(spec):
    """To an optimizer that does not ask for their numbers."""
    seen = []

    class Looks(torch.optim.SGD):
        needs_loss = "per_example"

        def step(self, closure=None, *, loss=None, losses=None):
            seen.append((loss, losses))

    result = execute(replace(spec, num_epochs=1, train_log_interval=1), optimizer_class=Looks)
    assert [loss.item() for loss, _ in seen] == result.minibatch_train_losses
    for loss, losses in seen:
        assert losses.shape == (32,)
        assert loss.item() == pytest.approx(losses.mean().item())
        assert not losses.requires_grad


# --- Incomplete mini-batches -----------------------------------------------------------------


def test_every_example_counts_the_same_where_incomplete_mini_batches_are_kept(spec, monkeypatch):
    """512 training and 256 test images in mini-batches of 100; the weights never change."""
    monkeypatch.setattr(digits_mlp, "drops_incomplete", False)
    run = replace(spec, batch_size=100, hyperparams={"lr": 0.0}, num_epochs=1, weight_decay=0.0)
    result = execute(run)
    assert result.steps == 6
    problem = digits_mlp(1, synthetic=True, device="cpu", seed=42)
    problem.set_up()
    problem.net.eval()
    for name in ("train", "test"):
        images, labels = problem.data.parts[name]
        with torch.no_grad():
            logits = problem.net(images.float() / 16)
        loss = float(nn.functional.cross_entropy(logits, labels))
        accuracy = float((logits.argmax(1) == labels).float().mean())
        if name == "train":
            assert result.epoch_mean_losses == [pytest.approx(loss, rel=1e-5)]
            assert result.train_losses[0] == pytest.approx(loss, rel=0.2)  # on a part of it
        else:
            assert result.test_losses == [pytest.approx(loss, rel=1e-5)] * 2
            assert result.test_accuracies == [pytest.approx(accuracy, rel=1e-5)] * 2


def test_problems_of_deepobs_have_complete_mini_batches_alone():
    """They say nothing of the share of a mini-batch."""

    class Theirs:
        has_accuracy = True

        def __init__(self):
            self.losses = iter([(1.0, 0.5), (2.0, 1.0)])

        def valid_init_op(self):
            self.phase = "valid"

        train_eval_init_op = test_init_op = None

        def get_batch_loss_and_accuracy_func(self, add_regularization_if_available):
            assert not add_regularization_if_available
            pair = next(self.losses)
            return lambda: pair

        def get_regularization_loss(self):
            return 0.25

    found = evaluate(Theirs(), "valid", has_l2=True)
    assert (found.loss, found.data_loss, found.accuracy) == (1.75, 1.5, 0.75)
    assert evaluate(Theirs(), "valid", has_l2=False).loss == 1.5


# --- Streams of noise ------------------------------------------------------------------------


class Noisy(nn.Module):
    """Draws its answers, and remembers what seeded the generator that it draws from."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seeds = []

    def forward(self, images):
        self.seeds.append((self.training, torch.initial_seed()))
        return torch.randn(len(images), 10) + self.weight


def test_every_pass_over_a_set_is_seeded_by_the_seed_the_set_and_the_epoch(spec, monkeypatch):
    nets = []

    def build(self, generator):
        nets.append(Noisy())
        return nets[-1]

    monkeypatch.setattr(digits_mlp, "build_net", build)
    run = replace(spec, num_epochs=2, hyperparams={"lr": 0.0}, split="validation")
    both = execute(run)
    seeds = list(dict.fromkeys(seed for _, seed in nets[-1].seeds))
    places = [("train", 0), ("valid", 0), ("test", 0)]
    for epoch in (1, 2):
        places += [("train", epoch), ("train", epoch), ("valid", epoch), ("test", epoch)]
    expected = [derive_seed(42, "noise", phase, epoch) for phase, epoch in places]
    assert seeds == list(dict.fromkeys(expected))
    assert len(set(both.test_losses)) == 3
    assert set(both.test_losses).isdisjoint(both.valid_losses)
    # The test set is drawn alike whether another set is evaluated before it or not.
    assert execute(replace(run, split="full")).test_losses == both.test_losses
    assert execute(replace(run, random_seed=43)).test_losses != both.test_losses


def test_the_network_is_drawn_from_a_stream_of_the_seed(spec, monkeypatch):
    seen = []
    load = digits_mlp.load_data
    monkeypatch.setattr(
        digits_mlp, "load_data", lambda self: (seen.append(torch.initial_seed()), load(self))[1]
    )
    before = torch.initial_seed()
    execute(replace(spec, num_epochs=0))
    assert seen[-1] == derive_seed(42, "noise")
    assert torch.initial_seed() == before
