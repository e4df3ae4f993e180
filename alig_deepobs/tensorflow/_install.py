"""Importing what is optional, with one line that says what is missing and how to get it."""

from __future__ import annotations

import importlib
from typing import Any

from alig_deepobs.errors import UsageError

INSTALL = 'pip install "alig-deepobs[tensorflow]"'


def require(name: str) -> Any:
    """Imports a module of the extra ``tensorflow``.

    Raises:
        UsageError: it, or something that it needs, is missing or broken.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise UsageError(f"{missing} is not installed: {INSTALL}") from error
    except ImportError as error:
        raise UsageError(f"{name} cannot be imported ({error}): {INSTALL}") from error
