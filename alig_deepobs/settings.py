"""Settings written as text: ``name``, ``name[param=value]`` or ``package.module:Class[...]``."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass, field
from typing import Any

from alig_deepobs.errors import UsageError

_WORDS = {"true": True, "false": False, "none": None, "inf": math.inf, "-inf": -math.inf}
_LONGEST = 10_000
"""Characters of the longest setting: Python's parser takes memory for each bracket."""
_FORM = re.compile(r"(?P<name>[^\[\]]+?)\s*(?:\[(?P<params>.*)\])?", re.DOTALL)


@dataclass(frozen=True)
class Setting:
    """A name and the hyper-parameters given with it.

    Attributes:
        name: a name of the registry, or an import path ``package.module:Class``.
        params: hyper-parameter name -> value, as written (numbers, booleans, None, text).

    Example:
        >>> str(Setting("alig", {"max_lr": 0.1, "momentum": 0.9}))
        'alig[max_lr=0.1,momentum=0.9]'
    """

    name: str
    params: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.params:
            return self.name
        return f"{self.name}[{','.join(f'{key}={value!r}' for key, value in self.params.items())}]"


def parse_setting(text: str) -> Setting:
    """Reads ``name[param=value, ...]``.

    Values are Python literals; a bare word is text.

    Raises:
        UsageError: the text has not that form.

    Example:
        >>> parse_setting("alig[max_lr=0.1, momentum=0.9]")
        Setting(name='alig', params={'max_lr': 0.1, 'momentum': 0.9})
        >>> parse_setting("sgd")
        Setting(name='sgd', params={})
    """
    match = _FORM.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None or re.search("[=,]", match["name"]):  # as in alig(max_lr=0.1)
        raise _malformed(text)
    params: dict[str, Any] = {}
    inside = match["params"]
    for part in split_at_commas(inside) if inside and inside.strip() else []:
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier() or not value.strip() or key in params:
            raise _malformed(text)
        params[key] = _literal(value.strip())
    return Setting(match["name"].strip(), params)


def split_settings(text: str) -> list[str]:
    """Splits a comma-separated list of settings, leaving commas inside brackets alone.

    Example:
        >>> split_settings("alig[max_lr=0.1,momentum=0.9], sgd")
        ['alig[max_lr=0.1,momentum=0.9]', 'sgd']
    """
    return [part.strip() for part in split_at_commas(text) if part.strip()]


def split_at_commas(text: str) -> list[str]:
    """The parts of a text between commas that are in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            depth += (character in "[({") - (character in "])}")
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _literal(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def _malformed(text: str) -> UsageError:
    return UsageError(
        f"malformed setting {text[:200]!r}: write name or name[param=value,...], "
        "for example 'alig[max_lr=0.1,momentum=0.9]'"
    )
