"""One rank of the tests with sharded models: ``python sharded_worker.py RANK FILE OUTPUT``.

Every optimizer of the package trains a model that FSDP2 shards, goes through torch's distributed
checkpoints, and is handed to ZeroRedundancyOptimizer.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from optimizer_cases import OWN, Case
from torch import Tensor, nn
from torch.distributed.checkpoint import state_dict as dcp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer

from alig_deepobs import reduce_loss
from alig_deepobs.registry import NeedsLoss

WORLD, BATCH = 2, 8


def make_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()


def batch(t: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(t)
    return tuple(
        torch.randn(BATCH, width, generator=generator, dtype=torch.float64) for width in (6, 4)
    )


def step(case: Case, model: nn.Module, optimizer: Any, t: int, rows: slice) -> None:
    inputs, targets = batch(t)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(inputs[rows]), targets[rows])
        loss.backward()
        return reduce_loss(loss)

    if case.entry.needs_loss is NeedsLoss.CLOSURE:
        optimizer.step(closure)
        return
    loss = closure()
    optimizer.step(
        **{
            NeedsLoss.NOTHING: {},
            NeedsLoss.VALUE: {"loss": loss},
            NeedsLoss.PER_EXAMPLE: {"losses": loss[None], "indices": torch.tensor([1])},
        }[case.entry.needs_loss]
    )


def weights(model: nn.Module) -> Tensor:
    full = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in model.parameters()]
    return torch.cat([p.detach().flatten() for p in full])


def single_process(case: Case, steps: int) -> Tensor:
    model = make_model()
    optimizer = case.build(model.parameters())
    for t in range(steps):
        step(case, model, optimizer, t, slice(None))
    return weights(model)


def through_checkpoints(case: Case, rows: slice, **options: Any) -> dict[str, Tensor]:
    """Three steps, a state that is taken and loaded into a new optimizer, and three more."""
    shard = {"mesh": init_device_mesh("cpu", (WORLD,))}
    how = dcp.StateDictOptions(**options)
    model = fully_shard(make_model(), **shard)
    optimizer = case.build(model.parameters())
    dcp.get_optimizer_state_dict(model, optimizer, options=how)  # before any step
    before = weights(model)
    for t in range(3):
        step(case, model, optimizer, t, rows)
    optimizer.zero_grad()
    values = dcp.get_model_state_dict(model, options=how)
    state = dcp.get_optimizer_state_dict(model, optimizer, options=how)

    second = fully_shard(make_model(), **shard)
    resumed = case.build(second.parameters())
    dcp.set_model_state_dict(second, values, options=how)
    dcp.set_optimizer_state_dict(second, resumed, state, options=how)
    for t in range(3, 6):
        step(case, second, resumed, t, rows)
    return {"before": before, "after": weights(second)}


def zero(case: Case) -> str:
    """What ZeroRedundancyOptimizer says."""
    options = dict(case.params)
    try:
        entry = case.entry
        ZeroRedundancyOptimizer(
            make_model().parameters(),
            optimizer_class=lambda params, **_: case.build(params),
            **options,
        )
    except RuntimeError as error:
        return str(error)
    return entry.name


def first_version() -> nn.Module:
    """A model that FSDP's first version shards; its parameters are ordinary ones to look at."""
    return FullyShardedDataParallel(
        make_model(), use_orig_params=True, device_id=torch.device("cpu")
    )  # fmt: skip


def fsdp1(case: Case, model: nn.Module) -> str:
    """What an optimizer of its parameters says."""
    try:
        case.build(model.parameters())
    except RuntimeError as error:
        return str(error)
    return case.name


def main(rank: int, file: str, output: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=WORLD)
    mine = slice(rank * BATCH // WORLD, (rank + 1) * BATCH // WORLD)
    found: dict[str, Any] = {}
    flat = first_version()
    for case in OWN:
        found[f"{case.name} fsdp1"] = fsdp1(case, flat)
        for name, options in {
            "sharded": {},
            "flat": {"flatten_optimizer_state_dict": True},
            "full": {"full_state_dict": True},
        }.items():
            try:
                found[f"{case.name} {name}"] = through_checkpoints(case, mine, **options)
            except Exception as error:  # noqa: BLE001 - the test says what went wrong where
                found[f"{case.name} {name}"] = repr(error)
        found[f"{case.name} zero"] = zero(case)
    half = torch.tensor(40000.0, dtype=torch.float16)
    found["half"] = float(reduce_loss(half))  # the sum is more than float16 holds
    torch.save(found, Path(output) / f"sharded-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
