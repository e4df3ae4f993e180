"""The ALI-G paper's differentiable neural computer on the repeat-copy task."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.checks import check_sizes
from alig_deepobs.testproblems.datasets.base import Batch, DataSet
from alig_deepobs.testproblems.datasets.copy_task import INPUTS, OUTPUTS, STEPS_PER_EPOCH, draw
from alig_deepobs.testproblems.datasets.generated import repeat_copy
from alig_deepobs.testproblems.losses import MaskedBitsLoss
from alig_deepobs.testproblems.models.dnc import DNC, fill_dnc


class dnc_copy(TestProblem):
    """A differentiable neural computer that learns to copy patterns of bits several times.

    A mini-batch is ``(inputs, targets, mask)`` of shapes ``(batch_size, 9, 6)``,
    ``(batch_size, 9, 5)`` and ``(batch_size, 9)``; shorter sequences are padded with zeros and
    masked.

    Network: an LSTM controller with 64 units and a memory of 16 slots of 16 numbers, with one write
        head and four read heads; Sonnet's truncated normal start (43,980 parameters).
    Loss: cross entropy of the bits, summed over the masked steps of a sequence; at the start about
        16.25 ln 2 = 11.264, that of a constant prediction. Logits are clipped at 20, so the
        smallest possible mean is 3.349e-8. The accuracy is the fraction of sequences with every
        masked bit right.
    Regularizer: none.
    Data: patterns of 1 or 2 rows of 4 bits, once or twice. Every mini-batch of training is drawn
        anew; evaluations, on training data too, take all 1,024 equally likely sequences at once,
        so that they are exact.
    Defaults: batch size 16, 100 epochs of 100 iterations. ALI-G has neither momentum nor ``eps``.
    Interpolation: yes, but for the smallest possible loss.
    Source: Berrada, Zisserman, Kumar, ICML 2020; task and network are DeepMind's.

    Args:
        *arguments: as of every test problem.
        hidden_dim: units of the controller.
        memory_slots: rows of the memory.
        word_size: numbers in a row.
        read_heads: number of read heads.
        write_heads: number of write heads.
        **settings: as of every test problem.
    """

    reshuffles = True
    side_by_side = "anywhere"
    loss_function: ClassVar[type[nn.Module]] = MaskedBitsLoss

    def __init__(
        self,
        *arguments: Any,
        hidden_dim: int = 64,
        memory_slots: int = 16,
        word_size: int = 16,
        read_heads: int = 4,
        write_heads: int = 1,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.sizes = {
            "hidden_dim": hidden_dim, "memory_slots": memory_slots, "word_size": word_size,
            "read_heads": read_heads, "write_heads": write_heads,
        }  # fmt: skip
        check_sizes(self.sizes, type(self).__name__)

    def load_data(self) -> DataSet:
        """Writes the table of all sequences."""
        return repeat_copy(synthetic=self.synthetic)

    def build_net(self, generator: torch.Generator) -> nn.Module:
        """Builds the network."""
        return fill_dnc(DNC(INPUTS, OUTPUTS, **self.sizes), generator)

    @property
    def steps_per_epoch(self) -> int:
        """100, whatever the batch size."""
        return STEPS_PER_EPOCH

    def batch_order(self, epoch: int) -> Tensor:
        """The mini-batches of an epoch: rows of the table, ``(100, batch_size)``.

        They are independent draws; with ``reshuffle``, others in every epoch.
        """
        number = epoch if self.reshuffle else 0
        rows = draw(
            self.data.size("train"), STEPS_PER_EPOCH, self.batch_size, self.seed, "order", number
        )
        return torch.from_numpy(rows).to(self.device)

    def train_eval_order(self, evaluation: int) -> Tensor:
        """One mini-batch with all sequences, ``(1, 1024)``."""
        return torch.arange(self.data.size("train"), device=self.device).unsqueeze(0)

    def evaluation_batch_size(self, part: str) -> int:
        """All sequences."""
        return self.data.size(part)

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """The loss of each sequence, shape ``(batch_size,)``."""
        losses: Tensor = MaskedBitsLoss("none")(outputs, batch[1], batch[2])
        return losses

    def correct_of(self, outputs: Any, batch: Batch) -> Tensor | None:
        """Whether all masked bits of each sequence are right, shape ``(batch_size,)``."""
        right = ((outputs > 0) == (batch[1] > 0.5)).all(dim=2)
        complete: Tensor = (right | (batch[2] == 0)).all(dim=1)
        return complete
