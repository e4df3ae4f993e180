"""``deepobs.pytorch.config`` of DeepOBS 1.2: device, workers, determinism."""

from __future__ import annotations

from typing import Any

import torch

_settings: dict[str, Any] = {
    "default_device": "cuda:0" if torch.cuda.is_available() else "cpu",
    "num_workers": 0,
    "is_deterministic": True,
    "split": "validation",
}


def get_default_device() -> str:
    """The device that problems are put on."""
    return str(_settings["default_device"])


def set_default_device(device: str) -> None:
    """Sets the device that problems are put on."""
    _settings["default_device"] = str(device)


def get_num_workers() -> int:
    """Worker processes for data; kept for scripts that ask, none are ever started."""
    return int(_settings["num_workers"])


def set_num_workers(num_workers: int) -> None:
    """Has no effect: data lives on the device."""
    _settings["num_workers"] = int(num_workers)


def get_is_deterministic() -> bool:
    """Whether cuDNN is kept deterministic while a run trains."""
    return bool(_settings["is_deterministic"])


def set_is_deterministic(is_deterministic: bool) -> None:
    """Chooses whether cuDNN is kept deterministic while a run trains."""
    _settings["is_deterministic"] = bool(is_deterministic)


def get_split() -> str:
    """``validation`` (DeepOBS 1.2's, the default here) or ``full`` (DeepOBS 1.1.2's)."""
    return str(_settings["split"])


def set_split(split: str) -> None:
    """Chooses the split.

    Raises:
        ValueError: it is neither validation nor full.
    """
    if split not in ("validation", "full"):
        raise ValueError(f"split must be 'validation' or 'full', not {split!r}")
    _settings["split"] = split
