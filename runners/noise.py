"""torch's global generators, from which dropout and sampled latents draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from alig_deepobs.seeds import derive_seed


def seed_noise(seed: int, phase: str, epoch: int) -> None:
    """Seeds the generators.

    Training and every evaluation have their own stream, so evaluating never changes training.
    """
    torch.manual_seed(derive_seed(seed, "noise", phase, epoch))


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """The states of the generators that a run on this device draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_generators(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Sets the generators to what `generator_states` returned."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


@contextmanager
def own_random_state(seed: int, device: torch.device) -> Iterator[None]:
    """Leaves torch's global random state as it was found, and its default data type.

    Within it the default is float32, which the data have: a run is the same in every process.
    """
    devices = [device] if device.type == "cuda" else []
    default = torch.get_default_dtype()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(seed, "noise"))
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(default)
