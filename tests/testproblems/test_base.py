"""The interface: phases, orders, seeds, reductions, regularization, splits."""

import logging

import pytest
import torch

from alig_deepobs.errors import UsageError
from alig_deepobs.testproblems import TestProblem as Problem
from alig_deepobs.testproblems import (
    digits_logreg,
    digits_mlp,
    mnist_mlp,
    mnist_vae,
    quadratic_deep,
    two_d_beale,
)


def make(problem_class=digits_mlp, batch_size=32, **settings):
    problem = problem_class(batch_size, **({"seed": 42, "device": "cpu"} | settings))
    problem.set_up()
    return problem


def test_phases_and_stop_iteration():
    problem = make(split="validation")
    assert problem.phase is None
    with pytest.raises(UsageError, match="train_init_op"):
        problem.get_batch_loss_and_accuracy_func()
    sizes = {"train": 1445 - 256, "train_eval": 1445 - 256, "valid": 256, "test": 352}
    for phase, size in sizes.items():
        getattr(problem, f"{phase}_init_op")()
        assert problem.phase == phase
        assert problem.net.training == (phase == "train")
        for _ in range(size // 32):
            loss, _ = problem.get_batch_loss_and_accuracy()
            assert loss.requires_grad == (phase == "train")
        for _ in range(2):
            with pytest.raises(StopIteration):
                problem.get_batch_loss_and_accuracy_func()


def test_equal_seeds_give_equal_runs():
    one, two, other = make(), make(), make(seed=43)
    for p, q in zip(one.net.parameters(), two.net.parameters(), strict=True):
        assert torch.equal(p, q)
    assert torch.equal(one.batch_order(3), two.batch_order(3))
    assert torch.equal(one.train_eval_order(3), two.train_eval_order(3))
    assert not torch.equal(one.net[1].weight, other.net[1].weight)
    assert not torch.equal(one.batch_order(0), other.batch_order(0))


def test_seed_none_is_the_initial_seed_of_torch():
    state = torch.get_rng_state()
    torch.manual_seed(7)
    problem = make(seed=None)
    torch.set_rng_state(state)
    assert torch.equal(problem.net[1].weight, make(seed=7).net[1].weight)


def test_orders():
    problem = make()
    first, second = problem.batch_order(0), problem.batch_order(1)
    assert first.shape == (1445 // 32, 32)
    assert first.dtype == torch.int64
    assert not torch.equal(first, second)
    assert not torch.equal(first, problem.train_eval_order(0))
    assert not torch.equal(problem.train_eval_order(0), problem.train_eval_order(1))
    assert len(set(first.flatten().tolist())) == first.numel()
    # What the phases hand out is what the orders say.
    losses = []
    for epoch in range(2):
        problem.train_init_op()
        func = problem.get_batch_loss_and_accuracy_func(reduction="none")
        losses.append(func()[0])
        batch = problem.data.take("train", problem.batch_order(epoch)[0])
        assert torch.equal(losses[-1], problem.losses_of(problem.forward(batch), batch))
    assert not torch.equal(losses[0], losses[1])
    assert problem.epochs_started == 2


def test_no_global_random_numbers_are_used():
    for problem_class in (digits_logreg, mnist_mlp, mnist_vae, quadratic_deep):
        state = torch.get_rng_state()
        problem = make(problem_class, synthetic=True)
        problem.train_eval_init_op()
        problem.train_init_op()
        problem.get_batch_loss_and_accuracy_func()
        assert torch.equal(torch.get_rng_state(), state)


def test_reductions_and_accuracy():
    problem = make()
    problem.test_init_op()
    values = {
        reduction: problem._reduced_loss(outputs, batch, reduction)
        for batch in [problem.data.take("test", torch.arange(32))]
        for outputs in [problem.forward(batch)]
        for reduction in ("mean", "sum", "none")
    }
    assert values["none"].shape == (32,)
    assert torch.allclose(values["none"].mean(), values["mean"])
    assert torch.allclose(values["none"].sum(), values["sum"])
    func = problem.get_batch_loss_and_accuracy_func(reduction="none")
    loss, accuracy = func()
    assert torch.allclose(loss, values["none"])
    batch = problem.data.take("test", torch.arange(32))
    expected = (problem.net(batch[0]).argmax(1) == batch[1]).float().mean()
    assert accuracy == expected
    assert problem.get_batch_loss_and_accuracy_func(with_accuracy=False)()[1] == 0.0
    with pytest.raises(UsageError, match="'median'"):
        problem.get_batch_loss_and_accuracy_func("median")


def test_the_function_can_be_called_again_on_its_batch():
    problem = make()
    problem.train_init_op()
    func = problem.get_batch_loss_and_accuracy_func()
    problem.get_batch_loss_and_accuracy_func()
    assert func()[0] == func()[0]
    noisy = make(mnist_vae, 64, synthetic=True)
    noisy.train_init_op()
    func = noisy.get_batch_loss_and_accuracy_func()
    assert func()[0] != func()[0]


def test_regularization():
    plain, problem = make(), make(weight_decay=0.1)
    assert plain.get_regularization_loss() == 0.0
    assert isinstance(plain.get_regularization_loss(), float)
    assert set(plain.regularization_groups) == {0.0}
    kernels = [p for name, p in problem.net.named_parameters() if name.endswith("weight")]
    assert [id(p) for p in problem.regularization_groups[0.1]] == [id(p) for p in kernels]
    assert len(problem.regularization_groups[0.0]) == 3
    expected = 0.5 * 0.1 * sum(p.square().sum() for p in kernels)
    regularizer = problem.get_regularization_loss()
    assert torch.allclose(regularizer, expected)
    for reduction in ("mean", "sum", "none"):
        losses = []
        for add in (True, False):
            problem.test_init_op()
            losses.append(problem.get_batch_loss_and_accuracy(reduction, add)[0])
        assert torch.allclose(losses[0], losses[1] + regularizer)
    assert make(weight_decay=0.0).get_regularization_loss() == 0.0


def test_weight_decay_without_l2_term_is_ignored_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        problem = make(mnist_mlp, 64, weight_decay=0.01, synthetic=True)
    assert "weight_decay=0.01 is ignored: mnist_mlp" in caplog.text
    assert problem.weight_decay is None
    assert problem.get_regularization_loss() == 0.0


@pytest.mark.parametrize("weight_decay", [-0.1, float("nan"), float("inf")])
def test_bad_weight_decay(weight_decay):
    with pytest.raises(UsageError, match="weight_decay"):
        digits_mlp(32, weight_decay)


@pytest.mark.parametrize("batch_size", [0, -3, 353])
def test_bad_batch_sizes_name_both_numbers(batch_size):
    with pytest.raises(UsageError, match=rf"batch_size must be from 1 to \d+.*not {batch_size}$"):
        make(batch_size=batch_size)


def test_the_largest_batch_size():
    problem = make(batch_size=352)
    problem.test_init_op()
    problem.get_batch_loss_and_accuracy()
    with pytest.raises(StopIteration):
        problem.get_batch_loss_and_accuracy()


def test_other_bad_arguments():
    with pytest.raises(UsageError, match="integer"):
        digits_mlp(2.5)
    with pytest.raises(UsageError, match="'half'"):
        digits_mlp(32, split="half")
    with pytest.raises(UsageError, match="unknown device"):
        digits_mlp(32, device="abacus")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no GPU"):
            digits_mlp(32, device="cuda")


def test_validation_split_is_fixed_and_disjoint():
    full, one, two = make(), make(split="validation"), make(split="validation", seed=1)

    def images(problem, part):
        return {image.numpy().tobytes() for image in problem.data.parts[part][0]}

    assert one.data.size("valid") == 256
    assert one.data.size("train") == 1445 - 256
    assert images(one, "valid") == images(two, "valid")
    assert not images(one, "valid") & images(one, "train")
    assert images(one, "valid") | images(one, "train") == images(full, "train")
    assert one.data.version == two.data.version != full.data.version
    with pytest.raises(UsageError, match="split='validation'"):
        full.valid_init_op()


def test_validation_splits_of_the_other_data_sets():
    problem = make(mnist_mlp, 64, synthetic=True, split="validation")
    assert (problem.data.size("train"), problem.data.size("valid")) == (384, 128)
    # Quadratic: extra points, the training set stays whole.
    problem = make(quadratic_deep, 128, split="validation")
    assert (problem.data.size("train"), problem.data.size("valid")) == (1000, 1000)
    assert "valid" not in make(quadratic_deep, 128).data.parts
    with pytest.raises(UsageError, match="two_d has no validation set"):
        make(two_d_beale, split="validation")


def test_loss_function_is_a_factory_as_in_deepobs():
    for problem_class, target in ((digits_mlp, 1), (mnist_vae, 0), (quadratic_deep, 0)):
        problem = make(problem_class, 64, synthetic=True)
        batch = problem.data.take("train", torch.arange(64))
        outputs = problem.forward(batch)
        losses = problem.losses_of(outputs, batch)
        for reduction, expected in (("none", losses), ("mean", losses.mean())):
            found = problem.loss_function(reduction=reduction)(outputs, batch[target])
            assert torch.allclose(found, expected)


def test_a_problem_of_ones_own():
    class Own(Problem):
        def load_data(self):
            return digits_logreg(32).load_data()

        def build_net(self, generator):
            return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

    problem = make(Own)
    problem.train_init_op()
    loss, accuracy = problem.get_batch_loss_and_accuracy()
    assert loss.requires_grad
    assert 0 <= accuracy <= 1


def test_a_loss_of_ones_own_is_used_for_every_reduction():
    class Doubled(digits_mlp):
        def losses_of(self, outputs, batch):
            return 2 * super().losses_of(outputs, batch)

    for reduction in ("mean", "sum", "none"):
        losses = []
        for problem in (make(), make(Doubled)):
            problem.test_init_op()
            losses.append(problem.get_batch_loss_and_accuracy(reduction)[0])
        assert torch.allclose(2 * losses[0], losses[1])


def test_batch_indices_of_an_incomplete_mini_batch():
    """Problems that keep the last, smaller mini-batch say whose examples it has, too."""
    from alig_deepobs.testproblems import digits_logreg

    class keeps_all(digits_logreg):
        drops_incomplete = False

    problem = keeps_all(100, seed=1, device="cpu", synthetic=True)
    problem.set_up()
    problem.train_init_op()
    seen = []
    for _ in range(problem.steps_per_epoch):
        problem.get_batch_loss_and_accuracy_func()
        seen.append(problem.batch_indices)
    size = problem.data.size("train")
    assert len(seen[-1]) == size % 100 > 0
    assert sorted(torch.cat(seen).tolist()) == list(range(size))


@pytest.mark.parametrize(("method", "call"), [
    ("load_data(self)", lambda problem: problem.load_data()),
    ("build_net(self, generator)", lambda problem: problem.build_net(None)),
])  # fmt: skip
def test_a_problem_of_ones_own_says_what_it_lacks(method, call):
    class Unfinished(Problem):
        """Nothing yet."""

    with pytest.raises(NotImplementedError) as caught:
        call(Unfinished.__new__(Unfinished))
    assert str(caught.value) == f"Unfinished needs a method {method}"
