"""What a test problem's docstring says; what a family of problems shares is written down once."""

from __future__ import annotations

import inspect
import re

SECTIONS = (
    "Network", "Parameters", "Loss", "Regularizer", "Data", "Defaults", "Interpolation", "Source",
)  # fmt: skip
_SECTION = re.compile(rf"^({'|'.join(SECTIONS)}): .*(?:\n +.*)*\n?", re.MULTILINE)


def describe(problem: type) -> None:
    """Completes a docstring: sections that it lacks are those of the nearest base class.

    Args:
        problem: a class; its ``__doc__`` is replaced. One without a docstring stays as it is.

    Example:
        >>> class Family:
        ...     '''Some problems.
        ...
        ...     Loss: cross entropy.
        ...     Source: here.
        ...     '''
        >>> class problem(Family):
        ...     '''One of them.
        ...
        ...     Source: elsewhere.
        ...     '''
        >>> describe(problem)
        >>> print(problem.__doc__)
        One of them.
        <BLANKLINE>
        Loss: cross entropy.
        Source: elsewhere.
    """
    if problem.__doc__ is None:
        return
    problem._written = own = inspect.cleandoc(problem.__doc__)  # type: ignore[attr-defined]
    sections: dict[str, str] = {}
    for base in reversed(problem.__mro__):
        written = vars(base).get("_written") or inspect.cleandoc(base.__doc__ or "")
        sections |= {match[1]: match[0].rstrip() for match in _SECTION.finditer(written)}
    text = "\n".join(sections[name] for name in SECTIONS if name in sections)
    found = list(_SECTION.finditer(own))
    head = own[: found[0].start()] if found else own
    tail = own[found[-1].end() :] if found else ""
    problem.__doc__ = "\n\n".join(part.strip() for part in (head, text, tail) if part.strip())
