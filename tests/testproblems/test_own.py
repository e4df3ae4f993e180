"""`from_dataset`: what it takes, and what it says of examples that it cannot take."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from alig_deepobs.errors import UsageError
from alig_deepobs.testproblems import from_dataset
from alig_deepobs.testproblems.own import tensors_of

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
        (X.numpy(), Y.numpy().astype("int32")),
        TensorDataset(X, Y),
        Listed([(x.numpy(), int(y)) for x, y in zip(X, Y, strict=True)]),
        DataLoader(TensorDataset(X, Y), batch_size=20, shuffle=True),
        DataLoader(DICTS, batch_size=20, collate_fn=pairs),
    ],
    ids=["tensors", "arrays", "data set", "numpy and int", "loader", "collate_fn"],
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
        (None, "Mine: train: examples are a Dataset, .* or arrays .*, not a NoneType"),
        ((X.numpy(), Y.numpy().astype("str")), "Mine: can't convert"),
    ],
    ids=["dictionaries", "text", "nothing", "None", "array of texts"],
)
def test_what_it_does_not_take(examples, message):
    with pytest.raises(UsageError, match=message):
        from_dataset("Mine", examples, examples, lambda: nn.Linear(4, 2), nn.CrossEntropyLoss)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"network": nn.Linear(4, 2)}, "a function that makes it anew .*, not a Linear"),
        ({"loss": nn.CrossEntropyLoss()}, "a class or a function, .*, not a CrossEntropyLoss;"),
        ({"test": None}, "Mine: test: examples are"),
        ({"test": None, "accuracy": True}, "Mine: test: examples are"),
        ({"num_epochs": -1}, "num_epochs must be an integer from 0 on, not -1"),
        ({"batch_size": 0}, "batch_size must be an integer from 1 on, not 0"),
        ({"weight_decay": -1.0}, "weight_decay must be a number from 0 on"),
    ],
)
def test_mistakes_are_found_when_it_is_defined(changed, message):
    given = {"train": (X, Y), "test": (X, Y), "network": lambda: nn.Linear(4, 2),
             "loss": nn.CrossEntropyLoss}  # fmt: skip
    with pytest.raises(UsageError, match=message):
        from_dataset("Mine", **{**given, **changed})


def test_lists_are_no_tensors():
    with pytest.raises(UsageError, match="Mine: the examples make no tensors; give a Dataset, a"):
        tensors_of((X.tolist(), Y), "Mine")


def test_a_loss_with_arguments():
    loss = nn.CrossEntropyLoss(label_smoothing=0.1, reduction="none")
    problem = from_dataset("Mine", (X, Y), (X, Y), lambda: nn.Linear(4, 2), loss)(20, device="cpu")
    problem.set_up()
    problem.train_init_op()
    assert problem.get_batch_loss_and_accuracy()[0].shape == ()
