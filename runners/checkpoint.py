"""What is kept of a run while it goes on, so that it can be taken up again.

A checkpoint is one file beside the results, written in one step. It holds the weights, the states
of optimizer and schedule, of torch's generators, the place in the order of the data, and what was
measured. On the CPU a run that is taken up gives the same numbers, bit for bit, as one that was
left alone. It is read without unpickling anything but tensors and plain data.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from alig_deepobs import __version__
from alig_deepobs.errors import ResultError
from alig_deepobs.files import remove_with_folder, write_bytes_atomically
from alig_deepobs.results import plain
from alig_deepobs.run import ResolvedRun, Run, RunResult, facets
from alig_deepobs.runners.weights import load_archive

logger = logging.getLogger(__name__)

FORMAT = 2
AFTER_EPOCHS, WITHIN_EPOCHS = 5.0, 300.0
"""Seconds between two checkpoints, where the user gives none: a short run has none at all."""
SHARE = 0.05
"""Of the time of a run, what writing checkpoints may take at most, where the user gives none."""

_KNOWN_STATES = ("torch.optim.", "alig_deepobs.optimizers.")
"""Modules of optimizers whose states have the forms of their parameters, or are numbers."""
_OTHER_FORMS = ("LBFGS", "Adafactor", "AligPlus")
"""Those of them whose states have not."""
_NUMBERS = ("step", "eta", "mu", "mu_product")

_OF_THE_ATTEMPT = {
    "outcome", "outcome_reason", "time_limit", "started", "environment", "command",
    "optimizer_class", "schema_version",
}  # fmt: skip


class Checkpoints:
    """The checkpoints of one run: when one is due, writing it, reading it.

    Args:
        path: the file; None: there are none.
        interval: seconds between two; None: `AFTER_EPOCHS` and `WITHIN_EPOCHS`.
        stamp: what the file must be of (`stamp_of`).
    """

    def __init__(
        self, path: str | None, interval: float | None, stamp: Mapping[str, Any]
    ) -> None:  # fmt: skip
        self.path = None if path is None else Path(path)
        self.stamp = dict(stamp)
        self.is_default = interval is None
        self.after_epochs = AFTER_EPOCHS if interval is None else interval
        self.within_epochs = WITHIN_EPOCHS if interval is None else interval
        self.last = time.monotonic()
        self.pause = 0.0
        self.has_failed = False

    def due(self, within_epoch: bool) -> bool:
        """Whether it is time for one."""
        interval = self.within_epochs if within_epoch else self.after_epochs
        elapsed = time.monotonic() - self.last
        return self.path is not None and elapsed >= max(interval, self.pause)

    def save(self, content: Mapping[str, Any]) -> None:
        """Writes one. A run never ends because that is not possible; a log line says why."""
        if self.path is None:
            return
        start = time.monotonic()
        stream = io.BytesIO()
        torch.save({"stamp": self.stamp, **content}, stream)
        try:
            write_bytes_atomically(self.path, stream.getvalue())
        except ResultError as error:
            if not self.has_failed:
                logger.warning("the run goes on without a checkpoint: %s", error)
            self.has_failed = True
        self.last = time.monotonic()
        if self.is_default:
            self.pause = (self.last - start) / SHARE

    def load(self, check: Callable[[Mapping[str, Any]], None]) -> dict[str, Any] | None:
        """What was saved, on the CPU; None if there is none that can be used.

        Args:
            check: raises an error where the content is not what the run can go on from.
        """
        if self.path is None or not self.path.is_file():
            return None
        try:
            content: dict[str, Any] = load_archive(self.path)
            if content["stamp"] == self.stamp:
                check(content)
                return content
            self.refuse("it is of another version")
        except Exception as error:  # noqa: BLE001 - a broken file makes torch stumble anyhow
            self.refuse(reason_of(error))
        return None

    def refuse(self, reason: str) -> None:
        """Says that the file is not used, and why."""
        logger.warning("%s is not used, and the run starts anew: %s", self.path, reason)

    def remove(self) -> None:
        """Removes the file: the run has come to an end."""
        if self.path is not None:
            remove_with_folder(self.path)


def reason_of(error: BaseException) -> str:
    """Why a checkpoint cannot be used, in one line."""
    text = str(error).partition("\n")[0]
    speaks = isinstance(error, (ResultError, ValueError)) and text
    return text if speaks else f"{type(error).__name__} {text}"


def stamp_of(run: ResolvedRun, optimizer_class: Any, device: torch.device) -> dict[str, Any]:
    """What a checkpoint belongs to: a run, and everything that it would not go on the same with."""
    try:
        source = Path(inspect.getfile(optimizer_class)).read_bytes()
    except (OSError, TypeError):  # built in, or of a notebook
        source = b""
    return {
        "format": FORMAT,
        "identity": run.identity(),
        "train_log_interval": run.train_log_interval,
        "alig_deepobs": __version__,
        "torch": str(torch.__version__),
        "optimizer": f"{optimizer_class.__module__}:{optimizer_class.__qualname__}",
        "source": hashlib.sha256(source).hexdigest(),
        "device": device.type,
        "compile": run.compile,
        "channels_last": run.channels_last,
    }


def measured(result: RunResult) -> dict[str, Any]:
    """What a result has that does not belong to this attempt alone."""
    names = facets(RunResult).keys() - facets(Run).keys() - _OF_THE_ATTEMPT
    return {name: plain(getattr(result, name)) for name in sorted(names)}


def load_optimizer_state(optimizer: Any, state: Mapping[str, Any]) -> None:
    """Loads a state, and leaves every tensor in it the type that it had.

    torch gives the state of a parameter the parameter's type, which rounds double precision and
    makes floats of counters.
    """
    optimizer.load_state_dict(state)
    _check_forms(optimizer)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [n for group in state["param_groups"] for n in group["params"]]
    for parameter, number in zip(parameters, numbers, strict=True):
        for name, saved in state["state"].get(number, {}).items():
            loaded = optimizer.state[parameter].get(name)
            are_tensors = isinstance(saved, Tensor) and isinstance(loaded, Tensor)
            if are_tensors and loaded.dtype != saved.dtype:
                optimizer.state[parameter][name] = saved.clone().to(loaded.device)


def _check_forms(optimizer: Any) -> None:
    """Checks the shapes of a state, which kernels of torch rely on without looking at them.

    Raises:
        ValueError: a tensor is neither of the shape of its parameter nor one of the numbers.
    """
    kind = type(optimizer)
    if kind.__name__ in _OTHER_FORMS or not kind.__module__.startswith(_KNOWN_STATES):
        return
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            form = torch.Size([]) if name in _NUMBERS else parameter.shape
            if isinstance(value, Tensor) and value.shape != form:
                raise ValueError(f"the state {name} of the optimizer has not its parameter's form")
