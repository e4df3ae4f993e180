"""Keeping the weights of the best epoch of a run, and reading them again."""

from __future__ import annotations

import io
import logging
import pickletools
import re
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

logger = logging.getLogger(__name__)


class KeptWeights:
    """A file with the weights of the best epoch so far; a better epoch replaces it.

    What cannot be written is kept in memory and tried again (`write`), and the run goes on.

    Args:
        folder: where the file is put, under a name that no other run gets.
        result: the result of the run; its ``best_weights`` becomes the path of the file, and is
            empty as long as that has not the best epoch's weights.

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
        self.unwritten: bytes | None = None
        self.has_failed = False

    def take_up(self) -> None:
        """Goes on with the file that the result names: of the attempt before."""
        if self.result.best_weights:
            self.name = self.result.best_weights
            self.path = Path(self.name).absolute()

    def save(self, problem: TestProblem, epoch: int) -> None:
        """Takes the problem's current weights, and writes them in one step."""
        content = {
            "testproblem": self.result.testproblem,
            "problem_options": self.result.problem_options,
            "epoch": epoch,
            "state_dict": problem.net.state_dict(),
        }
        stream = io.BytesIO()
        torch.save(content, stream)
        self.unwritten, self.result.best_weights = stream.getvalue(), ""
        self.write()

    def write(self) -> None:
        """Writes what has not been written yet, if that is possible."""
        if self.unwritten is None:
            return
        try:
            write_bytes_atomically(self.path, self.unwritten)
        except ResultError as error:
            if not self.has_failed:
                logger.warning("the best weights are kept in memory and tried again: %s", error)
            self.has_failed = True
            return
        self.unwritten, self.result.best_weights = None, self.name


def load_weights(path: str | Path) -> dict[str, Tensor]:
    """The weights in a file that a run with ``keep_best`` wrote, for ``net.load_state_dict``.

    Nothing but tensors and plain data is ever unpickled. They are put on the CPU.

    Raises:
        ResultError: the file is missing, broken or something else.
    """
    path = Path(path)
    try:
        content = load_archive(path)
    except Exception as error:  # a broken file makes torch stumble over whatever comes
        reason = str(error).partition("\n")[0]
        raise ResultError(f"{path}: no readable weights ({reason})") from error
    if not isinstance(content, dict) or not isinstance(content.get("state_dict"), dict):
        raise ResultError(f"{path}: expected the weights that a run with keep_best has written")
    weights: dict[str, Tensor] = content["state_dict"]
    for name, value in weights.items():
        if not isinstance(name, str) or type(value) is not Tensor:
            raise ResultError(f"{path}: {brief(name)} is no ordinary tensor under its name")
    return weights


def load_archive(path: Path) -> Any:
    """What ``torch.save`` has put into a file: plain data and tensors, on the CPU.

    Whatever the file says, reading it takes no more memory than its size suggests.

    Raises:
        Exception: it is broken, changed, or something else; torch stumbles over whatever comes.
    """
    _check_archive(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    _check_memory(content, path.stat().st_size + _SMALL)
    return content


_SMALL = 1 << 20
"""Bytes that a content may have more than its file, as a buffer has that repeats one number."""


def _check_archive(path: Path) -> None:
    """Refuses what is compressed, has changed since it was written, or calls more than it must.

    torch looks at no checksum, decompresses what it finds, and lets a file make an array of any
    length.
    """
    with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed, which torch never does")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("its parts claim to be larger than it is")
        changed = archive.testzip()
        if changed is not None:
            raise ValueError(f"{brief(changed)} in it has changed since it was written")
        for member in members:
            if member.filename.endswith("data.pkl"):
                _check_calls(archive.read(member))


def _check_calls(pickled: bytes) -> None:
    for operation, name, _ in pickletools.genops(pickled):
        if operation.name == "GLOBAL" and not _is_harmless(str(name)):
            raise ValueError(f"it asks for {brief(name)}, which no weights or states need")


def _is_harmless(name: str) -> bool:
    module, _, attribute = name.partition(" ")
    if module == "torch":
        if attribute == "device" or isinstance(getattr(torch, attribute, None), torch.dtype):
            return True
        return re.fullmatch(r"[A-Za-z0-9]+Storage", attribute) is not None
    return name in (
        "collections OrderedDict", "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_tensor_v2",
    )  # fmt: skip


def _check_memory(content: Any, most: int) -> None:
    """Refuses tensors that claim to be larger than what they hold, and lists within themselves."""
    waiting, total, seen = [content], 0, set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            if value.layout != torch.strided or value.device.type != "cpu":
                raise ValueError("it has a tensor that is no ordinary one")
            view = (value.data_ptr(), value.shape, value.stride())  # of tied weights: one
            total += 0 if view in seen else value.nbytes
            seen.add(view)
        elif isinstance(value, (dict, list, tuple)):
            total += len(value)
            if total <= most:
                waiting += value.values() if isinstance(value, dict) else value
        if total > most:
            raise ValueError("its content claims to be larger than it is")
