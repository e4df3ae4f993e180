"""The image problems of the paper: metadata, protocol, preparation of images, losses."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import alig_deepobs.testproblems as testproblems
from alig_deepobs import registry
from alig_deepobs.errors import UsageError
from alig_deepobs.run import RunSpec
from alig_deepobs.runners import execute
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.testproblems.checks import check_batch_fits
from alig_deepobs.testproblems.datasets.base import DataSet
from alig_deepobs.testproblems.datasets.paper_split import paper_split
from alig_deepobs.testproblems.hinge import hard_hinge, smoothed_hinge
from alig_deepobs.testproblems.top5 import exact_top_k, truncated_top_k

CIFAR = (
    "cifar10_wrn404_alig", "cifar100_wrn404_alig", "cifar10_densenet4040_alig",
    "cifar100_densenet4040_alig",
)  # fmt: skip
NAMES = ("svhn_wrn164_alig", *CIFAR, "imagenet_resnet18_alig")


def make(name, batch_size=8, **settings):
    settings = {"seed": 42, "synthetic": True, "device": "cpu"} | settings
    problem = getattr(testproblems, name)(batch_size, **settings)
    problem.set_up()
    return problem


@pytest.fixture
def small_nets(monkeypatch):
    """One dense layer on 4 x 4 means in place of each network: these tests are about the rest."""

    def build(self, generator):
        net = torch.nn.Sequential(
            torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, self.classes)
        )
        for p in net.parameters():
            torch.nn.init.normal_(p, std=0.01, generator=generator)
        return net

    for name in NAMES:
        monkeypatch.setattr(getattr(testproblems, name), "build_net", build)


@pytest.mark.parametrize("name", NAMES)
def test_metadata(name):
    entry, problem_class = registry.find_testproblem(name), getattr(testproblems, name)
    assert entry.load() is problem_class
    assert entry.weight_decay == problem_class.default_weight_decay
    assert entry.default_split == problem_class.default_split == "validation"
    assert entry.options["loss"].choices == tuple(problem_class.losses)
    assert entry.options["loss"].default == problem_class.default_loss
    assert entry.metric == "accuracy"
    for word in ("Network:", "Loss:", "Regularizer:", "Data:", "Defaults:", "Source:"):
        assert word in problem_class.__doc__
    assert f"batch size {entry.batch_size}, {entry.num_epochs} epochs" in problem_class.__doc__
    interpolation = problem_class.__doc__.split("Interpolation: ")[1]
    assert interpolation.startswith({None: "not known", True: "yes"}[entry.interpolates])
    problem = problem_class(8, device="cpu")
    assert (problem.split, problem.reshuffle, problem.drops_incomplete) == (
        "validation",
        True,
        False,
    )
    assert resolve(RunSpec(name, "sgd"), check_data=False).split == "validation"
    assert resolve(RunSpec(name, "sgd", split="full"), check_data=False).split == "full"
    assert resolve(RunSpec("mnist_mlp", "sgd"), check_data=False).split == "full"


def test_defaults_of_alig_are_the_papers():
    expected = {
        "svhn_wrn164_alig": (0.01, 0.9, 50, 128), "cifar10_wrn404_alig": (1, 0.9, 100, 256),
        "cifar10_densenet4040_alig": (0.1, 0.9, 80, 64),
        "cifar100_wrn404_alig": (0.1, 0.9, 100, 128),
        "cifar100_densenet4040_alig": (0.1, 0.9, 75, 256),
        "imagenet_resnet18_alig": (10, 0, 400, 1024),
    }  # fmt: skip
    assert set(registry.PROBLEM_SETS["paper"]) >= set(expected) == set(NAMES)
    assert set(registry.PROBLEM_SETS["paper"]) <= set(registry.testproblems())
    for name, values in expected.items():
        spec = resolve(RunSpec(name, "alig"), check_data=False)
        params = spec.hyperparams
        found = (params["max_lr"], params["momentum"], params["max_norm"], spec.batch_size)
        assert found == values
        assert params["eps"] == 1e-5
    without_ball = RunSpec(NAMES[0], "alig", {"max_norm": None})
    assert resolve(without_ball, check_data=False).hyperparams["max_norm"] is None


def official(classes=10, size=50_000, **changes):
    """A data set of the official size whose images are their own numbers."""
    numbers = torch.arange(size, dtype=torch.float32).view(-1, 1, 1, 1).expand(size, 3, 1, 1)
    labels = torch.arange(size) % classes
    parts = {"train": (numbers, labels), "test": (numbers[:100], labels[:100])}
    return DataSet("cifar10", "CIFAR-10", "0", "official", parts, **changes)


def test_the_papers_split_of_cifar(monkeypatch):
    monkeypatch.setattr("alig_deepobs.testproblems.paper_vision.cifar10", lambda **_: official())
    problem = make("cifar10_wrn404_alig", synthetic=False, seed=1)
    train, valid = paper_split(50_000, 5_000)
    assert problem.data.parts["valid"][0][:, 0, 0, 0].tolist() == sorted(valid.tolist())
    assert problem.data.parts["train"][0][:, 0, 0, 0].tolist() == sorted(train.tolist())
    assert problem.data.size("train") == 45_000
    full = make("cifar10_wrn404_alig", synthetic=False, split="full")
    assert full.data.size("train") == 50_000
    assert "valid" not in full.data.parts


def test_an_epoch_has_every_example_once(small_nets):
    problem = make("cifar10_wrn404_alig", 20)
    assert [problem.data.size(part) for part in ("train", "valid", "test")] == [48, 16, 32]
    assert problem.steps_per_epoch == 3
    problem.train_init_op()
    shares = []
    while True:
        try:
            problem.get_batch_loss_and_accuracy()
        except StopIteration:
            break
        shares.append(problem.batch_share)
    assert shares == [1.0] * 2 + [8 / 20]
    drawn = torch.cat(list(problem._pass_order("train", 0).split(20)))
    assert sorted(drawn.tolist()) == list(range(48))
    assert torch.equal(problem.batch_order(0).flatten(), drawn[:40])
    assert not torch.equal(problem.batch_order(0), problem.batch_order(1))
    assert [len(labels) for _, labels in problem.batches("test")] == [20, 12]
    assert [len(labels) for _, labels in problem.batches("train_eval")] == [20, 20, 8]
    # A mini-batch that is larger than every set is a smaller one.
    assert [len(y) for _, y in make("cifar10_wrn404_alig", 1024).batches("train")] == [48]
    with pytest.raises(UsageError, match="batch_size must be from 1"):
        make("cifar10_wrn404_alig", 0)
    check_batch_fits(300, problem.data, "x", drops_incomplete=False)


def test_means_are_over_examples(small_nets):
    """The last mini-batch counts by its size, in evaluations and in the running mean."""
    spec = RunSpec(
        "cifar10_wrn404_alig", "sgd", {"lr": 0.0}, batch_size=20, num_epochs=1, weight_decay=0.0,
        synthetic=True, device="cpu",
    )  # fmt: skip
    result = execute(spec)
    problem = make("cifar10_wrn404_alig", 20)
    images, labels = next(make("cifar10_wrn404_alig", 128).batches("test"))
    losses = problem.losses_of(problem.net(images), (images, labels))
    accuracy = (problem.net(images).argmax(1) == labels).float().mean()
    assert result.test_data_losses[0] == pytest.approx(losses.mean().item(), rel=1e-5)
    assert result.test_accuracies[0] == pytest.approx(accuracy.item())
    batches = list(problem.batches("train", 0))
    outputs = torch.cat([problem.losses_of(problem.net(x), (x, y)) for x, y in batches])
    assert len(outputs) == 48
    assert result.epoch_mean_losses == pytest.approx([outputs.mean().item()], rel=1e-5)
    assert result.steps == 3


@pytest.mark.parametrize("name", CIFAR[:2])
def test_images_of_cifar_are_normalized_by_channel(small_nets, name):
    problem = make(name)
    images, labels = next(problem.batches("test"))
    raw = problem.data.parts["test"][0][:8].double().numpy() / 255
    mean = np.array([125.3, 123.0, 113.9]).reshape(3, 1, 1) / 255
    deviation = np.array([63.0, 62.1, 66.7]).reshape(3, 1, 1) / 255
    assert np.allclose(images, (raw - mean) / deviation, atol=1e-5)
    assert torch.equal(labels, problem.data.parts["test"][1][:8])
    # Evaluated training images are not augmented.
    index = problem._pass_order("train_eval", 0)[:8]
    raw = problem.data.parts["train"][0][index].double().numpy() / 255
    found = next(problem.batches("train_eval"))[0]
    assert np.allclose(found, (raw - mean) / deviation, atol=1e-5)


def test_augmentation_of_cifar(small_nets):
    """A padded image (zeros before normalizing), a crop at one of 81 places, a flip or none."""
    problem = make("cifar10_wrn404_alig", 20)
    draws = problem.augmentation_draws("train", 3)
    assert draws.top.shape == (3, 20)
    mean, deviation = (
        torch.tensor(x).view(3, 1, 1)
        for x in (problem.augmentation.finish.mean, problem.augmentation.finish.deviation)
    )
    order = problem._pass_order("train", 3).split(20)
    for step, (images, _) in enumerate(problem.batches("train", 3)):
        raw = problem.data.parts["train"][0][order[step]].float() / 255
        padded = torch.nn.functional.pad(raw, (4, 4, 4, 4))
        assert len(images) == len(order[step])
        for i, image in enumerate(images):
            top, left = draws.top[step, i], draws.left[step, i]
            assert 0 <= top <= 8
            cut = padded[i, :, top : top + 32, left : left + 32]
            cut = cut.flip(2) if draws.flip[step, i] else cut
            assert torch.allclose(image, (cut - mean) / deviation, atol=1e-5)
    again = make("cifar10_wrn404_alig", 20)
    first, second = (next(p.batches("train", 3))[0] for p in (problem, again))
    assert torch.equal(first, second)
    assert not torch.equal(first, next(problem.batches("train", 4))[0])


def test_images_of_svhn_are_left_alone(small_nets):
    problem = make("svhn_wrn164_alig")
    for phase, part in (("train", "train"), ("test", "test")):
        images, labels = next(problem.batches(phase))
        index = problem._pass_order("train", 0)[:8] if part == "train" else torch.arange(8)
        assert torch.equal(images, problem.data.parts[part][0][index].float() / 255)
        assert torch.equal(labels, problem.data.parts[part][1][index])
    assert problem.data.label == "SVHN with extra images (synthetic twin)"


def test_images_of_imagenet_are_normalized(small_nets):
    problem = make("imagenet_resnet18_alig", 4)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    images, labels = next(problem.batches("test"))
    assert images.shape == (4, 3, 224, 224)
    assert labels.min() >= 0
    raw = problem.data.parts["test"][0][:4].float() / 255
    assert torch.allclose(images, (raw - mean) / deviation, atol=1e-5)
    assert [problem.data.size(part) for part in ("train", "valid", "test")] == [12, 4, 8]


@pytest.mark.parametrize("name", ["svhn_wrn164_alig", "cifar100_densenet4040_alig"])
def test_hinge_losses(small_nets, name):
    batch = next(make(name).batches("train"))
    scores = 3 * torch.randn(
        8, make(name).classes, generator=torch.Generator().manual_seed(0)
    )  # fmt: skip
    for loss, in_training in (("hinge", hard_hinge), ("smooth_hinge", smoothed_hinge)):
        problem = make(name, loss=loss)
        problem.train_init_op()
        assert torch.equal(problem.losses_of(scores, batch), in_training(scores, batch[1]))
        for start in (problem.train_eval_init_op, problem.valid_init_op, problem.test_init_op):
            start()
            assert torch.equal(problem.losses_of(scores, batch), hard_hinge(scores, batch[1]))
        assert problem.loss_function(reduction="sum")(scores, batch[1]).shape == ()
    assert make(name).loss == "cross_entropy"
    with pytest.raises(UsageError, match="loss must be cross_entropy or hinge or smooth_hinge"):
        make(name, loss="svm")


def test_losses_and_accuracy_of_imagenet(small_nets):
    scores = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    labels = scores.topk(6, dim=1).indices[torch.arange(4), torch.tensor([0, 4, 5, 2])]
    for loss, loss_of in (
        (None, truncated_top_k), ("truncated_top5", truncated_top_k), ("exact_top5", exact_top_k),
        ("cross_entropy", lambda s, y: torch.nn.functional.cross_entropy(s, y, reduction="none")),
    ):  # fmt: skip
        problem = make("imagenet_resnet18_alig", 4, loss=loss)
        for start in (problem.train_init_op, problem.test_init_op):
            start()
            assert torch.equal(problem.losses_of(scores, (None, labels)), loss_of(scores, labels))
    right = problem.correct_of(scores, (None, labels))
    assert right.tolist() == [True, True, False, True]
    top1 = make("imagenet_resnet18_alig", 4, accuracy_k=1)
    assert top1.correct_of(scores, (None, labels)).tolist() == [True, False, False, False]
    with pytest.raises(UsageError, match="accuracy_k must be from 1 to 1000, not 0"):
        make("imagenet_resnet18_alig", accuracy_k=0)


def test_reductions_and_functions_agree(small_nets):
    for name in NAMES:
        problem = make(name, 4)
        first = []
        for reduction in ("none", "mean", "sum"):
            problem.epochs_started = 0
            problem.train_init_op()
            loss, _ = problem.get_batch_loss_and_accuracy(reduction, False)
            first.append(loss)
        assert first[1].item() == pytest.approx(first[0].mean().item(), rel=1e-6)
        assert first[2].item() == pytest.approx(first[0].sum().item(), rel=1e-6)


def test_the_l2_term_has_all_weights(small_nets):
    problem = make("cifar100_wrn404_alig")
    assert list(problem.regularization_groups) == [5e-4]
    square = sum(p.square().sum() for p in problem.net.parameters())
    assert problem.get_regularization_loss().item() == pytest.approx(2.5e-4 * square.item())
    assert make("cifar100_wrn404_alig", weight_decay=0.0).get_regularization_loss() == 0.0


def test_options_reach_the_problem_and_the_record(small_nets):
    spec = RunSpec(
        "svhn_wrn164_alig", "alig", batch_size=64, num_epochs=1, synthetic=True, device="cpu",
        problem_options={"loss": "hinge"},
    )  # fmt: skip
    result = execute(spec)
    assert result.problem_options == {"loss": "hinge"}
    assert result.split == "validation"
    assert result.reshuffle
    assert (result.regularization, result.max_norm) == ("ball", 50.0)
    plain = execute(replace(spec, problem_options={"loss": "cross_entropy"}))
    assert plain.problem_options == {}
    assert plain.test_data_losses[0] == pytest.approx(math.log(10), abs=0.3)
    assert result.test_data_losses[0] != plain.test_data_losses[0]
    with pytest.raises(UsageError, match="loss must be cross_entropy or hinge or smooth_hinge"):
        resolve(replace(spec, problem_options={"loss": "svm"}))


def test_gradients_of_a_real_network():
    problem = make("svhn_wrn164_alig", 4)
    problem.train_init_op()
    loss, accuracy = problem.get_batch_loss_and_accuracy()
    loss.backward()
    assert 0 <= accuracy <= 1
    assert all(p.grad is not None and p.grad.isfinite().all() for p in problem.net.parameters())
