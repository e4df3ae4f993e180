"""Small pictures inside the text of the page: legend marks and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alig_deepobs.analysis.plots.style import Style

if TYPE_CHECKING:
    from markupsafe import Markup

_DASHES = {"-": "", "--": "5 3", "-.": "6 2 1.5 2"}
_SHAPES = {
    "o": '<circle cx="15" cy="7" r="3.4"/>',
    "s": '<path d="M12 4h6v6h-6z"/>',
    "^": '<path d="M15 3l4 7h-8z"/>',
    "D": '<path d="M15 2.6l4.2 4.4-4.2 4.4-4.2-4.4z"/>',
    "v": '<path d="M15 11l4-7h-8z"/>',
    "P": '<path d="M13.4 3h3.2v2.4H19v3.2h-2.4V11h-3.2V8.6H11V5.4h2.4z"/>',
    "X": '<path d="M11 4l1-1 3 3 3-3 1 1-3 3 3 3-1 1-3-3-3 3-1-1 3-3z"/>',
}  # fmt: skip


def swatch(look: Style | None) -> Markup | str:
    """The line and the mark by which charts show an optimizer."""
    from markupsafe import Markup

    if look is None:
        return ""
    color = "currentColor" if look.color == "#000000" else look.color
    dashes = _DASHES.get(look.line, "1.5 2") if isinstance(look.line, str) else (
        "1.5 2" if len(look.line[1] or ()) == 2 else "8 2 1.5 2 1.5 2"
    )  # fmt: skip
    return Markup(
        f'<svg class="swatch" viewBox="0 0 30 14" aria-hidden="true" fill="{color}">'
        f'<path d="M0 7h30" stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        f"{_SHAPES[look.marker]}</svg>"
    )


def forest(shares: tuple[float, float, float] | None, tone: str) -> Markup | str:
    """An interval as a bar with a dot, on the axis that the rows of a table share."""
    from markupsafe import Markup

    if shares is None:
        return ""
    low, mean, high = (round(118 * min(1.0, max(0.0, share)) + 1, 1) for share in shares)
    dot = (
        f'<circle cx="{mean}" cy="8" r="3.5"/>'
        if tone != "baseline"
        else f'<circle cx="{mean}" cy="8" r="3" fill="none" stroke="currentColor"/>'
    )
    return Markup(
        f'<svg class="forest" viewBox="0 0 120 16" aria-hidden="true" fill="currentColor">'
        f'<path d="M0 8h120" class="axis"/>'
        f'<path d="M{low} 8H{high}M{low} 4.5v7M{high} 4.5v7" class="bar"/>{dot}</svg>'
    )
