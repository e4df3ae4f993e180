"""The figures besides the learning curves: they can be told apart, and odd input is drawn."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from alig_deepobs.analysis.groups import group_runs
from alig_deepobs.analysis.plots import (
    Axis,
    Line,
    draw_critical_difference,
    draw_heat_map,
    draw_lines,
    draw_overview,
    draw_step_sizes,
    save_figure,
    step_size_trace,
    styles,
)
from alig_deepobs.analysis.plots.svg import inline_svg
from alig_deepobs.analysis.sensitivity import value_text
from alig_deepobs.errors import ResultError, UsageError


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def cells(figure):
    return figure.axes[0].patches


def test_heat_map_shades_follow_the_logarithm():
    figure = draw_heat_map({"A": {0.1: 1e-8, 1.0: 1e-4, 10.0: 1.0}})
    light = [np.dot(cell.get_facecolor()[:3], (0.299, 0.587, 0.114)) for cell in cells(figure)]
    assert light[0] < light[1] < light[2]  # the smaller, the darker
    # The palette's lightness is even in the logarithm, so the middle is in the middle.
    assert light[1] == pytest.approx((light[0] + light[2]) / 2, abs=0.06)


def test_heat_map_marks_what_diverged_with_the_worst_shade():
    figure = draw_heat_map({"A": {0.1: 0.5, 1.0: math.nan, 10.0: 50.0}, "B": {0.1: 1.0}})
    assert texts(figure) == ["0.5", "×", "50", "1"]
    assert cells(figure)[1].get_facecolor() == cells(figure)[2].get_facecolor()
    assert len(cells(figure)) == 4  # what is missing stays empty


def test_heat_map_of_accuracies_is_dark_at_the_top():
    figure = draw_heat_map({"A": {0.1: 0.2, 1.0: 0.9}}, lower_is_better=False)
    light = [sum(cell.get_facecolor()[:3]) for cell in cells(figure)]
    assert light[1] < light[0]


def test_heat_map_of_different_grids_labels_the_cells(tmp_path):
    mixed = {
        "ALI-G": {100.0: 1e-3, 1e4: 1e-5, None: 1e-4},
        "L4": {0.05 * k: 1e-2 / k for k in range(1, 12)},
        "Adam": {10.0**k: 1.0 for k in range(-4, 3)},
    }
    figure = draw_heat_map(mixed)
    assert "∞\n1e-4" in texts(figure)
    assert "1e4\n1e-5" in texts(figure)
    path = save_figure(draw_heat_map(mixed, title="a $ sign"), tmp_path / "map.png")
    assert matplotlib.image.imread(path).shape[1] > 700


def test_heat_map_takes_a_frame():
    frame = pd.DataFrame({0.1: [1.0, 2.0], 1.0: [3.0, math.nan]}, index=["A", "B"])
    assert texts(draw_heat_map(frame)) == ["1", "3", "2", "×"]
    with pytest.raises(UsageError, match="at least one"):
        draw_heat_map({})


def test_value_text_is_short():
    values = (0.001, 3e-05, 1000.0, 1e6, math.inf, None, "word", True, 0.25)
    expected = ["0.001", "3e-5", "1000", "1e6", "∞", "∞", "word", "True", "0.25"]
    assert [value_text(value) for value in values] == expected


def test_critical_difference_bars_join_what_does_not_differ(tmp_path):
    ranks = {"A": 1.2, "B": 2.0, "C": 3.5, "D": 3.9}
    figure = draw_critical_difference(
        ranks, cliques=[["A", "B"], ["B", "C", "D"], ["C", "D"]], critical_difference=1.9
    )
    thick = [line for line in figure.axes[0].lines if line.get_linewidth() > 3]
    spans = sorted((min(line.get_xdata()), max(line.get_xdata())) for line in thick)
    assert len(spans) == 2  # the one inside another is not drawn
    assert spans[0][0] < 1.2 < 2.0 < spans[0][1]
    assert spans[1][0] < 2.0 < 3.9 < spans[1][1]
    assert any("CD = 1.90" in text for text in texts(figure))
    assert save_figure(figure, tmp_path / "cd.pdf").stat().st_size > 1000
    with pytest.raises(UsageError, match="two methods"):
        draw_critical_difference({"A": 1.0})


def test_lines_mark_what_diverged():
    lines = {
        "A": Line([0.1, 1.0, 10.0], [1.0, 0.5, math.nan]),
        "B": Line([0.1, 1.0, 10.0], [2.0, 1.0, math.nan]),
    }
    figure = draw_lines(lines, x=Axis("lr", log=True), y=Axis("loss", log=True))
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [[10.0], [10.0]]
    assert crosses[0].get_ydata()[0] != crosses[1].get_ydata()[0]  # none hides the other


def test_lines_are_written(tmp_path):
    line = {"A": Line([1, 2], [0.1, 0.4], [0.0, 0.3], [0.2, 0.5])}
    figure = draw_lines(line, x=Axis("x"), y=Axis("y"), steps=True)
    path = save_figure(figure, tmp_path / "a.svg")
    assert "<svg" in path.read_text()
    with pytest.raises(UsageError, match=r"not as 'a\.gif'"):
        save_figure(figure, tmp_path / "a.gif")
    with pytest.raises(ResultError, match="cannot write"):
        save_figure(figure, tmp_path / "a.svg" / "b.png")
    with pytest.raises(UsageError, match="nothing to draw"):
        draw_lines({}, x=Axis("x"), y=Axis("y"))


def test_step_size_trace(tmp_path, make_run):
    def sizes(low, clipped):
        epoch = {"mean": 2 * low, "median": low, "min": low, "max": 4 * low}
        return [{**epoch, "clipped_fraction": clipped}] * 3

    runs = [
        make_run(seed=1, step_sizes=sizes(0.1, 0.2)),
        make_run(seed=2, step_sizes=sizes(0.3, 0.6)),
    ]
    trace = step_size_trace(runs)
    assert trace.low == pytest.approx([0.1] * 3)
    assert trace.high == pytest.approx([1.2] * 3)
    assert trace.mean == pytest.approx([0.4] * 3)
    assert trace.clipped == pytest.approx([0.4] * 3)
    assert step_size_trace([make_run()]) is None
    figure = draw_step_sizes({"AliG": trace})
    assert save_figure(figure, tmp_path / "s.png").stat().st_size > 10_000
    with pytest.raises(UsageError, match="recorded step sizes"):
        draw_step_sizes({})


def test_overview_has_four_rows_and_a_column_per_problem(
    tmp_path, make_run, accuracy_problem, loss_problem
):
    runs = [make_run(label, seed, epochs=5) for label in ("SGD", "Adam") for seed in (1, 2)]
    bare = [replace(run, train_accuracies=[], test_accuracies=[]) for run in runs]
    columns = {
        "one": (accuracy_problem, group_runs(runs, accuracy_problem)),
        "two": (loss_problem, group_runs(bare, loss_problem)),
    }
    path = save_figure(draw_overview(columns), tmp_path / "overview.png")
    height, width, _ = matplotlib.image.imread(path).shape
    assert width == pytest.approx(150 * 6.8, abs=2)
    assert height == pytest.approx(1440, abs=2)


def test_styles_tell_many_methods_apart():
    found = styles([*"ABCDEFG", "AliG", "SGD", "Momentum", "Adam", *map(str, range(20))])
    assert found["AliG"].color == "#D55E00"
    assert len({(style.color, style.marker) for style in found.values()}) == len(found)
    # Without colour, too.
    assert len({(str(style.line), style.marker) for style in found.values()}) == len(found)
    assert [style.number for style in found.values()] == list(range(len(found)))


def test_inline_svg_follows_the_page():
    line = {"A & <B>": Line([1, 2, 3], [0.0012345, 0.4, 1.5]), "AliG": Line([1, 2], [0.1, 0.2])}
    figure = draw_lines(line, x=Axis("rate <x>"), y=Axis("y"), legend=False)
    first, second = inline_svg(figure, "first"), inline_svg(figure, "second")
    assert "currentColor" in first
    assert "#000000" not in first
    assert "rate &lt;x&gt;" in first
    assert len(first) < 12_000
    names = set(re.findall(r' id="([^"]+)"', first))
    assert names
    assert not names & set(re.findall(r' id="([^"]+)"', second))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', first)) == names
    import xml.etree.ElementTree as ElementTree

    root = ElementTree.fromstring(first)  # well formed
    titles = [title.text for title in root.iter("title")]
    assert titles == [
        "A & <B> at 1: 0.001234", "A & <B> at 2: 0.4", "A & <B> at 3: 1.5",
        "AliG at 1: 0.1", "AliG at 2: 0.2",
    ]  # fmt: skip
    # The line and its markers are found by the number of the optimizer.
    series = [element.get("data-series") for element in root.iter()]
    assert (series.count("0"), series.count("1")) == (2, 2)


def test_rank_diagram_writes_names_in_full():
    long = "Momentum (nesterov=True, momentum=0.99, batch_size=128)"
    figure = draw_critical_difference({long: 1.5, "B": 1.5, "C": 3.0})
    figure.canvas.draw()
    assert any(long in text for text in texts(figure))
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width
