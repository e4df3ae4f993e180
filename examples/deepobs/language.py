"""A language problem of one's own: each character from the one before, with an embedding."""

import torch
from torch import nn

import alig_deepobs
from alig_deepobs.testproblems import from_dataset

TEXT = "she sells sea shells by the sea shore and the shells she sells are sea shells " * 20
LETTERS = sorted(set(TEXT))
ids = torch.tensor([LETTERS.index(letter) for letter in TEXT])
pieces = ids[: len(ids) // 16 * 16].view(-1, 16)
examples = (pieces[:, :-1], pieces[:, 1:])


class Bigram(nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = nn.Embedding(len(LETTERS), len(LETTERS))

    def forward(self, characters):
        return self.logits(characters).transpose(1, 2)  # classes come second, as for PyTorch


Shells = from_dataset("Shells", examples, examples, Bigram, nn.functional.cross_entropy,
                      batch_size=16, num_epochs=8)  # fmt: skip

if __name__ == "__main__":
    runner = alig_deepobs.StandardRunner(torch.optim.Adam, {"lr": {"type": float}})
    output = runner.run("__main__:Shells", {"lr": 0.3}, no_logs=True)
    assert output["test_losses"][-1] < 1.6 < output["test_losses"][0]
    assert output["test_accuracies"][-1] > 0.4
