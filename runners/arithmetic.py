"""How a network computes: mixed precision, the compiler, the layout of images in memory."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from alig_deepobs.errors import UsageError
from alig_deepobs.run import ResolvedRun
from alig_deepobs.testproblems.base import TestProblem
from alig_deepobs.testproblems.checks import find_device


def check_arithmetic(run: ResolvedRun) -> None:
    """Checks what the device can do, and that there is a compiler where one is asked for.

    Raises:
        UsageError: it cannot, or there is none.
    """
    device = find_device(run.device)
    if run.precision == "bf16" and not _has_bf16(device):
        raise UsageError(f"{device} has no bfloat16: leave --precision out, or take another device")
    if run.compile:
        _check_compiler(device)


def apply_arithmetic(problem: TestProblem, run: ResolvedRun) -> None:
    """Makes the network of a problem compute as a run asks for.

    Weights, gradients, losses and the optimizer's state stay what they are, float32.
    """
    if run.channels_last:
        problem.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if run.compile:
        problem.net.compile()
    if run.precision == "bf16":
        of_problem: Any = problem  # whose method is replaced, for this run alone
        of_problem.forward = _in_bf16(problem.forward, torch.device(problem.device))


def arithmetic_of(run: ResolvedRun) -> dict[str, Any]:
    """What of it the record of a run notes under its environment."""
    return {name: True for name in ("compile", "channels_last") if getattr(run, name)}


def _in_bf16(forward: Callable[[Any], Any], device: torch.device) -> Callable[[Any], Any]:
    def in_bf16(batch: Any) -> Any:
        with torch.autocast(device.type, torch.bfloat16), _suitable_kernels(device):
            outputs = forward(batch)
        return tree_map_only(Tensor, _widened, outputs)

    return in_bf16


def _suitable_kernels(device: torch.device) -> AbstractContextManager[Any]:
    """PyTorch's own kernels where oneDNN has none: of an LSTM in bfloat16 on older processors."""
    if device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return nullcontext()
    return torch.backends.mkldnn.flags(enabled=False)


def _widened(x: Tensor) -> Tensor:
    return x.float() if x.dtype is torch.bfloat16 else x


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.amp.is_autocast_available(device.type))


def _check_compiler(device: torch.device) -> None:
    try:
        if device.type == "cpu":
            from torch._inductor.cpp_builder import get_cpp_compiler

            get_cpp_compiler()
        else:
            importlib.import_module("triton")
    except Exception as error:
        what = str(error).partition("\n")[0]
        raise UsageError(
            "--compile needs a C++ compiler such as g++ (on a GPU: the package triton), and none "
            f"was found: install one, or leave it out ({what})"
        ) from error
