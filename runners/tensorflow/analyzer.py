"""What DeepOBS 1.1.2's analyzer needs on today's NumPy, pandas and matplotlib."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from alig_deepobs.runners.tensorflow import analyzer_input


class Frame(pd.DataFrame):
    """A data frame that still has ``applymap``, which pandas 3 calls ``map``."""

    @property
    def _constructor(self) -> type[Frame]:
        return Frame

    def applymap(self, function: Callable[[Any], Any]) -> Frame:
        """Applies a function to each entry."""
        return Frame(self.map(function))


def provide_matplotlib2tikz() -> None:
    """Makes ``import matplotlib2tikz`` work where the package is missing or cannot be imported.

    It is not maintained any more, so a new matplotlib may break it, and DeepOBS with it.
    """
    try:
        importlib.import_module("matplotlib2tikz")
    except Exception:  # noqa: BLE001 - it may break in any way; nothing of it is used
        stand_in: Any = ModuleType("matplotlib2tikz", "Stands in for the package of this name")
        stand_in.get_tikz_code = picture_as_tex
        stand_in.save = save_picture
        sys.modules["matplotlib2tikz"] = stand_in


def picture_as_tex(filepath: str, **_: Any) -> str:
    """Saves the current figure as PDF next to a ``.tex`` file; returns the code that shows it.

    matplotlib2tikz would return the figure as TikZ code, but does not work any more.
    """
    import matplotlib.pyplot as plt

    picture = Path(filepath).with_suffix(".pdf")
    plt.savefig(picture, bbox_inches="tight")
    return f"\\includegraphics{{{picture.name}}}\n"


def save_picture(filepath: str, **options: Any) -> None:
    """Saves the current figure as PDF, and a ``.tex`` file that shows it."""
    Path(filepath).write_text(picture_as_tex(filepath, **options), encoding="utf-8")


def mend(analyzer: Any, style: Any) -> None:
    """Mends the package ``deepobs.analyzer`` in place.

    Args:
        analyzer: the package.
        style: a dict of matplotlib's settings for its plots.
    """
    utils = analyzer.analyze_utils
    utils.pd = SimpleNamespace(DataFrame=Frame, set_option=_set_option)
    utils.get_tikz_code = picture_as_tex
    utils.tikz_save = save_picture
    utils.rescale_ax = _for_any_lengths(utils.rescale_ax)
    analyzer_input.mend(utils)
    for name in ("plot_lr_sensitivity", "plot_performance"):
        setattr(analyzer.analyze, name, _in_style(getattr(analyzer.analyze, name), style))


def _set_option(name: str, value: Any) -> None:
    # What was -1, no limit, is None now.
    unlimited = name == "display.max_colwidth" and value == -1
    pd.set_option(name, None if unlimited else value)


def _in_style(plot: Callable[..., None], style: Any) -> Callable[..., None]:
    @functools.wraps(plot)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        import matplotlib as mpl

        with mpl.rc_context(style):
            plot(*args, **kwargs)

    return wrapper


def _for_any_lengths(rescale: Callable[[Any], None]) -> Callable[[Any], None]:
    """Lets an axis be scaled when curves have different lengths (numbers of epochs), or gaps.

    DeepOBS makes one array of the curves, which today's NumPy refuses; and the limits of an axis
    must not be nan, which is what a diverged run has.
    """

    @functools.wraps(rescale)
    def wrapper(axis: Any) -> None:
        curves, marks = [], []
        for line in axis.lines:
            values = np.asarray(line.get_ydata(), dtype=float)
            if line.get_label() == "convergence_performance":
                marks.append(values[0])
            else:
                curves.append(values)
        finite = [values[np.isfinite(values)] for values in curves]
        if len({len(values) for values in curves}) <= 1 and all(
            len(a) == len(b) for a, b in zip(curves, finite, strict=True)
        ):
            rescale(axis)
            return
        curves = [values for values in finite if len(values)]
        if not curves:
            return
        # The same limits: the middle 60 % of all values, all final values and the marks.
        inner = np.percentile(np.concatenate(curves), (20, 80))
        shown = [*inner, *(values[-1] for values in curves), *marks]
        low, high = 0.9 * min(shown), 1.1 * max(shown)
        if low != high:
            axis.set_ylim(max(1e-10, low), high)
        axis.margins(x=0)

    return wrapper
