"""DeepOBS 1.1.2's scripts that need TensorFlow, which cannot be run as they are."""

from __future__ import annotations

import importlib
import shlex
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alig_deepobs.errors import RunError, UsageError
from alig_deepobs.runners.tensorflow.compat import enable

_SGD = """
import tensorflow.compat.v1 as tf
from alig_deepobs.tensorflow import enable
enable().tensorflow.runners.StandardRunner(tf.train.GradientDescentOptimizer, []).run()
"""


def time_script(
    script: Path,
    *,
    test_problem: str = "mnist_mlp",
    data_dir: str = "data_deepobs",
    batch_size: int = 128,
    learning_rate: float = 1e-5,
    num_epochs: int = 3,
    num_runs: int = 5,
    optimizer_args: str = "",
) -> str:
    """How much longer a run script takes than SGD, as DeepOBS's ``estimate_runtime`` says it.

    DeepOBS's own script compares a run in its process with one that is started for it, and so
    mostly measures how long it takes to import TensorFlow. Here both are started, and what a run of
    no epoch takes is subtracted.

    Args:
        script: of TensorFlow 1 or 2, with DeepOBS's command line.
        test_problem: what both run on.
        data_dir: DeepOBS's data files.
        batch_size: of both.
        learning_rate: of both.
        num_epochs: of each run.
        num_runs: runs of each, in turn.
        optimizer_args: further arguments of the script, as one text.

    Returns:
        The summary, some lines.

    Raises:
        RunError: one of the runs broke.
    """
    arguments = [
        test_problem, f"--lr={learning_rate}", f"--bs={batch_size}", f"--data_dir={data_dir}",
        "--no_logs",
    ]  # fmt: skip
    mine = ["-m", "alig_deepobs.tensorflow", str(script), *arguments, *shlex.split(optimizer_args)]
    contenders = {"SGD": ["-c", _SGD, *arguments], "new optimizer": mine}
    start = {name: _seconds([*words, "--num_epochs=0"]) for name, words in contenders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(num_runs):
        for name, words in contenders.items():
            taken = _seconds([*words, f"--num_epochs={num_epochs}"]) - start[name]
            seconds[name].append(max(taken, 1e-3))
    overhead = [new / sgd for sgd, new in zip(*seconds.values(), strict=True)]
    lines = [f"** Mean run time {n}: {statistics.fmean(s):.3f} s" for n, s in seconds.items()]
    lines.append(f"** Overhead per run: {', '.join(f'{value:.3f}' for value in overhead)}")
    mean, deviation = statistics.fmean(overhead), statistics.pstdev(overhead)
    return "\n".join([*lines, f"** Mean overhead: {mean:.3f} Standard deviation: {deviation:.3f}"])


def _seconds(words: Sequence[str]) -> float:
    """Runs Python, and measures how long it takes."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise RunError(f"{shlex.join(words[1:] if words[0] == '-m' else words[2:])} broke: {last}")
    return time.perf_counter() - start


def run_plot_results(arguments: Sequence[str]) -> list[Path]:
    """Runs DeepOBS's plot script with its own command line.

    Args:
        arguments: what would stand behind the name of the script. Where it is given no folder of
            baselines and there is none of the default name, it does without.

    Returns:
        The files that it wrote into the current folder.

    Raises:
        UsageError: a folder is missing, or TensorFlow, ``tf_keras`` or DeepOBS is.
        SystemExit: the arguments are wrong; the script has printed why.
    """
    deepobs: Any = enable()
    module: Any = importlib.import_module("deepobs.scripts.deepobs_plot_results")
    parser = module.parse_args()
    parser.prog = "alig-deepobs deepobs plot_results"
    parsed = vars(parser.parse_args(list(arguments)))
    default = parser.get_default("baseline_path")
    if parsed["baseline_path"] == default and not Path(default).is_dir():
        parsed["baseline_path"] = ""
    for folder in filter(None, (parsed["path"], parsed["baseline_path"])):
        if not Path(folder).is_dir():
            raise UsageError(f"there is no folder {folder}")
    before = _stamps()
    module.deepobs = deepobs
    with warnings.catch_warnings():
        # Where there is no screen, there is nothing to show; the pictures are in files.
        warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")
        module.main(**parsed)
    return sorted(path for path, stamp in _stamps().items() if before.get(path) != stamp)


def _stamps() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path().iterdir() if path.is_file()}
