"""`from_dataset`: what it takes, and what it says of examples that it cannot take."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from alig_deepobs.errors import UsageError
from alig_deepobs.testproblems import from_dataset

X = torch.rand(60, 4, generator=torch.Generator().manual_seed(0))
Y = (X.sum(dim=1) > 2).long()


class Listed(Dataset):
    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        return self.examples[index]


DICTS = Listed([{"x": x, "y": y} for x, y in zip(X, Y, strict=True)])


def pairs(examples):
    return [torch.stack([e[name] for e in examples]) for name in ("x", "y")]


@pytest.mark.parametrize(
    "examples",
    [
        (X, Y),
        TensorDataset(X, Y),
        Listed([(x.numpy(), int(y)) for x, y in zip(X, Y, strict=True)]),
        DataLoader(TensorDataset(X, Y), batch_size=20, shuffle=True),
        DataLoader(DICTS, batch_size=20, collate_fn=pairs),
    ],
    ids=["tensors", "data set", "numpy and int", "loader", "collate_fn"],
)
def test_what_it_takes(examples):
    made = from_dataset(
        "Halves", examples, examples, lambda: nn.Linear(4, 2), nn.CrossEntropyLoss, batch_size=20
    )
    problem = made(20, device="cpu")
    problem.set_up()
    problem.test_init_op()
    loss, accuracy = problem.get_batch_loss_and_accuracy()
    assert problem.has_accuracy
    assert torch.isfinite(loss)
    assert 0.0 <= accuracy <= 1.0


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (DICTS, "Mine: an example must be a pair of inputs and target"),
        (Listed([(x, "yes") for x in X]), "Mine: inputs and targets must be tensors"),
        (Listed([]), "Mine: there are no examples"),
    ],
    ids=["dictionaries", "text", "nothing"],
)
def test_what_it_does_not_take(examples, message):
    with pytest.raises(UsageError, match=message):
        from_dataset("Mine", examples, examples, lambda: nn.Linear(4, 2), nn.CrossEntropyLoss)
