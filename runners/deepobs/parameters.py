"""Training parameters of a user's runner: any objects, of which a record has a text or a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alig_deepobs.errors import UsageError
from alig_deepobs.runners.resolve import json_value

_NAMED = "<object "


def recorded(given: Mapping[str, Any], of: str) -> dict[str, Any]:
    """Parameters as the record has them: what JSON cannot hold as a text, objects by a name.

    Args:
        given: the parameters.
        of: the optimizer.
    """
    return {name: _as_text(name, value, of) for name, value in given.items()}


def _as_text(name: str, value: Any, of: str) -> Any:
    try:
        return json_value(name, value, of)
    except UsageError:
        text = repr(value)
        if " at 0x" in text:
            kind = value if hasattr(value, "__qualname__") else type(value)
            text = f"{_NAMED}{kind.__module__}.{kind.__qualname__}>"
        return text[:500]


def names_an_object(recorded_params: Mapping[str, Any]) -> bool:
    """Whether the record has a name of an object, which another object may have, too."""
    return any(str(value).startswith(_NAMED) for value in recorded_params.values())


def as_given(recorded_params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of the record, with the values themselves where it has a text for them."""
    return {
        name: given.get(name, value) if isinstance(value, str) else value
        for name, value in recorded_params.items()
    }


def for_json(value: Any) -> Any:
    """What JSON does not know, of a key of the user's: tensors as lists, the rest as text."""
    return value.tolist() if hasattr(value, "tolist") else repr(value)
