"""The problems on colour images and on text: metadata, starts, and an epoch of each on its twin."""

import math

import numpy as np
import pytest
import torch

import alig_deepobs.testproblems as testproblems
from alig_deepobs import registry
from alig_deepobs.errors import UsageError
from alig_deepobs.run import Outcome, RunSpec
from alig_deepobs.runners import execute

# Name -> a mini-batch size that is quick enough on a CPU, and seconds of an epoch on one core.
BATCH_SIZES = {
    "cifar10_3c3d": 128, "cifar10_vgg16": 8, "cifar10_vgg19": 8, "cifar100_3c3d": 128,
    "cifar100_vgg16": 8, "cifar100_vgg19": 8, "cifar100_allcnnc": 128, "cifar100_wrn404": 64,
    "svhn_3c3d": 128, "svhn_wrn164": 64, "tolstoi_char_rnn": 50, "imagenet_vgg16": 4,
    "imagenet_vgg19": 4, "imagenet_inception_v3": 4,
}  # fmt: skip
DEEPOBS_26 = {
    "quadratic_deep", "two_d_beale", "two_d_branin", "two_d_rosenbrock", "mnist_logreg",
    "mnist_mlp", "mnist_2c2d", "mnist_vae", "fmnist_logreg", "fmnist_mlp", "fmnist_2c2d",
    "fmnist_vae", *BATCH_SIZES,
}  # fmt: skip


def make(name, **settings):
    settings = {"batch_size": 32, "seed": 42, "synthetic": True, "device": "cpu"} | settings
    problem = getattr(testproblems, name)(**settings)
    problem.set_up()
    return problem


def mean_loss(problem):
    problem.test_init_op()
    losses = []
    while True:
        try:
            losses.append(
                problem.get_batch_loss_and_accuracy(add_regularization_if_available=False)
            )
        except StopIteration:
            return float(np.mean([loss.item() for loss, _ in losses]))


def test_all_26_problems_of_deepobs_are_there():
    assert len(DEEPOBS_26) == 26
    assert set(registry.testproblems()) >= DEEPOBS_26


@pytest.mark.parametrize("name", BATCH_SIZES)
def test_metadata(name):
    entry, problem_class = registry.find_testproblem(name), getattr(testproblems, name)
    assert entry.load() is problem_class
    assert entry.weight_decay == problem_class.default_weight_decay
    assert problem_class(8, device="cpu").weight_decay == entry.weight_decay
    assert entry.metric == "accuracy"
    assert entry.has_validation == (not name.startswith("imagenet"))
    for word in ("Network:", "Loss:", "Regularizer:", "Data:", "Defaults:", "Source:"):
        assert word in problem_class.__doc__
    assert f"batch size {entry.batch_size}, {entry.num_epochs} epochs" in problem_class.__doc__
    interpolation = problem_class.__doc__.split("Interpolation: ")[1]
    assert interpolation.startswith("not known" if entry.interpolates is None else "no")


def test_targets_are_deepobs_convergence_performances():
    targets = {
        name: entry.target for name, entry in registry.testproblems().items()
        if name in BATCH_SIZES and entry.target is not None
    }  # fmt: skip
    assert targets == {
        "cifar10_3c3d": 0.828330707958,
        "cifar100_allcnnc": 0.525604351157,
        "svhn_wrn164": 0.95019918433,
        "tolstoi_char_rnn": 0.60458635662,
    }


def test_sets_of_problems():
    expand = registry.expand_names
    assert expand(["small"]) == ["quadratic_deep", "mnist_vae", "fmnist_2c2d", "cifar10_3c3d"]
    assert expand(["large"]) == [
        "fmnist_vae", "cifar100_allcnnc", "svhn_wrn164", "tolstoi_char_rnn",
    ]  # fmt: skip
    assert expand(["mnist_vae", "small", "nonsense"])[:2] == ["mnist_vae", "quadratic_deep"]
    assert expand(["nonsense"]) == ["nonsense"]
    named = ["mine:Problem[file=C:/a.txt]", "snli_bilstm[embeddings=C:/b.txt]"]
    assert expand(named) == ["mine.Problem[file=C:/a.txt]", named[1]]
    assert len(expand(["small", "large", "small"])) == 8
    assert set(expand(["small", "large"])) <= set(registry.testproblems())


@pytest.mark.parametrize("name", ["cifar10_3c3d", "svhn_3c3d", "cifar100_3c3d"])
def test_initial_losses(name):
    problem = make(name)
    classes = 100 if name.startswith("cifar100") else 10
    # DeepOBS starts at 2.32 and 4.66 without the L2 term, a little above the logarithm.
    assert mean_loss(problem) == pytest.approx(math.log(classes), abs=0.1)
    l2 = 1.3860 if classes == 100 else 1.2614
    assert problem.get_regularization_loss().item() == pytest.approx(l2, rel=5e-3)
    assert make(name, weight_decay=0.0).get_regularization_loss() == 0.0


@pytest.mark.parametrize(("name", "l2"), [("cifar100_allcnnc", 0.3063), ("svhn_wrn164", 0.4827)])
def test_initial_l2_terms(name, l2):
    problem = make(name)
    assert problem.get_regularization_loss().item() == pytest.approx(l2, rel=5e-3)
    groups = problem.regularization_groups
    assert set(groups) == {0.0, 5e-4}
    assert all(p.ndim == 1 for p in groups[0.0])


@pytest.mark.parametrize("name", ["cifar10_3c3d", "svhn_3c3d", "cifar100_3c3d", "tolstoi_char_rnn"])
@pytest.mark.parametrize("batch_size", [64, 128])
def test_twins_are_large_enough_for_usual_batch_sizes(name, batch_size):
    problem = make(name, batch_size=batch_size, split="validation")
    assert all(problem.data.size(part) >= batch_size for part in problem.data.parts)


def test_default_batch_sizes_fit_the_twins():
    for name in ("cifar100_allcnnc", "svhn_wrn164", "cifar10_3c3d", "tolstoi_char_rnn"):
        problem = make(name, batch_size=registry.find_testproblem(name).batch_size)
        assert len(problem.batch_order(0)) > 0


@pytest.mark.parametrize("name", ["svhn_wrn164", "cifar100_allcnnc"])
def test_gradients(name):
    problem = make(name, batch_size=4)
    problem.train_init_op()
    loss, accuracy = problem.get_batch_loss_and_accuracy()
    loss.backward()
    assert loss.isfinite()
    assert 0 <= accuracy <= 1
    assert all(p.grad is not None and p.grad.isfinite().all() for p in problem.net.parameters())


def test_many_runs_at_once_with_torch_func():
    problem = make("cifar10_3c3d", batch_size=4)
    batch = next(problem.batches("train"))
    stacked = {
        name: torch.stack([p.detach(), 0.5 * p.detach()])
        for name, p in problem.net.named_parameters()
    }

    def loss_of(parameters):
        outputs = torch.func.functional_call(problem.net, parameters, (batch[0],))
        return problem.losses_of(outputs, batch).mean()

    _, losses = torch.func.vmap(torch.func.grad_and_value(loss_of))(stacked)
    problem.train_init_op()
    loss, _ = problem.get_batch_loss_and_accuracy(add_regularization_if_available=False)
    assert losses[0].item() == pytest.approx(loss.item(), rel=1e-5)


def run(name):
    return execute(
        RunSpec(name, "alig", num_epochs=1, synthetic=True, batch_size=BATCH_SIZES[name])
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("svhn_3c3d",) else [pytest.mark.slow])
        for name in BATCH_SIZES
    ],
)
def test_an_epoch_on_the_twin(name):
    result = run(name)
    assert result.outcome is Outcome.DONE
    assert len(result.test_losses) == len(result.test_accuracies) == 2
    assert "synthetic twin" in result.data_label
    classes = {"cifar10_": 10, "svhn_": 10, "cifar100": 100, "tolstoi_": 83, "imagenet": 1001}
    start = next(math.log(count) for prefix, count in classes.items() if name.startswith(prefix))
    assert result.test_losses[0] == pytest.approx(start, rel=0.05)
    if name in ("cifar10_3c3d", "svhn_3c3d"):
        assert result.test_losses[1] < result.test_losses[0]


def test_runs_can_be_repeated():
    first, second = (run("svhn_3c3d") for _ in range(2))
    assert first.train_losses == second.train_losses
    assert first.minibatch_train_losses == second.minibatch_train_losses


def test_imagenet_holds_nothing_out():
    with pytest.raises(UsageError, match="imagenet has no validation set"):
        make("imagenet_vgg16", batch_size=4, split="validation")


def test_imagenet_mini_batches(monkeypatch):
    problem_class = testproblems.imagenet_inception_v3
    monkeypatch.setattr(problem_class, "build_net", lambda self, generator: torch.nn.ReLU())
    problem = make("imagenet_inception_v3", batch_size=4)
    for phase in ("train", "train_eval", "test"):
        images, labels = next(problem.batches(phase))
        assert images.shape == (4, 3, 224, 224)
        assert labels.shape == (4,)
        assert images.mean().item() == pytest.approx(0, abs=1e-4)
    with pytest.raises(UsageError, match="batch_size must be from 1 to 8"):
        make("imagenet_inception_v3", batch_size=9)
