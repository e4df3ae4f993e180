"""DeepOBS's run script for each optimizer of the registry."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from alig_deepobs.entries import HyperParameter
from alig_deepobs.errors import UsageError
from alig_deepobs.registry import find_optimizer
from alig_deepobs.run import ResolvedRun, RunSpec
from alig_deepobs.runners.checks import check
from alig_deepobs.runners.deepobs.runners import Asked, LearningRateScheduleRunner, is_own
from alig_deepobs.runners.resolve import resolve
from alig_deepobs.settings import parse_setting

_OPEN = object()
"""Stands for a flag that was not given: its default is up to the optimizer and the problem."""


class RegisteredRunner(LearningRateScheduleRunner):
    """A runner whose optimizer, flags and defaults are those of the registry.

    Args:
        name: of the optimizer; a class may be given by its path, ``package.module:Class``.

    Raises:
        UsageError: there is none of that name, or its package is not installed.
    """

    def __init__(self, name: str) -> None:
        self.entry = find_optimizer(name)
        declared = self.entry.hyperparameters
        flags = {
            key: {"type": bool if one.type is bool else _reader(name, key, one), "default": _OPEN,
                  "help": f"{one.help} (default: {one.default})"}
            for key, one in declared.items()
        }  # fmt: skip
        super().__init__(self.entry.load(), flags)
        self._optimizer_name = self.entry.label

    def ask(self, **arguments: Any) -> Asked:
        """See `PTRunner.ask`."""
        asked = super().ask(**arguments)
        given = {k: v for k, v in asked.spec.hyperparams.items() if v is not _OPEN}
        spec = replace(asked.spec, optimizer=self.entry.name, hyperparams=given)
        return replace(asked, spec=spec)

    def _resolve(self, spec: RunSpec) -> ResolvedRun:
        if is_own(spec.testproblem):
            return super()._resolve(
                replace(spec, hyperparams=self.entry.complete(spec.hyperparams))
            )
        run = resolve(spec)
        check(run, self._optimizer_class)
        return run


def _reader(optimizer: str, name: str, declared: HyperParameter) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = parse_setting(f"{optimizer}[{name}={text}]").params.get(name)
            return declared.check(name, value, optimizer)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
