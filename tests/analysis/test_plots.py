import os
import subprocess
import sys

import matplotlib.image
import numpy as np
import pytest

from alig_deepobs.analysis import plot_curves
from alig_deepobs.analysis.plots import styles
from alig_deepobs.analysis.plots.svg import swatch_svg
from alig_deepobs.errors import ResultError, UsageError


def pixels_near(image, color):
    """Number of pixels of a colour, antialiased edges left out."""
    wanted = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return int((np.abs(image[..., :3] - wanted).max(axis=-1) < 0.03).sum())


def test_png_shows_every_optimizer(tmp_path, make_run, accuracy_problem):
    runs = [
        make_run(label, seed, final + seed / 100, epochs=12)
        for label, final in (("AliG", 0.9), ("SGD", 0.7), ("Momentum", 0.8), ("Adam", 0.6))
        for seed in (1, 2, 3)
    ]
    path = plot_curves(runs, accuracy_problem, tmp_path / "deep" / "curves.png")
    assert path.stat().st_size > 20_000
    image = matplotlib.image.imread(path)
    height, width, _ = image.shape
    assert width >= 1200
    assert height >= 400
    for label in ("AliG", "SGD", "Momentum", "Adam"):
        # Each third of the picture is a panel, and each panel has the line.
        for panel in np.array_split(image, 3, axis=1):
            assert pixels_near(panel[: height * 4 // 5], styles([label])[label].color) > 100


def test_colors_of_the_baselines_differ():
    found = styles(["AliG", "SGD", "Momentum", "Adam"])
    assert len({style.color for style in found.values()}) == 4


def test_without_accuracy_there_are_two_panels(tmp_path, make_run, loss_problem):
    runs = [make_run(test_accuracies=[], train_accuracies=[])]
    path = plot_curves(runs, loss_problem, tmp_path / "two.png")
    assert matplotlib.image.imread(path).shape[1] == 1200


def test_diverged_run_changes_the_picture(tmp_path, make_run, accuracy_problem):
    whole = [make_run(seed=seed, epochs=8) for seed in (1, 2)]
    cut = [whole[0], make_run(seed=2, epochs=8, diverged_after=3)]
    first = matplotlib.image.imread(plot_curves(whole, accuracy_problem, tmp_path / "a.png"))
    second = matplotlib.image.imread(plot_curves(cut, accuracy_problem, tmp_path / "b.png"))
    assert (first != second).any()


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 0},
        {"diverged_after": 0},
        {"test_data_losses": [-1.0, 0.0, 1.0]},
        {"train_data_losses": [0.0, 0.0, 0.0]},
        {"label": "a $x^{$ name " * 9},
    ],
)
def test_odd_runs_can_be_drawn(tmp_path, make_run, accuracy_problem, changes):
    path = plot_curves([make_run(**changes)], accuracy_problem, tmp_path / "odd.png")
    assert path.stat().st_size > 10_000


def test_nothing_to_draw(tmp_path, accuracy_problem):
    with pytest.raises(UsageError, match="no runs"):
        plot_curves([], accuracy_problem, tmp_path / "none.png")


def test_unwritable(tmp_path, make_run, accuracy_problem):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot write"):
        plot_curves([make_run()], accuracy_problem, tmp_path / "file" / "curves.png")


def test_settings_of_matplotlib_that_lie_around_change_no_picture(
    tmp_path, make_run, accuracy_problem
):
    runs = [make_run(seed=seed) for seed in (1, 2)]
    before = plot_curves(runs, accuracy_problem, tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "red", "font.size": 30}):
        after = plot_curves(runs, accuracy_problem, tmp_path / "b.png").read_bytes()
        assert matplotlib.rcParams["text.usetex"]
        (tmp_path / "c.svg").write_text(swatch_svg(styles(["AliG"])["AliG"]))
    assert before == after


@pytest.mark.parametrize(
    "module",
    [
        "analysis.plots.style",
        "analysis.report.page",
        "reproduce.pictures",
        "reproduce.theory.pictures",
    ],
)
def test_a_file_of_settings_in_the_current_folder_is_not_read(tmp_path, module):
    (tmp_path / "matplotlibrc").write_bytes(b"figure.dpi: 33\n\xff\n")
    code = (
        f"import alig_deepobs.{module}, sys;"
        "matplotlib = sys.modules.get('matplotlib');"
        "assert matplotlib is None or matplotlib.rcParams['figure.dpi'] == 100"
    )
    search = os.pathsep.join(entry for entry in sys.path if entry)
    environment = {**os.environ, "PYTHONPATH": search}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
