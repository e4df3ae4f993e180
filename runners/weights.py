"""Keeping the weights of the best epoch of a run, and reading them again."""

from __future__ import annotations

import io
import secrets
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alig_deepobs.errors import ResultError
from alig_deepobs.files import check_writable, write_bytes_atomically
from alig_deepobs.foreign import brief, open_regular
from alig_deepobs.run import RunResult
from alig_deepobs.testproblems import TestProblem


class KeptWeights:
    """A file with the weights of the best epoch so far; a better epoch replaces it.

    Args:
        folder: where the file is put, under a name that no other run gets.
        result: the result of the run; its ``best_weights`` becomes the path of the file.

    Raises:
        ResultError: the folder is not writable.
    """

    def __init__(self, folder: str | Path, result: RunResult) -> None:
        check_writable(folder)
        self.result = result
        stamp = time.strftime("%Y-%m-%d-%H-%M-%S")
        name = (
            f"{result.testproblem}__{result.optimizer_name}__random_seed__{result.random_seed}"
            f"__{stamp}__{secrets.token_hex(4)}.pt"
        )
        self.name = str(Path(folder) / name)
        self.path = Path(self.name).absolute()  # wherever the process goes

    def save(self, problem: TestProblem, epoch: int) -> None:
        """Writes the problem's current weights, in one step.

        Raises:
            ResultError: the file cannot be written.
        """
        content = {
            "testproblem": self.result.testproblem,
            "problem_options": self.result.problem_options,
            "epoch": epoch,
            "state_dict": problem.net.state_dict(),
        }
        stream = io.BytesIO()
        torch.save(content, stream)
        write_bytes_atomically(self.path, stream.getvalue())
        self.result.best_weights = self.name


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """The weights in a file that a run with ``keep_best`` wrote, for ``net.load_state_dict``.

    Nothing but tensors and plain data is ever unpickled. They are put on the CPU.

    Raises:
        ResultError: the file is missing, broken or something else.
    """
    path = Path(path)
    try:
        check_sizes(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file makes torch stumble over whatever comes
        reason = str(error).partition("\n")[0]
        raise ResultError(f"{path}: no readable weights ({reason})") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise ResultError(f"{path}: expected the weights that a run with keep_best has written")
    weights: dict[str, Tensor] = content["state_dict"]
    for name, value in weights.items():
        if not isinstance(name, str) or type(value) is not Tensor or value.layout != torch.strided:
            raise ResultError(f"{path}: {brief(name)} is no ordinary tensor under its name")
    return weights


def check_sizes(path: Path) -> None:
    """Refuses what claims to be larger than it is: torch would decompress it.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: it does, or it is no such file.
    """
    with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("it is compressed, which torch never does")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ValueError("its parts claim to be larger than it is")
