"""Figures as small SVG elements inside a page.

Matplotlib writes SVG for files of their own: with an identifier on every group, six decimals and a
list of fonts on every text. In a page with a hundred charts that is most of the page, so it is
taken out here. Nothing that is drawn changes.
"""

from __future__ import annotations

import io
import re

import matplotlib
from matplotlib.figure import Figure

_DECIMALS = re.compile(r"-?\d+\.\d{2,}")
_TAG = re.compile(r"<[^>]*>")
_GREYS = {"#000000": "", "#262626": "", "#e6e6e6": "0.12", "#e5e5e5": "0.12", "#595959": "0.7"}


def inline_svg(figure: Figure, name: str) -> str:
    """A figure as an SVG element: black and greys follow the text colour of the page.

    Args:
        figure: the figure.
        name: unique on the page; it keeps the identifiers of two pictures apart.
    """
    stream = io.StringIO()
    if len(figure.axes) == 1:
        # A layout by measuring draws everything twice; one small panel has room to spare.
        figure.set_layout_engine("none")
        left = 0.165 if figure.axes[0].get_ylabel() else 0.12
        figure.axes[0].set_position((left, 0.16, 0.98 - left, 0.81))
    # The text stays text: it can be searched and read aloud, and takes the page's font.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<style type="text/css">.*?</style>', "", text, flags=re.DOTALL)
    text = _short_identifiers(text, name)
    text = _TAG.sub(lambda tag: _smaller(tag[0]), text)
    text = re.sub(r">\s+<", "><", text).strip()
    return _without_bare_groups(text.replace("<defs></defs>", ""))


def _short_identifiers(text: str, name: str) -> str:
    """Keeps the identifiers that something refers to, under names of this picture."""
    used = dict.fromkeys(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    short = {identifier: f"{name}-{number}" for number, identifier in enumerate(used)}

    def own(match: re.Match[str]) -> str:
        return f' id="{short[match[1]]}"' if match[1] in short else ""

    text = re.sub(r' id="([^"]+)"', own, text)
    return re.sub(r'(url\(#|href="#)([^")]+)', lambda match: f"{match[1]}{short[match[2]]}", text)


def _smaller(tag: str) -> str:
    """One tag without what nobody sees."""
    if tag.startswith("<image"):
        return tag  # its data are no coordinates
    # A tenth of a point is finer than any screen.
    tag = _DECIMALS.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), tag)
    tag = re.sub(r' transform="rotate\(-?0[ "][^"]*"', "", tag)
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r"stroke-linejoin: miter;? ?", "", tag)
    if tag.startswith("<svg"):
        tag = re.sub(r' (?:width|height|version|xmlns)="[^"]*"', "", tag)
        # What the style element said, which would have counted for the whole page.
        return tag[:-1] + ' fill="currentColor" stroke-linejoin="round">'
    if ' d="' in tag:
        tag = re.sub(r"\s*\n\s*", "", tag)
        tag = re.sub(r"(?<=[MLCQz]) | (?=[MLCQz])", "", tag)
    for grey, share in _GREYS.items():
        for what in ("stroke", "fill"):
            faint = f"; {what}-opacity: {share}" if share else ""
            tag = tag.replace(f"{what}: {grey}", f"{what}: currentColor{faint}")
    return tag.replace('; "', '"').replace(": ", ":").replace("; ", ";")


def _without_bare_groups(text: str) -> str:
    """Leaves out groups without attributes."""
    kept: list[bool] = []

    def group(match: re.Match[str]) -> str:
        if match[0] == "</g>":
            return "</g>" if kept.pop() else ""
        kept.append(match[0] != "<g>")
        return match[0] if kept[-1] else ""

    return re.sub(r"<g(?:\s[^>]*)?>|</g>", group, text)
