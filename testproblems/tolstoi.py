"""The problem on Tolstoi's "War and Peace"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.base import Phase, TestProblem
from alig_deepobs.testproblems.datasets.base import Batch
from alig_deepobs.testproblems.datasets.tolstoi import tolstoi
from alig_deepobs.testproblems.datasets.tolstoi_files import VOCABULARY
from alig_deepobs.testproblems.losses import SequenceLoss
from alig_deepobs.testproblems.models.char_rnn import CharRNN, char_rnn


class tolstoi_char_rnn(TestProblem):
    """A recurrent network that predicts Tolstoi's "War and Peace" character by character.

    A mini-batch has one piece of 50 characters from each of ``batch_size`` places of the text, and
    the next mini-batch the pieces that follow. So nothing is shuffled, and the state of the network
    goes from one mini-batch to the next. It is reset when a pass over a set starts.

    A mini-batch is ``(characters, next characters)``, or, in the phases, ``(characters, next
    characters, state)``, with the state as it was when the mini-batch was drawn.

    Network: an embedding of 83 characters, two LSTM layers with 128 units and dropout 0.2 before
        and after each, a dense layer; Glorot's uniform start, zero biases in the LSTM layers,
        forget gates shifted by 1 (284,499 parameters).
    Loss: cross entropy, for each sequence the mean over its 50 characters; at the start about
        ln 83 = 4.42. The accuracy is over all characters.
    Regularizer: none.
    Data: 2,612,948 characters for training and 653,237 for testing; evaluations on training data
        take all of it, as in DeepOBS.
    Defaults: batch size 50, 200 epochs.
    Interpolation: no.
    Source: DeepOBS 1.1.2.
    """

    # On one core, a step of four runs together takes 1.4 times as long as four steps alone, one of
    # eight 1.25 times: oneDNN's LSTM is faster than its products and activations one by one.
    side_by_side = "cpu"
    loss_function: ClassVar[type[nn.Module]] = SequenceLoss
    source = tolstoi

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return char_rnn(VOCABULARY, generator)

    def zero_state(self) -> Tensor:
        """The state at the start of a pass, ``(layers, 2, batch_size, units)``."""
        return cast("CharRNN", self.net).zero_state(self.batch_size)

    def streams(self, part: str) -> Tensor:
        """The pieces of each mini-batch of a part: indices of shape ``(steps, batch_size)``.

        Column ``i`` walks through the ``i``-th of ``batch_size`` stretches of the text.
        """
        steps = self.data.size(part) // self.batch_size
        pieces = torch.arange(steps * self.batch_size, device=self.device)
        return pieces.view(self.batch_size, steps).t()

    def batch_order(self, epoch: int) -> Tensor:
        """The mini-batches of a training epoch: the same order in every epoch."""
        return self.streams("train")

    def train_eval_order(self, evaluation: int) -> Tensor:
        """The mini-batches of an evaluation on training data: all of it, in order."""
        return self.streams("train")

    def evaluation_batches(self, part: str) -> Iterator[Batch]:
        """The mini-batches of the validation or the test set, in order."""
        return (self.data.take(part, index) for index in self.streams(part))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits ``(batch_size, 50, 83)``, and the state after the last character."""
        state = batch[2] if len(batch) > 2 else self.zero_state()
        outputs: tuple[Tensor, Tensor] = self.net(batch[0], state)
        return outputs

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The loss of each sequence, shape ``(batch_size,)``."""
        losses: Tensor = SequenceLoss("none")(outputs[0], batch[1])
        return losses

    def correct_of(self, outputs: Any, batch: Batch) -> Tensor | None:
        """The fraction of correct predictions in each sequence, shape ``(batch_size,)``."""
        correct: Tensor = outputs[0].argmax(dim=2) == batch[1]
        return correct.float().mean(dim=1)

    def carry(self, outputs: Any) -> Tensor:
        """The state that the next mini-batch starts from, without its graph."""
        state: Tensor = outputs[1].detach()
        return state

    def _start(self, phase: Phase, number: int = 0) -> None:
        super()._start(phase, number)
        assert self._batches is not None
        # The state is looked up when a mini-batch is drawn. A mini-batch that is evaluated several
        # times, as line searches do, starts from the same state each time.
        self._batches = ((*batch, self.carried) for batch in self._batches)
