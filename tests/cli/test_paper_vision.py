"""Every image problem of the paper trains an epoch on its twin through the command line."""

import math

import pytest

from alig_deepobs.registry import find_testproblem
from alig_deepobs.results import read_result
from alig_deepobs.run import Outcome

CLASSES = {"svhn": 10, "cifar10": 10, "cifar100": 100, "imagenet": 1000}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "batch_size"),
    [
        ("svhn_wrn164_alig", 40), ("cifar10_wrn404_alig", 40), ("cifar100_wrn404_alig", 40),
        ("cifar10_densenet4040_alig", 40), ("cifar100_densenet4040_alig", 40),
        ("imagenet_resnet18_alig", 5),
    ],
)  # fmt: skip
def test_an_epoch_on_the_twin(call, tmp_path, name, batch_size):
    called = call(
        "run", name, "-N", 1, "--synthetic", "--device", "cpu", "--bs", batch_size,
    )  # fmt: skip
    assert called.code == 0
    assert "the best in validation" in called.out
    (path,) = (tmp_path / "results").rglob("*.json")
    result = read_result(path)
    assert result.outcome is Outcome.DONE
    assert "synthetic twin" in result.data_label
    assert result.split == "validation"
    assert result.best_valid_epoch == 1
    assert len(result.valid_accuracies) == 2
    # The last mini-batch is a smaller one.
    size = {"svhn": 96, "imagenet": 12}.get(name.split("_")[0], 48)
    assert result.steps == size // batch_size + 1
    # Normalized in training mode, a network starts near the loss of a constant prediction.
    classes = CLASSES[name.split("_")[0]]
    start = math.log(classes - 4) if classes == 1000 else math.log(classes)
    assert result.minibatch_train_losses[0] == pytest.approx(start, rel=0.15)
    radius = find_testproblem(name).optimizer_defaults["alig"]["max_norm"]
    assert (result.regularization, result.max_norm) == ("ball", radius)
