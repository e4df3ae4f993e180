"""Figures as SVG elements inside a page."""

from __future__ import annotations

import io
import re

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.patches import PathPatch
from matplotlib.transforms import Affine2D, IdentityTransform

from alig_deepobs.analysis.plots.look import own_look
from alig_deepobs.analysis.plots.style import Style, new_figure

# Black and the greys of a figure follow the text colour of the page.
_GREYS = {"#000000": 1.0, "#e6e6e6": 0.14, "#999999": 0.6, "#595959": 0.75}


@own_look()
def inline_svg(figure: Figure, name: str) -> str:
    """A figure as an SVG element, without what matplotlib writes for files of their own.

    What has the identifier ``series-3`` gets it as ``data-series``, and the link of a point becomes
    its title, which browsers show when it is pointed at.

    Args:
        figure: the figure.
        name: unique on the page; it keeps the identifiers of two pictures apart.
    """
    stream = io.StringIO()
    # The text stays text: it can be searched and read aloud, and takes the page's font.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    # matplotlib takes single quotes where there are double ones in between.
    link = r"""<a xlink:href=(?:"([^"]*)"|'([^']*)')[^>]*>"""
    text = re.sub(link, r"<g><title>\1\2</title>", text)
    text = text.replace("</a>", "</g>").replace("xlink:href", "href")
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(r' id="series-(\d+)"', r' data-series="\1"', text)
    text = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", text)
    text = re.sub(r"<[^>]*>", lambda tag: _smaller(tag[0]), text)
    text = re.sub(r">\s+<", "><", text.replace("<defs></defs>", "")).strip()
    # What the style element said, which would have counted for the whole page.
    return text.replace("<svg", '<svg fill="currentColor" stroke-linejoin="round"', 1)


@own_look()
def swatch_svg(style: Style) -> str:
    """The line and the mark by which figures show an optimizer, of the size of a text."""
    figure = new_figure(30 / 72, 14 / 72)
    marker = MarkerStyle(style.marker)
    # SVG has 72 dots to an inch, so these are its points.
    place = marker.get_transform() + Affine2D().scale(7).translate(15, 7)
    mark = PathPatch(marker.get_path(), transform=place, color=style.color, linewidth=0)
    line = Line2D([0, 30], [7, 7], color=style.color, linestyle=style.line, linewidth=1.8)
    line.set_transform(IdentityTransform())
    figure.add_artist(line)
    figure.add_artist(mark)
    return inline_svg(figure, f"swatch-{style.number}").replace("<svg", '<svg class="swatch"', 1)


def _smaller(tag: str) -> str:
    """One tag without what nobody sees."""
    if tag.startswith("<svg"):
        return re.sub(r' (?:width|height|version|xmlns\S*)="[^"]*"', "", tag)
    # A tenth of a point is finer than any screen.
    tag = re.sub(r"\d+\.\d{3,}", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), tag)
    tag = re.sub(r' transform="rotate\(-?0[ "][^"]*"|font-family: [^;"]*;? ?', "", tag)
    for grey, opacity in _GREYS.items():
        for kind in ("stroke", "fill"):
            ink = f"{kind}: currentColor" + (f"; {kind}-opacity: {opacity}" if opacity < 1 else "")
            tag = tag.replace(f"{kind}: {grey}", ink)
    return re.sub(r"\s*\n\s*", " ", tag)
