"""One run on several processes: each trains on its part of every mini-batch.

Gradients are averaged by torch's DistributedDataParallel, and the loss like them
(`alig_deepobs.reduce_loss`), so that all ranks take the step of one process that sees the whole
mini-batch. Every rank evaluates by itself; rank 0 alone writes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from alig_deepobs.entries import NeedsLoss
from alig_deepobs.errors import UsageError
from alig_deepobs.optimizers.loss import reduce_loss
from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.datasets.base import Batch


class Wish(IntEnum):
    """What a rank asks of all of them between two mini-batches; the largest wish counts."""

    GO_ON = 0
    KEEP = 1
    TIME_IS_UP = 2
    LEAVE = 3


class Ranks:
    """This process among those that share a run, in torch's default process group.

    Attributes:
        rank: number of this process.
        size: number of processes.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    @property
    def writes(self) -> bool:
        """Whether this process writes what the run leaves behind."""
        return self.rank == 0

    def phase(self, name: str) -> str:
        """The name of a stream of noise: each rank draws its own dropout masks."""
        return f"{name} of rank {self.rank}" if self.rank else name

    def check(self, problem: TestProblem, batch_size: int) -> None:
        """Finds out whether the mini-batches can be split.

        Raises:
            UsageError: they cannot.
        """
        name = type(problem).__name__
        if type(problem).carry is not TestProblem.carry:
            raise UsageError(
                f"{name} hands a state from one mini-batch to the next, which is not split over "
                "processes: run it without --ddp"
            )
        if batch_size % self.size or not problem.drops_incomplete:
            raise UsageError(
                f"the mini-batches of {name} (size {batch_size}) are no {self.size} equal parts: "
                "give a --batch_size that the number of processes divides, and complete ones"
            )

    def share(self, batch: Batch) -> Batch:
        """This rank's part of a mini-batch: a stretch of the examples."""
        part = len(batch[0]) // self.size
        mine = slice(self.rank * part, (self.rank + 1) * part)
        return tuple(x[mine] for x in batch)

    def wrap(self, problem: TestProblem) -> nn.Module:
        """The network whose gradients are averaged; on GPUs, batch norm sees whole mini-batches."""
        net: nn.Module = problem.net
        device = torch.device(problem.device)
        if device.type == "cuda":
            net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
        return _Replica(net, device_ids=[device] if device.type == "cuda" else None)

    def value_of(self, losses: Tensor, needs: NeedsLoss) -> tuple[Tensor, Tensor]:
        """Loss of the whole mini-batch, and its losses: one for each example, or that one."""
        if needs is NeedsLoss.PER_EXAMPLE:
            losses = self._gathered(losses.detach())
            return losses.mean(), losses
        value = reduce_loss(losses)
        return value, value

    def _gathered(self, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(self.size)]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    def agree(self, wish: Wish, device: torch.device) -> Wish:
        """What all ranks do."""
        asked = torch.tensor(int(wish), device=device)
        dist.all_reduce(asked, op=dist.ReduceOp.MAX)
        return Wish(int(asked))

    def share_buffers(self, net: nn.Module) -> None:
        """Gives all ranks the buffers of rank 0: without it, batch norm has statistics of parts."""
        for buffer in net.buffers():
            dist.broadcast(buffer, src=0)

    def from_first(self, value: Any) -> Any:
        """The value of rank 0, plain data or tensors."""
        holder = [value]
        dist.broadcast_object_list(holder, src=0)
        return holder[0]


class _Replica(nn.parallel.DistributedDataParallel):
    """Has the attributes of the network, too, as problems use them."""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.module, name)
