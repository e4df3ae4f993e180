"""A test problem written for DeepOBS, with its data set; `own_problem.py` runs it by its name."""

import torch
from deepobs.pytorch.datasets.dataset import DataSet
from deepobs.pytorch.testproblems.testproblem import UnregularizedTestproblem
from torch import nn
from torch.utils.data import TensorDataset


class circles(DataSet):  # noqa: N801 - DeepOBS's style
    def __init__(self, batch_size):
        self._name = "circles"
        self._train_eval_size = 100
        generator = torch.Generator().manual_seed(0)
        self._points = torch.randn(500, 2, generator=generator)
        self._labels = (self._points.norm(dim=1) > 1).long()
        super().__init__(batch_size)

    def _make_train_and_valid_dataloader(self):
        examples = TensorDataset(self._points[:400], self._labels[:400])
        return self._make_train_and_valid_dataloader_helper(examples, examples)

    def _make_test_dataloader(self):
        return self._make_dataloader(TensorDataset(self._points[400:], self._labels[400:]))


class my_problem(UnregularizedTestproblem):  # noqa: N801 - found by the name of its module
    def __init__(self, batch_size, weight_decay=None):
        super().__init__(batch_size, weight_decay)

    def set_up(self):
        self.data = circles(self._batch_size)
        self.loss_function = nn.CrossEntropyLoss
        self.net = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2)).to(self._device)
        self.regularization_groups = self.get_regularization_groups()
