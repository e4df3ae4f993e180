"""The repeat-copy task and the problem on it."""

import math

import numpy as np
import pytest
import torch

from alig_deepobs import registry
from alig_deepobs.errors import UsageError
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import execute
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.settings import Setting
from alig_deepobs.testproblems import dnc_copy
from alig_deepobs.testproblems.datasets import copy_task
from alig_deepobs.testproblems.losses import MaskedBitsLoss

FLOOR = 16.25 * math.log1p(math.exp(-20.0))


def make(batch_size=16, **settings):
    problem = dnc_copy(batch_size, **{"device": "cpu", "seed": 42} | settings)
    problem.set_up()
    return problem


@pytest.fixture(scope="module")
def problem():
    return make()


@pytest.fixture(scope="module")
def rows():
    return copy_task.table()


def test_the_worked_example():
    pattern = np.array([[1, 0, 0, 1], [0, 1, 1, 0]])
    inputs, targets, mask = copy_task.encode(pattern, repeats=1, steps=7)
    assert mask.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert inputs.tolist() == [
        [0, 0, 0, 0, 1, 0],
        [1, 0, 0, 1, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, np.float32(0.1)],
        [0] * 6,
        [0] * 6,
        [0] * 6,
    ]
    assert targets.tolist() == [
        *([0] * 5 for _ in range(4)),
        [1, 0, 0, 1, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 0, 0, 1],
    ]


@pytest.mark.parametrize(("length", "repeats"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_every_shape_of_sequence(length, repeats):
    pattern = np.arange(1, 4 * length + 1).reshape(length, 4) % 2
    inputs, targets, mask = copy_task.encode(pattern, repeats)
    assert inputs.shape == (9, 6)
    assert targets.shape == (9, 5)
    assert mask.sum() == length * repeats + 1
    first, own_length = length + 2, length * (repeats + 1) + 3
    assert mask.nonzero()[0].tolist() == list(range(first, own_length))
    assert inputs[length + 1, 5] == np.float32(repeats / 10)
    assert np.array_equal(inputs[1 : length + 1, :4], pattern)
    assert not inputs[first:].any()
    for repetition in range(repeats):
        start = first + repetition * length
        assert np.array_equal(targets[start : start + length, :4], pattern)
    assert not targets[:first].any()
    assert targets[:, 4].nonzero()[0].tolist() == [own_length - 1]
    assert not targets[own_length:].any()


@pytest.mark.parametrize(("length", "repeats", "steps"), [(2, 2, 8), (0, 1, 9), (1, 0, 9)])
def test_what_does_not_fit(length, repeats, steps):
    with pytest.raises(ValueError, match="do not fit into"):
        copy_task.encode(np.zeros((length, 4)), repeats, steps)


def test_the_table_is_the_distribution_of_the_task(rows):
    inputs, targets, mask = rows
    assert inputs.shape == (1024, 9, 6)
    assert targets.shape == (1024, 9, 5)
    assert mask.shape == (1024, 9)
    # Length and repetitions, from the sequences themselves: all four pairs alike.
    repeats = np.rint(10 * inputs[:, :, 5].max(axis=1)).astype(int)
    length = inputs[:, :, 5].argmax(axis=1) - 1
    pairs, counts = np.unique(np.stack((length, repeats)), axis=1, return_counts=True)
    assert pairs.T.tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert counts.tolist() == [256] * 4
    # Given those, every pattern is equally likely.
    for pair in pairs.T:
        chosen = inputs[(length == pair[0]) & (repeats == pair[1])]
        patterns, counts = np.unique(chosen[:, 1 : pair[0] + 1, :4], axis=0, return_counts=True)
        assert len(patterns) == 16 ** pair[0]
        assert set(counts) == {256 // 16 ** pair[0]}
    own_lengths = length * (repeats + 1) + 3
    assert set(own_lengths) == {5, 6, 7, 9}
    # 0.99 of the mini-batches of 16 have a sequence of nine steps.
    assert 1 - (1 - np.mean(own_lengths == 9)) ** 16 == pytest.approx(0.99, abs=1e-3)


def test_the_loss_of_a_constant_prediction(problem, rows):
    targets, mask = (torch.from_numpy(x) for x in rows[1:])
    loss = MaskedBitsLoss()(torch.zeros_like(targets), targets, mask)
    assert loss.item() == pytest.approx(16.25 * math.log(2), rel=1e-6)
    sampled = [
        MaskedBitsLoss()(torch.zeros_like(batch[1]), batch[1], batch[2]).item()
        for epoch in (0, 1)
        for batch in problem.batches("train", epoch)
    ]
    assert len(sampled) == 200
    assert np.mean(sampled) == pytest.approx(16.25 * math.log(2), rel=0.02)


def test_the_smallest_possible_loss(rows):
    targets, mask = (torch.from_numpy(x) for x in rows[1:])
    logits = 20.0 * (2.0 * targets - 1.0)
    assert MaskedBitsLoss()(logits, targets, mask).item() == pytest.approx(FLOOR, rel=1e-5)
    assert pytest.approx(3.349e-8, rel=1e-3) == FLOOR


def test_the_loss_is_the_stable_cross_entropy_of_bits():
    generator = torch.Generator().manual_seed(0)
    x = 15.0 * torch.randn(4, 9, 5, generator=generator, dtype=torch.float64)
    z = (torch.rand(4, 9, 5, generator=generator) > 0.5).double()
    mask = (torch.rand(4, 9, generator=generator) > 0.5).double()
    bits = x.clamp(min=0) - x * z + torch.log1p(torch.exp(-x.abs()))
    expected = (bits.sum(2) * mask).sum(1)
    torch.testing.assert_close(MaskedBitsLoss("none")(x, z, mask), expected)
    torch.testing.assert_close(MaskedBitsLoss()(x, z, mask), expected.mean())
    torch.testing.assert_close(MaskedBitsLoss("sum")(x, z, mask), expected.sum())


def test_padding_changes_nothing(problem):
    batch = next(problem.batches("train"))
    own_length = int(batch[2].any(dim=0).nonzero().max()) + 1
    keep = batch[2][:, 7:].sum(dim=1) == 0  # sequences with at most seven steps
    short = tuple(x[keep][:, :7] for x in batch)
    assert own_length == 9
    assert 0 < len(short[0]) < 16
    long_losses = problem.losses_of(problem.forward(batch), batch)[keep]
    torch.testing.assert_close(problem.losses_of(problem.forward(short), short), long_losses)


def test_mini_batches_are_fresh_and_belong_to_the_seed(problem):
    orders = [problem.batch_order(epoch) for epoch in (0, 1, 0)]
    assert orders[0].shape == (100, 16)
    assert torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], make(seed=43).batch_order(0))
    drawn = torch.cat([problem.batch_order(epoch).flatten() for epoch in range(20)])
    counts = torch.bincount(drawn, minlength=1024).double()
    # Chi-square with 1,023 degrees of freedom: 1023 +- 45.
    expected = len(drawn) / 1024
    assert ((counts - expected) ** 2 / expected).sum().item() == pytest.approx(1023, abs=4 * 45.2)
    fixed = make(reshuffle=False)
    assert torch.equal(fixed.batch_order(0), fixed.batch_order(1))


def test_evaluations_take_all_sequences_at_once(problem):
    for phase in ("train_eval", "test"):
        (batch,) = list(problem.batches(phase))
        assert [tuple(x.shape) for x in batch] == [(1024, 9, 6), (1024, 9, 5), (1024, 9)]
    assert problem.steps_per_epoch == make(batch_size=100).steps_per_epoch == 100
    problem.test_init_op()
    loss, accuracy = problem.get_batch_loss_and_accuracy()
    assert loss.item() == pytest.approx(11.264, rel=0.05)
    assert accuracy.item() < 0.02


def test_accuracy_wants_every_masked_bit(problem, rows):
    batch = tuple(torch.from_numpy(x) for x in rows)
    right = 5.0 * (2.0 * batch[1] - 1.0)
    ignored = torch.where(batch[2].unsqueeze(2) == 0, -right, right)
    assert problem.correct_of(ignored, batch).all()
    one_wrong = ignored.clone()
    step = batch[2][0].nonzero()[-1].item()
    one_wrong[0, step, 4] *= -1
    assert problem.correct_of(one_wrong, batch).sum() == 1023


def test_metadata():
    entry = registry.find_testproblem("dnc_copy")
    assert entry.load() is dnc_copy
    assert (entry.batch_size, entry.num_epochs, entry.metric) == (16, 100, "loss")
    for word in ("Network:", "Loss:", "Regularizer:", "Data:", "Defaults:", "Source:"):
        assert word in dnc_copy.__doc__
    assert f"batch size {entry.batch_size}, {entry.num_epochs} epochs" in dnc_copy.__doc__


def test_options():
    small = make(hidden_dim=8, memory_slots=3, word_size=2, read_heads=1, write_heads=2)
    assert small.net.output.weight.shape == (10, 5)
    assert small.net.access.write_heads == 2
    assert sum(p.numel() for p in make(synthetic=True).net.parameters()) == 43_980
    with pytest.raises(UsageError, match="dnc_copy: read_heads must be at least 1, not 0"):
        dnc_copy(16, read_heads=0)
    with pytest.raises(UsageError, match="has no validation set"):
        make(split="validation")


def test_alig_has_the_papers_defaults_here():
    spec = resolve(RunSpec("dnc_copy", "alig", {"max_lr": 100}), check_data=False)
    assert spec.hyperparams["max_lr"] == 100.0
    assert spec.hyperparams["momentum"] == spec.hyperparams["eps"] == 0.0
    given = resolve(RunSpec("dnc_copy", "alig", {"momentum": 0.5}), check_data=False)
    assert given.hyperparams["momentum"] == 0.5
    assert given.hyperparams["eps"] == 0.0
    elsewhere = resolve(RunSpec("digits_mlp", "alig"), check_data=False).hyperparams
    assert (elsewhere["momentum"], elsewhere["eps"]) == (0.9, 1e-5)
    assert resolve(RunSpec("dnc_copy", "momentum"), check_data=False).hyperparams["momentum"] == 0.9


def test_defaults_of_problems_are_declared_hyperparameters():
    for entry in registry.testproblems().values():
        for optimizer, params in entry.optimizer_defaults.items():
            completed = registry.resolve_optimizer(Setting(optimizer, dict(params)))[1]
            assert completed | dict(params) == completed


def test_a_run_and_its_record():
    result = execute(RunSpec("dnc_copy", "alig", {"max_lr": 100}, num_epochs=1))
    assert result.outcome is Outcome.DONE
    assert result.hyperparams["eps"] == 0.0
    assert result.hyperparams["momentum"] == 0.0
    assert result.steps == 100
    assert len(result.test_accuracies) == 2
    # The whole task is evaluated on both, so both are the same.
    assert result.train_losses == result.test_losses
    assert len(result.epoch_mean_losses) == 1


@pytest.mark.slow
def test_a_run_learns():
    result = execute(RunSpec("dnc_copy", "adam", {"lr": 0.01}, num_epochs=2))
    assert result.test_losses[0] == pytest.approx(11.264, rel=0.05)
    assert result.test_losses[2] < result.test_losses[1] < 9.0
    assert result.epoch_mean_losses[1] < 7.0


@pytest.mark.slow
def test_alig_solves_the_task():
    """Within 2,000 of the paper's 10,000 iterations."""
    result = execute(RunSpec("dnc_copy", "alig", {"max_lr": 100}, num_epochs=20))
    assert result.epoch_mean_losses[-1] < 0.1
    assert result.test_accuracies[-1] > 0.99


def test_saturated_logits_stop_alig_without_a_cap():
    """All logits beyond the clip: a gradient of exactly zero, and a loss of 3.349e-8."""
    problem = make()
    with torch.no_grad():
        problem.net.output.weight.zero_()
        problem.net.output.bias.fill_(-50.0)
    batch = next(problem.batches("train"))
    ones = torch.zeros_like(batch[1])
    loss = MaskedBitsLoss()(problem.forward(batch), ones, batch[2])
    loss.backward()
    assert 0 < loss.item() < 1e-6
    assert all(not p.grad.any() for p in problem.net.parameters())
    optimizer_class = registry.find_optimizer("alig").load()
    optimizer = optimizer_class(problem.net.parameters(), max_lr=None, eps=0.0)
    optimizer.step(loss=loss.detach())
    assert all(p.isfinite().all() for p in problem.net.parameters())
    assert optimizer.guarded_steps["zero_norm"] == 1
