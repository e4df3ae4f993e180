"""What ``deepobs.config`` and ``deepobs.pytorch.config`` say of where and how problems are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alig_deepobs.entries import ProblemEntry
from alig_deepobs.runners.deepobs import config
from alig_deepobs.runners.deepobs import pytorch_config as torch_config

_DEFAULT_FOLDER = config.DATA_DIR


def data_dir() -> str | None:
    """The configured folder of data; None, the user's cache, for a default one that is not there.

    DeepOBS's default folder belongs to the current folder, and most people have none.
    """
    folder = config.get_data_dir()
    if folder is None or (folder == _DEFAULT_FOLDER and not Path(folder).is_dir()):
        return None
    return str(folder)


def problem_options(entry: ProblemEntry) -> dict[str, Any]:
    """Arguments of a problem's class."""
    return {
        "data_dir": data_dir(),
        "device": torch_config.get_default_device(),
        "split": torch_config.get_split() if entry.has_validation else "full",
    }
