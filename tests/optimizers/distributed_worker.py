"""One rank of the distributed tests: ``python distributed_worker.py RANK FILE OUTPUT``.

A script of its own, because the processes must start from scratch and pytest's modules do not
import by name.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from alig_deepobs import AliG, L2Ball, reduce_loss

WORLD, STEPS, BATCH = 2, 20, 8
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "plain": {"max_lr": 0.3},
    "standard": {"max_lr": 0.3, "momentum": 0.9},
    "adjusted": {"max_lr": 0.3, "momentum": 0.9, "adjusted_momentum": True},
    "ball": {"max_lr": 0.3, "momentum": 0.9, "radius": 1.5},
}


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()


def make_batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)

    def draw(width: int) -> Tensor:
        return torch.randn(BATCH, width, generator=generator, dtype=torch.float64)

    return [(draw(6), draw(4)) for _ in range(STEPS)]


def train(model: nn.Module, rows: slice, **options: Any) -> dict[str, Any]:
    """Train on the given rows of each batch; every loss is reduced over the ranks."""
    parameters = list(model.parameters())
    radius = options.pop("radius", None)
    if radius is not None:
        options["projection_fn"] = L2Ball(parameters, radius)
    optimizer = AliG(parameters, **options)
    sizes = []
    for inputs, targets in make_batches():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs[rows]), targets[rows])
        loss.backward()
        optimizer.step(loss=reduce_loss(loss))
        sizes.append(optimizer.step_size)
    full = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in parameters]
    return {"weights": torch.cat([p.detach().flatten() for p in full]), "sizes": sizes}


def single_process() -> dict[str, Any]:
    """What all modes have to reproduce: one process that sees the whole batches."""
    return {name: train(make_model(), slice(None), **o) for name, o in CONFIGURATIONS.items()}


def wrap(mode: str, model: nn.Module) -> nn.Module:
    if mode == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    return fully_shard(model, mesh=init_device_mesh("cpu", (WORLD,)))


def main(rank: int, file: str, output: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=WORLD)
    mine = slice(rank * BATCH // WORLD, (rank + 1) * BATCH // WORLD)
    for mode in ("ddp", "fsdp"):  # one start for both: starting takes longest
        results: dict[str, Any] = {
            name: train(wrap(mode, make_model()), mine, **options)
            for name, options in CONFIGURATIONS.items()
        }
        reduced = reduce_loss(torch.tensor(float(rank), requires_grad=True))
        results["reduced"] = (float(reduced), reduced.requires_grad)
        torch.save(results, Path(output) / f"{mode}-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
