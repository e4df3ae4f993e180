"""``deepobs.pytorch.config`` of DeepOBS 1.2: device, workers, determinism; and the split."""

from __future__ import annotations

import torch

DEFAULT_DEVICE = "cuda:0" if torch.cuda.is_available() else "cpu"
NUM_WORKERS = 0
IS_DETERMINISTIC = True
SPLIT = "validation"

__all__ = [
    "DEFAULT_DEVICE", "IS_DETERMINISTIC", "NUM_WORKERS", "SPLIT", "get_default_device",
    "get_is_deterministic", "get_num_workers", "get_split", "set_default_device",
    "set_is_deterministic", "set_num_workers", "set_split",
]  # fmt: skip


def get_default_device() -> str:
    """Where problems live."""
    return DEFAULT_DEVICE


def set_default_device(device: str) -> None:
    """Sets where problems live."""
    global DEFAULT_DEVICE
    DEFAULT_DEVICE = str(device)


def get_num_workers() -> int:
    """Worker processes of the loaders that `DataSet._make_dataloader` makes.

    DeepOBS's own data sets live on the device, so none are started for them.
    """
    return NUM_WORKERS


def set_num_workers(num_workers: int) -> None:
    """Sets the number of worker processes."""
    global NUM_WORKERS
    NUM_WORKERS = int(num_workers)


def get_is_deterministic() -> bool:
    """Whether cuDNN is kept deterministic while a run trains."""
    return IS_DETERMINISTIC


def set_is_deterministic(is_deterministic: bool) -> None:
    """Sets whether cuDNN is kept deterministic."""
    global IS_DETERMINISTIC
    IS_DETERMINISTIC = bool(is_deterministic)


def get_split() -> str:
    """``validation``, DeepOBS 1.2's split, or ``full``, DeepOBS 1.1.2's."""
    return SPLIT


def set_split(split: str) -> None:
    """Sets the split.

    Raises:
        ValueError: it is neither ``validation`` nor ``full``.
    """
    global SPLIT
    if split not in ("validation", "full"):
        raise ValueError(f"split must be 'validation' or 'full', not {split!r}")
    SPLIT = split


def __dir__() -> list[str]:
    return __all__
