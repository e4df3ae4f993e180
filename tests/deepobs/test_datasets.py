"""DeepOBS's data sets as classes: their arguments, and what people build on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils import data as torch_data

from alig_deepobs.runners.deepobs import datasets, runners, testproblems
from alig_deepobs.runners.deepobs.tuner import GridSearch

pytestmark = pytest.mark.usefixtures("script")
LR = {"lr": {"type": float}}


def sizes(data):
    return [
        len(loader) * 16
        for loader in (data._train_dataloader, data._train_eval_dataloader, data._valid_dataloader)
    ]


@pytest.mark.parametrize("arguments", [(64,), (True, 64)])
def test_the_size_of_evaluations_is_that_of_the_validation_set(arguments):
    name = "mnist" if len(arguments) == 1 else "cifar10"
    data = getattr(datasets, name)(16, *arguments, synthetic=True)
    total = data._loaders.size("train") + 64
    assert sizes(data) == [(total - 64) // 16 * 16, 64, 64]
    assert data._train_eval_size == 64


def test_without_augmentation():
    plain, augmented = (
        datasets.svhn(16, data_augmentation=choice, synthetic=True) for choice in (False, True)
    )
    for data, same in ((plain, True), (augmented, False)):
        first, second = (next(iter(data._train_dataloader))[0] for _ in range(2))
        assert torch.equal(first, second) == same


def test_examples_of_colour_images_are_standardized_as_in_mini_batches():
    data = datasets.cifar10(16, synthetic=True)
    example = data._test_dataloader.dataset[3]
    images, labels = next(iter(data._test_dataloader))
    torch.testing.assert_close(example[0], images[3])
    assert example[1] == labels[3] == data._test_dataloader.dataset.targets[3]


def test_points_of_the_quadratic():
    data = datasets.quadratic(10, dim=2, train_size=30, noise_level=0.5)
    expected = np.random.RandomState(43).normal(0.0, 0.5, (30, 2)).astype(np.float32)
    assert np.array_equal(data._test_dataloader.dataset[:][0].numpy(), expected)
    assert data._train_eval_dataloader is data._train_dataloader
    assert len(data._valid_dataloader) == 3


def test_tools_ask_what_kind_of_sampler_it_is():
    data = datasets.digits(16)
    assert isinstance(data._train_dataloader.sampler, torch_data.RandomSampler)
    assert isinstance(data._test_dataloader.sampler, torch_data.SequentialSampler)


def test_a_class_that_builds_on_a_built_in_one():
    class Mine(datasets.mnist):
        def __init__(self, batch_size, train_eval_size=64, seed=0):
            self.seed = seed
            super().__init__(batch_size, train_eval_size, synthetic=True)

        def _make_train_eval_dataloader(self):
            order = range(self._train_eval_size)
            return self._make_dataloader(self._train_dataloader.dataset, sampler=order)

    mine = Mine(16)
    assert sizes(mine)[1:] == [64, 64]
    first = next(iter(mine._train_eval_dataloader))[0][0]
    assert torch.equal(first, mine._train_dataloader.dataset[0][0])


class _OnDigits(testproblems.UnregularizedTestproblem):
    """DeepOBS's own way to a problem: one of its data sets, another network."""

    def set_up(self):
        assert self.data is self.net is self.regularization_groups is None
        self.data = datasets.digits(self._batch_size)
        self.loss_function = torch.nn.CrossEntropyLoss
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        self.regularization_groups = self.get_regularization_groups()


def test_a_problem_of_ones_own_on_a_built_in_data_set(monkeypatch):
    monkeypatch.setattr(testproblems, "on_digits", _OnDigits, raising=False)
    output = runners.StandardRunner(torch.optim.SGD, LR).run(
        "on_digits", {"lr": 0.5}, batch_size=32, num_epochs=3, no_logs=True
    )
    assert output["valid_accuracies"][-1] > 0.8
    assert output["test_losses"][-1] < output["test_losses"][0]


class _First(datasets.DataSet):
    """As the beta's first data sets: a hook for the training set, and no validation set."""

    def _examples(self, seed):
        x = torch.randn(80, 2, generator=torch.Generator().manual_seed(seed))
        return torch_data.DataLoader(torch_data.TensorDataset(x, (x[:, 0] > 0).long()), 10)

    def _make_train_dataloader(self):
        return self._examples(0)

    def _make_test_dataloader(self):
        return self._examples(1)


class _OnFirst(testproblems.UnregularizedTestproblem):
    def set_up(self):
        self.data = _First(self._batch_size)
        self.loss_function = torch.nn.CrossEntropyLoss
        self.net = torch.nn.Linear(2, 2)
        self.regularization_groups = self.get_regularization_groups()


def test_a_data_set_with_the_hook_of_the_first_beta(monkeypatch, tmp_path):
    monkeypatch.setattr(testproblems, "on_first", _OnFirst, raising=False)
    search = GridSearch(torch.optim.SGD, LR, {"lr": [0.01, 0.5]}, 2, runners.StandardRunner)
    # Without a validation set, the test set chooses, as in DeepOBS.
    assert search.tune("on_first", batch_size=10, num_epochs=2) == {"lr": 0.5}
    folders = list((tmp_path / "results" / "on_first" / "SGD").iterdir())
    assert sorted(len(list(folder.glob("*.json"))) for folder in folders) == [1, 10]
    with pytest.raises(NotImplementedError, match="_make_train_and_valid_dataloader"):
        datasets.DataSet(10)
